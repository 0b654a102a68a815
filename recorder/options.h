/* SPDX-License-Identifier: MIT */
/* The settings of trace-record: from its command line, and from the file that --config names. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "proto/control.h"

enum options_mode {
	OPTIONS_DEV = 0,
	OPTIONS_PROD = 1, /* nothing is served, unless enable_pprof says so */
};

enum options_cpu_engine {
	OPTIONS_CPU_AUTO = 0, /* by signal; where the program cannot be sampled so, by perf */
	OPTIONS_CPU_SIGNAL = 1,
	OPTIONS_CPU_PERF = 2,
};

/* A switch that may be left alone. */
enum options_switch {
	OPTIONS_UNSET = 0,
	OPTIONS_NO = 1,
	OPTIONS_YES = 2,
};

/* Which ends of traced processes leave a trace: see death.h. */
enum options_on_death {
	OPTIONS_DEATH_ABNORMAL = 0,
	OPTIONS_DEATH_ALL = 1, /* every end, however it was */
	OPTIONS_DEATH_NONE = 2,
};

#define OPTIONS_FOREVER UINT64_MAX /* of linger_ns */

/* Strings are owned by the struct; see options_fini(). */
struct options {
	/* HTTP and who may use it. */
	const char *listen;		/* --listen */
	const char *port_file;		/* NULL: none */
	const char *token_file;		/* NULL: none */
	const char *bearer;		/* the token itself, from --config; NULL: none */
	const char *tls_cert, *tls_key; /* NULL: none */
	uint32_t mode;			/* enum options_mode */
	uint32_t enable_pprof;		/* enum options_switch */
	bool is_cmdline_redacted;	/* arguments of programs are shown to nobody */
	uint64_t max_duration_ns; /* of one profile, trace or run; 0: no limit of the operator's */
	uint64_t idle_ns;	  /* connections that move nothing are closed */
	uint64_t linger_ns;	  /* after the program's end; OPTIONS_FOREVER */

	/* Files. */
	const char *output_dir; /* "." by default */
	const char *trace_file; /* --trace; NULL: none */
	const char *cpu_profile, *mem_profile, *block_profile, *mutex_profile; /* NULL: none */
	uint64_t buffer_bytes;	  /* of the always-on ring, all CPUs together */
	uint64_t min_age_ns; /* how far back it should reach: a wish; 0 none */
	uint64_t max_trace_bytes; /* of one recording on disk, before packing */

	/* What is recorded and sampled. */
	uint32_t events; /* FR_EVENTS_*; thread is always in it */
	uint64_t lock_ns, syscall_ns;
	uint64_t alloc_rate; /* mean bytes between samples; 0 off, 1 all */
	uint32_t stack_depth;
	uint32_t cpu_hz;	 /* of a CPU profile that asks for no other rate */
	uint32_t cpu_always_hz;	 /* of the samples that are always taken; 0: none */
	uint32_t cpu_engine;	 /* enum options_cpu_engine */
	uint64_t block_rate_ns;	 /* as fr_control's */
	uint32_t mutex_fraction; /* as fr_control's */
	uint32_t sched;		 /* enum sched_choice */
	uint64_t sched_bytes;	 /* records of the scheduler kept in memory */
	uint64_t debuginfod_ns;	 /* servers may be asked for debug files for so long; 0: never */

	/* Deaths and triggers. 0: no such trigger. */
	uint32_t on_death;  /* enum options_on_death */
	uint32_t on_signal; /* number of the signal to us */
	uint64_t on_lock_ns, on_call_ns, on_rss_bytes, on_heap_bytes;
	uint32_t on_threads;
	uint32_t on_deadlock; /* enum options_switch; unset: yes */
	struct fr_slow_rule slow[FR_CONTROL_MAX_SLOW];
	uint32_t n_slow;
	uint64_t trigger_rate_ns; /* one snapshot in this time */
	uint32_t trigger_keep;	  /* files of triggers that stay, and of deaths */

	const char *config; /* --config; NULL: none */
	bool is_quiet;
	char **argv; /* the program and its arguments, NULL-terminated; borrowed from main() */

	uint64_t is_given;  /* bit n: row n of the table stood on the command line */
	GPtrArray *strings; /* owned */
};

/*
 * Parses the command line and the file of --config; what stands on the command line wins. Help, version and
 * usage errors end the process (status 0, 0 and 2).
 */
void options_parse(int argc, char **argv, struct options *options_out);

/* True when the option stood on the command line. */
bool options_is_given(const struct options *options, const char *name);

/* Frees the strings. A struct of zeros is fine. */
void options_fini(struct options *options);

/*
 * Parses a list of event classes: "lock,syscall", "all", "none", "-alloc" (all but that), "all,-alloc".
 * Returns 0, or -EINVAL with the word that was not understood in *bad_out (g_free).
 */
int options_events_parse(const char *list, uint32_t *events_out, char **bad_out);

/* The classes as a list, in the order of the schema: "lock,syscall,thread"; to g_free(). */
char *options_events_format(uint32_t events);

/* --block-rate as fr_control.block_rate_ns has it: "all", "0", "1ms". Returns 0, -EINVAL or -ERANGE. */
int options_block_rate_parse(const char *text, uint64_t *ns_out);
