/* SPDX-License-Identifier: MIT */
/* The processes on the page for people: which there are and were, how they ended, and their profiles. */
#pragma once

#include <glib.h>

/* At most so many are shown, those that live first, then the last that ended. */
#define INDEX_PROCESSES_MAX 50

/* Appends a section with a table; nothing when there is no process in `rundir`. */
void index_processes_write(const char *rundir, GString *html);
