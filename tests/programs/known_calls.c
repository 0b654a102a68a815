/* SPDX-License-Identifier: MIT */
/*
 * Calls of known number and length, from functions of known names. Prints one line per call:
 *
 *   expect call=nanosleep n=23 dur_ns=161… bytes=0 func=known_sleeps
 *
 * Nothing else in this program makes these calls, the last printf's write() apart: stdout is written
 * once, at exit, by libc itself.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "cases.h"
#include "tests/lib/clock.h"

#define KNOWN __attribute__((noinline)) static void

static uint64_t began_ns;

static void begin(void)
{
	began_ns = now_ns();
}

/* dur_ns is printed for calls that wait: the loop around short calls costs as much as they do. */
static void expect(const char *call, int n, uint64_t bytes, int is_timed, const char *func)
{
	printf("expect call=%s n=%d dur_ns=%" PRIu64 " bytes=%" PRIu64 " func=%s\n", call, n,
		is_timed ? now_ns() - began_ns : 0, bytes, func);
}

KNOWN known_sleeps(void)
{
	struct timespec ms7 = { 0, 7000000 };

	begin();
	for (int i = 0; i < 23; i++)
		nanosleep(&ms7, NULL);
	expect("nanosleep", 23, 0, 1, __func__);
	begin();
	for (int i = 0; i < 19; i++)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ms7, NULL);
	expect("clock_nanosleep", 19, 0, 1, __func__);
	begin();
	for (int i = 0; i < 17; i++)
		usleep(7000);
	expect("usleep", 17, 0, 1, __func__);
	begin();
	sleep(1);
	expect("sleep", 1, 0, 1, __func__);
}

KNOWN known_files(void)
{
	char path[] = "/tmp/known-calls-XXXXXX", bytes[64] = "";
	struct iovec parts[2] = { { bytes, 10 }, { bytes, 20 } };
	struct stat status;
	int fd = mkstemp(path);

	MUST(fd >= 0);
	for (int i = 0; i < 101; i++)
		MUST(write(fd, bytes, 64) == 64);
	expect("write", 101, 101 * 64, 0, __func__);
	for (int i = 0; i < 29; i++)
		MUST(pwrite(fd, bytes, 32, i) == 32);
	expect("pwrite64", 29, 29 * 32, 0, __func__);
	for (int i = 0; i < 31; i++)
		MUST(pread(fd, bytes, 48, i) == 48);
	expect("pread64", 31, 31 * 48, 0, __func__);
	for (int i = 0; i < 13; i++)
		MUST(lseek(fd, 0, SEEK_SET) == 0);
	expect("lseek", 13, 0, 0, __func__);
	for (int i = 0; i < 53; i++)
		MUST(read(fd, bytes, 16) == 16);
	expect("read", 53, 53 * 16, 0, __func__);
	for (int i = 0; i < 11; i++)
		MUST(writev(fd, parts, 2) == 30);
	expect("writev", 11, 330, 0, __func__);
	for (int i = 0; i < 7; i++)
		MUST(fstat(fd, &status) == 0);
	expect("fstat", 7, 0, 0, __func__);
	for (int i = 0; i < 17; i++)
		MUST(fdatasync(fd) == 0);
	expect("fdatasync", 17, 0, 0, __func__);
	for (int i = 0; i < 5; i++)
		MUST(ftruncate(fd, i) == 0);
	expect("ftruncate", 5, 0, 0, __func__);
	MUST(unlink(path) == 0);
	expect("unlink", 1, 0, 0, __func__);
	close(fd);
	for (int i = 0; i < 37; i++) {
		fd = openat(AT_FDCWD, "/dev/null", O_RDONLY);
		MUST(fd >= 0);
		close(fd);
	}
	expect("openat", 37, 0, 0, __func__);
	expect("close", 38, 0, 0, __func__);
}

KNOWN known_polls(void)
{
	struct pollfd pollfd = { .fd = -1, .events = POLLIN };
	struct epoll_event event;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	begin();
	for (int i = 0; i < 7; i++)
		MUST(poll(&pollfd, 1, 20) == 0);
	expect("poll", 7, 0, 1, __func__);
	begin();
	for (int i = 0; i < 5; i++)
		MUST(epoll_wait(epoll, &event, 1, 30) == 0);
	expect("epoll_wait", 5, 0, 1, __func__);
	begin();
	for (int i = 0; i < 3; i++) {
		struct timeval ms40 = { 0, 40000 };

		MUST(select(0, NULL, NULL, NULL, &ms40) == 0);
	}
	expect("select", 3, 0, 1, __func__);
}

KNOWN known_sockets(void)
{
	char bytes[100] = "";
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	for (int i = 0; i < 41; i++)
		MUST(send(ends[0], bytes, 50, 0) == 50);
	expect("send", 41, 41 * 50, 0, __func__);
	for (int i = 0; i < 41; i++)
		MUST(recv(ends[1], bytes, 50, MSG_WAITALL) == 50);
	expect("recv", 41, 41 * 50, 0, __func__);
}

/* A child that lives for 300 ms. */
KNOWN known_child(void)
{
	struct timespec ms300 = { 0, 300000000 };
	pid_t pid;
	int status;

	fflush(stdout);
	begin();
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		syscall(SYS_nanosleep, &ms300, NULL);
		_exit(0);
	}
	begin();
	MUST(waitpid(pid, &status, 0) == pid);
	expect("waitpid", 1, 0, 1, __func__);
	expect("fork", 1, 0, 0, __func__);
}

KNOWN known_memory(void)
{
	for (int i = 0; i < 43; i++) {
		void *pages = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		MUST(pages != MAP_FAILED && munmap(pages, 8192) == 0);
	}
	expect("mmap", 43, 0, 0, __func__);
	expect("munmap", 43, 0, 0, __func__);
	for (int i = 0; i < 47; i++)
		syscall(SYS_getppid);
	expect("syscall", 47, 0, 0, __func__);
}

int main(void)
{
	static char buffer[1 << 16];

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	known_sleeps();
	known_files();
	known_polls();
	known_sockets();
	known_memory();
	known_child();
	return 0;
}
