/* SPDX-License-Identifier: MIT */
/* --linger: the program has ended, what it left is still served. */
#pragma once

#include <stdint.h>

#include "recorder/process.h"

/*
 * Says on stderr what is served at `url` and until when, then waits `ns` (OPTIONS_FOREVER: without end) or for SIGINT,
 * SIGTERM, SIGHUP or SIGQUIT, which are blocked in all threads. Signals from before, which were the program's, do not count. Children that
 * end meanwhile are collected and told to `on_exit`.
 */
void linger(const char *name, const char *url, uint64_t ns, process_other_exit on_exit, void *user);
