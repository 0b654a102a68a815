/* SPDX-License-Identifier: MIT */
/* --linger: the program has ended, what it left is still served. */
#pragma once

#include <stdint.h>

#include "recorder/process.h"

/*
 * Signals until now were the program's: those that ask to end are dropped. To be called as soon as it has ended, so that what comes
 * while its last files are written counts.
 */
void linger_forget_signals(void);

/*
 * Says on stderr what is served at `url` and until when, then waits `ns` (OPTIONS_FOREVER: without end) or for SIGINT,
 * SIGTERM, SIGHUP or SIGQUIT, which are blocked in all threads. Children that end
 * meanwhile are collected and told to `on_exit`.
 */
void linger(const char *name, const char *url, uint64_t ns, process_other_exit on_exit, void *user);
