/* SPDX-License-Identifier: MIT */
/* Where and how a trace was recorded: the env events of the state trace. */
#pragma once

struct ctf_clock;
struct state_trace;
struct trace_out_request;

/* Writes what is found here (host, kernel, cpus, os, version, clock, …), then request->env. */
void trace_env_write(struct state_trace *trace, const struct trace_out_request *request,
	const struct ctf_clock *clock);

/* CLOCK_MONOTONIC as of now, for a trace without LTTng's metadata to copy from. */
void trace_env_clock(struct ctf_clock *clock_out);
