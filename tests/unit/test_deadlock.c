/* SPDX-License-Identifier: MIT */
/* Circles of threads that wait for each other, dead and alive. */
#include "check.h"
#include "run.h"

#include <pthread.h>

#include "blackbox_file.h"
#include "recorder/deadlock.h"

#define DEAD_PID 0x7ffffff0

static struct blackbox_file file;

static void begin(pid_t pid)
{
	run("rm -rf blackbox && mkdir blackbox");
	file = blackbox_file_create(run_path("blackbox/00001"), 1);
	file.header->pid = (uint32_t)pid;
}

static void end(void)
{
	blackbox_file_close(&file);
}

/* A thread that has waited for `obj` since the beginning of time. */
static struct fr_slot *add(
	uint32_t tid, const char *name, uint32_t state, const void *obj, uint32_t holder)
{
	struct fr_slot *slot = blackbox_file_slot(&file, tid);

	slot->state = state;
	slot->obj = (uintptr_t)obj;
	slot->holder = holder;
	slot->start_ns = tid;
	slot->since_ns = 1000000000;
	strcpy(slot->name, name);
	return slot;
}

static GPtrArray *find(GPtrArray **processes_out)
{
	*processes_out = profile_processes_open(run_dir, 0);
	CHECK_INT((*processes_out)->len, 1);
	return deadlock_find(*processes_out);
}

static const struct deadlock_wait *wait_at(const GPtrArray *deadlocks, guint i, guint k)
{
	const struct deadlock *deadlock = g_ptr_array_index(deadlocks, i);

	return &g_array_index(deadlock->waits, struct deadlock_wait, k);
}

static void two_of_a_dead_process(void)
{
	g_autoptr(GPtrArray) processes = NULL, deadlocks = NULL;
	g_autoptr(GString) text = g_string_new(NULL);

	begin(DEAD_PID);
	add(11, "main", FR_STATE_JOIN, NULL, 12);
	add(12, "a", FR_STATE_MUTEX, (void *)0x5550, 13);
	add(13, "b", FR_STATE_MUTEX, (void *)0x5580, 12);
	deadlocks = find(&processes);
	CHECK_INT(deadlocks->len, 1);
	CHECK_INT(((struct deadlock *)g_ptr_array_index(deadlocks, 0))->waits->len, 2);
	CHECK_INT(wait_at(deadlocks, 0, 0)->tid, 12);
	CHECK_INT(wait_at(deadlocks, 0, 0)->holder, 13);
	CHECK_INT(wait_at(deadlocks, 0, 0)->obj, 0x5550);
	CHECK_STR(wait_at(deadlocks, 0, 0)->holder_name, "b");
	CHECK_INT(wait_at(deadlocks, 0, 1)->obj, 0x5580);
	deadlock_write(g_ptr_array_index(deadlocks, 0), NULL, NULL, NULL, text);
	CHECK(strstr(text->str, "# DEADLOCK: 2 threads of process ") == text->str);
	CHECK(strstr(text->str, "for mutex 0x5550, held by thread 13 \"b\"\n") != NULL);
	CHECK(strstr(text->str, "for mutex 0x5580, held by thread 12 \"a\"\n") != NULL);
	end();
}

static void one_that_waits_for_itself(void)
{
	g_autoptr(GPtrArray) processes = NULL, deadlocks = NULL;
	json_t *json;

	begin(DEAD_PID);
	add(12, "a", FR_STATE_RWLOCK, (void *)0x5550, 12);
	add(13, "b", FR_STATE_MUTEX, (void *)0x5580, 12);
	deadlocks = find(&processes);
	CHECK_INT(deadlocks->len, 1);
	CHECK_INT(((struct deadlock *)g_ptr_array_index(deadlocks, 0))->waits->len, 1);
	json = deadlock_json(processes);
	CHECK_INT(json_array_size(json), 1);
	CHECK_STR(json_string_value(json_object_get(
			  json_array_get(json_object_get(json_array_get(json, 0), "threads"), 0),
			  "waits_for")),
		"rwlock 0x5550");
	json_decref(json);
	end();
}

static void no_circle(void)
{
	g_autoptr(GPtrArray) processes = NULL, deadlocks = NULL;

	begin(DEAD_PID);
	add(12, "a", FR_STATE_MUTEX, (void *)0x5550, 13);
	add(13, "b", FR_STATE_MUTEX, (void *)0x5580, 14);
	add(14, "c", FR_STATE_RUNNING, NULL, 0);
	/* Conditions have no holder, whatever is written there. */
	add(15, "d", FR_STATE_COND, (void *)0x5590, 16);
	add(16, "e", FR_STATE_COND, (void *)0x5594, 15);
	deadlocks = find(&processes);
	CHECK_INT(deadlocks->len, 0);
	end();
}

static void two_circles_of_three_and_two(void)
{
	g_autoptr(GPtrArray) processes = NULL, deadlocks = NULL;
	guint sum = 0;

	begin(DEAD_PID);
	add(12, "a", FR_STATE_MUTEX, (void *)0x10, 13);
	add(13, "b", FR_STATE_JOIN, NULL, 14);
	add(14, "c", FR_STATE_SPIN, (void *)0x20, 12);
	add(15, "d", FR_STATE_MUTEX, (void *)0x30, 16);
	add(16, "e", FR_STATE_MUTEX, (void *)0x40, 15);
	deadlocks = find(&processes);
	CHECK_INT(deadlocks->len, 2);
	for (guint i = 0; i < deadlocks->len; i++)
		sum += ((struct deadlock *)g_ptr_array_index(deadlocks, i))->waits->len;
	CHECK_INT(sum, 5);
	end();
}

/* In a living process the locks themselves are asked: the slots say what was true when the waits began. */
static void the_lock_knows_better(void)
{
	static pthread_mutex_t a, b;
	GPtrArray *processes, *deadlocks;

	begin(getpid());
	add(12, "a", FR_STATE_MUTEX, &a, 99);
	add(13, "b", FR_STATE_MUTEX, &b, 99);
	a.__data.__owner = 13;
	b.__data.__owner = 12;
	deadlocks = find(&processes);
	CHECK_INT(deadlocks->len, 1);
	CHECK_INT(wait_at(deadlocks, 0, 0)->holder, 13);
	g_ptr_array_unref(deadlocks);
	g_ptr_array_unref(processes);
	/* Let go meanwhile. */
	b.__data.__owner = 0;
	deadlocks = find(&processes);
	CHECK_INT(deadlocks->len, 0);
	g_ptr_array_unref(deadlocks);
	g_ptr_array_unref(processes);
	end();
}

/* Gives the waits a new beginning all the time. */
static int is_stopping;

static void *stir(void *data)
{
	struct fr_slot *slots = data;

	for (uint64_t i = 0; !__atomic_load_n(&is_stopping, __ATOMIC_RELAXED); i++) {
		__atomic_store_n(&slots[1].since_ns, i, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	return data;
}

static void what_moves_is_none(void)
{
	static pthread_mutex_t a, b;
	unsigned n_seen = 0;
	pthread_t thread;

	begin(getpid());
	add(12, "a", FR_STATE_MUTEX, &a, 13);
	add(13, "b", FR_STATE_MUTEX, &b, 12);
	a.__data.__owner = 13;
	b.__data.__owner = 12;
	pthread_create(&thread, NULL, stir, blackbox_file_at(&file, file.header->off_slots));
	/* The other thread may have no turn between two looks: not every time. */
	for (unsigned i = 0; i < 2000 && !n_seen; i++) {
		g_autoptr(GPtrArray) processes = profile_processes_open(run_dir, 0);
		g_autoptr(GPtrArray) deadlocks = deadlock_find(processes);

		n_seen += deadlocks->len == 0;
		g_usleep(100);
	}
	CHECK(n_seen > 0);
	__atomic_store_n(&is_stopping, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	end();
}

int main(void)
{
	run_init("test_deadlock");
	CASE(two_of_a_dead_process, "two threads and two locks, with who waits for whom");
	CASE(one_that_waits_for_itself, "a thread that waits for its own lock");
	CASE(no_circle, "a chain that ends is no deadlock");
	CASE(two_circles_of_three_and_two, "circles of locks and joins, each found once");
	CASE(the_lock_knows_better, "the holder is read from the lock of a living process");
	CASE(what_moves_is_none, "waits that changed between two looks are no deadlock");
	run_fini();
	return CHECK_DONE();
}
