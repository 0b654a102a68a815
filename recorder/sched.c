/* SPDX-License-Identifier: MIT */
/*
 * The ladder is climbed once, when the program's process exists and waits: BPF, else records of switches, else schedstat alone.
 * One thread then empties the rings and looks at the threads. schedstat is looked at on every step, since CPU
 * totals come from it, and it tells whether records are missing.
 */
#include "recorder/sched_internal.h"

#include <errno.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "proto/control.h"
#include "recorder/procfs.h"
#include "recorder/sched_bpf.h"
#include "recorder/sched_refusal.h"
#include "recorder/sched_switch.h"

#define DRAIN_NS 25000000ull
#define MIN_DRAIN_NS 4000000ull
#define BUSY_SHARE 0.2
#define LOOK_NS 1000000000ull
#define DELAY_NS 50000 /* fr_control.delay_ns where no records are taken */

/* Names of other programs' threads; more are not known by name. */
#define MAX_WAKERS 16384u
/* Looks in a row before a rest, and before its end; a rest ends at half the budget. */
#define N_OVER 3u
#define N_UNDER 10u

enum fr_sched_step sched_step(const struct sched *sched)
{
	return sched->is_resting ? FR_SCHED_SCHEDSTAT : sched->best;
}

unsigned sched_switch_cost(const struct sched *sched)
{
	return sched->best == FR_SCHED_BPF ? SCHED_BPF_NS : SCHED_SWITCH_NS;
}

/* Tells the tracer whether it has to look for itself. */
static void set_delay(struct sched *sched)
{
	uint64_t ns = sched_step(sched) == FR_SCHED_SCHEDSTAT ? DELAY_NS : 0;

	if (sched->set.control)
		__atomic_store_n(&sched->set.control->delay_ns, ns, __ATOMIC_RELAXED);
}

/* The name is asked for once in a look: it may change by exec(), but not from one wake-up to the next. */
static void name_waker(struct sched *sched, uint32_t tid)
{
	char comm[16];

	if (g_hash_table_contains(sched->named, GUINT_TO_POINTER(tid)) ||
		g_hash_table_size(sched->wakers) >= MAX_WAKERS)
		return;
	g_hash_table_add(sched->named, GUINT_TO_POINTER(tid));
	if (sched_bpf_waker(sched->bpf, tid, comm))
		g_hash_table_replace(sched->wakers, GUINT_TO_POINTER(tid), g_strdup(comm));
}

static void note_record(const struct sched_record *record, void *user)
{
	struct sched *sched = user;

	sched->n_switches += record->kind == SCHED_IN;
	if (record->kind == SCHED_WAKEUP) {
		sched->n_wakeups++;
		if (record->waker_pid && record->waker_pid != record->pid)
			name_waker(sched, record->waker_tid);
	}
	sched_history_add(sched->history, record);
}

void sched_drain(struct sched *sched)
{
	struct sched_drained drained;

	if (!sched->history || sched->is_resting)
		return;
	drained = sched->bpf ? sched_bpf_drain(sched->bpf, note_record, sched)
			     : sched_switch_drain(sched->events, note_record, sched);
	if (drained.n_lost)
		sched_history_gap(sched->history, procfs_now(), drained.n_lost);
	/* Sooner when much came; later again only step by step, since it may come in bursts. */
	sched->drain_ns = MIN(sched->drain_ns * 5 / 4, DRAIN_NS);
	if (drained.share > BUSY_SHARE)
		sched->drain_ns =
			MAX((uint64_t)((double)sched->drain_ns * BUSY_SHARE / drained.share),
				MIN_DRAIN_NS);
}

void sched_look(struct sched *sched)
{
	uint64_t now = procfs_now(), n_slices;
	double seconds;

	if (!sched->times)
		return;
	n_slices = sched_times_look(sched->times);
	sched->n_slices += n_slices;
	if (sched->named)
		g_hash_table_remove_all(sched->named);
	seconds = (double)(now - sched->looked_ns) / 1e9;
	/* Looks for somebody's sake come at any time; a short while tells no rate. */
	if (seconds >= 0.5) {
		sched->switches_per_s = (double)sched->n_slices / seconds;
		sched->looked_ns = now;
		sched->n_slices = 0;
	}
}

/* Takes no records from now on. */
static void rest(struct sched *sched)
{
	sched_drain(sched);
	if (sched->bpf)
		sched_bpf_pause(sched->bpf);
	else
		sched_switch_detach(sched->events);
	sched->is_resting = true;
	sched->rested_ns = procfs_now();
	set_delay(sched);
}

/* Takes records again. What it was for goes on without, if it fails. */
static void go_on(struct sched *sched)
{
	int err;

	g_clear_pointer(&sched->why_attach, g_free);
	if (sched->bpf)
		err = sched_bpf_resume(sched->bpf);
	else
		err = sched_switch_attach(
			sched->events, sched_times_pids(sched->times), &sched->n_missed);
	if (err < 0 && err != -ESRCH)
		sched->why_attach = sched->bpf ? sched_refusal_of_bpf(err)
					       : sched_refusal_of_events(err, false);
	if (err < 0)
		return;
	/* What came before, and while threads were still being opened, is not whole. */
	sched_history_gap(sched->history, procfs_now(), 0);
	sched->is_resting = false;
	set_delay(sched);
}

/* Keeps the cost within the budget while nothing but the flight recorder is on. */
static void decide(struct sched *sched)
{
	double share = sched->switches_per_s * sched_switch_cost(sched) / 1e9;

	if (!sched->history || sched->n_holds) {
		sched->n_over = sched->n_under = 0;
		return;
	}
	sched->n_over = share > SCHED_BUDGET ? sched->n_over + 1 : 0;
	sched->n_under = share < SCHED_BUDGET / 2 ? sched->n_under + 1 : 0;
	if (!sched->is_resting && sched->n_over >= N_OVER)
		rest(sched);
	else if (sched->is_resting && sched->n_under >= N_UNDER)
		go_on(sched);
}

static void *thread_main(void *arg)
{
	struct sched *sched = arg;
	uint64_t look_ns = 0;

	pthread_setname_np(pthread_self(), "sched");
	/* It needs little, but soon, also on a machine that is busy. Only some may ask for that. */
	setpriority(PRIO_PROCESS, 0, -10);
	pthread_mutex_lock(&sched->mutex);
	while (!sched->is_quitting) {
		uint64_t now = procfs_now(), next;
		struct timespec ts;

		sched_drain(sched);
		if (now >= look_ns) {
			sched_look(sched);
			decide(sched);
			look_ns = now + LOOK_NS;
		}
		next = sched->history && !sched->is_resting ? now + sched->drain_ns : look_ns;
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
	sched->drain_ns = DRAIN_NS;
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
	sched_bpf_free(sched->bpf);
	sched_switch_free(sched->events);
	sched_history_free(sched->history);
	sched_times_free(sched->times);
	g_clear_pointer(&sched->wakers, g_hash_table_unref);
	g_clear_pointer(&sched->named, g_hash_table_unref);
	pthread_mutex_destroy(&sched->mutex);
	pthread_cond_destroy(&sched->changed);
	g_free(sched->why_bpf);
	g_free(sched->why_switch);
	g_free(sched->why_attach);
	g_free(sched->small);
	g_free(sched);
}

/* Climbs the ladder. Call with `mutex` held. */
static void climb(struct sched *sched, pid_t pid)
{
	uint32_t choice = sched->set.choice;
	unsigned n_cpus = (unsigned)MAX(sysconf(_SC_NPROCESSORS_CONF), 1);

	if (choice == SCHED_AUTO || choice == SCHED_BPF)
		sched->bpf = sched_bpf_new(pid, &sched->why_bpf);
	if (!sched->bpf && choice != SCHED_SCHEDSTAT)
		sched->events = sched_switch_new(pid, &sched->why_switch, &sched->small);
	if (!sched->bpf && !sched->events)
		return;
	sched->best = sched->bpf ? FR_SCHED_BPF : FR_SCHED_SWITCH;
	sched->history = sched_history_new(n_cpus, sched->set.history_bytes, sched->set.spool_dir);
	sched->wakers = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	sched->named = g_hash_table_new(NULL, NULL);
	/* There is no gap before: the program has done nothing yet. */
	sched->started_ns = procfs_now();
	if (sched->n_holds)
		sched_history_keep(sched->history, procfs_now());
	set_delay(sched);
}

void sched_program_forked(struct sched *sched, pid_t pid)
{
	if (!sched || !sched->has_thread)
		return;
	pthread_mutex_lock(&sched->mutex);
	climb(sched, pid);
	pthread_cond_broadcast(&sched->changed);
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
	if (sched->is_resting)
		go_on(sched);
	now = procfs_now();
	if (sched->history)
		sched_history_keep(sched->history, now);
	/* The thread has to read rings again. */
	pthread_cond_broadcast(&sched->changed);
	pthread_mutex_unlock(&sched->mutex);
	return now;
}

void sched_release(struct sched *sched)
{
	if (!sched)
		return;
	pthread_mutex_lock(&sched->mutex);
	if (--sched->n_holds == 0 && sched->history)
		sched_history_forget(sched->history);
	pthread_mutex_unlock(&sched->mutex);
}

/* CPU time of our thread, ns. */
static uint64_t own_ns(const struct sched *sched)
{
	struct timespec ts = { 0 };
	clockid_t clock;

	if (!sched->has_thread || pthread_getcpuclockid(sched->thread, &clock) != 0 ||
		clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
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
	if (sched->history && !sched->is_resting)
		status->history_ns = now - MAX(state.covered_ns, sched->started_ns);
	status->switches_per_s = sched->switches_per_s;
	status->drain_ns = own_ns(sched);
	pthread_mutex_unlock(&sched->mutex);
}

uint64_t sched_spool_bytes(struct sched *sched)
{
	struct sched_status status;

	sched_status(sched, &status);
	return status.spool_bytes;
}

bool sched_process_times(struct sched *sched, pid_t pid, struct thread_times *times_out)
{
	bool is_known = false;

	if (!sched)
		return false;
	pthread_mutex_lock(&sched->mutex);
	if (sched->times)
		is_known = sched_times_process(sched->times, pid, times_out);
	pthread_mutex_unlock(&sched->mutex);
	return is_known;
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
