/* SPDX-License-Identifier: MIT */
/* The sentence in every status, trace and page: the step in use, and what keeps a higher one from being used. */
#include "recorder/sched_internal.h"

const char *sched_step_name(enum fr_sched_step step)
{
	static const char *const names[] = {
#define FR_X(id, name) [id] = name,
		FR_SCHED_TABLE(FR_X)
#undef FR_X
	};

	return names[step];
}

char *sched_describe(struct sched *sched)
{
	char *text;

	if (!sched || !sched->set.rundir)
		return g_strdup("none: nothing is traced");
	if (sched->set.choice == SCHED_OFF)
		return g_strdup("none: it is switched off (--sched, --events)");
	pthread_mutex_lock(&sched->mutex);
	text = g_strdup(
		"schedstat: CPU time, waits to run and switches of each thread are counted, "
		"and waits of 50us or more say how long they were ready to run");
	pthread_mutex_unlock(&sched->mutex);
	return text;
}
