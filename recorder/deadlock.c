/* SPDX-License-Identifier: MIT */
/*
 * Every thread waits for at most one other, so circles are found by following. Who holds a lock is read from the lock
 * itself where that can be done: the thread that held it when a wait began may have let it go to another one.
 * When all threads of a circle waited for the same all the while between two looks, and the holders were read in
 * between, nobody of them can have let go: it is one.
 */
#include "recorder/deadlock.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "common/units.h"
#include "proto/schema.h"
#include "recorder/lock_name.h"
#include "recorder/procfs.h"

#define NONE UINT32_MAX

struct waiter {
	const struct profile_process *process; /* borrowed */
	struct fr_slot slot;
	uint32_t holder; /* thread id */
	uint32_t next;	 /* index of the holder; NONE */
	uint32_t mark;	 /* number of the walk that came here; 0 none */
};

uint32_t deadlock_holder(const struct profile_process *process, const struct fr_slot *slot)
{
	size_t offset;
	int32_t owner;

	switch (slot->state) {
	case FR_STATE_MUTEX:
		/* glibc keeps the owner's tid in the lock. */
		offset = offsetof(pthread_mutex_t, __data.__owner);
		break;
	case FR_STATE_RWLOCK:
		offset = offsetof(pthread_rwlock_t, __data.__cur_writer);
		break;
	case FR_STATE_SPIN:
	case FR_STATE_JOIN:
		return slot->holder;
	default:
		return 0;
	}
	if (!process->is_alive || procfs_memory(process->pid, slot->obj + offset, &owner,
					  sizeof(owner)) != sizeof(owner))
		return slot->holder;
	return owner > 0 ? (uint32_t)owner : 0;
}

/* The thread `tid`, in the process itself or, for locks that processes share, in another living one. */
static uint32_t find_thread(
	const GArray *waiters, const struct profile_process *process, uint32_t tid)
{
	uint32_t other = NONE;

	for (guint i = 0; i < waiters->len; i++) {
		const struct waiter *waiter = &g_array_index(waiters, struct waiter, i);

		if (waiter->slot.tid != tid)
			continue;
		if (waiter->process == process)
			return i;
		if (waiter->process->is_alive && process->is_alive)
			other = i;
	}
	return other;
}

/* is_again: as they are now, whatever was seen before. */
static GArray *waiters_of(const GPtrArray *processes, bool is_again)
{
	GArray *waiters = g_array_new(FALSE, TRUE, sizeof(struct waiter));

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		g_autoptr(GArray) threads = NULL;

		if (!profile_process_is_shown(process, processes))
			continue;
		threads = is_again ? profile_process_threads_now(process)
				   : profile_process_threads(process);
		for (guint k = 0; k < threads->len; k++) {
			struct waiter waiter = {
				.process = process,
				.slot = g_array_index(threads, struct fr_slot, k),
				.next = NONE,
			};

			g_array_append_val(waiters, waiter);
		}
	}
	return waiters;
}

static void follow(GArray *waiters)
{
	for (guint i = 0; i < waiters->len; i++) {
		struct waiter *waiter = &g_array_index(waiters, struct waiter, i);

		waiter->holder = deadlock_holder(waiter->process, &waiter->slot);
		if (waiter->holder)
			waiter->next = find_thread(waiters, waiter->process, waiter->holder);
	}
}

/* Whether a thread still is in the very same wait. */
static bool is_unchanged(const GArray *again, const struct waiter *waiter)
{
	if (!waiter->process->is_alive)
		return true;
	for (guint i = 0; i < again->len; i++) {
		const struct waiter *other = &g_array_index(again, struct waiter, i);

		if (other->process == waiter->process && other->slot.tid == waiter->slot.tid)
			return other->slot.state == waiter->slot.state &&
			       other->slot.obj == waiter->slot.obj &&
			       other->slot.since_ns == waiter->slot.since_ns;
	}
	return false;
}

static void deadlock_free(void *data)
{
	struct deadlock *deadlock = data;

	g_array_unref(deadlock->waits);
	g_free(deadlock);
}

static void add_circle(
	const GArray *waiters, uint32_t first, const GArray *again, GPtrArray *deadlocks)
{
	struct deadlock *deadlock = g_new0(struct deadlock, 1);
	bool is_same = true;
	uint32_t at = first;

	deadlock->waits = g_array_new(FALSE, TRUE, sizeof(struct deadlock_wait));
	do {
		const struct waiter *waiter = &g_array_index(waiters, struct waiter, at);
		const struct waiter *holder = &g_array_index(waiters, struct waiter, waiter->next);
		struct deadlock_wait wait = {
			.process = waiter->process,
			.pid = waiter->process->pid,
			.stack = waiter->slot.stack,
			.tid = waiter->slot.tid,
			.holder = waiter->holder,
			.state = waiter->slot.state,
			.obj = waiter->slot.state == FR_STATE_JOIN ? 0 : waiter->slot.obj,
			.since_ns = waiter->slot.since_ns,
		};

		memcpy(wait.name, waiter->slot.name, sizeof(wait.name));
		memcpy(wait.holder_name, holder->slot.name, sizeof(wait.holder_name));
		is_same = is_same && is_unchanged(again, waiter);
		g_array_append_val(deadlock->waits, wait);
		at = waiter->next;
	} while (at != first);
	if (is_same)
		g_ptr_array_add(deadlocks, deadlock);
	else
		deadlock_free(deadlock);
}

GPtrArray *deadlock_find(const GPtrArray *processes)
{
	GPtrArray *deadlocks = g_ptr_array_new_with_free_func(deadlock_free);
	g_autoptr(GArray) waiters = waiters_of(processes, false), again = NULL;

	follow(waiters);
	for (guint i = 0; i < waiters->len; i++) {
		uint32_t at = i;

		while (at != NONE && !g_array_index(waiters, struct waiter, at).mark) {
			struct waiter *waiter = &g_array_index(waiters, struct waiter, at);

			waiter->mark = i + 1;
			at = waiter->next;
		}
		/* Came back to where this walk has been. */
		if (at == NONE || g_array_index(waiters, struct waiter, at).mark != i + 1)
			continue;
		if (!again)
			again = waiters_of(processes, true);
		add_circle(waiters, at, again, deadlocks);
	}
	return deadlocks;
}

char *deadlock_object(struct lock_names *names, const struct profile_process *process,
	uint32_t state, uint64_t obj)
{
	static const char *const kinds[FR_STATE_N] = {
		[FR_STATE_MUTEX] = "mutex",
		[FR_STATE_RWLOCK] = "rwlock",
		[FR_STATE_SPIN] = "spin lock",
		[FR_STATE_COND] = "condition",
		[FR_STATE_SEM] = "semaphore",
		[FR_STATE_BARRIER] = "barrier",
		[FR_STATE_ONCE] = "once control",
	};

	const char *kind = state < FR_STATE_N && kinds[state] ? kinds[state] : "object";
	const char *name;

	if (state == FR_STATE_JOIN)
		return g_strdup("the end of a thread");
	name = names ? lock_names_find(names, process, obj) : NULL;
	return g_strdup_printf("%s 0x%" G_GINT64_MODIFIER "x%s%s%s", kind, obj, name ? " (" : "",
		name ? name : "", name ? ")" : "");
}

/* How long a wait has lasted, for people; to g_free(). */
static char *duration_words(uint64_t since_ns)
{
	uint64_t now_ns = procfs_now();
	char text[64];

	if (!since_ns || since_ns > now_ns)
		return g_strdup("");
	/* Whole milliseconds are enough. */
	units_duration_format(
		(int64_t)((now_ns - since_ns) / 1000000 * 1000000), text, sizeof(text));
	return g_strdup_printf(" %s", text);
}

void deadlock_write(const struct deadlock *deadlock, struct lock_names *names, deadlock_place place,
	void *data, GString *out)
{
	const struct deadlock_wait *first =
		&g_array_index(deadlock->waits, struct deadlock_wait, 0);

	if (deadlock->waits->len == 1)
		g_string_append_printf(out,
			"# DEADLOCK: a thread of process %d waits for what it holds itself\n",
			(int)first->pid);
	else
		g_string_append_printf(out,
			"# DEADLOCK: %u threads of process %d wait for each other\n",
			deadlock->waits->len, (int)first->pid);
	for (guint i = 0; i < deadlock->waits->len; i++) {
		const struct deadlock_wait *wait =
			&g_array_index(deadlock->waits, struct deadlock_wait, i);
		g_autofree char *object =
			deadlock_object(names, wait->process, wait->state, wait->obj);
		const char *where = place ? place(data, wait) : NULL;
		g_autofree char *duration = duration_words(wait->since_ns);

		g_string_append_printf(out,
			"#   thread %u \"%s\" waits%s for %s, held by thread %u \"%s\"%s%s\n",
			wait->tid, wait->name, duration, object, wait->holder, wait->holder_name,
			where ? ", at " : "", where ? where : "");
	}
}

json_t *deadlock_json(const GPtrArray *processes)
{
	g_autoptr(GPtrArray) deadlocks = deadlock_find(processes);
	struct lock_names *names = lock_names_new();
	json_t *array = json_array();

	for (guint i = 0; i < deadlocks->len; i++) {
		const struct deadlock *deadlock = g_ptr_array_index(deadlocks, i);
		json_t *waits = json_array();

		for (guint k = 0; k < deadlock->waits->len; k++) {
			const struct deadlock_wait *wait =
				&g_array_index(deadlock->waits, struct deadlock_wait, k);
			g_autofree char *object =
				deadlock_object(names, wait->process, wait->state, wait->obj);
			g_autofree char *name = g_utf8_make_valid(wait->name, -1);
			g_autofree char *holder = g_utf8_make_valid(wait->holder_name, -1);
			uint64_t now_ns = procfs_now();

			json_array_append_new(waits,
				json_pack("{s:i, s:I, s:s, s:s, s:I, s:s, s:I}", "pid",
					(int)wait->pid, "thread", (json_int_t)wait->tid, "name",
					name, "waits_for", object, "held_by",
					(json_int_t)wait->holder, "held_by_name", holder,
					"waits_ns",
					(json_int_t)(wait->since_ns && wait->since_ns < now_ns
							     ? now_ns - wait->since_ns
							     : 0)));
		}
		json_array_append_new(array, json_pack("{s:o}", "threads", waits));
	}
	lock_names_free(names);
	return array;
}
