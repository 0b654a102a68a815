/* SPDX-License-Identifier: MIT */
#include "recorder/profile_tags.h"

#include "recorder/profile_process.h"

/* A thread's slot in the blackbox of a traced process. */
struct tag_slot {
	const struct blackbox *blackbox; /* NULL: not traced */
	uint64_t offset;
};

struct profile_tags {
	GPtrArray *processes; /* owned */
	GHashTable *slots;    /* tid → owned struct tag_slot */
};

struct profile_tags *profile_tags_new(const char *rundir)
{
	struct profile_tags *tags = g_new0(struct profile_tags, 1);

	tags->processes = profile_processes_open(rundir, 0);
	tags->slots = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	return tags;
}

void profile_tags_free(struct profile_tags *tags)
{
	if (!tags)
		return;
	g_hash_table_unref(tags->slots);
	g_ptr_array_unref(tags->processes);
	g_free(tags);
}

/* Looks through all slots: once per thread. */
static struct tag_slot find_slot(const struct profile_tags *tags, pid_t pid, pid_t tid)
{
	struct tag_slot found = { 0 };

	for (guint i = 0; i < tags->processes->len && !found.blackbox; i++) {
		const struct profile_process *process = g_ptr_array_index(tags->processes, i);
		uint32_t n_threads = 0;

		if (process->pid != pid || !process->is_alive ||
			blackbox_read(process->blackbox, &n_threads, sizeof(n_threads),
				offsetof(struct fr_blackbox, n_threads)))
			continue;
		for (uint32_t k = 0; k < MIN(n_threads, FR_BB_MAX_THREADS); k++) {
			uint64_t at =
				process->blackbox->header.off_slots + k * sizeof(struct fr_slot);
			uint32_t there = 0;

			if (!blackbox_read(process->blackbox, &there, sizeof(there),
				    at + offsetof(struct fr_slot, tid)) &&
				there == (uint32_t)tid)
				found = (struct tag_slot){ process->blackbox, at };
		}
	}
	return found;
}

uint32_t profile_tags_get(void *data, pid_t pid, pid_t tid)
{
	struct profile_tags *tags = data;
	struct tag_slot *slot = g_hash_table_lookup(tags->slots, GINT_TO_POINTER(tid));
	uint32_t labels = 0;

	if (!slot) {
		slot = g_new(struct tag_slot, 1);
		*slot = find_slot(tags, pid, tid);
		g_hash_table_insert(tags->slots, GINT_TO_POINTER(tid), slot);
	}
	if (!slot->blackbox || blackbox_read(slot->blackbox, &labels, sizeof(labels),
				       slot->offset + offsetof(struct fr_slot, labels_id)))
		return 0;
	return labels;
}
