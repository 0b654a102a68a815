/* SPDX-License-Identifier: MIT */
/* Orders to the tracer's threads, with a thread in the place of one. */
#include "check.h"
#include "run.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "blackbox_file.h"
#include "recorder/orders.h"
#include "recorder/profile_process.h"
#include "recorder/thread_ask.h"

static struct fr_control control;
static struct blackbox_file file;
static struct orders *orders;
static GPtrArray *processes;
static atomic_uint n_woken, n_dumps, last_dump;

static void begin(void)
{
	run("rm -rf blackbox && mkdir blackbox");
	memset(&control, 0, sizeof(control));
	file = blackbox_file_create(run_path("blackbox/00001"), 1);
	file.header->helper_tid = 0x7ffffff1;
	orders = orders_new(&control);
	processes = profile_processes_open(run_dir, 0);
	CHECK_INT(processes->len, 1);
}

static void end(void)
{
	g_ptr_array_unref(processes);
	orders_free(orders);
	blackbox_file_close(&file);
}

/* Sleeps in the futex, as the tracer's thread does, and carries out what it is told until the rate is 999. */
static void *obey(void *data)
{
	uint32_t done = 0;

	for (;;) {
		uint32_t seq = __atomic_load_n(&control.command_seq, __ATOMIC_ACQUIRE);

		if (seq == done) {
			syscall(SYS_futex, &control.command_seq, FUTEX_WAIT, seq, NULL, NULL, 0);
			atomic_fetch_add(&n_woken, 1);
			continue;
		}
		done = seq;
		if (control.dump_seq != atomic_exchange(&last_dump, control.dump_seq))
			atomic_fetch_add(&n_dumps, 1);
		__atomic_store_n(&file.header->cpu_hz, control.cpu_hz, __ATOMIC_RELAXED);
		__atomic_store_n(&file.header->helper_seq, seq, __ATOMIC_RELEASE);
		if (control.cpu_hz == 999)
			return data;
	}
}

static void orders_are_carried_out(void)
{
	pthread_t thread;
	uint32_t first;

	begin();
	pthread_create(&thread, NULL, obey, NULL);
	CHECK_INT(orders_cpu(orders, 100, processes), 0);
	CHECK_INT(file.header->cpu_hz, 100);
	first = orders_dump(orders, processes);
	CHECK(first != 0);
	CHECK_INT(control.dump_proc, 1);
	CHECK(orders_dump(orders, processes) != first);
	CHECK_INT(atomic_load(&n_dumps), 2);
	CHECK_INT(orders_cpu(orders, 999, processes), 0);
	pthread_join(thread, NULL);
	CHECK(atomic_load(&n_woken) > 0);
	end();
}

static void who_does_not_obey_is_counted(void)
{
	begin();
	CHECK_INT(orders_cpu(orders, 100, processes), 1);
	/* Without a thread of the tracer's nobody is waited for. */
	g_ptr_array_unref(processes);
	file.header->helper_tid = 0;
	processes = profile_processes_open(run_dir, 0);
	CHECK_INT(orders_cpu(orders, 50, processes), 0);
	CHECK_INT(control.cpu_hz, 50);
	end();
}

static void the_dead_are_not_asked(void)
{
	begin();
	g_ptr_array_unref(processes);
	file.header->pid = 0x7ffffff0;
	processes = profile_processes_open(run_dir, 0);
	CHECK_INT(orders_dump(orders, processes), 0);
	CHECK_INT(control.command_seq, 0);
	CHECK_INT(thread_ask(orders, processes), 0);
	CHECK_INT(thread_ask(NULL, processes), 0);
	end();
}

/* Begins to run, as a thread that got its lock, when it is asked: it had not to answer, and does not wait any more. */
static void *run_away(void *data)
{
	struct fr_slot *slot = data;
	uint32_t seq;

	while ((seq = __atomic_load_n(&control.command_seq, __ATOMIC_ACQUIRE)) == 0)
		;
	slot->seq++;
	slot->state = FR_STATE_RUNNING;
	slot->stack = FR_STACK_NONE;
	slot->seq++;
	for (;; seq = __atomic_load_n(&control.command_seq, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&file.header->helper_seq, seq, __ATOMIC_RELEASE);
		if (control.cpu_hz == 999)
			return data;
	}
}

static void a_thread_that_ran_away_is_where_it_was(void)
{
	g_autoptr(GArray) threads = NULL;
	const struct fr_slot *seen = NULL;
	struct fr_slot *slot;
	pthread_t thread;

	begin();
	/* The thread of the test that waits in pthread_join() for nobody: this one, which runs. */
	slot = blackbox_file_slot(&file, (uint32_t)getpid());
	slot->start_ns = 1;
	slot->state = FR_STATE_MUTEX;
	slot->stack = 77;
	g_ptr_array_unref(processes);
	processes = profile_processes_open(run_dir, 0);
	pthread_create(&thread, NULL, run_away, slot);
	thread_ask(orders, processes);
	threads = profile_process_threads(g_ptr_array_index(processes, 0));
	for (guint i = 0; i < threads->len; i++)
		if (g_array_index(threads, struct fr_slot, i).tid == (uint32_t)getpid())
			seen = &g_array_index(threads, struct fr_slot, i);
	CHECK(seen != NULL);
	CHECK_INT(seen ? seen->state : 0, FR_STATE_MUTEX);
	CHECK_INT(seen ? seen->stack : 0, 77);
	orders_cpu(orders, 999, processes);
	pthread_join(thread, NULL);
	end();
}

int main(void)
{
	run_init("test_orders");
	CASE(orders_are_carried_out, "the tracer's thread is woken, and waited for");
	CASE(who_does_not_obey_is_counted, "a thread that does not answer is not waited for long");
	CASE(the_dead_are_not_asked, "dead processes get no orders");
	CASE(a_thread_that_ran_away_is_where_it_was,
		"a thread that stopped waiting is where it waited");
	run_fini();
	return CHECK_DONE();
}
