/* SPDX-License-Identifier: MIT */
/*
 * Profile `alloc`: sampled allocations within the window, and what was in use at its end, scaled to all
 * allocations. Sizes are those requested.
 */
#include "viewer/derive.h"

#include "viewer/allocs.h"

static void *alloc_new(void)
{
	struct allocs *allocs = g_new0(struct allocs, 1);

	allocs_init(allocs);
	return allocs;
}

static void alloc_free(void *state)
{
	allocs_fini(state);
	g_free(state);
}

static void alloc_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	struct trace_pass pass = allocs_pass(derive_state(derive));

	/* Frees are followed whoever makes them, so that what is unwanted does not live for ever. */
	if (at->event->kind == EVENT_FREE || derive_moment(derive, trace, at, NULL))
		pass.event(pass.self, trace, at);
}

/* The living of unwanted threads are forgotten; who allocated before the window keeps its thread, not its region. */
static void keep_wanted(struct derive *derive, struct trace *trace)
{
	guint to = 0;

	for (guint i = 0; i < trace->lives->len; i++) {
		struct live *live = &g_array_index(trace->lives, struct live, i);
		uint32_t thread = trace_find_thread(trace, live->process, live->tid, live->time_ns);
		if (derive_live(derive, trace, thread, live->time_ns))
			g_array_index(trace->lives, struct live, to++) = *live;
	}
	g_array_set_size(trace->lives, to);
}

static void alloc_finish(struct derive *derive, struct trace *trace)
{
	struct allocs *allocs = derive_state(derive);

	keep_wanted(derive, trace);
	allocs_finish(allocs, trace);
	for (guint i = 0; i < allocs->sites->len; i++) {
		const struct alloc_site *site = &g_array_index(allocs->sites, struct alloc_site, i);
		double scale = alloc_scale(site->size, site->rate);
		double n_alloc = (double)site->n_alloc, n_in_use = (double)site->n_in_use;
		const int64_t values[] = {
			(int64_t)(n_alloc * scale),
			(int64_t)(n_alloc * (double)site->size * scale),
			(int64_t)(n_in_use * scale),
			(int64_t)(n_in_use * (double)site->size * scale),
		};
		const struct derive_key key = {
			.process = site->process, .stack = site->stack, .bytes = site->size
		};
		derive_add(derive, &key, values);
	}
}

static int64_t alloc_period(const struct derive *derive, const struct trace *trace)
{
	const struct allocs *allocs = derive_state(derive);
	const char *set = trace_env(trace, "settings.alloc_rate");

	if (allocs->last_rate)
		return (int64_t)allocs->last_rate;
	return set ? (int64_t)g_ascii_strtoull(set, NULL, 10) : ALLOC_RATE_DEFAULT;
}

#define SPACE                                                             \
	{                                                                 \
		{ "alloc_objects", "count" }, { "alloc_space", "bytes" }, \
			{ "inuse_objects", "count" },                     \
		{                                                         \
			"inuse_space", "bytes"                            \
		}                                                         \
	}

const struct derivation derive_heap = {
	.name = "heap",
	.about = "the same, in the form of the program's own heap profile",
	.types = SPACE,
	.n_types = 4,
	.period_type = { "space", "bytes" },
	.state_new = alloc_new,
	.state_free = alloc_free,
	.event = alloc_event,
	.finish = alloc_finish,
	.period = alloc_period,
};

const struct derivation derive_allocs = {
	.name = "allocs",
	.about = "the same, in the form of the program's own allocs profile",
	.types = SPACE,
	.n_types = 4,
	.default_type = "alloc_space",
	.period_type = { "space", "bytes" },
	.state_new = alloc_new,
	.state_free = alloc_free,
	.event = alloc_event,
	.finish = alloc_finish,
	.period = alloc_period,
};

const struct derivation derive_alloc = {
	.name = "alloc",
	.about = "memory allocated in the window and in use at its end, from samples",
	.types = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },
		{ "inuse_objects", "count" }, { "inuse_space", "bytes" } },
	.n_types = 4,
	.period_type = { "space", "bytes" },
	.state_new = alloc_new,
	.state_free = alloc_free,
	.event = alloc_event,
	.finish = alloc_finish,
	.period = alloc_period,
};
