/* SPDX-License-Identifier: MIT */
/* The table of derivations, and what they share: rows keyed by process, stack and object size. */
#include "viewer/derive.h"

#include <stdlib.h>
#include <string.h>

#include "viewer/label_set.h"
#include "viewer/profile_trace.h"

#define MAX_LABELS 16

const struct derivation *const derivations[] = {
	&derive_sync,
	&derive_block,
	&derive_mutex,
	&derive_waker,
	&derive_lock,
	&derive_syscall,
	&derive_net,
	&derive_sched,
	&derive_offcpu,
	&derive_wall,
	&derive_cpu,
	&derive_alloc,
	&derive_allocs,
	&derive_heap,
	NULL,
};

struct row {
	struct derive_key key;
	int64_t values[PROFILE_MAX_VALUES];
};

struct derive {
	const struct derivation *type;
	struct filter *filter; /* borrowed; NULL: everything */
	void *state;	       /* owned, by the derivation's rules */
	GArray *rows;	       /* struct row */
	struct idmap by_key;
	GPtrArray *notes; /* owned char * */
	int is_finished;
};

const struct derivation *derive_find(const char *name)
{
	for (size_t i = 0; derivations[i]; i++)
		if (g_str_equal(derivations[i]->name, name) ||
			(derivations[i]->alias && g_str_equal(derivations[i]->alias, name)))
			return derivations[i];
	return NULL;
}

struct derive *derive_new(const struct derivation *type, struct filter *filter)
{
	struct derive *derive = g_new0(struct derive, 1);

	derive->type = type;
	derive->filter = filter_is_all(filter) ? NULL : filter;
	derive->state = type->state_new ? type->state_new() : NULL;
	derive->rows = g_array_new(FALSE, FALSE, sizeof(struct row));
	derive->notes = g_ptr_array_new_with_free_func(g_free);
	return derive;
}

void derive_free(struct derive *derive)
{
	if (!derive)
		return;
	if (derive->type->state_free)
		derive->type->state_free(derive->state);
	g_array_free(derive->rows, TRUE);
	g_ptr_array_free(derive->notes, TRUE);
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
	return (struct trace_pass){
		.event = derive_event, .self = derive, .is_unclipped = derive->type->is_unclipped
	};
}

void derive_add(struct derive *derive, const struct derive_key *key, const int64_t *values)
{
	uint64_t a = (uint64_t)key->process << 32 | key->stack;
	/* No allocation has 2^61 bytes. */
	uint64_t b =
		(uint64_t)key->set << 62 | (key->labels ? UINT64_C(1) << 61 | key->labels
							: key->bytes & ((UINT64_C(1) << 61) - 1));
	uint32_t index = idmap_get(&derive->by_key, a, b);

	if (index == IDMAP_NONE) {
		struct row row = { .key = *key };
		index = derive->rows->len;
		g_array_append_val(derive->rows, row);
		idmap_set(&derive->by_key, a, b, index);
	}
	struct row *row = &g_array_index(derive->rows, struct row, index);
	for (size_t i = 0; i < derive->type->n_types; i++)
		row->values[i] += values[i];
}

int derive_has_set(const struct derive *derive, uint32_t set)
{
	for (guint i = 0; i < derive->rows->len; i++)
		if (g_array_index(derive->rows, struct row, i).key.set == set)
			return 1;
	return 0;
}

void derive_keep_set(struct derive *derive, uint32_t set)
{
	guint to = 0;

	for (guint i = 0; i < derive->rows->len; i++) {
		const struct row *row = &g_array_index(derive->rows, struct row, i);
		if (row->key.set == set)
			g_array_index(derive->rows, struct row, to++) = *row;
	}
	g_array_set_size(derive->rows, to);
	idmap_fini(&derive->by_key); /* its indices are void now */
	for (guint i = 0; i < derive->rows->len; i++)
		g_array_index(derive->rows, struct row, i).key.set = 0;
}

void derive_note(struct derive *derive, struct trace *trace, const char *sentence)
{
	g_ptr_array_add(derive->notes, g_strdup(sentence));
	g_ptr_array_add(trace->notes, g_strdup(sentence));
}

uint64_t derive_dur(struct derive *derive, const struct trace *trace, const struct trace_event *at)
{
	if (at->is_outside)
		return 0;
	if (!derive->filter)
		return at->dur_ns;
	return filter_overlap(
		derive->filter, trace, at->thread, at->begin_ns, at->begin_ns + at->dur_ns);
}

int derive_moment(struct derive *derive, const struct trace *trace, const struct trace_event *at,
	const char *labels)
{
	return !at->is_outside &&
	       filter_moment(derive->filter, trace, at->thread, at->event->time_ns, labels);
}

int derive_live(struct derive *derive, const struct trace *trace, uint32_t thread, uint64_t time_ns)
{
	if (trace->is_narrowed && time_ns > trace->end_ns)
		return 0;
	if (!derive->filter)
		return 1;
	return thread != THREAD_NONE && filter_moment(derive->filter, trace, thread, time_ns, NULL);
}

uint64_t derive_presence(struct derive *derive, const struct trace *trace, uint32_t thread)
{
	uint64_t begin, end;

	if (!trace_thread_is_traced(trace, thread))
		return 0;
	runs_presence(trace, thread, &begin, &end);
	return filter_overlap(derive->filter, trace, thread, begin, end);
}

void derive_off(struct derive *derive, const struct trace *trace, uint32_t thread,
	const struct run_off *off, int64_t *blocked_out, int64_t *runnable_out)
{
	const struct filter_span *spans;
	uint64_t begin, end;
	size_t n;

	*blocked_out = *runnable_out = 0;
	if (!trace_thread_is_traced(trace, thread) || !filter_thread(derive->filter, trace, thread))
		return;
	runs_presence(trace, thread, &begin, &end);
	if (!end)
		end = UINT64_MAX;
	spans = filter_spans(derive->filter, thread, 1, &n);
	if (!spans) {
		run_off_add(off, begin, end, blocked_out, runnable_out);
		return;
	}
	for (size_t i = 0; i < n && spans[i].begin_ns < off->end_ns; i++)
		if (spans[i].end_ns > off->begin_ns)
			run_off_add(off, MAX(begin, spans[i].begin_ns), MIN(end, spans[i].end_ns),
				blocked_out, runnable_out);
}

/* The process with the largest sum of the last value: its program stands first in the profile. */
static uint32_t main_process(const struct derive *derive, const struct trace *trace)
{
	g_autofree double *sums = g_new0(double, trace->processes->len + 1);
	uint32_t best = 0;

	for (guint i = 0; i < derive->rows->len; i++) {
		const struct row *row = &g_array_index(derive->rows, struct row, i);
		sums[row->key.process] += (double)row->values[derive->type->n_types - 1];
	}
	for (guint i = 0; i < trace->processes->len; i++)
		if (sums[i] > sums[best])
			best = i;
	return best;
}

static int is_many_processes(const struct derive *derive)
{
	for (guint i = 1; i < derive->rows->len; i++)
		if (g_array_index(derive->rows, struct row, i).key.process !=
			g_array_index(derive->rows, struct row, 0).key.process)
			return 1;
	return 0;
}

static int row_compare(const void *a_, const void *b_)
{
	const struct row *a = a_, *b = b_;

	if (a->key.process != b->key.process)
		return a->key.process < b->key.process ? -1 : 1;
	if (a->key.stack != b->key.stack)
		return a->key.stack < b->key.stack ? -1 : 1;
	if (a->key.labels != b->key.labels)
		return a->key.labels < b->key.labels ? -1 : 1;
	return a->key.bytes < b->key.bytes ? -1 : a->key.bytes > b->key.bytes;
}

/* Adds one row. Labels that the program made may be called as ours are; readers then show both values. */
static void add_row(struct profile *profile, struct profile_trace *places,
	const struct trace *trace, const struct row *row, int is_many, GArray *locations)
{
	g_autoptr(GArray) labels = g_array_new(FALSE, FALSE, sizeof(struct profile_label));
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) key = g_string_new(NULL);
	g_autoptr(GString) value = g_string_new(NULL);
	const char *set = strings_get(trace->strings, row->key.labels);
	uint32_t pid = trace_process(trace, row->key.process)->pid;

	while ((set = label_set_next(set, key, value)) && labels->len < MAX_LABELS) {
		struct profile_label label = { g_strdup(key->str), g_strdup(value->str), 0 };
		g_ptr_array_add(texts, (gpointer)label.key);
		g_ptr_array_add(texts, (gpointer)label.text);
		g_array_append_val(labels, label);
	}
	if (row->key.bytes) {
		struct profile_label label = { "bytes", NULL, (int64_t)row->key.bytes };
		g_array_append_val(labels, label);
	}
	/* A number, so that -tagfocus=pid=123 works; 0, unknown, would vanish. */
	if (is_many && pid) {
		struct profile_label label = { "pid", NULL, pid };
		g_array_append_val(labels, label);
	}
	profile_trace_stack(places, row->key.stack, locations);
	profile_add_sample(profile, (const uint64_t *)(const void *)locations->data, locations->len,
		row->values, (const struct profile_label *)(void *)labels->data, labels->len);
}

char *derive_finish(struct derive *derive, struct trace *trace)
{
	derive->is_finished = 1;
	if (derive->type->finish)
		derive->type->finish(derive, trace);
	return derive->type->refuse ? derive->type->refuse(derive, trace) : NULL;
}

static int row_is_zero(const struct row *row)
{
	for (size_t i = 0; i < PROFILE_MAX_VALUES; i++)
		if (row->values[i])
			return 0;
	return 1;
}

struct profile *derive_profile(struct derive *derive, struct trace *trace)
{
	const struct derivation *type = derive->type;
	g_autoptr(GArray) locations = g_array_new(FALSE, FALSE, sizeof(uint64_t));

	g_assert(derive->is_finished);
	struct profile *profile = profile_new(type->types, type->n_types, type->period_type,
		type->period ? type->period(derive, trace) : 1);
	/* What is derived from events is no window of sampling: it has a time but no duration. */
	if (trace->report.has_clock && trace->begin_ns)
		profile_set_time(profile, (int64_t)trace->begin_ns + trace->report.wall_offset_ns,
			type->is_window ? (int64_t)(trace->end_ns - trace->begin_ns) : 0);
	if (type->default_type)
		profile_set_default_type(profile, type->default_type);
	for (guint i = 0; i < derive->notes->len; i++)
		profile_add_comment(profile, derive->notes->pdata[i]);
	if (trace->processes->len == 0)
		return profile;
	int is_many = is_many_processes(derive);
	struct profile_trace *places =
		profile_trace_new(profile, trace, main_process(derive, trace));
	if (derive->rows->len)
		qsort(derive->rows->data, derive->rows->len, sizeof(struct row), row_compare);
	for (guint i = 0; i < derive->rows->len; i++) {
		const struct row *row = &g_array_index(derive->rows, struct row, i);
		if (!row_is_zero(row))
			add_row(profile, places, trace, row, is_many, locations);
	}
	profile_trace_free(places);
	return profile;
}
