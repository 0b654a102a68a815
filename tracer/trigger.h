/* SPDX-License-Identifier: MIT */
/*
 * What makes the program ask its recorder for a snapshot: fr_trigger in the blackbox. Whether a time is long enough is one
 * comparison where nothing is asked for. At most one a millisecond and process is written, others are counted.
 */
#pragma once

#include <stdint.h>

#include "tracer/internal.h"

struct call;

struct trigger {
	uint32_t kind;	/* enum fr_trigger_kind */
	uint32_t stack; /* FR_STACK_NONE: not taken */
	uint32_t call;	/* enum fr_call, or enum fr_lock */
	uint64_t value, limit, obj;
	const char *reason; /* NULL: nothing to say; cut at 95 bytes */
};

/* Writes it and wakes the recorder. Returns 0, or -EAGAIN: too soon after another one. Context: hook, under the guard. */
int trigger_fire(const struct fr_thread *t, const struct trigger *trigger);

/* Is a time as long as a limit, where 0 says that there is none? */
static inline int trigger_is_over(uint64_t ns, const uint64_t *limit)
{
	/* Less one, no limit is the largest number. */
	return unlikely(__atomic_load_n(limit, __ATOMIC_RELAXED) - 1 < ns);
}

/* Are there rules for regions and tasks? They never change once a program runs. */
static inline int trigger_has_rules(void)
{
	return unlikely(fr_control->n_slow != 0);
}

/* The limit of a region or task of this type; UINT64_MAX: none. Context: any. */
uint64_t trigger_slow_limit(const char *type);

/* A call that was as long as fr_control.trigger_call_ns: is it no waiting for work? Then it fires. Context: as above. */
void trigger_call(struct fr_thread *t, const struct call *call, uint64_t dur);
