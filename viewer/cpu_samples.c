/* SPDX-License-Identifier: MIT */
#include "viewer/cpu_samples.h"

void cpu_samples_init(struct cpu_samples *samples)
{
	*samples = (struct cpu_samples){ 0 };
	samples->sites = g_array_new(FALSE, FALSE, sizeof(struct cpu_site));
}

void cpu_samples_fini(struct cpu_samples *samples)
{
	if (samples->sites)
		g_array_free(samples->sites, TRUE);
	idmap_fini(&samples->by_site);
	*samples = (struct cpu_samples){ 0 };
}

static int cpu_samples_event(void *self, struct trace *trace, const struct trace_event *at)
{
	struct cpu_samples *samples = self;

	if (at->event->kind != EVENT_CPU)
		return 0;
	uint64_t ns = MIN(at->event->cpu.weight, (uint64_t)INT64_MAX / 1024);
	uint32_t site =
		stacks_site(&trace->stacks, trace_stack(trace, at->process, at->event->stack));
	uint32_t index = idmap_get(&samples->by_site, site, 0);
	if (index == IDMAP_NONE) {
		struct cpu_site new = { .site = site };
		index = samples->sites->len;
		g_array_append_val(samples->sites, new);
		idmap_set(&samples->by_site, site, 0, index);
	}
	struct cpu_site *to = &g_array_index(samples->sites, struct cpu_site, index);
	to->n++;
	to->ns += ns;
	samples->n++;
	samples->ns += ns;
	return 0;
}

struct trace_pass cpu_samples_pass(struct cpu_samples *samples)
{
	return (struct trace_pass){
		.event = cpu_samples_event, .self = samples, .kinds = TRACE_KIND(EVENT_CPU)
	};
}
