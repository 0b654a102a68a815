/* SPDX-License-Identifier: MIT */
/*
 * What programs ask of the recorder through their own functions (flightrec.h), and people with curl: rates, and profiles
 * and traces that one request starts and another one ends.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What was started and not stopped yet. Only requests of route_control.c use it. */
struct route_control_state {
	pthread_mutex_t mutex; /* guards all below */
	bool is_cpu_on;
	pid_t cpu_owner;   /* who started it through the program's socket; 0: not known */
	uint64_t trace_id; /* 0: none */
	pid_t trace_owner;
};
