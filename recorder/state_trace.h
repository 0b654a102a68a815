/* SPDX-License-Identifier: MIT */
/* The events of trace/state (proto/schema.md, second part): one function each. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/symbol.h"
#include "proto/blackbox.h"
#include "proto/schema.h"
#include "recorder/ctf_writer.h"
#include "recorder/thread_times.h"

struct state_trace;
struct trace_trigger;

struct state_process {
	uint16_t proc;
	uint32_t pid, ppid, parent_proc, uid;
	uint64_t start_ns, end_ns;
	uint32_t state; /* enum fr_process_state */
	const char *exe, *command;
	uint32_t exit_kind; /* enum fr_exit_kind */
	int32_t exit_code;
	uint32_t signal; /* that killed it; 0: none, or not known */
	uint32_t is_oom;
};

/*
 * Starts the stream in `fd`, a file of its own (borrowed). Every event carries the time that
 * state_trace_set_time() set last; times may only grow.
 */
struct state_trace *state_trace_new(int fd, const struct ctf_clock *clock);
void state_trace_free(struct state_trace *trace);

void state_trace_set_time(struct state_trace *trace, uint64_t timestamp);

void state_trace_env(struct state_trace *trace, const char *key, const char *value);
void state_trace_receipt(struct state_trace *trace, const char *key, const char *value);
void state_trace_process(struct state_trace *trace, const struct state_process *process);
void state_trace_module(struct state_trace *trace, uint16_t proc, const struct fr_module *module);
/* `times`: within the window. The slot's own cpu_ns is not looked at. */
void state_trace_thread(struct state_trace *trace, uint16_t proc, const struct fr_slot *slot,
	const struct thread_times *times);
void state_trace_counter(
	struct state_trace *trace, uint16_t proc, const char *name, uint64_t value);
void state_trace_call_total(
	struct state_trace *trace, uint16_t proc, uint32_t call, const struct fr_call_total *total);
void state_trace_fd(struct state_trace *trace, uint16_t proc, int32_t fd, const char *target);
void state_trace_live(struct state_trace *trace, uint16_t proc, const struct fr_live *live);
void state_trace_stack(struct state_trace *trace, uint16_t proc, uint32_t id, uint32_t flags,
	const uint64_t *frames, size_t n_frames);
void state_trace_crash(struct state_trace *trace, uint16_t proc, const struct fr_crash *crash);
void state_trace_trigger(struct state_trace *trace, const struct trace_trigger *trigger);
void state_trace_symbol(struct state_trace *trace, uint16_t proc, uint64_t addr, uint32_t depth,
	const struct symbol_frame *frame);

/* The metadata that goes beside the stream; the caller frees it. */
GString *state_trace_metadata(struct state_trace *trace);

/* Writes what is left. Returns 0 or the first -errno; *n_bytes_out is the size of the stream. */
int state_trace_flush(struct state_trace *trace, uint64_t *n_bytes_out);
