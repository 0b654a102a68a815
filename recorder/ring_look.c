/* SPDX-License-Identifier: MIT */
/* What a ring holds, without reading it. */
#include <glib.h>

#include "recorder/ring_file.h"
#include "recorder/ring_files.h"
#include "recorder/ring_read.h"

#define MAX_TRIES 4

/* Begin of the oldest packet that is held; the writers may be at its heels. */
static uint64_t oldest_begin(const struct ring_file *file)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		uint64_t position = ring_file_position(file), begin_ns;

		position = ring_file_oldest(file, position);
		if (position == 0)
			return 0;
		if (ring_file_begin(file, position, &begin_ns) == 0 ||
			ring_file_begin(file, position + ring_file_subbuf_bytes(file), &begin_ns) ==
				0)
			return begin_ns;
	}
	return 0;
}

static void look_at(const char *member, const char *name, struct ring_file *file, void *user)
{
	struct ring_look *look = user;
	uint64_t position = ring_file_position(file), begin_ns = oldest_begin(file);

	(void)member;
	(void)name;
	look->n_streams++;
	look->capacity_bytes += ring_file_bytes(file);
	look->held_bytes += MIN(position, position - ring_file_oldest(file, position));
	look->written_bytes += position;
	look->lost_events += ring_file_lost(file);
	look->complete_ns = MAX(look->complete_ns, begin_ns);
	ring_file_close(file);
}

void ring_look(const char *folder, struct ring_look *look_out)
{
	*look_out = (struct ring_look){ 0 };
	ring_files_walk(folder, NULL, look_at, look_out);
}
