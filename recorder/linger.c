/* SPDX-License-Identifier: MIT */
#include "recorder/linger.h"

#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "common/log.h"
#include "common/units.h"
#include "recorder/options.h"

static void say(const char *name, const char *url, uint64_t ns)
{
	char length[64];
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autoptr(GDateTime) end = NULL;
	g_autofree char *until = NULL;

	if (ns == OPTIONS_FOREVER) {
		log_say("%s has ended; its last profiles are served at %s until SIGTERM or ^C "
			"(--linger forever)",
			name, url);
		return;
	}
	units_duration_format((int64_t)ns, length, sizeof(length));
	end = g_date_time_add(now, (GTimeSpan)(ns / 1000));
	until = end ? g_date_time_format(end, "%F %T") : g_strdup("a far day");
	log_say("%s has ended; its last profiles are served at %s until %s, SIGTERM or ^C "
		"(--linger %s)",
		name, url, until, length);
}

/* Children: the session daemon, which should not end, and orphans of the program. */
static void collect(process_other_exit on_exit, void *user)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		on_exit(pid, status, user);
}

static sigset_t ending_signals(void)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(ending); i++)
		sigaddset(&set, ending[i]);
	return set;
}

void linger_forget_signals(void)
{
	const struct timespec none = { 0 };
	sigset_t set = ending_signals();

	/* The ^C that ended the program reached us, too. */
	while (sigtimedwait(&set, NULL, &none) > 0)
		continue;
}

void linger(const char *name, const char *url, uint64_t ns, process_other_exit on_exit, void *user)
{
	int64_t now = g_get_monotonic_time(), end = INT64_MAX;
	sigset_t set = ending_signals();

	if (ns != OPTIONS_FOREVER && ns / 1000 < (uint64_t)(INT64_MAX - now))
		end = now + (int64_t)(ns / 1000);
	say(name, url, ns);
	sigaddset(&set, SIGCHLD);
	while (now < end) {
		int64_t us = MIN(end - now, 3600ll * 1000000);
		struct timespec ts = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
		int sig = sigtimedwait(&set, NULL, &ts);

		if (sig == SIGCHLD)
			collect(on_exit, user);
		else if (sig > 0)
			return;
		now = g_get_monotonic_time();
	}
}
