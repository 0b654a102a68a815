/* SPDX-License-Identifier: MIT */
/*
 * CPU samples: one timer per thread on its CPU clock, which sends that thread a SIGPROF at every period of CPU
 * time that it uses. Made by the tracer's own thread for those that live, by a thread for itself when it begins later.
 */
#pragma once

#include <signal.h>
#include <stdint.h>

#include "tracer/internal.h"

#define SAMPLER_MAX_HZ 10000

/* A number only this process knows, in the upper half of si_value of all our signals. */
extern uint32_t sampler_cookie __attribute__((visibility("hidden")));

/* Once, and again in the child of a fork, where no timer is left, before its thread attaches. Context: init. */
void sampler_init(void);

/*
 * From now on `hz` samples per second of CPU time of every thread, 0: none. Says in the blackbox what came of it:
 * cpu_hz, cpu_refusal. May be called again at the same rate, to look whether SIGPROF is still ours.
 * Context: init | helper thread.
 */
void sampler_set_rate(uint32_t hz);

/*
 * Takes all timers away; none is made until the next sampler_set_rate(). Signals that are under way may still come.
 * Waits for threads that are making one, at most 100 ms. Context: any.
 */
void sampler_off(void);

/* As sampler_off(), for good. Context: the end of the process. */
void sampler_end(void);

/* The calling thread begins, with its slot in place; ends. Context: thread_attach(), thread_detach(). */
void sampler_attach(struct fr_thread *t);
void sampler_detach(struct fr_thread *t);

/* The handler of SIGPROF (sampler_signal.c). */
void sampler_on_signal(int number, siginfo_t *info, void *context);

/* Is this signal one of ours? Then *value_out is the lower half of its si_value. Context: signal. */
int sampler_is_ours(const siginfo_t *info, uint32_t *value_out);

/*
 * Takes our own frames out of a stack in the form of unwind_walk(): all of libflightrec, and where the thread was
 * `is_busy` with our work, what that called. Returns the number that is left; *is_own_out: the thread was at work for
 * us. Context: signal.
 */
size_t sampler_strip(uintptr_t *frames, size_t n, int is_busy, int *is_own_out);
