/* SPDX-License-Identifier: MIT */
/* Which ends of traced processes are deaths, in words, and the trace that each of them leaves. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recorder/options.h"
#include "recorder/snapshots.h"
#include "recorder/watch.h"

/* All that is known about an end. Borrowed. */
struct death_case {
	const struct watch_process *process;
	const struct process_end *end;
	const struct fr_crash *crash; /* NULL: the process wrote none */
	uint32_t exit_kind;	      /* enum fr_exit_kind */
};

/*
 * With OPTIONS_DEATH_ABNORMAL: of the program itself, any signal, any exit status but 0, _exit(), exec into something
 * untraced; of its children, a signal that is none of SIGTERM, SIGINT, SIGHUP and SIGPIPE, by which they are told to end. A
 * shell that ends with status 0 has ended well, although it does so by _exit().
 */
bool death_counts(enum options_on_death policy, const struct death_case *death);

/* "trace-redis-server-123-SIGKILL"; to g_free(). */
char *death_name(const struct death_case *death);

/* "redis-server (pid 123) was killed by SIGSEGV (segmentation fault at address 0x10)"; to g_free(). */
char *death_sentence(const struct death_case *death);

struct deaths;

struct deaths_settings {
	const char *rundir; /* all borrowed */
	enum options_on_death policy;
	uint64_t rate_ns; /* of one more death of a child, beyond the first three */
	struct snapshots *snapshots;
	struct recording *recording;
};

struct deaths *deaths_new(const struct deaths_settings *settings);
void deaths_free(struct deaths *deaths);

/* A process that is not the program itself has ended, or been lost. The watching thread only. */
void deaths_process_ended(
	struct deaths *deaths, const struct watch_process *process, const struct process_end *end);

/*
 * The program itself has ended, with this wait status: writes its trace if that was a death, and waits for all
 * that are being written. The main thread only.
 */
void deaths_program_ended(struct deaths *deaths, struct watch *watch, int status);
