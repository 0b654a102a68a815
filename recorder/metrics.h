/* SPDX-License-Identifier: MIT */
/* Text in Prometheus' exposition format 0.0.4, one family after the other. Single-threaded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

/* The text so far; `family` is the one that values are added to. */
struct metrics {
	GString *text;	    /* owned by the caller */
	const char *family; /* borrowed */
};

/* Begins a family: its HELP and TYPE lines. Names that end in _total are counters, others gauges. */
void metrics_family(struct metrics *metrics, const char *name, const char *help);

/*
 * Adds one value of the family. Labels are pairs of name and value, ended by NULL; values may hold any bytes, which
 * are escaped, or replaced where they are no UTF-8.
 */
void metrics_add(struct metrics *metrics, double value, ...) G_GNUC_NULL_TERMINATED;
