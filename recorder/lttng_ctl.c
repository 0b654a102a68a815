/* SPDX-License-Identifier: MIT */
/*
 * Callers post a call and sleep until the owner thread has made it. Calls that must talk to a stopped program take up
 * to 5 s (the daemon's time limit for programs); they all run here, so nobody waits but who asked.
 */
#include "recorder/lttng_ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <lttng/lttng.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/schema.h"

/* Programs write to a full sub-buffer's reader only by timer: no system call inside a tracepoint. */
#define RING_READ_TIMER_US 1000000u

enum call_kind {
	CALL_WAIT_DAEMON,
	CALL_IS_ALIVE,
	CALL_CLEAN,
	CALL_CREATE,
	CALL_START,
	CALL_STOP,
	CALL_DESTROY,
	CALL_QUIT,
};

/* Lives on the caller's stack until is_done. */
struct call {
	enum call_kind kind;
	const struct lttng_spec *spec;
	const char *session;
	unsigned timeout_ms;
	pid_t pid;
	int result;
	bool is_done;
	struct call *next;
};

struct lttng_ctl {
	pthread_t thread;
	struct daemon_user user;
	pthread_mutex_t mutex;
	pthread_cond_t posted, done; /* protected by mutex: the list and is_done */
	struct call *first, **last;
	int start_error;
	bool is_started;
};

static void fill_domain(struct lttng_domain *domain)
{
	memset(domain, 0, sizeof(*domain));
	domain->type = LTTNG_DOMAIN_UST;
	/* Per user, not per process: the buffers must outlive the program. */
	domain->buf_type = LTTNG_BUFFER_PER_UID;
}

static int enable_channel(
	struct lttng_handle *handle, struct lttng_domain *domain, const struct lttng_spec *spec)
{
	struct lttng_channel *channel = lttng_channel_create(domain);
	int rc;

	if (!channel)
		return -LTTNG_ERR_NOMEM;
	g_strlcpy(channel->name, spec->channel, sizeof(channel->name));
	channel->attr.overwrite = 1;
	channel->attr.subbuf_size = spec->subbuf_bytes;
	channel->attr.num_subbuf = spec->n_subbuf;
	/* A switch timer would use up a sub-buffer per tick of an idle program. */
	channel->attr.switch_timer_interval = 0;
	channel->attr.read_timer_interval = RING_READ_TIMER_US;
	channel->attr.output = LTTNG_EVENT_MMAP;
	rc = lttng_channel_set_monitor_timer_interval(channel, 0);
	if (rc == 0)
		rc = lttng_enable_channel(handle, channel);
	lttng_channel_destroy(channel);
	return rc;
}

static const struct {
	uint32_t bit;
	const char *pattern;
} event_patterns[] = {
	{ FR_EVENTS_LOCK, "flightrec_lock:*" },
	{ FR_EVENTS_SYSCALL, "flightrec_syscall:*" },
	{ FR_EVENTS_ALLOC, "flightrec_alloc:*" },
	{ FR_EVENTS_THREAD, "flightrec_thread:*" },
	{ FR_EVENTS_USER, "flightrec_user:*" },
	{ FR_EVENTS_SCHED, "flightrec_sched:*" },
};

static int enable_events(struct lttng_handle *handle, const struct lttng_spec *spec)
{
	for (size_t i = 0; i < G_N_ELEMENTS(event_patterns); i++) {
		struct lttng_event *event;
		int rc;

		if (!(spec->events & event_patterns[i].bit))
			continue;
		event = lttng_event_create();
		if (!event)
			return -LTTNG_ERR_NOMEM;
		g_strlcpy(event->name, event_patterns[i].pattern, sizeof(event->name));
		event->type = LTTNG_EVENT_TRACEPOINT;
		event->loglevel_type = LTTNG_EVENT_LOGLEVEL_ALL;
		event->loglevel = -1;
		rc = lttng_enable_event_with_exclusions(
			handle, event, spec->channel, NULL, 0, NULL);
		lttng_event_destroy(event);
		if (rc < 0 && rc != -LTTNG_ERR_UST_EVENT_ENABLED)
			return rc;
	}
	return 0;
}

static int create_session(const struct lttng_spec *spec)
{
	struct lttng_session_descriptor *descriptor =
		lttng_session_descriptor_snapshot_create(spec->name);
	struct lttng_domain domain;
	struct lttng_handle *handle;
	int rc;

	if (!descriptor)
		return -LTTNG_ERR_INVALID;
	/* Positive on failure, LTTNG_OK is 10: unlike all other calls. */
	rc = (int)lttng_create_session_ext(descriptor);
	lttng_session_descriptor_destroy(descriptor);
	if (rc != LTTNG_OK)
		return -rc;
	rc = lttng_set_session_shm_path(spec->name, spec->folder);
	fill_domain(&domain);
	handle = lttng_create_handle(spec->name, &domain);
	if (rc >= 0 && !handle)
		rc = -LTTNG_ERR_NOMEM;
	if (rc >= 0)
		rc = enable_channel(handle, &domain, spec);
	if (rc >= 0)
		rc = enable_events(handle, spec);
	if (handle)
		lttng_destroy_handle(handle);
	if (rc < 0)
		lttng_destroy_session_no_wait(spec->name);
	return rc < 0 ? rc : 0;
}

static int wait_daemon(unsigned timeout_ms, pid_t daemon_pid)
{
	for (unsigned ms = 0; ms < timeout_ms; ms += 2) {
		siginfo_t info = { 0 };

		if (lttng_session_daemon_alive() == 1)
			return 0;
		/* Left as it is for whoever waits for children. */
		if (waitid(P_PID, (id_t)daemon_pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
			info.si_pid != 0)
			return -LTTNG_ERR_NO_SESSIOND;
		g_usleep(2000);
	}
	return -LTTNG_ERR_NO_SESSIOND;
}

/* Names are flightrec-PID-…: see ring.c. */
static int destroy_stale(void)
{
	struct lttng_session *sessions = NULL;
	int n = lttng_list_sessions(&sessions);

	for (int i = 0; i < n; i++) {
		int pid;

		if (sscanf(sessions[i].name, "flightrec-%d-", &pid) == 1 && kill(pid, 0) < 0 &&
			errno == ESRCH)
			lttng_destroy_session_no_wait(sessions[i].name);
	}
	free(sessions);
	return n < 0 ? n : 0;
}

static int run_call(const struct call *call)
{
	int rc;

	switch (call->kind) {
	case CALL_WAIT_DAEMON:
		return wait_daemon(call->timeout_ms, call->pid);
	case CALL_IS_ALIVE:
		return lttng_session_daemon_alive() == 1 ? 0 : -LTTNG_ERR_NO_SESSIOND;
	case CALL_CLEAN:
		return destroy_stale();
	case CALL_CREATE:
		return create_session(call->spec);
	case CALL_START:
		rc = lttng_start_tracing(call->session);
		return rc < 0 && rc != -LTTNG_ERR_TRACE_ALREADY_STARTED ? rc : 0;
	case CALL_STOP:
		rc = lttng_stop_tracing_no_wait(call->session);
		return rc < 0 && rc != -LTTNG_ERR_TRACE_ALREADY_STOPPED ? rc : 0;
	case CALL_DESTROY:
		rc = lttng_destroy_session_no_wait(call->session);
		return rc < 0 ? rc : 0;
	case CALL_QUIT:
		return 0;
	}
	return -LTTNG_ERR_INVALID;
}

/* Only this thread: glibc's functions of these names would change all of them. */
static int take_user(const struct daemon_user *user)
{
	if (!user->is_switched)
		return 0;
	if (syscall(SYS_setresgid, user->gid, user->gid, 0) < 0 ||
		syscall(SYS_setresuid, user->uid, user->uid, 0) < 0)
		return -errno;
	return 0;
}

static void *owner_main(void *arg)
{
	struct lttng_ctl *ctl = arg;
	bool is_over = false;

	pthread_setname_np(pthread_self(), "lttng");
	pthread_mutex_lock(&ctl->mutex);
	ctl->start_error = take_user(&ctl->user);
	/* Members of the group "tracing" would be sent to root's daemon. */
	lttng_set_tracing_group("flightrec-none");
	ctl->is_started = true;
	pthread_cond_broadcast(&ctl->done);
	while (!is_over) {
		struct call *call;

		while (!ctl->first)
			pthread_cond_wait(&ctl->posted, &ctl->mutex);
		call = ctl->first;
		ctl->first = call->next;
		if (!ctl->first)
			ctl->last = &ctl->first;
		pthread_mutex_unlock(&ctl->mutex);
		is_over = call->kind == CALL_QUIT;
		call->result = run_call(call);
		pthread_mutex_lock(&ctl->mutex);
		call->is_done = true;
		pthread_cond_broadcast(&ctl->done);
	}
	pthread_mutex_unlock(&ctl->mutex);
	return NULL;
}

static int post(struct lttng_ctl *ctl, struct call call)
{
	pthread_mutex_lock(&ctl->mutex);
	*ctl->last = &call;
	ctl->last = &call.next;
	pthread_cond_signal(&ctl->posted);
	while (!call.is_done)
		pthread_cond_wait(&ctl->done, &ctl->mutex);
	pthread_mutex_unlock(&ctl->mutex);
	return call.result;
}

int lttng_ctl_new(const struct daemon_user *user, struct lttng_ctl **ctl_out)
{
	struct lttng_ctl *ctl = g_new0(struct lttng_ctl, 1);
	int err;

	ctl->user = *user;
	ctl->last = &ctl->first;
	pthread_mutex_init(&ctl->mutex, NULL);
	pthread_cond_init(&ctl->posted, NULL);
	pthread_cond_init(&ctl->done, NULL);
	err = -pthread_create(&ctl->thread, NULL, owner_main, ctl);
	if (err) {
		g_free(ctl);
		return err;
	}
	pthread_mutex_lock(&ctl->mutex);
	while (!ctl->is_started)
		pthread_cond_wait(&ctl->done, &ctl->mutex);
	err = ctl->start_error;
	pthread_mutex_unlock(&ctl->mutex);
	if (err) {
		lttng_ctl_free(ctl);
		return err;
	}
	*ctl_out = ctl;
	return 0;
}

void lttng_ctl_free(struct lttng_ctl *ctl)
{
	if (!ctl)
		return;
	post(ctl, (struct call){ .kind = CALL_QUIT });
	pthread_join(ctl->thread, NULL);
	pthread_mutex_destroy(&ctl->mutex);
	pthread_cond_destroy(&ctl->posted);
	pthread_cond_destroy(&ctl->done);
	g_free(ctl);
}

int lttng_ctl_wait_daemon(struct lttng_ctl *ctl, unsigned timeout_ms, pid_t daemon_pid)
{
	return post(ctl,
		(struct call){
			.kind = CALL_WAIT_DAEMON, .timeout_ms = timeout_ms, .pid = daemon_pid });
}

int lttng_ctl_is_alive(struct lttng_ctl *ctl)
{
	return post(ctl, (struct call){ .kind = CALL_IS_ALIVE });
}

int lttng_ctl_clean(struct lttng_ctl *ctl)
{
	return post(ctl, (struct call){ .kind = CALL_CLEAN });
}

int lttng_ctl_create(struct lttng_ctl *ctl, const struct lttng_spec *spec)
{
	return post(ctl, (struct call){ .kind = CALL_CREATE, .spec = spec });
}

int lttng_ctl_start(struct lttng_ctl *ctl, const char *session)
{
	return post(ctl, (struct call){ .kind = CALL_START, .session = session });
}

int lttng_ctl_stop(struct lttng_ctl *ctl, const char *session)
{
	return post(ctl, (struct call){ .kind = CALL_STOP, .session = session });
}

int lttng_ctl_destroy(struct lttng_ctl *ctl, const char *session)
{
	return post(ctl, (struct call){ .kind = CALL_DESTROY, .session = session });
}

const char *lttng_ctl_error(int code)
{
	return lttng_strerror(code);
}

/* Largest power of two that is at most `n`, and at least 1. */
static uint64_t floor_pow2(uint64_t n)
{
	return n ? 1ull << (63 - __builtin_clzll(n)) : 1;
}

struct lttng_geometry lttng_geometry_fit(uint64_t bytes, unsigned n_cpus)
{
	const uint64_t min_subbuf = 4096, wanted = 64u << 10, max_n = 256, min_n = 16;
	uint64_t per_cpu = bytes / (n_cpus ? n_cpus : 1);
	uint64_t subbuf = wanted, n;

	/* Many small ones waste least: overwrite mode has one to spare, and the oldest goes as a whole. */
	while (subbuf > min_subbuf && per_cpu / subbuf < min_n)
		subbuf >>= 1;
	while (per_cpu / subbuf > max_n)
		subbuf <<= 1;
	n = floor_pow2(per_cpu / subbuf);
	if (n < 2)
		n = 2;
	return (struct lttng_geometry){
		.subbuf_bytes = subbuf,
		.n_subbuf = (uint32_t)n,
		.total_bytes = subbuf * (n + 1) * n_cpus,
	};
}
