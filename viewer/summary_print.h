/* SPDX-License-Identifier: MIT */
/* Parts of the summary for people, and what they share: a section each, nothing where there is nothing to say. */
#pragma once

#include "viewer/summary.h"

#define SUMMARY_WIDTH 100

/* "  LABEL       TEXT", TEXT wrapped at blanks and made harmless to a terminal. */
void summary_print_line(FILE *out, const char *label, const char *text);

/* Rows to show of a table, and the line that says how many are left out. */
guint summary_at_most(const GArray *rows, unsigned top);
void summary_print_more(FILE *out, const GArray *rows, unsigned top);

/* A line per frame of a stack (an index), the innermost first, at most 16. */
void summary_print_stack(
	const struct summary *summary, uint32_t index, const char *label, FILE *out);

void summary_print_head(const struct summary *summary, FILE *out);
void summary_print_death(const struct summary *summary, FILE *out);
void summary_print_triggers(const struct summary *summary, FILE *out);
void summary_print_sched(const struct summary *summary, FILE *out, unsigned top);
void summary_print_wakers(const struct summary *summary, FILE *out, unsigned top);
void summary_print_cpu(const struct summary *summary, FILE *out, unsigned top);
