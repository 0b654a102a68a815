/* SPDX-License-Identifier: MIT */
/*
 * What stands out in a trace: rules over its index, each with a sentence that a person can act on, and where to look.
 * A rule says nothing rather than something that it cannot know. Thresholds stand beside each rule, in finding_*.c.
 *
 * Severity: high: the program cannot go on, or spends a large part of the window on it. medium: worth changing. low: worth
 * knowing.
 *
 * As JSON, an array, most important first: {severity "high", "medium", "low"; rule (an id); title; text; thread (index) and
 * tid, null: none; time (ns since the window's begin), null: none; dur (ns); table and row (of the index: the event to look
 * at), null: none; stack, other_stack (ids; other: of the holder, creator, ...), null: none; site (where)}.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "viewer/index.h"

enum finding_severity { FINDING_LOW, FINDING_MEDIUM, FINDING_HIGH };

#define FINDING_NO_TIME UINT64_MAX
#define FINDING_NO_TABLE (-1)

struct finding {
	enum finding_severity severity;
	const char *rule;	  /* static */
	char *title, *text;	  /* owned */
	uint32_t thread;	  /* index, INDEX_NONE: of no thread */
	uint64_t time_ns, dur_ns; /* since the window's begin; FINDING_NO_TIME */
	int table;		  /* enum index_table_id, or FINDING_NO_TABLE */
	uint64_t row;
	uint32_t stack, other_stack; /* STACK_INDEX_NONE: none */
	double weight;		     /* among those of a rule: the heaviest come first */
	int rank;		     /* by rule: among those of a severity the lowest come first */
};

struct findings {
	const struct index *index; /* borrowed */
	uint64_t window_ns;
	GArray *list; /* struct finding */
};

/* Asks all rules about a finished index. Names of places are made in its trace: one thread at a time. */
struct findings *findings_new(const struct index *index);
void findings_free(struct findings *findings);

/* A new reference, see above. */
json_t *findings_json(const struct findings *findings);

/* All of them about an index as JSON text; g_free(). */
char *findings_text(const struct index *index);

/* For people, at most 100 columns; `top` of them, 0: all. */
void findings_print(const struct findings *findings, FILE *out, unsigned top);
