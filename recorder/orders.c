/* SPDX-License-Identifier: MIT */
/*
 * An order is three words of the control page and a wake-up. The tracer's threads wait for command_seq with a futex,
 * which is shared: they have the page mapped read-only, from a file.
 */
#include "recorder/orders.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/blackbox_tables.h"
#include "recorder/procfs.h"
#include "recorder/profile_process.h"

#define WAIT_MS 150
#define POLL_US 500

struct orders {
	struct fr_control *control; /* borrowed */
	uint32_t always_hz;	    /* the rate while no profile asks for another */
	GMutex lock;		    /* the words of an order; one order at a time */
	uint64_t last_dump_ns;	    /* when the last question was asked; 0 never */
	uint32_t last_dump_proc;
};

struct orders *orders_new(struct fr_control *control)
{
	struct orders *orders = g_new0(struct orders, 1);

	orders->control = control;
	orders->always_hz = control->cpu_hz;
	g_mutex_init(&orders->lock);
	return orders;
}

void orders_free(struct orders *orders)
{
	if (!orders)
		return;
	g_mutex_clear(&orders->lock);
	g_free(orders);
}

/* Tells everybody. Returns the number to wait for. */
static uint32_t publish(struct fr_control *control)
{
	/* Release: who sees the number sees the words of the order. */
	uint32_t seq = __atomic_add_fetch(&control->command_seq, 1, __ATOMIC_RELEASE);

	syscall(SYS_futex, &control->command_seq, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return seq;
}

static bool has_done(const struct profile_process *process, uint32_t seq)
{
	if (!process->is_alive || !process->blackbox || !process->blackbox->header.helper_tid)
		return true;
	return (int32_t)(blackbox_helper_seq(process->blackbox) - seq) >= 0;
}

/* Returns how many have not done it in time. */
static unsigned wait_for(const GPtrArray *processes, uint32_t seq)
{
	uint64_t end_ns = procfs_now() + WAIT_MS * 1000000ull;
	unsigned n_missing;

	for (;;) {
		n_missing = 0;
		for (guint i = 0; i < processes->len; i++)
			n_missing += !has_done(g_ptr_array_index(processes, i), seq);
		if (!n_missing || procfs_now() >= end_ns)
			return n_missing;
		g_usleep(POLL_US);
	}
}

unsigned orders_cpu(struct orders *orders, uint32_t hz, const GPtrArray *processes)
{
	unsigned n_missing;

	g_mutex_lock(&orders->lock);
	__atomic_store_n(
		&orders->control->cpu_hz, hz ? hz : orders->always_hz, __ATOMIC_RELAXED);
	n_missing = wait_for(processes, publish(orders->control));
	g_mutex_unlock(&orders->lock);
	return n_missing;
}

/* The one process that is asked; 0: all. */
static uint32_t proc_of(const GPtrArray *processes)
{
	uint32_t proc = 0;

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (!process->is_alive || process->id >= PROFILE_PROCESS_PERF)
			continue;
		if (proc)
			return 0;
		proc = process->id;
	}
	return proc;
}

uint32_t orders_dump(struct orders *orders, const GPtrArray *processes)
{
	uint64_t came_ns = procfs_now();
	uint32_t proc = proc_of(processes), seq;

	if (!profile_processes_are_alive(processes))
		return 0;
	g_mutex_lock(&orders->lock);
	/* Asked while we waited for our turn: those answers are younger than our question. */
	if (orders->last_dump_ns > came_ns &&
		(!orders->last_dump_proc || orders->last_dump_proc == proc)) {
		seq = orders->control->dump_seq;
		g_mutex_unlock(&orders->lock);
		return seq;
	}
	orders->last_dump_ns = procfs_now();
	orders->last_dump_proc = proc;
	seq = orders->control->dump_seq + 1;
	/* 0 says that nobody was asked. */
	seq += seq == 0;
	__atomic_store_n(&orders->control->dump_proc, proc, __ATOMIC_RELAXED);
	__atomic_store_n(&orders->control->dump_seq, seq, __ATOMIC_RELAXED);
	wait_for(processes, publish(orders->control));
	g_mutex_unlock(&orders->lock);
	return seq;
}
