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

	pass.event(pass.self, trace, at);
}

static void alloc_finish(struct derive *derive, struct trace *trace)
{
	struct allocs *allocs = derive_state(derive);

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
		derive_add(derive, site->process, site->stack, site->size, values);
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
