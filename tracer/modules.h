/* SPDX-License-Identifier: MIT */
/* The table of loaded objects in the blackbox: path, build-id, executable range. */
#pragma once

#include <stdint.h>

/*
 * Compares the table with what the loader has mapped: adds what is new, marks what is gone as unloaded.
 * Takes the loader's lock. Context: init, and hooks that have just called into the loader themselves.
 */
void modules_scan(void);

/*
 * Forgets cached unwind rules, and scans, when the loader has unloaded anything since the last call. Takes the loader's
 * lock. Context: hooks that have just called into the loader, never a handler.
 */
void modules_poll(void);

/* Forgets the table (child of a fork: its new blackbox is empty). Context: init. */
void modules_reset(void);
