/* SPDX-License-Identifier: MIT */
#include "recorder/ring_stuck.h"

#include <glib.h>

#include "recorder/ring_file.h"
#include "recorder/ring_files.h"

/* What one CPU's ring was like. */
struct state {
	uint64_t position, lost;
};

struct ring_stuck {
	char *folder;	    /* owned; looked at last; NULL: none yet */
	GHashTable *states; /* owned: path → owned struct state */
	bool is_any;	    /* of the walk that is under way */
};

struct ring_stuck *ring_stuck_new(void)
{
	struct ring_stuck *stuck = g_new0(struct ring_stuck, 1);

	stuck->states = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return stuck;
}

void ring_stuck_free(struct ring_stuck *stuck)
{
	if (!stuck)
		return;
	g_hash_table_unref(stuck->states);
	g_free(stuck->folder);
	g_free(stuck);
}

static void look_at(const char *member, const char *name, struct ring_file *file, void *user)
{
	struct ring_stuck *stuck = user;
	g_autofree char *path = g_strdup_printf("%s/%s", member, name);
	struct state *state = g_hash_table_lookup(stuck->states, path);
	/* In this order: a drop that is counted was at the position read, or before. */
	uint64_t lost = ring_file_lost(file), position = ring_file_position(file);

	ring_file_close(file);
	if (!state) {
		state = g_new0(struct state, 1);
		g_hash_table_insert(stuck->states, g_steal_pointer(&path), state);
	} else if (state->position == position && lost > state->lost) {
		stuck->is_any = true;
	}
	*state = (struct state){ position, lost };
}

bool ring_stuck_check(struct ring_stuck *stuck, const char *folder)
{
	if (!stuck->folder || !g_str_equal(stuck->folder, folder)) {
		g_hash_table_remove_all(stuck->states);
		g_free(stuck->folder);
		stuck->folder = g_strdup(folder);
	}
	stuck->is_any = false;
	ring_files_walk(folder, NULL, look_at, stuck);
	return stuck->is_any;
}
