/* SPDX-License-Identifier: MIT */
/* Profile `cpu`: the samples that are taken all the time, with the labels that threads had. */
#include "viewer/derive.h"

struct cpu {
	uint64_t hz;
	int is_hz_known;
};

static void *cpu_new(void)
{
	return g_new0(struct cpu, 1);
}

/* Rate of the samples; 0: the trace does not say. */
static uint64_t cpu_hz(const struct derive *derive, const struct trace *trace)
{
	struct cpu *cpu = derive_state(derive);

	if (!cpu->is_hz_known) {
		const char *text = trace_receipt(trace, "samples.hz");
		cpu->hz = text ? MIN(g_ascii_strtoull(text, NULL, 10), 1000000000) : 0;
		cpu->is_hz_known = 1;
	}
	return cpu->hz;
}

static int64_t cpu_period(const struct derive *derive, const struct trace *trace)
{
	uint64_t hz = cpu_hz(derive, trace);

	return hz ? (int64_t)(1000000000 / hz) : 1;
}

/* A signal that came late stands for several ticks, which its weight says. */
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
	if (cpu_hz(derive, trace)) {
		int64_t period = cpu_period(derive, trace);
		values[0] = MAX((values[1] + period / 2) / period, 1);
	}
	derive_add(derive, &key, values);
}

static char *cpu_refuse(const struct derive *derive, const struct trace *trace)
{
	if (cpu_hz(derive, trace) || derive_has_set(derive, 0))
		return NULL;
	return g_strdup("there is no cpu profile: the trace has no CPU samples; record it with "
			"--cpu-always=HZ, which is on unless switched off");
}

const struct derivation derive_cpu = {
	.name = "cpu",
	.alias = "profile",
	.about = "CPU time, from the samples that are always taken",
	.types = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.n_types = 2,
	.period_type = { "cpu", "nanoseconds" },
	.is_window = 1,
	.state_new = cpu_new,
	.state_free = g_free,
	.event = cpu_event,
	.refuse = cpu_refuse,
	.period = cpu_period,
};
