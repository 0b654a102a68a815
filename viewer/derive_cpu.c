/* SPDX-License-Identifier: MIT */
/* Profile `cpu`: the samples that are taken all the time, with the labels that threads had. */
#include "viewer/derive.h"

static void cpu_event(struct derive *derive, struct trace *trace, const struct trace_event *at)
{
	const struct event *event = at->event;
	struct derive_key key = { .process = at->process };
	int64_t values[] = { 1, 0 };

	if (event->kind != EVENT_CPU || !derive_moment(derive, trace, at, event->cpu.labels))
		return;
	key.stack = trace_stack(trace, at->process, event->stack);
	key.labels = strings_add(trace->strings, event->cpu.labels);
	values[1] = (int64_t)MIN(event->cpu.weight, INT64_MAX / 1024);
	derive_add(derive, &key, values);
}

static uint64_t sample_hz(const struct trace *trace)
{
	const char *text = trace_receipt(trace, "samples.hz");

	return text ? g_ascii_strtoull(text, NULL, 10) : 0;
}

static char *cpu_refuse(const struct derive *derive, const struct trace *trace)
{
	if (sample_hz(trace) || derive_has_set(derive, 0))
		return NULL;
	return g_strdup("there is no cpu profile: the trace has no CPU samples; record it with "
			"--cpu-always=HZ, which is on unless switched off");
}

static int64_t cpu_period(const struct derive *derive, const struct trace *trace)
{
	uint64_t hz = sample_hz(trace);

	(void)derive;
	return hz ? (int64_t)(1000000000 / MIN(hz, 1000000000)) : 1;
}

const struct derivation derive_cpu = {
	.name = "cpu",
	.alias = "profile",
	.about = "CPU time, from the samples that are always taken",
	.types = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "cpu", "nanoseconds" },
	.is_window = 1,
	.event = cpu_event,
	.refuse = cpu_refuse,
	.period = cpu_period,
};
