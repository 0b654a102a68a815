/* SPDX-License-Identifier: MIT */
/* The rules behind findings (finding.h), and what they share. */
#pragma once

#include "proto/schema.h"
#include "viewer/finding.h"
#include "viewer/format.h"

/* Each appends what it finds. */
void finding_end(struct findings *findings);	  /* deaths, crashes, triggers */
void finding_deadlock(struct findings *findings); /* threads that wait in a circle */
void finding_lock(
	struct findings *findings); /* contended locks, convoys, what is done under them */
void finding_call(
	struct findings *findings); /* fsync where requests are served, tiny calls, errors */
void finding_thread(
	struct findings *findings); /* sleeping workers that pile up, threads of short life */
void finding_heap(struct findings *findings); /* memory that only grows */
void finding_cpu(struct findings *findings);  /* where CPU time goes, recursion, too few cores */

/* Of a rule id: what its findings start from. */
struct finding finding_new(const char *rule, enum finding_severity severity);

/* Appends it, with title and text. */
void finding_add(struct findings *findings, struct finding finding, char *title, char *text);

/* "34 %", "2.5 %" of a whole; "0" when the whole is 0. Returns buffer. */
const char *finding_share(char buffer[FORMAT_SIZE], double part, double whole);

/* The place that a stack stands for, "cache_put (cache.c:121)"; its function alone, "cache_put". Borrowed. */
const char *finding_site(const struct findings *findings, uint32_t stack);
const char *finding_function(const struct findings *findings, uint32_t stack);

/* "worker-3 (4875)"; "a thread that is not known". g_free(). */
char *finding_thread_name(const struct findings *findings, uint32_t thread);

/*
 * Functions of the `n_frames` innermost frames of a stack outside of runtime libraries, inlined ones too: string ids, at most
 * `max`. Returns how many.
 */
size_t finding_functions(const struct findings *findings, uint32_t stack, uint32_t n_frames,
	uint32_t *ids, size_t max);
/* Whether the function is anywhere in the stack. */
int finding_is_in(const struct findings *findings, uint32_t stack, uint32_t function);

/* Rows of a table, forwards or backwards. */
struct finding_rows {
	const struct series *series;
	const struct index_column *columns;
	struct series_span span;
	uint64_t n;
};

static inline struct finding_rows finding_rows(
	const struct findings *findings, enum index_table_id id)
{
	const struct series *series = findings->index->tables[id];

	return (struct finding_rows){ series, index_tables[id].columns, { .n = 0 },
		series_n(series) };
}

/* Makes `row`, which must exist, one of the span. */
void finding_load(struct finding_rows *rows, uint64_t row);

static inline uint64_t finding_get(struct finding_rows *rows, uint64_t row, unsigned column)
{
	if (row < rows->span.first || row - rows->span.first >= rows->span.n)
		finding_load(rows, row);
	return pool_load(
		rows->span.columns[column], rows->columns[column].width, row - rows->span.first);
}
