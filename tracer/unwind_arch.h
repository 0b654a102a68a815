/* SPDX-License-Identifier: MIT */
/* Picks the architecture's part of the stack walk. */
#pragma once

#if defined(__x86_64__)
#include "tracer/unwind_x86_64.h"
#elif defined(__aarch64__)
#include "tracer/unwind_aarch64.h"
#else
#error "the stack walk does not know this architecture"
#endif

/*
 * For functions that read stacks and tables of the host: they cross objects and red zones on purpose, and
 * what they read may be written by threads that no sanitizer can order against them.
 */
#define UNWIND_RAW __attribute__((no_sanitize("address"), no_sanitize("thread")))
