/* SPDX-License-Identifier: MIT */
/*
 * A slot is claimed for good by one fetch-and-add until all are used; then those of exited threads are taken
 * again, oldest position first. So the first FR_BB_MAX_THREADS threads of a process stay
 * readable after their exit, and a process that churns threads is still bounded.
 */
#include "tracer/thread.h"

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tracer/alloc.h"
#include "tracer/blackbox.h"
#include "tracer/call_total.h"
#include "tracer/census.h"
#include "tracer/delay.h"
#include "tracer/events_thread.h"
#include "tracer/labels.h"
#include "tracer/lock_wait.h"
#include "tracer/offsets.h"
#include "tracer/sampler.h"
#include "tracer/sys.h"

/* The first allocation of a thread is looked at. */
__thread struct fr_thread fr_self
	__attribute__((tls_model("initial-exec"))) = { .alloc_passed = UINT64_MAX };

_Static_assert(offsetof(struct fr_thread, in_vfork) == FR_OFFSET_IN_VFORK, "vfork.S agrees");
_Static_assert(
	offsetof(struct fr_thread, vfork_return) == FR_OFFSET_VFORK_RETURN, "vfork.S agrees");

extern void *__libc_stack_end; /* of ld.so: the first thread's stack begins here */

static struct fr_private *privates; /* FR_BB_MAX_THREADS, parallel to the slots */
static uint32_t reuse_hand;	    /* where the search for an exited thread's slot goes on */
static pthread_key_t exit_key;
static int has_exit_key;

static struct fr_slot *slot_table(void)
{
	return (struct fr_slot *)((char *)fr_blackbox + fr_blackbox->off_slots);
}

uint32_t thread_table(struct fr_slot **slots_out, struct fr_private **privates_out)
{
	uint32_t n = __atomic_load_n(&fr_blackbox->n_threads, __ATOMIC_ACQUIRE);

	*slots_out = slot_table();
	*privates_out = privates;
	return n < FR_BB_MAX_THREADS ? n : FR_BB_MAX_THREADS;
}

/* A slot has one writer at a time; readers retry while seq is odd or has changed. */
static void slot_write_begin(struct fr_slot *slot)
{
	__atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELAXED);
	/* Release fence: the odd number is seen before any of the fields. Pairs with the reader's acquire. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void slot_write_end(struct fr_slot *slot)
{
	/* Release: the fields are seen before the even number. */
	__atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELEASE);
}

/* Takes over the slot of an exited thread: its counters move to the header, so that totals only grow. */
static struct fr_slot *slot_reuse(void)
{
	struct fr_slot *table = slot_table();
	uint32_t n;

	for (n = 0; n < FR_BB_MAX_THREADS; n++) {
		uint32_t i =
			__atomic_fetch_add(&reuse_hand, 1, __ATOMIC_RELAXED) % FR_BB_MAX_THREADS;
		uint32_t exited = 1;

		if (!__atomic_compare_exchange_n(
			    &table[i].is_exited, &exited, 2, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		fr_count(locks_free, table[i].locks_free);
		fr_count(syscalls, table[i].syscalls);
		fr_count(syscalls_short, table[i].syscalls_short);
		fr_count(events, table[i].events);
		fr_count(repeat_hits, table[i].repeat_hits);
		fr_count(repeat_misses, table[i].repeat_misses);
		return &table[i];
	}
	return NULL;
}

static struct fr_slot *slot_claim(void)
{
	uint32_t i = __atomic_load_n(&fr_blackbox->n_threads, __ATOMIC_RELAXED);
	struct fr_slot *slot;

	while (i < FR_BB_MAX_THREADS)
		if (__atomic_compare_exchange_n(&fr_blackbox->n_threads, &i, i + 1, 0,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			break;
	slot = i < FR_BB_MAX_THREADS ? &slot_table()[i] : slot_reuse();
	if (!slot || blackbox_commit(
			     (uint64_t)((char *)slot - (char *)fr_blackbox), sizeof(*slot)) < 0) {
		fr_count(threads_overflow, 1);
		return NULL;
	}
	return slot;
}

static void slot_fill(struct fr_slot *slot, uint32_t tid, const struct thread_birth *birth)
{
	slot_write_begin(slot);
	slot->tid = tid;
	slot->state = FR_STATE_RUNNING;
	slot->call = 0;
	slot->since_ns = slot->obj = 0;
	slot->fd = -1;
	slot->holder = slot->stack = slot->lock = 0;
	slot->creator = birth ? birth->creator : 0;
	slot->creator_stack = birth ? birth->creator_stack : 0;
	slot->start_routine = birth ? birth->start_routine : 0;
	slot->is_exited = 0;
	slot->start_ns = fr_now();
	slot->end_ns = slot->task = slot->cpu_ns = 0;
	slot->locks_free = slot->syscalls = slot->syscalls_short = slot->events = 0;
	slot->repeat_hits = slot->repeat_misses = 0;
	sys(SYS_prctl, PR_GET_NAME, slot->name);
	slot->labels[0] = '\0';
	slot->labels_id = 0;
	slot_write_end(slot);
}

/*
 * Bounds of the stack this thread runs on. The first thread's end where ld.so noted it; of others the
 * thread pointer lies above the stack in the same block, for stacks that the program supplied, too.
 */
static void find_bounds(struct fr_thread *t, uint64_t stack_size)
{
	struct rlimit limit;
	uintptr_t here = FR_FRAME(), size = stack_size;

	if (!size) {
		size = 8u << 20;
		if (getrlimit(RLIMIT_STACK, &limit) == 0)
			size = limit.rlim_cur > 1u << 30 ? 1u << 30 : limit.rlim_cur;
	}
	if (t->tid == (uint32_t)sys(SYS_getpid) && here < (uintptr_t)__libc_stack_end)
		t->bounds.hi = (uintptr_t)__libc_stack_end;
	else
		t->bounds.hi = (uintptr_t)__builtin_thread_pointer();
	t->bounds.lo = t->bounds.hi > size ? t->bounds.hi - size : 4096;
	if (here >= t->bounds.hi || here < t->bounds.lo)
		t->bounds.lo = t->bounds.hi = 0; /* a foreign stack: the walk probes */
	/* A walk that begins on a signal stack goes on here. */
	t->bounds.own_lo = t->bounds.lo;
	t->bounds.own_hi = t->bounds.hi;
}

static void emit_start(struct fr_thread *t, const struct thread_birth *birth)
{
	struct fr_event_thread e = { 0 };
	char name[16] = "";

	sys(SYS_prctl, PR_GET_NAME, name);
	fr_event_init(&e.common, t, birth ? birth->creator_stack : 0);
	e.creator = birth ? birth->creator : 0;
	e.start_routine = birth ? birth->start_routine : 0;
	e.name = name;
	lttng_ust_tracepoint(flightrec_thread, start, &e);
	fr_count_own(t, events, 1);
}

void thread_attach(const struct thread_birth *birth)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	if (t->stage != FR_STAGE_NEW || t->busy || t->in_vfork || !fr_on)
		return;
	t->busy = 1;
	t->busy_frame = FR_FRAME();
	t->tid = (uint32_t)sys(SYS_gettid);
	if (!birth)
		census_add(1);
	t->random = fr_now() * 0x9e3779b97f4a7c15ull ^ t->tid;
	find_bounds(t, birth ? birth->stack_size : 0);
	t->slot = slot_claim();
	if (t->slot) {
		t->private = &privates[t->slot - slot_table()];
		t->private->pthread = (uint64_t)pthread_self();
		t->private->n_regions = t->private->n_labels = 0;
		t->private->labels[0][0] = '\0';
		t->private->labels_id[0] = 0;
		t->private->n_captures = 0;
		memset(t->private->heard, 0, sizeof(t->private->heard));
		t->private->epoll.held = NULL;
		t->private->polled = NULL;
		t->private->exit_stack = FR_STACK_NONE;
		if (t->private->repeat) /* a parent's, before the fork */
			stack_repeat_drop(t->private->repeat);
		slot_fill(t->slot, t->tid, birth);
		delay_attach(t);
		if (birth && birth->labels && birth->labels[0]) {
			snprintf(t->private->labels[0], sizeof(t->private->labels[0]), "%s",
				birth->labels);
			t->private->labels_id[0] = labels_intern(birth->labels);
			thread_set_labels(t, birth->labels, t->private->labels_id[0]);
		}
	}
	alloc_thread_init(t);
	call_total_attach(t);
	t->stage = FR_STAGE_ON;
	/* A key of the first block of 32 lies in the thread's own descriptor: nothing is allocated. */
	if (has_exit_key)
		pthread_setspecific(exit_key, t);
	if (fr_wants(FR_EVENTS_THREAD))
		emit_start(t, birth);
	sampler_attach(t);
	t->busy = 0;
	errno = saved_errno;
}

void thread_detach(void)
{
	struct fr_thread *t = &fr_self;
	struct fr_event_thread e = { 0 };
	struct timespec cpu = { 0, 0 };

	if (t->stage != FR_STAGE_ON)
		return;
	t->busy = 1;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	fr_event_init(&e.common, t, 0);
	e.cpu = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	if (fr_on && fr_wants(FR_EVENTS_THREAD)) {
		lttng_ust_tracepoint(flightrec_thread, exit, &e);
		fr_count_own(t, events, 1);
	}
	t->stage = FR_STAGE_OFF;
	call_total_detach(t);
	wait_forget(t);
	if (t->slot) {
		lock_wait_tell_join(t);
		delay_detach(t);
		sampler_detach(t);
		slot_write_begin(t->slot);
		t->slot->state = FR_STATE_EXITED;
		t->slot->end_ns = fr_now();
		t->slot->cpu_ns = e.cpu;
		slot_write_end(t->slot);
		t->private->pthread = 0;
		if (t->private->repeat)
			sys(SYS_munmap, t->private->repeat, sizeof(*t->private->repeat));
		t->private->repeat = NULL;
		/* Release: whoever takes the slot again (slot_reuse) sees all of it. Last. */
		__atomic_store_n(&t->slot->is_exited, 1, __ATOMIC_RELEASE);
		t->slot = NULL;
		t->private = NULL;
	}
	t->busy = 0;
}

/*
 * Runs among the destructors of the program's keys. It puts itself back until the last round but one that POSIX
 * promises, so that what the other destructors do is still recorded. In the last one liblttng-ust's destructor takes
 * the thread off its list once more, where the exit event has put it: else each thread that ends would leave an entry.
 */
static void on_thread_exit(void *arg)
{
	struct fr_thread *t = arg;
	uint32_t tid = t->tid;

	if (++t->exit_rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1 &&
		pthread_setspecific(exit_key, t) == 0)
		return;
	thread_detach();
	census_leave(tid);
}

int thread_init(void)
{
	long ret;

	if (!privates) {
		ret = sys(SYS_mmap, NULL, sizeof(*privates) * FR_BB_MAX_THREADS,
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (ret < 0 && ret > -4096)
			return (int)ret;
		privates = (struct fr_private *)ret;
	}
	if (!has_exit_key)
		has_exit_key = pthread_key_create(&exit_key, on_thread_exit) == 0;
	return 0;
}

void thread_after_fork(void)
{
	struct fr_thread *t = &fr_self;
	char labels[sizeof(t->slot->labels)] = "";
	struct thread_birth birth = { .labels = labels };

	if (t->private)
		memcpy(labels, t->private->labels[t->private->n_labels], sizeof(labels));
	t->slot = NULL;
	t->private = NULL;
	t->totals = NULL;
	call_total_reset();
	memset(t->waiting, 0, sizeof(t->waiting));
	t->inside = NULL;
	t->busy = 0;
	t->exit_rounds = 0;
	reuse_hand = 0;
	census_after_fork();
	delay_after_fork();
	if (t->stage == FR_STAGE_ON)
		t->stage = FR_STAGE_NEW;
	thread_attach(&birth);
}

void thread_renamed(const char *name)
{
	struct fr_thread *t = &fr_self;
	struct fr_event_thread e = { 0 };
	int saved_errno = errno;

	if (!guard_enter(t, FR_FRAME()))
		return;
	if (t->slot) {
		slot_write_begin(t->slot);
		strncpy(t->slot->name, name, sizeof(t->slot->name) - 1);
		t->slot->name[sizeof(t->slot->name) - 1] = '\0';
		slot_write_end(t->slot);
	}
	if (fr_wants(FR_EVENTS_THREAD)) {
		fr_event_init(&e.common, t, 0);
		e.name = name;
		lttng_ust_tracepoint(flightrec_thread, name, &e);
		fr_count_own(t, events, 1);
	}
	guard_leave(t);
	errno = saved_errno;
}

uint32_t thread_tid_of(uint64_t pthread)
{
	struct fr_slot *table = slot_table();
	uint32_t n = __atomic_load_n(&fr_blackbox->n_threads, __ATOMIC_RELAXED), i;

	for (i = 0; i < n; i++)
		if (__atomic_load_n(&privates[i].pthread, __ATOMIC_RELAXED) == pthread)
			return table[i].tid;
	return 0;
}

static void slot_set(struct fr_slot *slot, const struct thread_state *state)
{
	slot_write_begin(slot);
	slot->state = state->state;
	slot->call = state->call;
	slot->since_ns = state->since_ns;
	slot->obj = state->obj;
	slot->fd = state->fd;
	slot->lock = state->lock;
	slot->holder = state->holder;
	slot->stack = state->stack;
	slot_write_end(slot);
}

void thread_enter(struct fr_thread *t, const struct thread_state *state, struct thread_wait *wait)
{
	struct fr_slot *slot = t->slot;
	const uint64_t *inside = t->inside;

	wait->cookie = state->since_ns;
	wait->is_nested = 0;
	if (unlikely(!slot))
		return;
	if (unlikely(inside) && inside > &wait->cookie && (uintptr_t)inside < t->bounds.hi &&
		(uintptr_t)inside >= t->bounds.lo && *inside == slot->since_ns && *inside) {
		wait->is_nested = 1;
		wait->inside = inside;
		wait->saved = (struct thread_state){ slot->since_ns, slot->obj, slot->state,
			slot->call, slot->holder, slot->stack, slot->fd, slot->lock };
	}
	t->inside = &wait->cookie;
	slot_set(slot, state);
}

void thread_leave(struct fr_thread *t, struct thread_wait *wait)
{
	static const struct thread_state running = { .state = FR_STATE_RUNNING, .fd = -1 };

	wait->cookie = 0;
	t->inside = wait->is_nested ? wait->inside : NULL;
	if (likely(t->slot))
		slot_set(t->slot, wait->is_nested ? &wait->saved : &running);
}

void thread_set_labels(struct fr_thread *t, const char *labels, uint32_t id)
{
	if (!t->slot)
		return;
	slot_write_begin(t->slot);
	strncpy(t->slot->labels, labels, sizeof(t->slot->labels) - 1);
	t->slot->labels_id = id;
	slot_write_end(t->slot);
}

/* Rare ways into a hook: a thread seen for the first time, a guard left behind by longjmp. */
int guard_enter_slow(struct fr_thread *t, uintptr_t frame)
{
	if (t->in_vfork || t->stage == FR_STAGE_OFF || !fr_on)
		return 0;
	if (t->busy) {
		/*
		 * The stack grows down. Our frame above the holder's, on the thread's own stack: the holder's
		 * frame is gone. On another stack (a signal handler's) nothing can be said.
		 */
		if (t->stage != FR_STAGE_ON || frame <= t->busy_frame || frame >= t->bounds.hi ||
			t->busy_frame < t->bounds.lo) {
			fr_count(nested, 1);
			return 0;
		}
		t->busy = 0;
	}
	if (t->stage == FR_STAGE_NEW)
		thread_attach(NULL);
	if (t->stage != FR_STAGE_ON)
		return 0;
	t->busy = 1;
	t->busy_frame = frame;
	return 1;
}
