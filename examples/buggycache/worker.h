/* SPDX-License-Identifier: MIT */
/* Background jobs, each on a worker thread. Thread-safe. */
#pragma once

#include <stdint.h>

/*
 * Queues job number `*job_out`: a worker computes fib(n) and puts it into the cache. Returns 0, or -errno when
 * there is no memory or no thread could be started; a job without a thread waits for the next one.
 */
int worker_submit(unsigned n, unsigned *job_out);

/* Threads started so far. */
unsigned worker_count(void);

/* The n-th Fibonacci number, by the definition. */
uint64_t worker_fib(unsigned n);
