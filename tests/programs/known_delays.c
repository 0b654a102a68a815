/* SPDX-License-Identifier: MIT */
/*
 * A thread that sleeps on a CPU which two others keep busy: what the kernel counted for it is printed when it ends.
 *
 *   expect tid=TID delay=NS cpu=NS voluntary=N involuntary=N
 *
 * Then the program forbids itself the system calls that tell such things, and sleeps on: who makes one is killed.
 * Asks for flightrec_sched:delay in the recorder's control page, as a recorder without better means does.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "cases.h"
#include "proto/control.h"

#define DELAY_NS 50000
#define N_SLEEPS 200

static atomic_int is_over;

static void ask(void)
{
	const char *dir = getenv(FR_ENV_DIR);
	struct fr_control *control;
	char path[400];
	int fd;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/control", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	MUST(fd >= 0);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(control != MAP_FAILED && close(fd) == 0);
	control->delay_ns = DELAY_NS;
}

static void stay_on_one_cpu(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	MUST(sched_getaffinity(0, sizeof(all), &all) == 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	MUST(sched_setaffinity(0, sizeof(one), &one) == 0);
}

static void *busy(void *arg)
{
	while (!is_over)
		;
	return arg;
}

static void sleep_ms(long ms)
{
	struct timespec time = { 0, ms * 1000000 };

	nanosleep(&time, NULL);
}

static void *sleeper(void *arg)
{
	struct timespec cpu;
	struct rusage usage;
	uint64_t ran, delay;
	FILE *file;

	for (int i = 0; i < N_SLEEPS; i++)
		sleep_ms(2);
	MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) == 0);
	MUST(getrusage(RUSAGE_THREAD, &usage) == 0);
	file = fopen("/proc/thread-self/schedstat", "r");
	MUST(file && fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &delay) == 2);
	fclose(file);
	printf("expect tid=%ld delay=%" PRIu64 " cpu=%ld voluntary=%ld involuntary=%ld\n",
		syscall(SYS_gettid), delay, cpu.tv_sec * 1000000000 + cpu.tv_nsec, usage.ru_nvcsw,
		usage.ru_nivcsw);
	return arg;
}

static void forbid(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrusage, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

int main(void)
{
	pthread_t threads[3];

	ask();
	stay_on_one_cpu();
	for (int i = 0; i < 2; i++)
		MUST(pthread_create(&threads[i], NULL, busy, NULL) == 0);
	MUST(pthread_create(&threads[2], NULL, sleeper, NULL) == 0);
	MUST(pthread_join(threads[2], NULL) == 0);
	is_over = 1;
	for (int i = 0; i < 2; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	forbid();
	for (int i = 0; i < 20; i++)
		sleep_ms(1);
	puts("alive");
	return 0;
}
