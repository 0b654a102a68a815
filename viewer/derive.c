/* SPDX-License-Identifier: MIT */
/* The table of derivations, and what they share: rows keyed by process, stack and object size. */
#include "viewer/derive.h"

#include <stdlib.h>
#include <string.h>

#include "viewer/profile_trace.h"

const struct derivation *const derivations[] = {
	&derive_sync,
	&derive_syscall,
	&derive_net,
	&derive_alloc,
	NULL,
};

struct row {
	uint64_t bytes;
	uint32_t process, stack;
	int64_t values[PROFILE_MAX_VALUES];
};

struct derive {
	const struct derivation *type;
	void *state;  /* owned, by the derivation's rules */
	GArray *rows; /* struct row */
	struct idmap by_key;
};

const struct derivation *derive_find(const char *name)
{
	for (size_t i = 0; derivations[i]; i++)
		if (g_str_equal(derivations[i]->name, name))
			return derivations[i];
	return NULL;
}

struct derive *derive_new(const struct derivation *type)
{
	struct derive *derive = g_new0(struct derive, 1);

	derive->type = type;
	derive->state = type->state_new ? type->state_new() : NULL;
	derive->rows = g_array_new(FALSE, FALSE, sizeof(struct row));
	return derive;
}

void derive_free(struct derive *derive)
{
	if (!derive)
		return;
	if (derive->type->state_free)
		derive->type->state_free(derive->state);
	g_array_free(derive->rows, TRUE);
	idmap_fini(&derive->by_key);
	g_free(derive);
}

void *derive_state(const struct derive *derive)
{
	return derive->state;
}

static int derive_event(void *self, struct trace *trace, const struct trace_event *at)
{
	struct derive *derive = self;

	derive->type->event(derive, trace, at);
	return 0;
}

struct trace_pass derive_pass(struct derive *derive)
{
	return (struct trace_pass){ .event = derive_event, .self = derive };
}

void derive_add(struct derive *derive, uint32_t process, uint32_t stack, uint64_t bytes,
	const int64_t *values)
{
	uint64_t key = (uint64_t)process << 32 | stack;
	uint32_t index = idmap_get(&derive->by_key, key, bytes);

	if (index == IDMAP_NONE) {
		struct row row = { .bytes = bytes, .process = process, .stack = stack };
		index = derive->rows->len;
		g_array_append_val(derive->rows, row);
		idmap_set(&derive->by_key, key, bytes, index);
	}
	struct row *row = &g_array_index(derive->rows, struct row, index);
	for (size_t i = 0; i < derive->type->n_types; i++)
		row->values[i] += values[i];
}

/* The process with the largest sum of the last value: its program stands first in the profile. */
static uint32_t main_process(const struct derive *derive, const struct trace *trace)
{
	g_autofree double *sums = g_new0(double, trace->processes->len + 1);
	uint32_t best = 0;

	for (guint i = 0; i < derive->rows->len; i++) {
		const struct row *row = &g_array_index(derive->rows, struct row, i);
		sums[row->process] += (double)row->values[derive->type->n_types - 1];
	}
	for (guint i = 0; i < trace->processes->len; i++)
		if (sums[i] > sums[best])
			best = i;
	return best;
}

static int is_many_processes(const struct derive *derive)
{
	for (guint i = 1; i < derive->rows->len; i++)
		if (g_array_index(derive->rows, struct row, i).process !=
			g_array_index(derive->rows, struct row, 0).process)
			return 1;
	return 0;
}

static int row_compare(const void *a_, const void *b_)
{
	const struct row *a = a_, *b = b_;

	if (a->process != b->process)
		return a->process < b->process ? -1 : 1;
	if (a->stack != b->stack)
		return a->stack < b->stack ? -1 : 1;
	return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

struct profile *derive_profile(struct derive *derive, struct trace *trace)
{
	const struct derivation *type = derive->type;
	g_autoptr(GArray) locations = g_array_new(FALSE, FALSE, sizeof(uint64_t));

	if (type->finish)
		type->finish(derive, trace);
	struct profile *profile = profile_new(type->types, type->n_types, type->period_type,
		type->period ? type->period(derive, trace) : 1);
	/* A derived profile is no window of sampling, so it has a time but no duration. */
	if (trace->report.has_clock && trace->begin_ns)
		profile_set_time(
			profile, (int64_t)trace->begin_ns + trace->report.wall_offset_ns, 0);
	if (trace->processes->len == 0)
		return profile;
	int is_many = is_many_processes(derive);
	struct profile_trace *places =
		profile_trace_new(profile, trace, main_process(derive, trace));
	if (derive->rows->len)
		qsort(derive->rows->data, derive->rows->len, sizeof(struct row), row_compare);
	for (guint i = 0; i < derive->rows->len; i++) {
		const struct row *row = &g_array_index(derive->rows, struct row, i);
		struct profile_label labels[2];
		size_t n_labels = 0;
		if (row->bytes)
			labels[n_labels++] =
				(struct profile_label){ "bytes", NULL, (int64_t)row->bytes };
		/* A number, so that -tagfocus=pid=123 works; 0, unknown, would vanish. */
		if (is_many && trace_process(trace, row->process)->pid)
			labels[n_labels++] = (struct profile_label){ "pid", NULL,
				trace_process(trace, row->process)->pid };
		profile_trace_stack(places, row->stack, locations);
		profile_add_sample(profile, (const uint64_t *)locations->data, locations->len,
			row->values, labels, n_labels);
	}
	profile_trace_free(places);
	return profile;
}
