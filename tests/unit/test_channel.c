/* SPDX-License-Identifier: MIT */
/* Which descriptors are ends of which channels, and what epoll instances watch. */
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "check.h"
#include "tracer/channel.h"

/* The table needs only these of the tracer. */
__thread struct fr_thread fr_self __attribute__((tls_model("initial-exec")));
static struct fr_blackbox blackbox;
struct fr_blackbox *fr_blackbox = &blackbox;
int fr_on = 1;

static void ends_of_a_pipe_face_each_other(void)
{
	const int fds[2] = { 3, 4 };
	uint32_t a, b;

	channel_reset();
	CHECK_INT(channel_end(3), 0);
	channel_make_pair(fds);
	a = channel_end(3);
	b = channel_end(4);
	CHECK(a && b && a != b);
	CHECK_INT(channel_id(a), channel_id(b));
	CHECK_INT(channel_kind(a), CHANNEL_PAIR);
	CHECK_INT(channel_peer(a), b);
	CHECK_INT(channel_peer(b), a);
	/* Four names, none an address. */
	CHECK(channel_data(a) != channel_data(b) && channel_data(a) != channel_space(a));
	CHECK(channel_space(a) != channel_data(b) && channel_space(a) != channel_space(b));
	CHECK(channel_data(a) & WAIT_CHANNEL);
	CHECK_INT(channel_of_name(channel_data(a)), channel_id(a));
	CHECK_INT(channel_of_name(channel_space(b)), channel_id(b));
	channel_make_one(5, CHANNEL_SELF);
	CHECK_INT(channel_peer(channel_end(5)), channel_end(5));
	CHECK(channel_id(channel_end(5)) != channel_id(a));
}

static void copies_are_the_same_end(void)
{
	const int fds[2] = { 3, 4 };
	uint32_t end;

	channel_reset();
	channel_make_pair(fds);
	end = channel_end(4);
	channel_copy(4, 9);
	CHECK_INT(channel_end(9), end);
	channel_forget(4);
	CHECK_INT(channel_end(4), 0);
	CHECK_INT(channel_end(9), end);
	/* What was dup2()ed over is the end of nothing any more. */
	channel_copy(20, 9);
	CHECK_INT(channel_end(9), 0);
	channel_copy(3, 7);
	channel_forget_range(5, ~0u);
	CHECK_INT(channel_end(7), 0);
	CHECK(channel_end(3) != 0);
	/* No descriptor at all. */
	CHECK_INT(channel_end(-1), 0);
	channel_forget(-1);
	channel_forget_range(10, 3);
	CHECK(channel_end(3) != 0);
}

static void far_numbers_are_counted(void)
{
	const int fds[2] = { 3, CHANNEL_FDS };
	uint64_t before = fr_blackbox->counters.channels_overflow;

	channel_reset();
	channel_make_pair(fds);
	CHECK(channel_end(3) != 0);
	CHECK_INT(channel_end(CHANNEL_FDS), 0);
	CHECK_INT(fr_blackbox->counters.channels_overflow, before + 1);
	channel_forget(CHANNEL_FDS);
	channel_copy(3, CHANNEL_FDS + 1);
	CHECK_INT(fr_blackbox->counters.channels_overflow, before + 2);
	channel_make_one(CHANNEL_FDS - 1, CHANNEL_SELF);
	CHECK(channel_end(CHANNEL_FDS - 1) != 0);
}

static void a_vfork_child_changes_nothing(void)
{
	const int fds[2] = { 3, 4 }, others[2] = { 5, 6 };

	channel_reset();
	channel_make_pair(fds);
	fr_self.in_vfork = 1;
	channel_forget(3);
	channel_make_pair(others);
	channel_copy(4, 10);
	channel_forget_range(0, ~0u);
	fr_self.in_vfork = 0;
	CHECK(channel_end(3) && channel_end(4));
	CHECK(!channel_end(5) && !channel_end(6) && !channel_end(10));
}

static void epoll_watches_both_directions(void)
{
	const int fds[2] = { 3, 4 };
	uintptr_t epolls[CHANNEL_WATCHERS], data, space;

	channel_reset();
	channel_make_pair(fds);
	channel_make_one(5, CHANNEL_EPOLL);
	channel_make_one(6, CHANNEL_EPOLL);
	data = channel_data(channel_end(3));
	space = channel_space(channel_end(3));
	CHECK(!channel_has_watches());
	channel_watch(5, EPOLL_CTL_ADD, 3, EPOLLIN);
	CHECK(channel_has_watches());
	CHECK_INT(channel_watchers(data, epolls), 1);
	CHECK_INT(epolls[0], channel_data(channel_end(5)));
	CHECK_INT(channel_watchers(space, epolls), 0);
	CHECK_INT(channel_watchers(channel_data(channel_end(4)), epolls), 0);
	channel_watch(5, EPOLL_CTL_MOD, 3, EPOLLIN | EPOLLOUT);
	CHECK_INT(channel_watchers(data, epolls), 1);
	CHECK_INT(channel_watchers(space, epolls), 1);
	channel_watch(6, EPOLL_CTL_ADD, 3, EPOLLIN);
	CHECK_INT(channel_watchers(data, epolls), 2);
	channel_watch(5, EPOLL_CTL_DEL, 3, 0);
	CHECK_INT(channel_watchers(data, epolls), 1);
	CHECK_INT(epolls[0], channel_data(channel_end(6)));
	CHECK_INT(channel_watchers(space, epolls), 0);
	/* Neither ends nor instances: nothing to watch. */
	channel_watch(3, EPOLL_CTL_ADD, 4, EPOLLIN);
	channel_watch(5, EPOLL_CTL_ADD, 6, EPOLLIN);
	channel_watch(5, EPOLL_CTL_ADD, 40, EPOLLIN);
	CHECK_INT(channel_watchers(channel_data(channel_end(4)), epolls), 0);
}

static void watches_end_with_the_descriptors(void)
{
	const int fds[2] = { 3, 4 };
	uintptr_t epolls[CHANNEL_WATCHERS], data;

	channel_reset();
	channel_make_pair(fds);
	channel_make_one(5, CHANNEL_EPOLL);
	data = channel_data(channel_end(3));
	channel_watch(5, EPOLL_CTL_ADD, 3, EPOLLIN | EPOLLOUT);
	/* A copy keeps the end open, and watched. */
	channel_copy(3, 8);
	channel_forget(3);
	CHECK_INT(channel_watchers(data, epolls), 1);
	channel_forget(8);
	CHECK_INT(channel_watchers(data, epolls), 0);
	CHECK(!channel_has_watches());
	channel_make_pair(fds);
	data = channel_data(channel_end(3));
	channel_watch(5, EPOLL_CTL_ADD, 3, EPOLLIN);
	channel_forget(5);
	CHECK_INT(channel_watchers(data, epolls), 0);
	CHECK(!channel_has_watches());
}

static void a_full_table_of_watches_is_counted(void)
{
	uint64_t before = fr_blackbox->counters.channels_overflow;
	uintptr_t epolls[CHANNEL_WATCHERS];
	int fd;

	channel_reset();
	channel_make_one(5, CHANNEL_EPOLL);
	for (fd = 10; fd < 10010; fd++) {
		channel_make_one(fd, CHANNEL_SELF);
		channel_watch(5, EPOLL_CTL_ADD, fd, EPOLLIN);
	}
	CHECK(fr_blackbox->counters.channels_overflow - before >= 10000 - 4096);
	CHECK(fr_blackbox->counters.channels_overflow - before < 10000);
	channel_forget(5);
	CHECK(!channel_has_watches());
	/* Of one name no more are told than there is room for. */
	for (fd = 20000; fd < 20020; fd++) {
		channel_make_one(fd, CHANNEL_EPOLL);
		channel_watch(fd, EPOLL_CTL_ADD, 10, EPOLLIN);
	}
	CHECK_INT(channel_watchers(channel_data(channel_end(10)), epolls), CHANNEL_WATCHERS);
}

/*
 * Threads that make, copy, watch and close descriptors of their own, as a kernel would number them, next to each
 * other: what each one finds at its numbers is its own. Under a sanitizer of threads nothing races.
 */
#define N_THREADS 4
#define N_ROUNDS 20000

static void *churn(void *arg)
{
	int base = (int)(uintptr_t)arg * 8 + 3, round;
	const int fds[2] = { base, base + 1 };
	uintptr_t n_wrong = 0, epolls[CHANNEL_WATCHERS];

	for (round = 0; round < N_ROUNDS; round++) {
		uint32_t end;

		channel_make_pair(fds);
		channel_make_one(base + 2, CHANNEL_EPOLL);
		end = channel_end(fds[0]);
		n_wrong += channel_peer(end) != channel_end(fds[1]);
		channel_watch(base + 2, EPOLL_CTL_ADD, fds[0], EPOLLIN);
		n_wrong += channel_watchers(channel_data(end), epolls) != 1;
		channel_copy(fds[0], base + 3);
		n_wrong += channel_end(base + 3) != end;
		channel_forget(fds[0]);
		channel_forget_range((unsigned)fds[1], (unsigned)base + 2);
		channel_forget(base + 3);
		n_wrong += channel_watchers(channel_data(end), epolls) != 0;
	}
	return (void *)n_wrong;
}

static void threads_do_not_disturb_each_other(void)
{
	pthread_t threads[N_THREADS];
	uintptr_t i;

	channel_reset();
	for (i = 0; i < N_THREADS; i++)
		pthread_create(&threads[i], NULL, churn, (void *)i);
	for (i = 0; i < N_THREADS; i++) {
		void *n_wrong;

		pthread_join(threads[i], &n_wrong);
		CHECK_INT((uintptr_t)n_wrong, 0);
	}
	CHECK(!channel_has_watches());
	for (i = 0; i < (N_THREADS + 1) * 8; i++)
		CHECK_INT(channel_end((int)i), 0);
	CHECK_INT(channel_n, 2 * N_THREADS * N_ROUNDS);
}

static void errno_is_kept(void)
{
	const int fds[2] = { 3, 4 };

	channel_reset();
	errno = 77;
	channel_make_pair(fds);
	channel_copy(3, 5);
	channel_forget_range(0, ~0u);
	CHECK_INT(errno, 77);
}

int main(void)
{
	fr_self.stage = FR_STAGE_ON;
	CASE(ends_of_a_pipe_face_each_other, "the ends of a pipe face each other");
	CASE(copies_are_the_same_end, "copies are the same end until they are closed");
	CASE(far_numbers_are_counted, "descriptors beyond the table are counted");
	CASE(a_vfork_child_changes_nothing, "the child of a vfork changes nothing");
	CASE(epoll_watches_both_directions, "an epoll instance watches what it was asked to");
	CASE(watches_end_with_the_descriptors, "watches end with the last descriptor");
	CASE(a_full_table_of_watches_is_counted, "watches without room are counted");
	CASE(threads_do_not_disturb_each_other, "threads do not disturb each other");
	CASE(errno_is_kept, "errno is kept");
	return CHECK_DONE();
}
