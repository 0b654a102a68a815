/* SPDX-License-Identifier: MIT */
/*
 * The tracer asks those that run, and those that wait have said in their slots where. A thread that changes from one to
 * the other between the question and our look has neither answered nor does it wait: then what was seen of it
 * before counts, and if that is nothing, all are asked again.
 */
#include "recorder/thread_ask.h"

#include "recorder/profile_kind.h"

#define MAX_ROUNDS 3

/* Whether a stack, or the reason why there is none, is known. */
static bool is_known(
	const struct profile_process *process, const struct fr_slot *slot, uint32_t wanted)
{
	if (slot->start_ns == 0 || slot->state != FR_STATE_RUNNING)
		return true;
	if (slot->dump_seq == wanted && slot->dump_stack != FR_STACK_NONE)
		return true;
	return profile_thread_is_asleep(process, slot);
}

static const struct fr_slot *find(const GArray *threads, uint32_t tid)
{
	for (guint i = 0; threads && i < threads->len; i++)
		if (g_array_index(threads, struct fr_slot, i).tid == tid)
			return &g_array_index(threads, struct fr_slot, i);
	return NULL;
}

/* Takes over from `before` what is not known in `threads`. Returns how many stay unknown. */
static unsigned complete(const struct profile_process *process, GArray *threads,
	const GArray *before, uint32_t wanted_before, uint32_t wanted)
{
	unsigned n_unknown = 0;

	for (guint i = 0; i < threads->len; i++) {
		struct fr_slot *slot = &g_array_index(threads, struct fr_slot, i);
		const struct fr_slot *old;

		if (is_known(process, slot, wanted))
			continue;
		old = find(before, slot->tid);
		if (!old || old->start_ns != slot->start_ns ||
			!is_known(process, old, wanted_before)) {
			n_unknown++;
			continue;
		}
		*slot = *old;
		/* An answer to the question before counts as one to this. */
		if (slot->state == FR_STATE_RUNNING)
			slot->dump_seq = wanted;
	}
	return n_unknown;
}

static void look(const GPtrArray *processes)
{
	for (guint i = 0; i < processes->len; i++)
		profile_process_look(g_ptr_array_index(processes, i));
}

uint32_t thread_ask(struct orders *orders, const GPtrArray *processes)
{
	uint32_t wanted = 0, wanted_before = 0;
	unsigned n_unknown = 1;

	look(processes);
	if (!orders || !profile_processes_are_alive(processes))
		return 0;
	for (unsigned round = 0; round < MAX_ROUNDS && n_unknown; round++) {
		wanted_before = wanted;
		wanted = orders_dump(orders, processes);
		n_unknown = 0;
		for (guint i = 0; i < processes->len; i++) {
			struct profile_process *process = g_ptr_array_index(processes, i);
			GArray *before = g_steal_pointer(&process->threads);

			profile_process_look(process);
			if (process->is_alive)
				n_unknown += complete(
					process, process->threads, before, wanted_before, wanted);
			if (before)
				g_array_unref(before);
		}
	}
	return wanted;
}
