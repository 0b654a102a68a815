/* SPDX-License-Identifier: MIT */
/* One table of all settings drives the command line, its help and the keys of --config. */
#pragma once

#include <stddef.h>

#include "recorder/options.h"

enum option_kind {
	OPTION_TITLE,  /* no setting: a heading of --help */
	OPTION_NAME,   /* const char *; any text but "" */
	OPTION_FLAG,   /* bool; no argument */
	OPTION_SWITCH, /* enum options_switch; argument yes or no may be left out */
	OPTION_SIZE,   /* uint64_t bytes */
	OPTION_COUNT,  /* uint32_t */
	OPTION_TIME,   /* uint64_t ns; min and max in ns */
	OPTION_LINGER, /* uint64_t ns or OPTIONS_FOREVER */
	OPTION_LIMIT, /* uint64_t ns; the argument may be left out, or yes: OPTION_DEFAULT_LIMIT; no: 0 */
	OPTION_RATE,   /* uint64_t ns: options_block_rate_parse() */
	OPTION_EVENTS, /* uint32_t: options_events_parse() */
	OPTION_MODE,   /* uint32_t enum options_mode */
	OPTION_ENGINE, /* uint32_t enum options_cpu_engine */
	OPTION_DEATH,  /* uint32_t enum options_on_death */
	OPTION_SIGNAL, /* uint32_t number of a signal that we may be sent */
	OPTION_SLOW, /* struct options: NAME=TIME, or several with commas; each adds to `slow` */
	OPTION_SCHED,  /* uint32_t enum sched_choice */
};

struct option_row {
	enum option_kind kind;
	const char *name; /* of the option, and a key of --config; NULL: only the other key */
	const char *key;  /* another key of --config; NULL: none */
	const char *arg;  /* for --help; NULL: none */
	size_t offset;	  /* of the field in struct options */
	uint64_t min, max;
	const char *help; /* NULL: not shown */
};

#define OPTION_DEFAULT_LIMIT (60 * 1000000000ull)

extern const struct option_row option_rows[];
extern const size_t option_n_rows;

/* Sets the row's field. Returns NULL, or what was expected, to g_free(): "expected a size such as …". */
char *option_set(const struct option_row *row, const char *text, struct options *options);

/* The row of a key of --config; NULL: there is none. */
const struct option_row *option_find_key(const char *key);

/* Reads a word for true or false. Returns 0 or -EINVAL. */
int option_bool_parse(const char *text, bool *value_out);
