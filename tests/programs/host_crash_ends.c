/* SPDX-License-Identifier: MIT */
/* Ways to end without a signal. */
#include <pthread.h>
#include <sys/syscall.h>

#include "host_crash.h"

static void on_exit_status(int status, void *text)
{
	say(text);
	if (status != 7)
		say("  another status\n");
}

static void on_atexit(void)
{
	say("  atexit\n");
}

static __attribute__((destructor)) void on_destruction(void)
{
	if (getenv("SAY_DESTRUCTOR"))
		say("  destructor\n");
}

static void *exit_last(void *unused)
{
	usleep(10000);
	return unused;
}

static int end_how;

static void end(void)
{
	pthread_t thread;

	setenv("SAY_DESTRUCTOR", "1", 1);
	MUST(on_exit(on_exit_status, (void *)"  on_exit\n") == 0);
	MUST(atexit(on_atexit) == 0);
	MUST(at_quick_exit(on_atexit) == 0);
	switch (end_how) {
	case 0:
		exit(7);
	case 1:
		_exit(7);
	case 2:
		_Exit(7);
	case 3:
		quick_exit(7);
	case 4:
		syscall(SYS_exit_group, 7);
		break;
	case 5:
		exit(7 + 256);
	default:
		MUST(pthread_create(&thread, NULL, exit_last, NULL) == 0);
		pthread_exit(NULL);
	}
}

int run_ends(void)
{
	for (end_how = 0; end_how < 7; end_how++)
		in_child("an end", end);
	return 7;
}

void end_by(const char *how)
{
	static const char *const ends[] = { "exit", "_exit", "_Exit", "quick_exit", "exit_group",
		"exit_more", "last_thread" };

	for (end_how = 0; end_how < 7; end_how++)
		if (strcmp(how, ends[end_how]) == 0)
			end();
}
