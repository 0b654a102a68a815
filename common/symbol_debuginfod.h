/* SPDX-License-Identifier: MIT */
/* Debug files from the servers in DEBUGINFOD_URLS, within a time limit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbol_debuginfod;

/* Called several times a second while a request is under way. May print, must not ask. True: give up. */
typedef bool (*symbol_debuginfod_tick)(void *user);

/*
 * A round of questions that may take `limit_ns` in total. A server that sends nothing for 10 s counts as not
 * answering, and then nobody is asked any more in this round, nor in those of the next minute. NULL when
 * limit_ns is 0. For one thread at a time.
 */
struct symbol_debuginfod *symbol_debuginfod_new(
	uint64_t limit_ns, symbol_debuginfod_tick tick, void *user);
void symbol_debuginfod_free(struct symbol_debuginfod *round);

/*
 * A descriptor of the debug file with this build-id, or -1. Takes no time when DEBUGINFOD_URLS is unset,
 * libdebuginfod is not installed, this build-id failed within the last ten minutes, or `round` is NULL or
 * out of time. Only one request of the process is under way at any time.
 */
int symbol_debuginfod_find(
	struct symbol_debuginfod *round, const uint8_t *build_id, size_t n_build_id);

/* A sentence about what kept the round from getting its files; to g_free(). NULL: nothing did. */
char *symbol_debuginfod_trouble(const struct symbol_debuginfod *round);

/* Why nothing can be asked at all (a sentence that says what to do); NULL when it can. */
const char *symbol_debuginfod_missing(void);
