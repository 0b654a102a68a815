/* SPDX-License-Identifier: MIT */
/* Pipes, sockets and their like, used as programs do: threads that make, copy and close them at the same time, and forks. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cases.h"

#define N_THREADS 8
#define N_ROUNDS 300

/* Passes a number around a pipe of its own, by way of copies, poll() and an epoll instance. */
static void *churn(void *arg)
{
	intptr_t n_wrong = 0;

	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		struct epoll_event event = { .events = EPOLLIN };
		int fds[2], copy, epoll = epoll_create1(0);
		struct pollfd one;
		uint32_t got = 0;

		if (i % 3 == 0)
			MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		else
			MUST(pipe2(fds, i % 2 ? O_CLOEXEC : 0) == 0);
		copy = i % 2 ? dup(fds[1]) : fcntl(fds[1], F_DUPFD_CLOEXEC, 50);
		MUST(epoll >= 0 && copy >= 0 && close(fds[1]) == 0);
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event) == 0);
		n_wrong += write(copy, &i, sizeof(i)) != sizeof(i);
		n_wrong += epoll_wait(epoll, &event, 1, 1000) != 1;
		one = (struct pollfd){ .fd = fds[0], .events = POLLIN };
		n_wrong += poll(&one, 1, 1000) != 1;
		n_wrong += read(fds[0], &got, sizeof(got)) != sizeof(got) || got != i;
		MUST(close(copy) == 0 && close(epoll) == 0);
		n_wrong += read(fds[0], &got, sizeof(got)) != 0; /* the end */
		MUST(close(fds[0]) == 0);
	}
	*(intptr_t *)arg = n_wrong;
	return NULL;
}

static atomic_int is_over;

/* Children that use what they have inherited, while the table of their parent changes. */
static void *forker(void *arg)
{
	while (!is_over) {
		int fds[2], status = 0;
		char byte = 0;
		pid_t pid;

		MUST(pipe(fds) == 0);
		pid = fork();
		if (pid == 0) {
			close(fds[0]);
			_exit(write(fds[1], "c", 1) == 1 ? 7 : 1);
		}
		MUST(pid > 0 && close(fds[1]) == 0);
		MUST(read(fds[0], &byte, 1) == 1 && byte == 'c' && close(fds[0]) == 0);
		MUST(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	}
	return arg;
}

static int churns(void)
{
	pthread_t threads[N_THREADS], child;
	intptr_t n_wrong[N_THREADS], sum = 0;

	MUST(pthread_create(&child, NULL, forker, NULL) == 0);
	for (int i = 0; i < N_THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, churn, &n_wrong[i]) == 0);
	for (int i = 0; i < N_THREADS; i++) {
		MUST(pthread_join(threads[i], NULL) == 0);
		sum += n_wrong[i];
	}
	is_over = 1;
	MUST(pthread_join(child, NULL) == 0);
	printf("wrong: %ld\n", (long)sum);
	return 0;
}

/* Many threads at one pipe, in and out; each byte comes once. */
static int shared_fds[2];
static _Atomic long n_bytes;

static void *shared_writer(void *arg)
{
	static const char block[256];

	for (int i = 0; i < 2000; i++)
		MUST(write(shared_fds[1], block, sizeof(block)) == sizeof(block));
	return arg;
}

static void *shared_reader(void *arg)
{
	char block[1024];
	ssize_t n;

	while ((n = read(shared_fds[0], block, sizeof(block))) > 0)
		atomic_fetch_add(&n_bytes, n);
	MUST(n == 0);
	return arg;
}

static int shared(void)
{
	pthread_t threads[8];

	MUST(pipe(shared_fds) == 0);
	for (int i = 0; i < 8; i++)
		MUST(pthread_create(
			     &threads[i], NULL, i < 4 ? shared_writer : shared_reader, NULL) == 0);
	for (int i = 0; i < 4; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	MUST(close(shared_fds[1]) == 0);
	for (int i = 4; i < 8; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	printf("%ld bytes\n", (long)n_bytes);
	return 0;
}

/* A handler writes to the pipe that its own thread polls. */
static int self_pipe[2];

static void on_alarm(int signal_number)
{
	int saved_errno = errno;

	(void)signal_number;
	MUST(write(self_pipe[1], "!", 1) == 1);
	errno = saved_errno;
}

static int self(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct pollfd one;
	char byte;
	int ret;

	MUST(pipe(self_pipe) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
	alarm(1);
	one = (struct pollfd){ .fd = self_pipe[0], .events = POLLIN };
	ret = poll(&one, 1, 5000);
	printf("poll: %d %s\n", ret, ret < 0 ? strerror(errno) : "");
	ret = poll(&one, 1, 0);
	printf("then: %d, read: %zd\n", ret, read(self_pipe[0], &byte, 1));
	return 0;
}

/* Addresses that the kernel refuses are not ours to read; nor are those that were good once. */
static void *volatile nowhere = (void *)16; /* not known to the compiler */

static int bad_addresses(void)
{
	struct pollfd *map =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fds[2], epoll = epoll_create1(0), fd;
	struct timeval none = { 0, 0 };

	MUST(pipe(fds) == 0 && map != MAP_FAILED && epoll >= 0);
	errno = 0;
	printf("poll: %d", poll(nowhere, 3, 0));
	printf(" %s\n", strerror(errno));
	for (int i = 0; i < 3; i++) {
		map[0] = (struct pollfd){ .fd = fds[0], .events = POLLIN };
		printf("poll: %d\n", poll(map, 1, 10));
	}
	printf("select: %d", select(10, nowhere, nowhere, NULL, &none));
	printf(" %s\n", strerror(errno));
	printf("select: %d", select(-1, NULL, NULL, NULL, &none));
	printf(" %s\n", strerror(errno));
	printf("epoll_ctl: %d", epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], NULL));
	printf(" %s\n", strerror(errno));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	printf("connect: %d", connect(fd, nowhere, sizeof(struct sockaddr_un)));
	printf(" %s\n", strerror(errno));
	printf("pipe: %d", pipe(nowhere));
	printf(" %s\n", strerror(errno));
	printf("socketpair: %d", socketpair(AF_UNIX, SOCK_STREAM, 0, nowhere));
	printf(" %s\n", strerror(errno));
	printf("read: %zd", read(fds[1], map, 1));
	printf(" %s\n", strerror(errno));
	return 0;
}

/* Closing ranges, renumbering over an end, and streams. */
static int closing(void)
{
	int fds[2], others[2], status;
	char text[16] = "";
	FILE *in, *out;
	pid_t pid;

	MUST(pipe(fds) == 0 && pipe(others) == 0);
	MUST(dup2(fds[1], others[1]) == others[1]);
	MUST(write(others[1], "over", 4) == 4);
	printf("read: %zd %s\n", read(fds[0], text, sizeof(text)), text);
	in = fdopen(fds[0], "r");
	out = fdopen(others[1], "w");
	MUST(in && out && fputs("line\n", out) >= 0 && fclose(out) == 0);
	MUST(fgets(text, sizeof(text), in) && fclose(in) == 0);
	printf("%s", text);
	pid = vfork();
	if (pid == 0) {
		close(fds[1]);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	printf("still open: %d\n", fcntl(fds[1], F_GETFD));
	MUST(close_range(3, 100, 0) == 0);
	printf("closed: %d\n", fcntl(fds[1], F_GETFD));
	MUST(pipe(fds) == 0);
	printf("%d %d\n", fds[0], fds[1]);
	closefrom(3);
	printf("eventfd: %d\n", eventfd(0, 0));
	return 0;
}

/* Cancelled, or left by pthread_exit(), in the middle of a wait. */
static void *cancelled(void *arg)
{
	struct pollfd one = { .fd = *(int *)arg, .events = POLLIN };

	poll(&one, 1, -1);
	return NULL;
}

static void *cancelled_read(void *arg)
{
	char byte;

	read(*(int *)arg, &byte, 1);
	return NULL;
}

static int cancels(void)
{
	pthread_t thread;
	void *result;
	int fds[2];
	char byte;

	MUST(pipe(fds) == 0);
	for (int i = 0; i < 200; i++) {
		MUST(pthread_create(&thread, NULL, i % 2 ? cancelled : cancelled_read, fds) == 0);
		MUST(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
		MUST(result == PTHREAD_CANCELED);
	}
	MUST(write(fds[1], "x", 1) == 1 && read(fds[0], &byte, 1) == 1);
	puts("cancelled");
	return 0;
}

/* pthread_once() inside pthread_once(), by many, and again. */
static pthread_once_t outer = PTHREAD_ONCE_INIT, inner = PTHREAD_ONCE_INIT;
static atomic_int n_outer, n_inner;

static void run_inner(void)
{
	n_inner++;
}

static void run_outer(void)
{
	MUST(pthread_once(&inner, run_inner) == 0);
	n_outer++;
}

static void *once_more(void *arg)
{
	MUST(pthread_once(&outer, run_outer) == 0 && pthread_once(&inner, run_inner) == 0);
	pthread_exit(arg);
}

static int onces(void)
{
	pthread_t threads[8];
	void *result;

	for (intptr_t i = 0; i < 8; i++)
		MUST(pthread_create(&threads[i], NULL, once_more, (void *)(i + 1)) == 0);
	for (intptr_t i = 0; i < 8; i++) {
		MUST(pthread_join(threads[i], &result) == 0);
		MUST((intptr_t)result == i + 1);
	}
	printf("outer %d inner %d\n", n_outer, n_inner);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "churns", churns },
		{ "shared", shared },
		{ "self", self },
		{ "bad_addresses", bad_addresses },
		{ "closing", closing },
		{ "cancels", cancels },
		{ "onces", onces },
	};

	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
