/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a program: a per-thread CPU clock sends signals; the handler copies registers and stack and walks
 * the stack with the tracer's walk. At exit agree_check, run while the process is still there, walks the
 * copies with libdw and compares.
 *
 * AGREE_CHECK: path of agree_check. AGREE_DIR: where sample files go. AGREE_HZ, AGREE_SAMPLES: rate and number.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agree.h"
#include "tests/lib/clock.h"
#include "tracer/unwind.h"

/* A real-time signal: programs that set all others to their defaults (node) leave it alone. */
#define SIGNAL (SIGRTMIN + 7)

extern void *__libc_stack_end;
extern char **environ;

static struct agree_header *header; /* owned mapping; NULL: off */
static char path[256];
static int rate_hz;
static int is_on;
static __thread struct unwind_bounds bounds __attribute__((tls_model("initial-exec")));
static __thread int is_sampling __attribute__((tls_model("initial-exec")));
static __thread int event_fd __attribute__((tls_model("initial-exec"))) = -1;

/* Word by word, across frames that a sanitizer would guard. */
UNWIND_RAW static void copy_stack(uint8_t *out, uintptr_t from, size_t size)
{
	for (size_t i = 0; i + 8 <= size; i += 8)
		*(volatile uint64_t *)(void *)(out + i) = *(const volatile uint64_t *)(from + i);
}

static void take_sample(const ucontext_t *context)
{
	struct unwind_start start = unwind_start_context(context);
	size_t n_stack = bounds.hi - start.sp + AGREE_RED_ZONE, size_max, at;
	struct agree_sample *sample;
	enum unwind_end end;
	uintptr_t *frames;
	unsigned flags;

	if (start.sp < bounds.lo || start.sp >= bounds.hi)
		return; /* an alternate stack */
	if (n_stack > AGREE_STACK_COPY)
		n_stack = AGREE_STACK_COPY;
	n_stack &= ~(size_t)7;
	size_max = sizeof(*sample) + AGREE_MAX_FRAMES * sizeof(uintptr_t) + n_stack;
	at = __atomic_fetch_add(&header->used, size_max, __ATOMIC_RELAXED);
	if (at + size_max > AGREE_FILE_SIZE ||
		__atomic_fetch_add(&header->n_samples, 1, __ATOMIC_RELAXED) >= header->n_wanted) {
		__atomic_fetch_add(&header->n_lost, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&is_on, 0, __ATOMIC_RELAXED);
		return;
	}
	sample = (struct agree_sample *)((uint8_t *)header + at);
	frames = (uintptr_t *)(sample + 1);
	sample->tid = (uint32_t)syscall(SYS_gettid);
	for (unsigned i = 0; i < 17; i++)
		arch_context_register(context, i, &sample->registers[i]);
	sample->is_cut = bounds.hi - start.sp + AGREE_RED_ZONE > n_stack + 7;
	sample->walk_ns = now_ns();
	sample->n_frames =
		(uint32_t)unwind_walk_end(&start, &bounds, frames, AGREE_MAX_FRAMES, &flags, &end);
	sample->walk_ns = now_ns() - sample->walk_ns;
	sample->flags = (uint16_t)flags;
	sample->end = (uint16_t)end;
	sample->n_stack = (uint32_t)n_stack;
	copy_stack((uint8_t *)(frames + AGREE_MAX_FRAMES), start.sp - AGREE_RED_ZONE, n_stack);
	__atomic_store_n(&sample->size_total, (uint32_t)size_max, __ATOMIC_RELEASE);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (__atomic_load_n(&is_on, __ATOMIC_RELAXED) && !is_sampling && bounds.hi) {
		is_sampling = 1;
		take_sample(context);
		is_sampling = 0;
	}
	errno = saved_errno;
}

/* Where perf events are refused: a timer of the thread's CPU time, which ticks at CONFIG_HZ at most. */
static void start_timer(pid_t tid)
{
	struct itimerspec tick = { { 0, 1000000000 / rate_hz }, { 0, 1000000000 / rate_hz } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL };
	timer_t timer;

	event._sigev_un._tid = tid;
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0)
		timer_settime(timer, 0, &tick, NULL);
}

static void start_thread_sampling(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000000u / (unsigned)rate_hz,
		.disabled = 1 };
	struct f_owner_ex owner = { F_OWNER_TID, (pid_t)syscall(SYS_gettid) };

	event_fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (event_fd < 0) {
		attr.exclude_kernel = 1;
		event_fd =
			(int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	}
	if (event_fd < 0) {
		start_timer(owner.pid);
		return;
	}
	fcntl(event_fd, F_SETFL, O_ASYNC | O_NONBLOCK);
	fcntl(event_fd, F_SETSIG, SIGNAL);
	fcntl(event_fd, F_SETOWN_EX, &owner);
	ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0);
}

struct birth {
	void *(*routine)(void *);
	void *argument;
};

static void stop_thread_sampling(void *unused)
{
	if (event_fd >= 0)
		close(event_fd);
	event_fd = -1;
}

static void *start_routine(void *argument)
{
	struct birth birth = *(struct birth *)argument;
	pthread_attr_t attr;
	void *lo, *result;
	size_t size;

	free(argument);
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		if (pthread_attr_getstack(&attr, &lo, &size) == 0)
			bounds = (struct unwind_bounds){ .lo = (uintptr_t)lo,
				.hi = (uintptr_t)lo + size };
		pthread_attr_destroy(&attr);
	}
	start_thread_sampling();
	pthread_cleanup_push(stop_thread_sampling, NULL);
	result = birth.routine(birth.argument);
	pthread_cleanup_pop(1);
	return result;
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
	const pthread_attr_t *attributes, void *(*routine)(void *), void *argument)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	struct birth *birth;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	birth = header ? malloc(sizeof(*birth)) : NULL;
	if (!birth)
		return real(thread, attributes, routine, argument);
	*birth = (struct birth){ routine, argument };
	return real(thread, attributes, start_routine, birth);
}

/* The events count the parent's threads. */
static void after_fork(void)
{
	__atomic_store_n(&is_on, 0, __ATOMIC_RELAXED);
	header = NULL;
	if (event_fd >= 0)
		close(event_fd);
	event_fd = -1;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void begin(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_RESTART };
	const char *dir = getenv("AGREE_DIR");
	void *mapping;
	int fd;

	if (!dir || !getenv("AGREE_CHECK"))
		return;
	rate_hz = (int)number("AGREE_HZ", 4000);
	snprintf(path, sizeof(path), "%s/samples.%d", dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)AGREE_FILE_SIZE) != 0)
		return;
	mapping = mmap(
		NULL, AGREE_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	close(fd);
	if (mapping == MAP_FAILED)
		return;
	header = mapping;
	*header = (struct agree_header){
		.magic = AGREE_MAGIC,
		.used = sizeof(*header),
		.n_wanted = (uint32_t)number("AGREE_SAMPLES", 20000),
	};
	bounds.hi = (uintptr_t)__libc_stack_end;
	bounds.lo = bounds.hi - (8u << 20);
	pthread_atfork(NULL, NULL, after_fork);
	sigaction(SIGNAL, &action, NULL);
	__atomic_store_n(&is_on, 1, __ATOMIC_RELEASE);
	start_thread_sampling();
}

__attribute__((destructor)) static void end(void)
{
	const char *check = getenv("AGREE_CHECK");
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	char pid[16];
	char *argv[] = { (char *)check, path, pid, NULL };
	pid_t child;

	if (!header)
		return;
	__atomic_store_n(&is_on, 0, __ATOMIC_RELAXED);
	sigaction(SIGNAL, &ignore, NULL);
	snprintf(pid, sizeof(pid), "%d", getpid());
	unsetenv("LD_PRELOAD");
	if (header->n_samples > 0 && posix_spawn(&child, check, NULL, NULL, argv, environ) == 0)
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	unlink(path);
}
