/* SPDX-License-Identifier: MIT */
/* The command line of trace-record. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct options {
	const char *listen;	  /* --listen */
	const char *port_file;	  /* NULL: none */
	const char *output_dir;	  /* "." by default */
	const char *trace_file;	  /* --trace; NULL: none */
	uint64_t buffer_bytes;	  /* of the always-on ring, all CPUs together */
	uint64_t max_trace_bytes; /* of one recording on disk, before packing */
	uint32_t events;	  /* FR_EVENTS_*; thread is always in it */
	uint64_t lock_ns, syscall_ns;
	uint64_t alloc_rate; /* mean bytes between samples; 0 off, 1 all */
	uint32_t stack_depth;
	bool is_quiet;
	char **argv; /* the program and its arguments, NULL-terminated; borrowed from main() */
};

/*
 * Parses the command line. Help, version and usage errors end the process (status 0, 0 and 2). All strings
 * are borrowed from `argv`.
 */
void options_parse(int argc, char **argv, struct options *options_out);

/*
 * Parses a list of event classes: "lock,syscall", "all", "none", "-alloc" (all but that), "all,-alloc".
 * Returns 0, or -EINVAL with the word that was not understood in *bad_out (g_free).
 */
int options_events_parse(const char *list, uint32_t *events_out, char **bad_out);

/* The classes as a list, in the order of the schema: "lock,syscall,thread"; to g_free(). */
char *options_events_format(uint32_t events);
