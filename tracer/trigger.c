/* SPDX-License-Identifier: MIT */
#include "tracer/trigger.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/stat.h>

#include "tracer/call.h"
#include "tracer/sys.h"

#define PAUSE_NS 1000000u /* between two that are written */

static uint64_t last_ns;

static int is_too_soon(uint64_t now_ns)
{
	uint64_t last = __atomic_load_n(&last_ns, __ATOMIC_RELAXED);

	return now_ns - last < PAUSE_NS || !__atomic_compare_exchange_n(&last_ns, &last, now_ns, 0,
						   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int trigger_fire(const struct fr_thread *t, const struct trigger *trigger)
{
	uint64_t now_ns = fr_now(), number;
	struct fr_trigger *entry;

	if (is_too_soon(now_ns)) {
		fr_count(triggers_skipped, 1);
		return -EAGAIN;
	}
	number = __atomic_fetch_add(&fr_blackbox->triggers_next, 1, __ATOMIC_RELAXED);
	entry = (struct fr_trigger *)((char *)fr_blackbox + fr_blackbox->off_triggers) +
		number % FR_BB_TRIGGERS;
	__atomic_store_n(&entry->seq, 0, __ATOMIC_RELAXED);
	/* Release fence: who sees one of the fields below sees that the number has gone. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	entry->time_ns = now_ns;
	entry->value = trigger->value;
	entry->limit = trigger->limit;
	entry->obj = trigger->obj;
	entry->kind = trigger->kind;
	entry->tid = t->tid;
	entry->stack = trigger->stack;
	entry->call = trigger->call;
	memset(entry->reason, 0, sizeof(entry->reason));
	if (trigger->reason)
		memcpy(entry->reason, trigger->reason,
			strnlen(trigger->reason, sizeof(entry->reason) - 1));
	/* Release: who sees the number sees the fields. */
	__atomic_store_n(&entry->seq, number + 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&fr_blackbox->trigger_word, 1, __ATOMIC_RELEASE);
	sys(SYS_futex, &fr_blackbox->trigger_word, FUTEX_WAKE, INT_MAX);
	return 0;
}

uint64_t trigger_slow_limit(const char *type)
{
	uint64_t limit = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < fr_control->n_slow && i < FR_CONTROL_MAX_SLOW; i++) {
		const struct fr_slow_rule *rule = &fr_control->slow[i];

		if (rule->type[0] && strncmp(rule->type, type, sizeof(rule->type)) != 0)
			continue;
		if (rule->ns && rule->ns < limit)
			limit = rule->ns;
	}
	return limit;
}

/* Reads from something that may have nothing to give for as long as it likes; devices wait in ioctl(), too. */
static int is_source(unsigned call)
{
	switch (call) {
	case FR_CALL_read:
	case FR_CALL_readv:
	case FR_CALL_preadv2:
	case FR_CALL_eventfd_read:
	case FR_CALL_splice:
	case FR_CALL_tee:
	case FR_CALL_ioctl:
		return 1;
	default:
		return 0;
	}
}

/* A file or a disk, which always has an answer. */
static int is_file(int fd)
{
	struct stat st = { 0 };

	/* Not fstat(): that is a hook of ours, and older libcs have it under another name. */
#ifdef __x86_64__
	if (sys(SYS_fstat, fd, &st) != 0)
		return 0;
#else
	if (sys(SYS_newfstatat, fd, "", &st, 0x1000) != 0)
		return 0;
#endif
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode);
}

/* Waiting for the network, for children, for the time and for whatever syscall() is used for is what programs do. */
static int is_work(const struct call *call)
{
	static const uint8_t classes[FR_CALL_N] = {
#define FR_X(name, class, state) [FR_CALL_##name] = (class),
		FR_CALL_TABLE(FR_X)
#undef FR_X
	};

	switch (classes[call->id]) {
	case FR_CALL_NET:
	case FR_CALL_SLEEP:
	case FR_CALL_CHILD:
		return 0;
	default:
		return call->id != FR_CALL_syscall && (!is_source(call->id) || is_file(call->fd));
	}
}

void trigger_call(struct fr_thread *t, const struct call *call, uint64_t dur)
{
	struct trigger trigger = {
		.kind = FR_TRIGGER_CALL, .stack = call->stack, .call = call->id, .value = dur
	};

	trigger.limit = __atomic_load_n(&fr_control->trigger_call_ns, __ATOMIC_RELAXED);
	if (is_work(call))
		trigger_fire(t, &trigger);
}
