/* SPDX-License-Identifier: MIT */
/* What is on, and how far back the ring reaches. */
#include "recorder/recording_internal.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "common/units.h"
#include "recorder/procfs.h"

/* Sizes are suggested in steps of this. */
#define SIZE_STEP (16ull << 20)
/* People are told tenths of seconds. */
#define ROUND_NS 100000000u

static void fill_windows(const struct recording *rec, struct recording_status *status)
{
	for (size_t i = 0; i < SESSION_N_KINDS; i++) {
		const struct window *window = &rec->windows[i];
		struct recording_info *info;

		if (window->session.state == SESSION_IDLE)
			continue;
		info = &status->windows[status->n_windows++];
		*info = window->current;
		info->state = window->session.state;
	}
	status->has_current = status->n_windows > 0;
	if (status->has_current)
		status->current = status->windows[0];
}

/* How far back nothing is missing: once a CPU's ring was used up, to the oldest that is left of it. */
static void fill_ring(struct recording *rec, struct recording_status *status)
{
	uint64_t since_ns, now = procfs_now();
	struct ring_look look;

	rings_look(rec, &look, &since_ns);
	status->ring_bytes = look.n_streams ? look.capacity_bytes : rec->set.ring.total_bytes;
	status->has_ring_held = look.n_streams > 0;
	status->ring_held_bytes = look.held_bytes;
	status->ring_lost_events = look.lost_events;
	status->ring_window_ns = now - since_ns;
	status->covered_ns = now - MAX(since_ns, look.complete_ns);
	status->is_ring_full = look.complete_ns != 0;
	status->wished_ns = rec->set.options->min_age_ns;
	if (!status->is_ring_full || status->covered_ns >= status->wished_ns || !status->covered_ns)
		return;
	status->wished_bytes = (uint64_t)((double)status->ring_bytes * (double)status->wished_ns /
					  (double)status->covered_ns);
	status->wished_bytes = (status->wished_bytes / SIZE_STEP + 1) * SIZE_STEP;
}

char *recording_age_sentence(const struct recording_status *status)
{
	char covered[64], wished[64];

	if (!status->wished_bytes)
		return NULL;
	units_duration_format(
		(int64_t)(status->covered_ns / ROUND_NS * ROUND_NS), covered, sizeof(covered));
	units_duration_format((int64_t)status->wished_ns, wished, sizeof(wished));
	return g_strdup_printf(
		"The flight recorder reaches back %s, not the %s that --min-age wishes: at "
		"this rate of events that takes --buffer-size=%" PRIu64 "M",
		covered, wished, status->wished_bytes >> 20);
}

void recording_status(struct recording *rec, struct recording_status *status_out)
{
	memset(status_out, 0, sizeof(*status_out));
	status_out->untraced = rec->set.untraced;
	pthread_mutex_lock(&rec->mutex);
	fill_windows(rec, status_out);
	status_out->has_last = rec->has_last;
	status_out->last = rec->last;
	status_out->lost_events = rec->lost_events;
	status_out->is_ring_on = rec->set.ctl && !rec->is_daemon_dead && !rec->is_program_over;
	pthread_mutex_unlock(&rec->mutex);
	if (rec->set.ctl)
		fill_ring(rec, status_out);
}
