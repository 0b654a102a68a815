/* SPDX-License-Identifier: MIT */
/* Waits in calls on pipes, sockets, eventfds, and of connections of the program to itself. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "known_wakes.h"

/* Channels: fds[0] is what the waiter has. */
static int fds[2], epoll, is_dup;
static char big[1 << 20];

SITE known_read(void)
{
	char byte;

	MUST(read(fds[0], &byte, 1) == 1);
}

SITE known_recv(void)
{
	char bytes[8];

	MUST(recv(fds[0], bytes, sizeof(bytes), 0) == 1);
}

SITE known_read_end(void)
{
	char byte;

	MUST(read(fds[0], &byte, 1) == 0);
}

SITE known_write(void)
{
	MUST(write(fds[1], "x", 1) == 1);
}

SITE known_send(void)
{
	MUST(send(fds[1], "x", 1, 0) == 1);
}

SITE known_close(void)
{
	close(fds[1]);
	SITE_END();
}

SITE known_eventfd_read(void)
{
	eventfd_t value;

	MUST(eventfd_read(fds[0], &value) == 0 && value == 3);
}

SITE known_eventfd_write(void)
{
	MUST(eventfd_write(fds[1], 3) == 0);
}

SITE known_poll(void)
{
	struct pollfd several[2] = { { .fd = 2 }, { .fd = fds[0], .events = POLLIN } };

	MUST(poll(several, 2, 1000) == 1);
}

/* An array elsewhere is looked at from the second time on. */
SITE known_poll_heap(void)
{
	static struct pollfd one[1];

	one[0].fd = fds[0];
	one[0].events = POLLIN;
	MUST(poll(one, 1, 0) == 0);
	MUST(poll(one, 1, 1000) == 1);
}

SITE known_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	MUST(select(fds[0] + 1, &set, NULL, NULL, NULL) == 1);
}

SITE known_epoll_wait(void)
{
	struct epoll_event event;

	MUST(epoll_wait(epoll, &event, 1, 1000) == 1);
}

static int listener;

SITE known_accept(void)
{
	fds[0] = accept(listener, NULL, NULL);
	MUST(fds[0] >= 0);
}

static struct sockaddr_storage address;
static socklen_t n_address;

SITE known_connect(void)
{
	MUST(connect(fds[1], (struct sockaddr *)&address, n_address) == 0);
}

/* Through a full pipe. */
SITE known_write_full(void)
{
	MUST(write(fds[0], big, sizeof(big)) == (ssize_t)sizeof(big));
}

SITE known_drain(void)
{
	for (size_t n = 0; n < sizeof(big);) {
		ssize_t got = read(fds[1], big, sizeof(big));

		MUST(got > 0);
		n += (size_t)got;
	}
}

static void done(void)
{
	MUST(close(fds[0]) == 0);
	if (fds[1] != fds[0])
		close(fds[1]);
}

static void new_pipe(void)
{
	MUST(pipe(fds) == 0);
}

static void new_pair(void)
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
}

static void new_eventfd(void)
{
	fds[0] = fds[1] = eventfd(0, EFD_CLOEXEC);
	MUST(fds[0] >= 0);
}

/* The waiter's end by another number. */
static void new_dup(void)
{
	int other;

	new_pipe();
	other = dup(fds[0]);
	MUST(other >= 0 && close(fds[0]) == 0);
	fds[0] = other;
	MUST(dup2(fds[1], 200) == 200 && close(fds[1]) == 0);
	fds[1] = 200;
	is_dup = 1;
}

static void watched(void (*make)(void))
{
	struct epoll_event event = { .events = EPOLLIN };

	make();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	MUST(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event) == 0);
}

static void channels(void)
{
	static void (*const make[])(void) = { new_pipe, new_pair, new_eventfd, new_dup };
	static const char *const names[] = { "pipe", "pair", "eventfd", "dup" };

	for (unsigned i = 0; i < 4; i++) {
		int is_event = make[i] == new_eventfd;

		make[i]();
		if (is_event)
			CASE_OF(1, names[i], "eventfd_read", known_eventfd_read,
				known_eventfd_write);
		else if (make[i] == new_pair)
			CASE_OF(1, names[i], "recv", known_recv, known_send);
		else
			CASE_OF(1, names[i], "read", known_read, known_write);
		if (is_event)
			CASE_OF(1, names[i], "poll", known_poll, known_eventfd_write);
		else
			CASE_OF(1, names[i], "poll", known_poll, known_write);
		done();
		watched(make[i]);
		if (is_event)
			CASE_OF(1, names[i], "epoll_wait", known_epoll_wait, known_eventfd_write);
		else
			CASE_OF(1, names[i], "epoll_wait", known_epoll_wait, known_write);
		done();
		MUST(close(epoll) == 0);
	}
	new_pipe();
	CASE_OF(1, "heap", "poll", known_poll_heap, known_write);
	done();
	new_pipe();
	CASE_OF(1, "pipe", "select", known_select, known_write);
	done();
	new_pair();
	CASE_OF(1, "full", "write", known_write_full, known_drain);
	done();
	new_pipe();
	CASE_OF(1, "end", "read", known_read_end, known_close);
	MUST(close(fds[0]) == 0);
}

/* Connections of this program to itself. */
static void connections(void)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	static const char *const names[] = { "tcp", "tcp6", "unix" };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	for (int i = 0; i < 3; i++) {
		memset(&address, 0, sizeof(address));
		address.ss_family = (sa_family_t)families[i];
		n_address = families[i] == AF_INET ? sizeof(struct sockaddr_in)
						   : sizeof(struct sockaddr_in6);
		if (families[i] == AF_INET)
			((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		else if (families[i] == AF_INET6)
			((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
		else {
			snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "known_wakes-%d",
				getpid());
			memcpy(&address, &un, sizeof(un));
			n_address = (socklen_t)(sizeof(sa_family_t) + 1 + strlen(un.sun_path + 1));
		}
		listener = socket(families[i], SOCK_STREAM, 0);
		if (listener < 0 || bind(listener, (struct sockaddr *)&address, n_address) < 0) {
			MUST(families[i] == AF_INET6); /* may be switched off */
			close(listener);
			continue;
		}
		MUST(listen(listener, 5) == 0);
		MUST(getsockname(listener, (struct sockaddr *)&address, &n_address) == 0);
		fds[1] = socket(families[i], SOCK_STREAM, 0);
		CASE_OF(1, names[i], "accept", known_accept, known_connect);
		CASE_OF(1, names[i], "recv", known_recv, known_send);
		CASE_OF(1, names[i], "poll", known_poll, known_send);
		MUST(close(listener) == 0);
		done();
	}
}

void known_channels(void)
{
	channels();
	connections();
}
