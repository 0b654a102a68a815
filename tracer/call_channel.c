/* SPDX-License-Identifier: MIT */
/*
 * An end of a channel has something to take, or room. Reading waits for the one and makes the other at the far end; writing
 * the other way round. All is said before the real call, as with locks: so what a long write puts in later is
 * not heard by who begins to wait meanwhile, and nobody is named.
 *
 * What a thread hears is proof of somebody's doing, not of its effect: others may wait for the same, and take it. Where
 * they do, a wait that does not end shortly after says nothing of who ended it.
 */
#include "tracer/call_channel.h"

#include <string.h>

#include "tracer/events_sched.h"

/* No thread goes to sleep and is woken in less. */
#define BLOCKED_NS 2000

/* Of several that waited for the same, how long after it one may come back and still be thought woken by it. */
#define CROWD_NS 200000

/* Arrays off the stack are remembered up to here, bytes: larger ones may be mappings of their own, and go with free(). */
#define MAX_POLLED 4096

/* call.n_heard: number of `heard` in use, or one of these. */
#define IN_SPACE 0xff /* room, at WAIT_SPACE */
#define IN_EPOLL 0xfe /* fr_private.epoll */

enum operation {
	OTHER = 0,
	TAKE,
	PUT,
	AWAIT, /* of an epoll instance */
	END,   /* this side is given up */
};

static const uint8_t operations[FR_CALL_N] = {
	[FR_CALL_read] = TAKE,
	[FR_CALL_readv] = TAKE,
	[FR_CALL_recv] = TAKE,
	[FR_CALL_recvfrom] = TAKE,
	[FR_CALL_recvmsg] = TAKE,
	[FR_CALL_recvmmsg] = TAKE,
	[FR_CALL_eventfd_read] = TAKE,
	[FR_CALL_splice] = TAKE,
	[FR_CALL_accept] = TAKE,
	[FR_CALL_accept4] = TAKE,
	[FR_CALL_write] = PUT,
	[FR_CALL_writev] = PUT,
	[FR_CALL_send] = PUT,
	[FR_CALL_sendto] = PUT,
	[FR_CALL_sendmsg] = PUT,
	[FR_CALL_sendmmsg] = PUT,
	[FR_CALL_eventfd_write] = PUT,
	[FR_CALL_sendfile] = PUT,
	[FR_CALL_vmsplice] = PUT,
	[FR_CALL_epoll_wait] = AWAIT,
	[FR_CALL_epoll_pwait] = AWAIT,
	[FR_CALL_epoll_pwait2] = AWAIT,
	[FR_CALL_close] = END,
	[FR_CALL_shutdown] = END,
};

/* Returns whether anybody waited. */
static int tell(
	struct fr_thread *t, const struct call *call, uintptr_t name, bool is_end, uintptr_t frame)
{
	struct wait_release release = { .time_ns = call->begin_ns,
		.stack = call->stack,
		.about = channel_of_name(name),
		.is_end = is_end };
	uintptr_t epolls[CHANNEL_WATCHERS];
	int is_told, is_heard;
	unsigned n, i;

	if (likely(!__atomic_load_n(&wait_n_channels, __ATOMIC_RELAXED)))
		return 0;
	/* Those who wait for it in different ways may take it from each other. */
	n = channel_watchers(name, epolls);
	release.is_crowd = n > 0;
	is_told = is_heard = wait_tell(t, name, &release, frame);
	release.is_crowd = n > 1 || is_told;
	for (i = 0; i < n; i++)
		is_heard |= wait_tell(t, epolls[i], &release, frame);
	return is_heard;
}

/* One more channel that the call waits for. */
static void hear(struct fr_thread *t, struct call *call, uintptr_t name)
{
	struct fr_private *private = t->private;
	unsigned i = call->n_heard;

	if (unlikely(!private) || i == FR_HEARD || !fr_wants(FR_EVENTS_SCHED))
		return;
	private->heard[i].mark = wait_enter_at(&private->heard[i].held, name);
	call->n_heard++;
}

/*
 * A thread comes back to the same epoll instance again and again: its registration stays when the call ends, and the
 * next one costs a load.
 */
static void hear_epoll(struct fr_thread *t, struct call *call, uint32_t end)
{
	struct fr_private *private = t->private;
	uintptr_t name = channel_data(end);

	if (unlikely(!private) || !channel_has_watches() || !fr_wants(FR_EVENTS_SCHED))
		return;
	if (likely(private->epoll.held && private->epoll_name == name))
	private->epoll.mark = wait_mark(private->epoll.held);
	else private->epoll.mark = wait_enter_at(&private->epoll.held, name);
	private->epoll_name = name;
	call->n_heard = IN_EPOLL;
}

/* Those of a poll() that was left by longjmp or cancellation. */
static void drop_left(struct fr_thread *t)
{
	struct wait_release releases[WAIT_N_RELEASES];
	unsigned i;

	for (i = 1; t->private && i < FR_HEARD && t->private->heard[i].held; i++)
		wait_leave_at(&t->private->heard[i].held, 0, releases);
}

void call_channel_begin(struct fr_thread *t, struct call *call, uint32_t end, uintptr_t frame)
{
	uint32_t peer = channel_peer(end);

	switch (operations[call->id]) {
	case TAKE:
		drop_left(t);
		hear(t, call, channel_data(end));
		if (channel_kind(end) == CHANNEL_PAIR)
			tell(t, call, channel_space(peer), false, frame);
		break;
	case PUT:
		/*
		 * Where somebody waits for data there is room: that it is read before we are back says nothing. In an
		 * eventfd there always is, as far as anybody will wait for it.
		 */
		if (tell(t, call, channel_data(peer), false, frame) || unlikely(!t->private) ||
			channel_kind(end) != CHANNEL_PAIR || !fr_wants(FR_EVENTS_SCHED))
			break;
		t->private->space.mark = wait_enter(t, WAIT_SPACE, channel_space(end));
		call->n_heard = IN_SPACE;
		break;
	case AWAIT:
		if (channel_kind(end) == CHANNEL_EPOLL)
			hear_epoll(t, call, end);
		break;
	case END:
		if (channel_kind(end) != CHANNEL_PAIR)
			break;
		tell(t, call, channel_data(peer), call->id == FR_CALL_close, frame);
		if (call->id == FR_CALL_shutdown)
			tell(t, call, channel_data(end), false, frame);
		break;
	default:
		break;
	}
}

/* Is the array memory that can be read, as far as we know without asking? */
static int is_readable(const struct fr_thread *t, uintptr_t at, size_t size, uintptr_t frame)
{
	if (frame >= t->bounds.lo && at > frame && at < t->bounds.hi && size <= t->bounds.hi - at)
		return 1;
	return t->private && (uintptr_t)t->private->polled == at && size <= t->private->n_polled;
}

void call_channel_poll(struct call *call, const struct pollfd *fds, nfds_t n, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;
	nfds_t i;

	if (n > CHANNEL_FDS || (uintptr_t)fds % sizeof(int) || !guard_enter(t, frame))
		return;
	if (is_readable(t, (uintptr_t)fds, n * sizeof(*fds), frame)) {
		drop_left(t);
		for (i = 0; i < n; i++) {
			uint32_t end = channel_end(fds[i].fd);

			if (likely(!end) || channel_kind(end) == CHANNEL_EPOLL)
				continue;
			if (fds[i].events & POLLIN)
				hear(t, call, channel_data(end));
			if (fds[i].events & POLLOUT)
				hear(t, call, channel_space(end));
		}
	}
	guard_leave(t);
}

void call_channel_tell(struct call *call, uintptr_t name, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;

	if (!guard_enter(t, frame))
		return;
	tell(t, call, name, false, frame);
	guard_leave(t);
}

void call_channel_polled(const void *array, size_t size)
{
	struct fr_private *private = fr_self.private;

	if (private && size <= MAX_POLLED && fr_self.stage == FR_STAGE_ON && !fr_self.in_vfork) {
		private->polled = array;
		private->n_polled = size;
	}
}

static void look_at_set(struct fr_thread *t, struct call *call, const fd_set *set, int n,
	int is_space, uintptr_t frame)
{
	size_t size = ((size_t)n + NFDBITS - 1) / NFDBITS * sizeof(fd_mask), word;

	if (!set || (uintptr_t)set % sizeof(fd_mask) ||
		!is_readable(t, (uintptr_t)set, size, frame))
		return;
	for (word = 0; word < size / sizeof(fd_mask); word++) {
		unsigned long bits = (unsigned long)((const fd_mask *)set)[word];

		for (; bits; bits &= bits - 1) {
			int fd = (int)(word * NFDBITS) + __builtin_ctzl(bits);
			uint32_t end = channel_end(fd);

			if (fd < n && end && channel_kind(end) != CHANNEL_EPOLL)
				hear(t, call, is_space ? channel_space(end) : channel_data(end));
		}
	}
}

void call_channel_select(
	struct call *call, int n, const fd_set *readable, const fd_set *writable, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;

	if (n <= 0 || n > CHANNEL_FDS || !guard_enter(t, frame))
		return;
	drop_left(t);
	look_at_set(t, call, readable, n, 0, frame);
	look_at_set(t, call, writable, n, 1, frame);
	guard_leave(t);
}

/* What ended the call: who, and on which channel. */
struct ending {
	struct wait_release who;
	int is_known;
};

static int is_near(const struct wait_release *release, uint64_t end_ns)
{
	return end_ns - release->time_ns <= WAIT_NEAR_NS;
}

/* Among several channels it is the oldest of those shortly before the end, else the latest. */
static void consider(struct ending *ending, const struct wait_release *releases, unsigned n,
	uint64_t end_ns, int is_end_told)
{
	const struct wait_release *who;

	if (!n)
		return;
	who = wait_pick(releases, n, end_ns);
	/* Somebody else may have been woken by it; another process may have the end open. */
	if (!who->is_sole && end_ns - who->time_ns > CROWD_NS)
		return;
	if (who->is_end && !is_near(who, end_ns))
		return;
	if (who->is_end && !is_end_told)
		return;
	if (ending->is_known &&
		(is_near(&ending->who, end_ns)
				? !is_near(who, end_ns) || who->time_ns >= ending->who.time_ns
				: who->time_ns <= ending->who.time_ns))
		return;
	*ending = (struct ending){ *who, 1 };
}

static void emit(
	struct fr_thread *t, const struct call *call, const struct ending *ending, uint64_t dur)
{
	struct fr_event_woken e = { .call = call->id,
		.fd = call->fd,
		.obj = ending->who.about,
		.dur = dur,
		.wake = call->begin_ns + dur - ending->who.time_ns,
		.waker = ending->who.tid,
		.waker_stack = ending->who.stack };
	int saved_errno = errno;

	/* It may have begun to write before we began to wait. */
	if (e.wake > dur)
		e.wake = dur;
	fr_event_init(&e.common, t, call->stack);
	lttng_ust_tracepoint(flightrec_sched, woken, &e);
	fr_count_own(t, events, 1);
	errno = saved_errno;
}

void call_channel_end(struct fr_thread *t, struct call *call, int64_t ret, uint64_t dur)
{
	struct wait_release releases[WAIT_N_RELEASES];
	struct fr_private *private = t->private;
	uint64_t end_ns = call->begin_ns + dur;
	struct ending ending = { .is_known = 0 };
	int is_take = operations[call->id] == TAKE;
	unsigned i, n;

	if (unlikely(!private))
		return;
	if (call->n_heard == IN_SPACE) {
		n = wait_leave(t, WAIT_SPACE, private->space.mark, releases);
		consider(&ending, releases, n, end_ns, 0);
	} else if (call->n_heard == IN_EPOLL) {
		n = private->epoll.held
			    ? wait_heard(private->epoll.held, private->epoll.mark, releases)
			    : 0;
		consider(&ending, releases, n, end_ns, 1);
	} else {
		for (i = 0; i < call->n_heard && i < FR_HEARD; i++) {
			n = wait_leave_at(
				&private->heard[i].held, private->heard[i].mark, releases);
			consider(&ending, releases, n, end_ns, !is_take || ret == 0);
		}
	}
	/* Nothing was ready in the end: a time limit, or a descriptor that does not block. */
	if (ret < 0 || (ret == 0 && !is_take) || dur < BLOCKED_NS || !ending.is_known)
		return;
	emit(t, call, &ending, dur);
}
