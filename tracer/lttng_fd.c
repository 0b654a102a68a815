/* SPDX-License-Identifier: MIT */
#include "tracer/lttng_fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tracer/internal.h"
#include "tracer/sys.h"

/*
 * Above the numbers that the program may have (the soft limit), where it cannot hit them; below them where there is no
 * room, or where that would be far up: the kernel has a table for the highest number in use, 8 bytes each.
 */
#define TOP 4096
#define ROOM 256

static int base = -1;	 /* lowest number for moved descriptors */
static int highest = -1; /* highest number seen */
static int has_unmoved;	 /* a move failed: any number may be theirs */

static int is_above_limit; /* base is the soft limit */

void lttng_fd_init(void)
{
	struct rlimit limit = { 0, 0 };
	long top;

	sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	top = limit.rlim_cur > TOP ? TOP : (long)limit.rlim_cur;
	is_above_limit = limit.rlim_cur < TOP && limit.rlim_max >= limit.rlim_cur + ROOM;
	base = (int)(is_above_limit ? top : top > 2 * ROOM ? top - ROOM : top - top / 4);
}

/* A number from base on. The limit is raised for as long as that takes. Returns it or -errno. */
static long duplicate(int fd)
{
	struct rlimit limit = { 0, 0 }, raised, found = { 0, 0 };
	long moved;

	if (!is_above_limit || sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) < 0)
		return sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, base);
	raised = limit;
	if (raised.rlim_cur < (rlim_t)base + ROOM)
		raised.rlim_cur = (rlim_t)base + ROOM;
	if (raised.rlim_cur > raised.rlim_max)
		raised.rlim_cur = raised.rlim_max;
	sys(SYS_prlimit64, 0, RLIMIT_NOFILE, &raised, NULL);
	moved = sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, base);
	/* The program changed it meanwhile: its word stands. */
	if (sys(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, &found) == 0 &&
		(found.rlim_cur != raised.rlim_cur || found.rlim_max != raised.rlim_max))
		sys(SYS_prlimit64, 0, RLIMIT_NOFILE, &found, NULL);
	return moved;
}

static void note(int fd)
{
	int seen = __atomic_load_n(&highest, __ATOMIC_RELAXED);

	while (fd > seen && !__atomic_compare_exchange_n(
				    &highest, &seen, fd, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

int lttng_fd_move(int fd)
{
	long moved;

	if (base < 0)
		lttng_fd_init();
	if (fd >= base) {
		note(fd);
		return fd;
	}
	moved = duplicate(fd);
	if (moved < 0) {
		has_unmoved = 1;
		return fd;
	}
	sys(SYS_close, fd);
	note((int)moved);
	return (int)moved;
}

int lttng_fd_move_own(int fd)
{
	long moved;

	if (base < 0)
		lttng_fd_init();
	moved = duplicate(fd);
	sys(SYS_close, fd);
	return moved < base ? -1 : (int)moved;
}

void lttng_fd_move_received(struct msghdr *message)
{
	struct cmsghdr *control;

	for (control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		size_t n, i;

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS ||
			control->cmsg_len < CMSG_LEN(0))
			continue;
		n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			unsigned char *at = CMSG_DATA(control) + i * sizeof(int);
			int fd;

			memcpy(&fd, at, sizeof(fd));
			fd = lttng_fd_move(fd);
			memcpy(at, &fd, sizeof(fd));
		}
	}
}

int lttng_fd_is_candidate(int fd)
{
	return has_unmoved || (fd >= base && fd <= __atomic_load_n(&highest, __ATOMIC_RELAXED));
}

void lttng_fd_range(int *first_out, int *last_out)
{
	*first_out = has_unmoved ? 0 : base;
	*last_out = __atomic_load_n(&highest, __ATOMIC_RELAXED);
	if (has_unmoved && *last_out < TOP)
		*last_out = TOP;
}
