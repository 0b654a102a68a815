/* SPDX-License-Identifier: MIT */
/* The sentence in every status, trace and page: the step in use, and what keeps a higher one from being used. */
#include "recorder/sched_internal.h"

#include <unistd.h>

const char *sched_step_name(enum fr_sched_step step)
{
	static const char *const names[] = {
#define FR_X(id, name) [id] = name,
		FR_SCHED_TABLE(FR_X)
#undef FR_X
	};

	return names[step];
}

static void add_why(GString *text, const char *before, const char *why)
{
	if (why)
		g_string_append_printf(text, "%s%s", before, why);
}

static void describe_bpf(GString *text)
{
	g_string_append(
		text, "bpf: every switch and every wake-up is recorded, with who woke whom");
}

static void describe_switch(GString *text, const struct sched *sched)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_CONF);

	g_string_append(text, "switch: every switch is recorded; who woke whom is known inside the "
			      "program only");
	add_why(text, ", since ", sched->why_bpf);
	add_why(text, "; ", sched->small);
	if (sched->n_missed)
		g_string_append_printf(text,
			"; %u threads have no records, since there are too few file descriptors: "
			"raise the limit (ulimit -Hn)",
			sched->n_missed);
	if (n_cpus > SCHED_MANY_CPUS)
		g_string_append_printf(text,
			"; with %ld CPUs it makes the start of a thread %ld us longer, which "
			"--sched=schedstat avoids",
			n_cpus, 5 + n_cpus * 13 / 10);
}

/* Records could be had, and are not. */
static void describe_rest(GString *text, const struct sched *sched)
{
	const char *step = sched_step_name(sched->best);

	if (sched->why_attach) {
		g_string_append_printf(text, "; records (%s) could not be taken up again, since %s",
			step, sched->why_attach);
		return;
	}
	g_string_append_printf(text,
		"; records of every switch (%s) would cost %.1f %% of a core at %.0f switches a "
		"second, more than the 1 %% that the flight recorder may: they are taken during "
		"runs and traces only",
		step, sched->switches_per_s * sched_switch_cost(sched) / 1e7,
		sched->switches_per_s);
}

static void describe_schedstat(GString *text, const struct sched *sched)
{
	g_string_append(text, "schedstat: CPU time, waits to run and switches of each thread are "
			      "counted, and waits of 50us or more tell how long they were ready");
	if (sched->is_resting)
		describe_rest(text, sched);
	else if (sched->why_switch)
		add_why(text, "; switches are not recorded, since ", sched->why_switch);
	else if (sched->set.choice == SCHED_SCHEDSTAT)
		g_string_append(text, "; switches are not recorded, as --sched says");
}

char *sched_describe(struct sched *sched)
{
	GString *text;

	if (!sched || !sched->set.rundir)
		return g_strdup("none: nothing is traced");
	if (sched->set.choice == SCHED_OFF)
		return g_strdup("none: it is switched off (--sched, --events)");
	text = g_string_new(NULL);
	pthread_mutex_lock(&sched->mutex);
	switch (sched_step(sched)) {
	case FR_SCHED_BPF:
		describe_bpf(text);
		break;
	case FR_SCHED_SWITCH:
		describe_switch(text, sched);
		break;
	default:
		describe_schedstat(text, sched);
	}
	pthread_mutex_unlock(&sched->mutex);
	return g_string_free(text, FALSE);
}
