/* SPDX-License-Identifier: MIT */
/* Cases of known_wakes: n threads wait, main lets them go. */
#pragma once

#include "cases.h"

#define MS 1000000ull
#define HOLD_MS 50
/* A function whose name is to be in the waker's stack: no tail call. */
#define SITE __attribute__((noinline)) static void
#define SITE_END() __asm__ volatile("" ::: "memory")

long tid_now(void);

/* Starts n threads, and returns when they have waited for HOLD_MS. */
void start(int n, void (*wait)(void));

/* Joins them, and says that all were let go by `waker` in `func`. */
void finish(int n, const char *what, const char *call, long waker, const char *func);

/* A case: n threads wait, main lets them go. */
#define CASE_OF(n, what, call, wait, go)               \
	do {                                           \
		start(n, wait);                        \
		go();                                  \
		finish(n, what, call, tid_now(), #go); \
	} while (0)

/* The half that is about pipes, sockets and their like. */
void known_channels(void);
