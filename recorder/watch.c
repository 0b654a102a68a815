/* SPDX-License-Identifier: MIT */
/*
 * New processes show up as files in RUNDIR/blackbox; each gets a pidfd, and all of them are waited for together. What no
 * descriptor tells (a trigger, an exec into something untraced) is looked up: one pread() for each process, 40
 * times a second and less often where there are many, so that it never costs more than a thousandth of a CPU.
 */
#include "recorder/watch_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "recorder/procfs.h"

#define LOOK_MS 25
#define LOOKS_PER_SECOND 1000
/* The status of a process is to be had once its parent has collected it, if not before. */
#define DYING_MS 5
#define HOW_NS 150000000ull
/* A file without a header: its process has just begun, or died just then. */
#define OPEN_NS 5000000000ull
#define RESCAN_NS 100000000ull
#define SECOND_NS 1000000000ull
#define MAX_EVENTS 64

/* A file that could not be opened yet. */
struct newcomer {
	uint16_t proc;
	uint64_t since_ns;
};

struct watch {
	char *rundir; /* owned */
	struct watch_calls calls;
	pthread_t thread;
	int epoll, inotify, wake; /* owned; inotify -1: the folder is read again and again */

	pthread_mutex_t mutex; /* guards the rest */
	pthread_cond_t settled;
	GPtrArray *entries; /* owned struct watch_entry */
	GArray *newcomers;
	guint8 *is_known; /* bit per proc: seen, whatever became of it */
	struct oom *oom;
	pid_t program;
	unsigned n_dying;
	uint64_t n_beyond;
	bool is_quitting;
};

/* Told by epoll instead of an entry. */
static char inotify_tag, wake_tag;

static void fill_main(const struct watch *watch, struct watch_entry *entry)
{
	entry->process.is_main = entry->process.pid == watch->program;
}

/* Notes and tells the end of an entry's image. */
static void tell_end(struct watch *watch, struct watch_entry *entry, const struct process_end *end)
{
	fill_main(watch, entry);
	process_end_write(watch->rundir, entry->process.proc, end);
	if (watch->calls.on_end)
		watch->calls.on_end(watch->calls.user, &entry->process, end);
}

/* From its end on, until it is known how. */
static void set_dying(struct watch *watch, struct watch_entry *entry)
{
	if (entry->end_ns)
		return;
	entry->end_ns = procfs_now();
	watch->n_dying++;
	if (entry->pidfd >= 0)
		epoll_ctl(watch->epoll, EPOLL_CTL_DEL, entry->pidfd, NULL);
}

/* The process that had this pid when an image of it began; it may have died since. */
static struct watch_entry *find_pid(const struct watch *watch, pid_t pid, uint64_t start_ns)
{
	for (guint i = 0; i < watch->entries->len; i++) {
		struct watch_entry *entry = g_ptr_array_index(watch->entries, i);

		if (entry->process.pid == pid && (!entry->end_ns || start_ns <= entry->end_ns))
			return entry;
	}
	return NULL;
}

/* The process of `old` goes on as the image of `entry`, which is freed. */
static void replace_image(struct watch *watch, struct watch_entry *old, struct watch_entry *entry)
{
	struct process_end end = {
		.how = PROCESS_END_EXEC, .is_traced = 1, .end_ns = entry->process.start_ns
	};
	struct blackbox *blackbox = old->blackbox;

	watch_entry_triggers(old, &watch->calls);
	if (!old->is_away)
		process_end_write(watch->rundir, old->process.proc, &end);
	old->blackbox = entry->blackbox;
	entry->blackbox = blackbox;
	old->process = entry->process;
	old->n_triggers = old->execed_ns = 0;
	old->is_away = false;
	/* Launchers enter a cgroup before they exec(). */
	if (!old->end_ns)
		old->oom = oom_add(watch->oom, old->process.pid);
	watch_entry_free(entry);
}

static void add_entry(struct watch *watch, struct watch_entry *entry, bool is_dead)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = entry };
	struct watch_entry *old = find_pid(watch, entry->process.pid, entry->process.start_ns);

	/* Numbers of files do not tell their order. */
	if (old && old->process.start_ns <= entry->process.start_ns) {
		replace_image(watch, old, entry);
		return;
	}
	if (entry->blackbox->header.state == FR_PROCESS_EXECED && (is_dead || old)) {
		struct process_end end = { .how = PROCESS_END_EXEC,
			.is_traced = old || entry->blackbox->header.is_traced_exec,
			.end_ns = entry->blackbox->header.end_ns };

		process_end_write(watch->rundir, entry->process.proc, &end);
		watch_entry_free(entry);
		return;
	}
	if (watch->entries->len >= WATCH_MAX_PROCESSES) {
		watch->n_beyond++;
		watch_entry_free(entry);
		return;
	}
	g_ptr_array_add(watch->entries, entry);
	if (is_dead) {
		set_dying(watch, entry);
		return;
	}
	entry->oom = oom_add(watch->oom, entry->process.pid);
	if (entry->pidfd >= 0)
		epoll_ctl(watch->epoll, EPOLL_CTL_ADD, entry->pidfd, &event);
}

static void meet(struct watch *watch, uint16_t proc)
{
	struct newcomer newcomer = { .proc = proc, .since_ns = procfs_now() };

	if (watch->is_known[proc / 8] & (1u << proc % 8))
		return;
	watch->is_known[proc / 8] |= (guint8)(1u << proc % 8);
	g_array_append_val(watch->newcomers, newcomer);
}

/* Opens the new files that can be. */
static void open_newcomers(struct watch *watch)
{
	for (guint i = 0; i < watch->newcomers->len;) {
		const struct newcomer *newcomer =
			&g_array_index(watch->newcomers, struct newcomer, i);
		struct watch_entry *entry;
		bool is_dead;
		int err = watch_entry_new(watch->rundir, newcomer->proc, &entry, &is_dead);

		if (!err)
			add_entry(watch, entry, is_dead);
		else if (procfs_now() - newcomer->since_ns < OPEN_NS && err != BLACKBOX_E_VERSION) {
			i++;
			continue;
		}
		g_array_remove_index(watch->newcomers, i);
	}
}

static void scan(struct watch *watch)
{
	g_autoptr(GArray) procs = blackbox_list(watch->rundir);

	for (guint i = 0; i < procs->len; i++)
		meet(watch, g_array_index(procs, uint16_t, i));
}

static void read_inotify(struct watch *watch)
{
	char buffer[8192] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(watch->inotify, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const void *)(buffer + at);
			char *end;
			unsigned long proc = event->len ? strtoul(event->name, &end, 10) : 0;

			if (event->mask & IN_Q_OVERFLOW)
				scan(watch);
			else if (proc > 0 && proc <= UINT16_MAX && *end == '\0')
				meet(watch, (uint16_t)proc);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

static void remove_entry(struct watch *watch, guint i)
{
	struct watch_entry *entry = g_ptr_array_index(watch->entries, i);

	watch->n_dying -= entry->end_ns != 0;
	g_ptr_array_remove_index_fast(watch->entries, i);
	watch_entry_free(entry);
	pthread_cond_broadcast(&watch->settled);
}

/* True when the entry is done with. */
static bool end_entry(struct watch *watch, struct watch_entry *entry, uint64_t now)
{
	bool is_final = now - entry->end_ns > HOW_NS || entry->pidfd < 0;
	struct process_end end;

	watch_entry_refresh(entry);
	watch_entry_triggers(entry, &watch->calls);
	/* The image that it became may be among those that are just met. */
	if (!is_final && watch->newcomers->len &&
		entry->blackbox->header.state == FR_PROCESS_EXECED)
		return false;
	/* That one's end is told by who waits for it. */
	if (entry->process.pid == watch->program)
		return false;
	if (entry->is_away)
		return true;
	if (!watch_entry_how(entry, watch->oom, is_final, &end))
		return false;
	tell_end(watch, entry, &end);
	return true;
}

/* One look at all processes. */
static void look(struct watch *watch, bool is_full)
{
	uint64_t now = procfs_now();

	for (guint i = 0; i < watch->entries->len;) {
		struct watch_entry *entry = g_ptr_array_index(watch->entries, i);
		bool is_execed;

		if (is_full && entry->pidfd < 0 && !entry->end_ns && watch_entry_is_gone(entry))
			set_dying(watch, entry);
		if (entry->end_ns && end_entry(watch, entry, now)) {
			remove_entry(watch, i);
			continue;
		}
		i++;
		if (!is_full || entry->end_ns)
			continue;
		watch_entry_refresh(entry);
		watch_entry_triggers(entry, &watch->calls);
		is_execed = entry->blackbox->header.state == FR_PROCESS_EXECED;
		if (!is_execed)
			entry->execed_ns = 0;
		else if (!entry->execed_ns)
			entry->execed_ns = now;
		if (watch_entry_is_lost(entry, now)) {
			struct process_end end = { .how = PROCESS_END_EXEC,
				.end_ns = entry->execed_ns };

			entry->is_away = true;
			tell_end(watch, entry, &end);
		}
	}
}

static GArray *list_living(const struct watch *watch)
{
	GArray *list = g_array_new(FALSE, FALSE, sizeof(struct watch_process));

	for (guint i = 0; i < watch->entries->len; i++) {
		struct watch_entry *entry = g_ptr_array_index(watch->entries, i);

		fill_main(watch, entry);
		if (!entry->end_ns && !entry->is_away)
			g_array_append_val(list, entry->process);
	}
	return list;
}

static int look_interval_ms(const struct watch *watch)
{
	return MAX(LOOK_MS, (int)watch->entries->len * 1000 / LOOKS_PER_SECOND);
}

/* What the descriptors tell. */
static void take_events(struct watch *watch, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		void *who = events[i].data.ptr;
		uint64_t count;

		if (who == &inotify_tag)
			read_inotify(watch);
		else if (who == &wake_tag)
			(void)!read(watch->wake, &count, sizeof(count));
		else if (g_ptr_array_find(watch->entries, who, NULL))
			/* It may have been told between the wait and the lock. */
			set_dying(watch, who);
	}
}

static void *thread_main(void *arg)
{
	struct watch *watch = arg;
	uint64_t look_ns = 0, second_ns = procfs_now() + SECOND_NS, scan_ns = 0;

	pthread_setname_np(pthread_self(), "watch");
	pthread_mutex_lock(&watch->mutex);
	while (!watch->is_quitting) {
		struct epoll_event events[MAX_EVENTS];
		g_autoptr(GArray) living = NULL;
		bool is_hurried = watch->n_dying || watch->newcomers->len;
		int ms = is_hurried ? DYING_MS : look_interval_ms(watch), n;
		uint64_t now;

		pthread_mutex_unlock(&watch->mutex);
		n = epoll_wait(watch->epoll, events, MAX_EVENTS, ms);
		pthread_mutex_lock(&watch->mutex);
		take_events(watch, events, n);
		now = procfs_now();
		if (watch->inotify < 0 && now >= scan_ns) {
			scan(watch);
			scan_ns = now + RESCAN_NS;
		}
		open_newcomers(watch);
		look(watch, now >= look_ns);
		if (now >= look_ns)
			look_ns = now + (uint64_t)look_interval_ms(watch) * 1000000;
		if (now < second_ns)
			continue;
		second_ns = now + SECOND_NS;
		oom_tick(watch->oom);
		living = list_living(watch);
		pthread_mutex_unlock(&watch->mutex);
		if (watch->calls.on_second)
			watch->calls.on_second(watch->calls.user, living);
		pthread_mutex_lock(&watch->mutex);
	}
	pthread_mutex_unlock(&watch->mutex);
	return NULL;
}

static void watch_folder(struct watch *watch)
{
	g_autofree char *folder = g_strdup_printf("%s/blackbox", watch->rundir);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = &inotify_tag };

	watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->inotify >= 0 &&
		(inotify_add_watch(watch->inotify, folder, IN_CREATE | IN_MOVED_TO) < 0 ||
			epoll_ctl(watch->epoll, EPOLL_CTL_ADD, watch->inotify, &event) < 0)) {
		close(watch->inotify);
		watch->inotify = -1;
	}
}

int watch_new(const char *rundir, const struct watch_calls *calls, struct watch **watch_out)
{
	struct watch *watch = g_new0(struct watch, 1);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = &wake_tag };
	pthread_condattr_t attr;
	int err = 0;

	watch->rundir = g_strdup(rundir);
	watch->calls = *calls;
	watch->entries = g_ptr_array_new_with_free_func(NULL);
	watch->newcomers = g_array_new(FALSE, FALSE, sizeof(struct newcomer));
	watch->is_known = g_malloc0((UINT16_MAX + 1) / 8);
	watch->oom = oom_new();
	pthread_mutex_init(&watch->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->settled, &attr);
	pthread_condattr_destroy(&attr);
	watch->epoll = epoll_create1(EPOLL_CLOEXEC);
	watch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watch->inotify = -1;
	if (watch->epoll < 0 || watch->wake < 0 ||
		epoll_ctl(watch->epoll, EPOLL_CTL_ADD, watch->wake, &event) < 0)
		err = -errno;
	if (!err) {
		watch_folder(watch);
		scan(watch);
		err = -pthread_create(&watch->thread, NULL, thread_main, watch);
	}
	if (err) {
		watch->is_quitting = true;
		watch_free(watch);
		return err;
	}
	*watch_out = watch;
	return 0;
}

static void wake(struct watch *watch)
{
	uint64_t one = 1;

	(void)!write(watch->wake, &one, sizeof(one));
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->thread) {
		pthread_mutex_lock(&watch->mutex);
		watch->is_quitting = true;
		pthread_mutex_unlock(&watch->mutex);
		wake(watch);
		pthread_join(watch->thread, NULL);
	}
	for (guint i = 0; i < watch->entries->len; i++)
		watch_entry_free(g_ptr_array_index(watch->entries, i));
	g_ptr_array_unref(watch->entries);
	g_array_unref(watch->newcomers);
	g_free(watch->is_known);
	oom_free(watch->oom);
	if (watch->inotify >= 0)
		close(watch->inotify);
	if (watch->wake >= 0)
		close(watch->wake);
	if (watch->epoll >= 0)
		close(watch->epoll);
	pthread_mutex_destroy(&watch->mutex);
	pthread_cond_destroy(&watch->settled);
	g_free(watch->rundir);
	g_free(watch);
}

void watch_set_program(struct watch *watch, pid_t pid)
{
	pthread_mutex_lock(&watch->mutex);
	watch->program = pid;
	pthread_mutex_unlock(&watch->mutex);
}

bool watch_program_ended(struct watch *watch, int status, struct watch_process *process_out,
	struct process_end *end_out)
{
	struct watch_entry *found = NULL;
	guint at = 0;

	pthread_mutex_lock(&watch->mutex);
	/* One that lived for milliseconds has not been seen yet. */
	scan(watch);
	open_newcomers(watch);
	for (guint i = 0; i < watch->entries->len; i++) {
		struct watch_entry *entry = g_ptr_array_index(watch->entries, i);

		if (entry->process.pid == watch->program &&
			(!found || entry->process.start_ns >= found->process.start_ns)) {
			found = entry;
			at = i;
		}
	}
	*end_out = (struct process_end){ .end_ns = procfs_now() };
	process_end_of_status(status, end_out);
	if (found) {
		watch_entry_refresh(found);
		watch_entry_triggers(found, &watch->calls);
		if (found->end_ns)
			end_out->end_ns = found->end_ns;
		if (end_out->how == PROCESS_END_SIGNAL && end_out->signal == SIGKILL)
			end_out->is_oom = oom_has_killed(watch->oom, found->oom);
		fill_main(watch, found);
		*process_out = found->process;
		if (found->is_away)
			found = NULL;
		else
			process_end_write(watch->rundir, found->process.proc, end_out);
		remove_entry(watch, at);
	}
	pthread_mutex_unlock(&watch->mutex);
	return found != NULL;
}

void watch_settle(struct watch *watch, unsigned ms)
{
	uint64_t end = procfs_now() + ms * 1000000ull;
	struct timespec ts = { .tv_sec = (time_t)(end / SECOND_NS),
		.tv_nsec = (long)(end % SECOND_NS) };

	wake(watch);
	pthread_mutex_lock(&watch->mutex);
	while (watch->n_dying &&
		pthread_cond_timedwait(&watch->settled, &watch->mutex, &ts) != ETIMEDOUT)
		continue;
	pthread_mutex_unlock(&watch->mutex);
}

void watch_count(struct watch *watch, unsigned *n_living_out, uint64_t *n_beyond_out)
{
	pthread_mutex_lock(&watch->mutex);
	*n_living_out = watch->entries->len - watch->n_dying;
	*n_beyond_out = watch->n_beyond;
	pthread_mutex_unlock(&watch->mutex);
}
