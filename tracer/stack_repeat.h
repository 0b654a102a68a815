/* SPDX-License-Identifier: MIT */
/*
 * The repeated-stack check: most stacks that a thread captures at one place are those of before. A record
 * keeps what a walk rested on (struct unwind_trail) as places and one hash of what was there; as long as it is
 * there, the walk would end in the same stack, so its id is the answer: no walk, no look-up.
 *
 * One block per thread, used by that thread alone. It may be interrupted by a handler of its own thread at
 * any instruction: `holder` keeps the handler away from records that are being looked at or written.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tracer/unwind.h"

/* Kinds of events have records of their own, so that frequent ones do not push out the others'. */
enum fr_repeat {
	FR_REPEAT_LOCK,
	FR_REPEAT_CALL,
	FR_REPEAT_ALLOC,
	FR_REPEAT_USER,
	FR_REPEAT_N,
};

#define REPEAT_SETS 32u
#define REPEAT_WAYS 4u

/* 288 bytes, of which a stack of 20 frames uses 60. */
struct repeat_record {
	uint64_t hash; /* of the words, and of the start's registers where they mattered */
	uint32_t id;   /* of the stack */
	uint8_t flags; /* FR_STACK_* */
	bool has_fp, has_bx;
	uint8_t n; /* words */
	uint16_t words[(288 - 16) / sizeof(uint16_t)];
};

/* A set's keys share a cache line. pc 0: none. */
struct repeat_set {
	struct {
		uintptr_t pc, sp;
	} key[REPEAT_WAYS];
};

struct repeat_table {
	struct repeat_set sets[REPEAT_SETS];
	struct repeat_record records[REPEAT_SETS][REPEAT_WAYS];
	uint8_t next[REPEAT_SETS]; /* way to be written next, modulo REPEAT_WAYS */
	bool is_used;
};

/* 150 KB of address space; what is never used takes no memory. All zero is empty. */
struct stack_repeat {
	uintptr_t holder; /* sp of the capture under way; 0 none */
	uint64_t version; /* the records were made under; another one drops them */
	struct repeat_table tables[FR_REPEAT_N] __attribute__((aligned(64)));
};

/* The check under way, between find and keep; in the caller's frame. */
struct repeat_query {
	struct stack_repeat *repeat; /* NULL: not to be kept */
	const struct unwind_start *start;
	enum fr_repeat kind;
	uint64_t version;
};

/*
 * The id of the stack at `start` when it is the same as before, with its FR_STACK_* flags in *flags_out;
 * else FR_STACK_NONE, and *query_out is to be passed to stack_repeat_keep() after the walk. `bounds` are the
 * thread's own; a start outside is never kept. `depth` is the walk's limit, 1 to FR_STACK_MAX_FRAMES.
 * Context: hook | signal, the owner only.
 */
uint32_t stack_repeat_find(struct stack_repeat *repeat, enum fr_repeat kind,
	const struct unwind_start *start, const struct unwind_bounds *bounds, size_t depth,
	unsigned *flags_out, struct repeat_query *query_out);

/* Keeps the walk that gave `id`, unless that is no stack, and ends the query. */
void stack_repeat_keep(const struct repeat_query *query, const struct unwind_trail *trail,
	uint32_t id, unsigned flags);

/* Forgets all: the thread is another one, or ids have a new meaning (child of fork). */
void stack_repeat_drop(struct stack_repeat *repeat);
