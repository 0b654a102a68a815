/* SPDX-License-Identifier: MIT */
/* Background jobs, each on a worker thread. Thread-safe. */
#pragma once

#include <stdint.h>

/* Hands job number `*job_out` to a worker: fib(n) is computed and put into the cache. 0 or -errno. */
int worker_submit(unsigned n, unsigned *job_out);

/* Threads started so far. */
unsigned worker_count(void);

/* The n-th Fibonacci number, by the definition. */
uint64_t worker_fib(unsigned n);
