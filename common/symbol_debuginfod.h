/* SPDX-License-Identifier: MIT */
/* Debug files from the servers in DEBUGINFOD_URLS, within a time limit. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * A descriptor of the debug file with this build-id, or -1. Takes at most 10 s, and nothing at all when
 * DEBUGINFOD_URLS is unset, libdebuginfod is not installed, or this build-id failed before. Any thread.
 */
int symbol_debuginfod_find(const uint8_t *build_id, size_t n_build_id);
