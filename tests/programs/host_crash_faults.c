/* SPDX-License-Identifier: MIT */
/* Ways to crash. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "host_crash.h"

static volatile int zero;
static void (*volatile nowhere)(void);

/* Faults that the processor or the kernel raises. Noinline: their names are looked for in crash records. */
__attribute__((noinline)) int crash_segv(void)
{
	return *(volatile int *)(uintptr_t)(16 + zero);
}

__attribute__((noinline)) void crash_bus(void)
{
	int fd = memfd_create("bus", MFD_CLOEXEC);
	volatile char *map;

	MUST(fd >= 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	MUST(map != MAP_FAILED);
	zero = map[5];
}

__attribute__((noinline)) void crash_fpe(void)
{
#ifdef __x86_64__
	zero = 7 / zero;
#else
	raise(SIGFPE);
#endif
}

__attribute__((noinline)) void crash_ill(void)
{
#ifdef __x86_64__
	__asm__ volatile("ud2");
#else
	__asm__ volatile("udf #0");
#endif
}

__attribute__((noinline)) void crash_trap(void)
{
#ifdef __x86_64__
	__asm__ volatile("int3");
#else
	__asm__ volatile("brk #0");
#endif
}

/* A filter that turns one system call into SIGSYS. */
__attribute__((noinline)) void crash_sys(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	syscall(SYS_getpriority, 0, 0);
}

__attribute__((noinline)) void crash_abort(void)
{
	abort();
}

static __attribute__((noinline)) void crash_jump(void)
{
	nowhere();
	zero = 1;
}

static __attribute__((noinline)) int crash_deep(int n)
{
	volatile char frame[500];

	frame[n % 500] = 1;
	return n < 1 << 28 ? crash_deep(n + 1) + frame[n % 500] : 0;
}

/* An address that no page table can have: the kernel has no fault address to tell. */
__attribute__((noinline)) int crash_wild(void)
{
	return *(volatile int *)(uintptr_t)(0x4242424242424242ull + (unsigned)zero);
}

void fault(int number)
{
	switch (number) {
	case SIGSEGV:
		crash_segv();
		break;
	case SIGBUS:
		crash_bus();
		break;
	case SIGFPE:
		crash_fpe();
		break;
	case SIGILL:
		crash_ill();
		break;
	case SIGTRAP:
		crash_trap();
		break;
	case SIGSYS:
		crash_sys();
		break;
	default:
		crash_abort();
		break;
	}
}

void act_jump(void)
{
	crash_jump();
}

void act_deep(void)
{
	crash_deep(0);
}

static void *deep_thread(void *unused)
{
	crash_deep(0);
	return unused;
}

void act_deep_thread(void)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, deep_thread, NULL) == 0);
	pthread_join(thread, NULL);
}

void act_deep_on_stack(void)
{
	stack_t stack = { .ss_size = 65536, .ss_sp = malloc(65536) };

	MUST(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
	crash_deep(0);
}

void act_wild(void)
{
	crash_wild();
}

void act_data(void)
{
	static char code[4096];

	nowhere = (void (*)(void))(uintptr_t)(code + 64);
	crash_jump();
}

/* sp and everything else point nowhere. */
void act_lost(void)
{
#ifdef __x86_64__
	__asm__ volatile("mov $0x1000, %rsp; xor %ebp, %ebp; call *%rbp");
#else
	crash_segv();
#endif
}

static void *crash_after(void *moment)
{
	while (!__atomic_load_n((int *)moment, __ATOMIC_RELAXED))
		;
	crash_segv();
	return NULL;
}

/* Many at once. */
void act_together(void)
{
	static int moment;
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		MUST(pthread_create(&threads[i], NULL, crash_after, &moment) == 0);
	__atomic_store_n(&moment, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
}
