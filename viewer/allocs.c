/* SPDX-License-Identifier: MIT */
/* Samples arrive with the address of their object, so memory grows with the sampled objects alive. */
#include "viewer/allocs.h"

#include <math.h>

void allocs_init(struct allocs *allocs)
{
	*allocs = (struct allocs){ 0 };
	allocs->sites = g_array_new(FALSE, FALSE, sizeof(struct alloc_site));
}

void allocs_fini(struct allocs *allocs)
{
	if (allocs->sites)
		g_array_free(allocs->sites, TRUE);
	idmap_fini(&allocs->by_site);
	idmap_fini(&allocs->open);
	*allocs = (struct allocs){ 0 };
}

double alloc_scale(uint64_t size, uint64_t rate)
{
	if (rate <= 1 || size == 0)
		return 1;
	return 1 / (1 - exp(-(double)size / (double)rate));
}

/* Small number for a rate. Rates change only by hand: the last slot is shared by all beyond the table. */
static uint64_t rate_index(struct allocs *allocs, uint64_t rate)
{
	uint32_t i = 0;

	while (i < allocs->n_rates && allocs->rates[i] != rate)
		i++;
	if (i == ALLOC_MAX_RATES)
		return ALLOC_MAX_RATES - 1;
	if (i == allocs->n_rates)
		allocs->rates[allocs->n_rates++] = rate;
	return i;
}

static uint32_t find_site(
	struct allocs *allocs, uint32_t process, uint32_t stack, uint64_t size, uint64_t rate)
{
	uint64_t key = rate_index(allocs, rate) << 56 | (uint64_t)process << 32 | stack;
	uint32_t index = idmap_get(&allocs->by_site, key, size);

	if (index == IDMAP_NONE) {
		struct alloc_site site = {
			.size = size, .rate = rate, .process = process, .stack = stack
		};
		index = allocs->sites->len;
		g_array_append_val(allocs->sites, site);
		idmap_set(&allocs->by_site, key, size, index);
	}
	return index;
}

static int allocs_event(void *self, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	struct allocs *allocs = self;

	if (event->kind == EVENT_SAMPLE) {
		uint32_t site = find_site(allocs, at->process,
			trace_stack(trace, at->process, event->stack), event->sample.size,
			event->sample.rate);
		g_array_index(allocs->sites, struct alloc_site, site).n_alloc++;
		idmap_set(&allocs->open, at->process, event->sample.addr, site);
		allocs->last_rate = event->sample.rate;
		allocs->n_samples++;
	} else if (event->kind == EVENT_FREE) {
		idmap_remove(&allocs->open, at->process, event->free.addr);
		allocs->n_frees++;
	}
	return 0;
}

struct trace_pass allocs_pass(struct allocs *allocs)
{
	return (struct trace_pass){
		.event = allocs_event,
		.self = allocs,
		.kinds = TRACE_KIND(EVENT_SAMPLE) | TRACE_KIND(EVENT_FREE),
	};
}

/* Rate of objects sampled before the window: what the window shows, else the setting, else the default. */
static uint64_t old_rate(const struct allocs *allocs, const struct trace *trace)
{
	const char *set = trace_env(trace, "settings.alloc_rate");

	if (allocs->last_rate)
		return allocs->last_rate;
	return set ? g_ascii_strtoull(set, NULL, 10) : ALLOC_RATE_DEFAULT;
}

void allocs_finish(struct allocs *allocs, struct trace *trace)
{
	uint64_t rate = old_rate(allocs, trace);

	for (guint i = 0; i < trace->lives->len; i++) {
		const struct live *live = &g_array_index(trace->lives, struct live, i);
		uint32_t site = idmap_get(&allocs->open, live->process, live->addr);
		if (site == IDMAP_NONE)
			site = find_site(allocs, live->process, live->stack, live->size, rate);
		else
			idmap_remove(&allocs->open, live->process, live->addr);
		g_array_index(allocs->sites, struct alloc_site, site).n_in_use++;
	}
	for (uint32_t i = 0; i < allocs->open.size; i++) {
		const struct idmap_entry *entry = &allocs->open.entries[i];
		if (!entry->used)
			continue;
		const struct process *process = trace_process(trace, (uint32_t)entry->a);
		if (!process->is_defined || process->n_live_overflow)
			g_array_index(allocs->sites, struct alloc_site, entry->value).n_in_use++;
	}
}
