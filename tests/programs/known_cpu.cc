/* SPDX-License-Identifier: MIT */
/*
 * A program that knows where its CPU time goes: known_cpu MODE. It says "ready", works until stdin ends, and prints
 * what it measured of itself, with the clocks of its own threads: one JSON object. Modes:
 *   mix      parts of known shares: plain calls, deep recursion, a callback from libc, exceptions, a signal handler
 *            on its stack and on an alternate one, a variable frame, time in the kernel
 *   deep     stands 3000 frames deep
 *   bursts   two threads that wake each other and sleep: work after waking and before sleeping
 *   threads  many short threads, with a few that stay
 *   sigprof  counts its own SIGPROF
 *   forks    children that work, and exec()
 *   spin     one function, for N ms of CPU time (argument 2), then ends
 */
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __clang__
#define ALONE noinline, used
#else
#define ALONE noinline, noclone, used
#endif
#define PART extern "C" __attribute__((ALONE)) uint64_t

static volatile uint64_t sink;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return uint64_t(ts.tv_sec) * 1000000000u + uint64_t(ts.tv_nsec);
}

static bool is_over(int timeout_ms)
{
	struct pollfd end = { STDIN_FILENO, POLLIN, 0 };

	return poll(&end, 1, timeout_ms) > 0;
}

/* About 1 ns for each n. */
PART burn(uint64_t n)
{
	uint64_t x = n | 1;

	for (uint64_t i = 0; i < n; i++)
		x = x * 6364136223846793005u + (x >> 7);
	return x;
}

PART part_heavy(uint64_t n)
{
	return burn(n) + 1;
}

PART part_light(uint64_t n)
{
	return burn(n) + 2;
}

PART part_recursion(uint64_t n, unsigned depth)
{
	return depth ? part_recursion(n, depth - 1) + depth : burn(n) + 3;
}

static uint64_t per_compare;

extern "C" __attribute__((noinline, used)) int part_compare(const void *a, const void *b)
{
	sink += burn(per_compare);
	return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

/* libc calls back, through a PLT entry. */
PART part_callback(uint64_t n)
{
	int values[64];

	for (int i = 0; i < 64; i++)
		values[i] = i * 37 % 64;
	per_compare = n / 320;
	qsort(values, 64, sizeof(values[0]), part_compare);
	return uint64_t(values[0]) + 4;
}

PART thrower(uint64_t n, unsigned depth)
{
	if (depth == 0)
		throw std::runtime_error("found");
	return thrower(n, depth - 1) + depth;
}

PART part_exception(uint64_t n)
{
	uint64_t caught = 0;

	for (uint64_t i = 0; i < n / 40000; i++)
		try {
			caught += thrower(n, 20);
		} catch (const std::runtime_error &) {
			caught++;
		}
	return caught;
}

static uint64_t per_signal;

extern "C" __attribute__((noinline, used)) void part_handler(int signal)
{
	sink += burn(per_signal);
}

PART part_signal(uint64_t n)
{
	per_signal = n;
	raise(SIGUSR1);
	return sink + 5;
}

PART part_other_stack(uint64_t n)
{
	per_signal = n;
	raise(SIGUSR2);
	return sink + 6;
}

/* A frame of variable size, so that the CFA hangs on the frame pointer. */
PART part_variable(uint64_t n)
{
	auto *room = static_cast<volatile char *>(__builtin_alloca(64 + n % 1000));

	room[0] = 1;
	return burn(n) + uint64_t(room[0]);
}

PART part_kernel(uint64_t n)
{
	static char buffer[1 << 20];
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n / 60000 + 1; i++)
		sum += uint64_t(read(zero, buffer, sizeof(buffer)));
	close(zero);
	return sum;
}

static uint64_t recursion(uint64_t n)
{
	return part_recursion(n, 60);
}

static const struct part {
	const char *name;
	uint64_t (*run)(uint64_t n);
	uint64_t n;
} parts[] = {
	{ "part_heavy", part_heavy, 5000000 },
	{ "part_light", part_light, 2000000 },
	{ "part_recursion", recursion, 3000000 },
	{ "part_callback", part_callback, 3000000 },
	{ "part_exception", part_exception, 2000000 },
	{ "part_signal", part_signal, 2000000 },
	{ "part_other_stack", part_other_stack, 1000000 },
	{ "part_variable", part_variable, 2000000 },
	{ "part_kernel", part_kernel, 2000000 },
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static void run_mix()
{
	uint64_t ns[N_PARTS] = {};
	struct sigaction action = {};
	stack_t other = {};

	other.ss_size = 128 << 10;
	other.ss_sp = malloc(other.ss_size);
	sigaltstack(&other, nullptr);
	action.sa_handler = part_handler;
	sigaction(SIGUSR1, &action, nullptr);
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, nullptr);
	puts("ready");
	fflush(stdout);
	while (!is_over(0))
		for (size_t i = 0; i < N_PARTS; i++) {
			uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);

			sink += parts[i].run(parts[i].n);
			ns[i] += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		}
	printf("{");
	for (size_t i = 0; i < N_PARTS; i++)
		printf("%s\"%s\": %llu", i ? ", " : "", parts[i].name, (unsigned long long)ns[i]);
	printf("}\n");
	free(other.ss_sp);
}

PART part_deep(unsigned depth)
{
	if (depth)
		return part_deep(depth - 1) + depth;
	while (!is_over(0))
		sink += burn(3000000);
	return 7;
}

static void run_deep()
{
	puts("ready");
	fflush(stdout);
	sink += part_deep(3000);
	puts("{}");
}

PART part_waking(uint64_t n)
{
	return burn(n) + 8;
}

PART part_sleeping(uint64_t n)
{
	return burn(n) + 9;
}

PART part_other(uint64_t n)
{
	return burn(n) + 10;
}

static int there[2], back[2]; /* pipes */
static uint64_t other_ns;

static void *answer(void *argument)
{
	char byte;

	while (read(there[0], &byte, 1) == 1) {
		uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		sink += part_other(20000);
		other_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		if (write(back[1], &byte, 1) != 1)
			break;
	}
	return nullptr;
}

static void run_bursts()
{
	uint64_t waking_ns = 0, sleeping_ns = 0;
	pthread_t other;
	char byte = 0;

	if (pipe(there) < 0 || pipe(back) < 0 ||
		pthread_create(&other, nullptr, answer, nullptr) != 0)
		return;
	puts("ready");
	fflush(stdout);
	while (!is_over(0) && write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1) {
		uint64_t times[3];

		times[0] = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		sink += part_waking(20000);
		times[1] = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		sink += part_sleeping(20000);
		times[2] = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		waking_ns += times[1] - times[0];
		sleeping_ns += times[2] - times[1];
	}
	close(there[1]);
	pthread_join(other, nullptr);
	printf("{\"part_waking\": %llu, \"part_sleeping\": %llu, \"part_other\": %llu}\n",
		(unsigned long long)waking_ns, (unsigned long long)sleeping_ns,
		(unsigned long long)other_ns);
}

static uint64_t thread_ns, n_threads;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile bool is_ending;

static void *short_thread(void *argument)
{
	sink += part_light(3000000);
	pthread_mutex_lock(&lock);
	thread_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
	n_threads++;
	pthread_mutex_unlock(&lock);
	return nullptr;
}

/* Creates short ones, one after the other. */
static void *creator_thread(void *argument)
{
	while (!is_ending) {
		pthread_t thread;

		if (pthread_create(&thread, nullptr, short_thread, nullptr) == 0)
			pthread_join(thread, nullptr);
	}
	return nullptr;
}

static void run_threads()
{
	pthread_t creators[4];

	for (pthread_t &creator : creators)
		pthread_create(&creator, nullptr, creator_thread, nullptr);
	puts("ready");
	fflush(stdout);
	is_over(-1);
	is_ending = true;
	for (pthread_t creator : creators)
		pthread_join(creator, nullptr);
	printf("{\"part_light\": %llu, \"n\": %llu}\n", (unsigned long long)thread_ns,
		(unsigned long long)n_threads);
}

static volatile sig_atomic_t n_signals;

static void count_signal(int signal)
{
	n_signals = n_signals + 1;
}

static void run_sigprof()
{
	struct itimerval every = { { 0, 10000 }, { 0, 10000 } };
	struct sigaction action = {};

	action.sa_handler = count_signal;
	action.sa_flags = SA_RESTART;
	sigaction(SIGPROF, &action, nullptr);
	setitimer(ITIMER_PROF, &every, nullptr);
	puts("ready");
	fflush(stdout);
	while (!is_over(0))
		sink += part_heavy(3000000);
	every = {};
	setitimer(ITIMER_PROF, &every, nullptr);
	printf("{\"signals\": %d, \"part_heavy\": %llu}\n", int(n_signals),
		(unsigned long long)clock_ns(CLOCK_PROCESS_CPUTIME_ID));
}

static void spin(uint64_t ms)
{
	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < ms * 1000000)
		sink += part_heavy(100000);
}

static uint64_t wait_child(pid_t child)
{
	struct rusage usage;

	wait4(child, nullptr, 0, &usage);
	return uint64_t(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
	       uint64_t(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static void run_forks(const char *self)
{
	uint64_t child_ns = 0, exec_ns = 0;

	puts("ready");
	fflush(stdout);
	while (!is_over(0)) {
		pid_t child = fork();

		if (child == 0) {
			uint64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + 40000000;

			while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
				sink += part_light(100000);
			_exit(0);
		}
		child_ns += wait_child(child);
		child = fork();
		if (child == 0) {
			execl(self, "known_cpu", "spin", "60", nullptr);
			_exit(127);
		}
		exec_ns += wait_child(child);
	}
	printf("{\"part_light\": %llu, \"part_heavy\": %llu}\n", (unsigned long long)child_ns,
		(unsigned long long)exec_ns);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "mix";

	if (strcmp(mode, "mix") == 0)
		run_mix();
	else if (strcmp(mode, "deep") == 0)
		run_deep();
	else if (strcmp(mode, "bursts") == 0)
		run_bursts();
	else if (strcmp(mode, "threads") == 0)
		run_threads();
	else if (strcmp(mode, "sigprof") == 0)
		run_sigprof();
	else if (strcmp(mode, "forks") == 0)
		run_forks("/proc/self/exe");
	else if (strcmp(mode, "spin") == 0)
		spin(argc > 2 ? strtoull(argv[2], nullptr, 10) : 50);
	else
		return 2;
	return 0;
}
