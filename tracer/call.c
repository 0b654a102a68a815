/* SPDX-License-Identifier: MIT */
/*
 * A call is recorded when it returns. Its stack is taken before, so that a thread that never comes back
 * shows in its slot where it waits.
 */
#include "tracer/call.h"

#include <string.h>

#include "tracer/events_syscall.h"

static const uint8_t call_states[FR_CALL_N] = {
#define FR_X(name, class, state) [FR_CALL_##name] = (state),
	FR_CALL_TABLE(FR_X)
#undef FR_X
};

_Static_assert(FR_CALL_N <= FR_BB_MAX_CALLS, "the totals of the blackbox have room for every call");

int call_begin_slow(struct call *call, unsigned id, int fd, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;
	struct thread_state state = { .state = call_states[id], .call = id, .fd = fd };

	if (!guard_enter(t, frame))
		return 0;
	call->id = (uint16_t)id;
	call->fd = fd;
	call->stack =
		fr_wants(FR_EVENTS_SYSCALL) ? fr_capture(t, frame, FR_REPEAT_CALL) : FR_STACK_NONE;
	call->begin_ns = fr_now();
	state.stack = call->stack;
	state.since_ns = call->begin_ns;
	thread_enter(t, &state, &call->wait);
	guard_leave(t);
	errno = saved_errno;
	return 1;
}

static int is_transfer(unsigned id)
{
	switch (id) {
	case FR_CALL_read:
	case FR_CALL_write:
	case FR_CALL_pread64:
	case FR_CALL_pwrite64:
	case FR_CALL_readv:
	case FR_CALL_writev:
	case FR_CALL_preadv:
	case FR_CALL_pwritev:
	case FR_CALL_preadv2:
	case FR_CALL_pwritev2:
	case FR_CALL_send:
	case FR_CALL_sendto:
	case FR_CALL_sendmsg:
	case FR_CALL_recv:
	case FR_CALL_recvfrom:
	case FR_CALL_recvmsg:
	case FR_CALL_sendfile:
	case FR_CALL_splice:
	case FR_CALL_tee:
	case FR_CALL_vmsplice:
	case FR_CALL_copy_file_range:
	case FR_CALL_getrandom:
		return 1;
	default:
		return 0;
	}
}

static struct fr_call_total *total_of(unsigned id)
{
	struct fr_call_total *table =
		(struct fr_call_total *)((char *)fr_blackbox + fr_blackbox->off_calls);
	unsigned shard = fr_self.tid % FR_BB_CALL_SHARDS;

	return &table[shard * FR_BB_MAX_CALLS + id];
}

static void add_total(unsigned id, uint64_t dur, int64_t ret, int is_short)
{
	struct fr_call_total *total = total_of(id);

	__atomic_fetch_add(&total->n, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&total->dur_ns, dur, __ATOMIC_RELAXED);
	if (is_short) {
		__atomic_fetch_add(&total->n_short, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&total->short_ns, dur, __ATOMIC_RELAXED);
	}
	if (ret > 0 && is_transfer(id))
		__atomic_fetch_add(&total->bytes, (uint64_t)ret, __ATOMIC_RELAXED);
}

static uint64_t threshold(void)
{
	uint64_t always = __atomic_load_n(&fr_control->syscall_ns, __ATOMIC_RELAXED);
	uint64_t ring = __atomic_load_n(&fr_control->ring_syscall_ns, __ATOMIC_RELAXED);

	if (__atomic_load_n(&fr_control->is_run, __ATOMIC_RELAXED) || ring < always)
		return always;
	return ring;
}

static void emit(
	struct fr_thread *t, const struct call *call, int64_t ret, uint64_t dur, const char *path)
{
	struct fr_event_call e = { .call = call->id, .fd = call->fd, .ret = ret, .dur = dur };
	char text[256];

	fr_event_init(&e.common, t, call->stack);
	if (path) {
		size_t n = strnlen(path, sizeof(text) - 1);

		memcpy(text, path, n);
		text[n] = '\0';
		e.path = text;
		lttng_ust_tracepoint(flightrec_syscall, path, &e);
	} else {
		lttng_ust_tracepoint(flightrec_syscall, call, &e);
	}
	fr_count_own(t, events, 1);
}

void call_end(struct call *call, int64_t ret, const char *path)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;
	uint64_t dur;
	int is_short;

	if (!guard_enter(t, FR_FRAME()))
		goto out;
	dur = fr_now() - call->begin_ns;
	is_short = dur < threshold();
	fr_count_own(t, syscalls, 1);
	if (is_short)
		fr_count_own(t, syscalls_short, 1);
	else if (fr_wants(FR_EVENTS_SYSCALL))
		emit(t, call, ret, dur, path && call_saw_path(ret) && path[0] ? path : NULL);
	add_total(call->id, dur, ret, is_short);
	thread_leave(t, &call->wait);
	guard_leave(t);
out:
	errno = saved_errno;
}

int call_saw_path(int64_t ret)
{
	switch (-ret) {
	case ENOENT:
	case EACCES:
	case EEXIST:
	case ENOTDIR:
	case EISDIR:
	case ENOTEMPTY:
	case ELOOP:
	case EROFS:
	case EXDEV:
	case ENOEXEC:
	case ETXTBSY:
	case ECONNREFUSED:
	case EINPROGRESS:
	case EADDRINUSE:
	case EADDRNOTAVAIL:
		return 1;
	default:
		return ret >= 0;
	}
}

void call_announce(struct call *call, const char *path)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	if (!guard_enter(t, FR_FRAME()))
		return;
	if (fr_wants(FR_EVENTS_SYSCALL))
		emit(t, call, 0, 0, path);
	guard_leave(t);
	errno = saved_errno;
}
