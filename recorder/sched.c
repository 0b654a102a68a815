/* SPDX-License-Identifier: MIT */
/*
 * The ladder is climbed once, when the program's process exists and waits: BPF, else records of switches, else schedstat alone.
 * One thread then empties the rings and looks at the threads. schedstat is looked at on every step, since CPU
 * totals come from it, and it tells whether records are missing.
 */
#include "recorder/sched_internal.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "proto/control.h"
#include "recorder/procfs.h"

#define DRAIN_NS 50000000ull
#define LOOK_NS 1000000000ull
#define DELAY_NS 50000 /* fr_control.delay_ns where no records are taken */

enum fr_sched_step sched_step(const struct sched *sched)
{
	if (sched->is_resting)
		return FR_SCHED_SCHEDSTAT;
	return sched->best;
}

/* Tells the tracer whether it has to look for itself. */
static void set_delay(struct sched *sched)
{
	uint64_t ns = sched_step(sched) == FR_SCHED_SCHEDSTAT ? DELAY_NS : 0;

	if (sched->set.control)
		__atomic_store_n(&sched->set.control->delay_ns, ns, __ATOMIC_RELAXED);
}

void sched_drain(struct sched *sched)
{
}

void sched_look(struct sched *sched)
{
	uint64_t now = procfs_now(), n_slices;
	double seconds;

	if (!sched->times)
		return;
	n_slices = sched_times_look(sched->times);
	seconds = (double)(now - sched->looked_ns) / 1e9;
	/* Looks for somebody's sake come at any time; a short while tells no rate. */
	if (seconds >= 0.5) {
		sched->switches_per_s = (double)n_slices / seconds;
		sched->looked_ns = now;
	}
}

static void *thread_main(void *arg)
{
	struct sched *sched = arg;
	uint64_t look_ns = 0;

	pthread_setname_np(pthread_self(), "sched");
	pthread_mutex_lock(&sched->mutex);
	while (!sched->is_quitting) {
		uint64_t now = procfs_now(), next;
		struct timespec ts;

		sched_drain(sched);
		if (now >= look_ns) {
			sched_look(sched);
			look_ns = now + LOOK_NS;
		}
		next = sched->history && !sched->is_resting ? now + DRAIN_NS : look_ns;
		ts.tv_sec = (time_t)(next / 1000000000u);
		ts.tv_nsec = (long)(next % 1000000000u);
		pthread_cond_timedwait(&sched->changed, &sched->mutex, &ts);
	}
	pthread_mutex_unlock(&sched->mutex);
	return NULL;
}

struct sched *sched_new(const struct sched_settings *settings)
{
	struct sched *sched = g_new0(struct sched, 1);
	pthread_condattr_t attr;

	sched->set = *settings;
	pthread_mutex_init(&sched->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sched->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (settings->choice == SCHED_OFF || !settings->rundir)
		return sched;
	sched->best = FR_SCHED_SCHEDSTAT;
	sched->times = sched_times_new(settings->rundir);
	sched->looked_ns = procfs_now();
	set_delay(sched);
	sched->has_thread = pthread_create(&sched->thread, NULL, thread_main, sched) == 0;
	if (!sched->has_thread)
		log_error("Cannot start a thread for what the scheduler does: it is not recorded");
	return sched;
}

void sched_free(struct sched *sched)
{
	if (!sched)
		return;
	pthread_mutex_lock(&sched->mutex);
	sched->is_quitting = true;
	pthread_cond_broadcast(&sched->changed);
	pthread_mutex_unlock(&sched->mutex);
	if (sched->has_thread)
		pthread_join(sched->thread, NULL);
	sched_history_free(sched->history);
	sched_times_free(sched->times);
	pthread_mutex_destroy(&sched->mutex);
	pthread_cond_destroy(&sched->changed);
	g_free(sched->why_bpf);
	g_free(sched->why_switch);
	g_free(sched);
}

void sched_program_forked(struct sched *sched, pid_t pid)
{
	if (!sched)
		return;
	pthread_mutex_lock(&sched->mutex);
	pthread_mutex_unlock(&sched->mutex);
}

uint64_t sched_hold(struct sched *sched)
{
	uint64_t now;

	if (!sched)
		return procfs_now();
	pthread_mutex_lock(&sched->mutex);
	sched->n_holds++;
	sched_look(sched);
	now = procfs_now();
	pthread_mutex_unlock(&sched->mutex);
	return now;
}

void sched_release(struct sched *sched)
{
	if (!sched)
		return;
	pthread_mutex_lock(&sched->mutex);
	sched->n_holds--;
	pthread_mutex_unlock(&sched->mutex);
}

void sched_status(struct sched *sched, struct sched_status *status)
{
	struct sched_history_state state = { 0 };
	uint64_t now = procfs_now();

	*status = (struct sched_status){ .step = FR_SCHED_NONE };
	if (!sched)
		return;
	pthread_mutex_lock(&sched->mutex);
	if (sched->history)
		sched_history_state(sched->history, &state);
	status->step = sched_step(sched);
	status->is_held = sched->n_holds > 0;
	status->n_switches = sched->n_switches;
	status->n_wakeups = sched->n_wakeups;
	status->n_lost = state.n_lost;
	status->n_dropped = state.n_dropped;
	status->history_bytes = state.memory_bytes;
	status->spool_bytes = state.spool_bytes;
	if (state.covered_ns && !sched->is_resting && now > state.covered_ns)
		status->history_ns = now - state.covered_ns;
	status->switches_per_s = sched->switches_per_s;
	pthread_mutex_unlock(&sched->mutex);
}

struct cpu_times *sched_times_at(struct sched *sched, uint64_t ns)
{
	struct cpu_times *times = NULL;

	if (!sched)
		return NULL;
	pthread_mutex_lock(&sched->mutex);
	if (sched->times)
		times = sched_times_between(sched->times, ns);
	pthread_mutex_unlock(&sched->mutex);
	return times;
}
