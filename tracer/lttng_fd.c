/* SPDX-License-Identifier: MIT */
#include "tracer/lttng_fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tracer/internal.h"
#include "tracer/sys.h"

/*
 * The top of a table of at most 4096: beyond that the kernel would have to allocate a table for the highest
 * number in use, 8 bytes each.
 */
#define TOP 4096
#define ROOM 256

static int base = -1;	 /* lowest number for moved descriptors */
static int highest = -1; /* highest number seen */
static int has_unmoved;	 /* a move failed: any number may be theirs */

void lttng_fd_init(void)
{
	struct rlimit limit = { 0, 0 };
	long top;

	sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	top = limit.rlim_cur > TOP ? TOP : (long)limit.rlim_cur;
	base = (int)(top > 2 * ROOM ? top - ROOM : top - top / 4);
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
	moved = sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, base);
	if (moved < 0) {
		has_unmoved = 1;
		return fd;
	}
	sys(SYS_close, fd);
	note((int)moved);
	return (int)moved;
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
