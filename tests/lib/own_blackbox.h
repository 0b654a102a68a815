/* SPDX-License-Identifier: MIT */
/* For tests of the tracer's tables: the blackbox of this very process. Include in one file of a test. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "temp_dir.h"
#include "tracer/blackbox.h"
#include "tracer/internal.h"

uint16_t fr_proc;
struct fr_blackbox *fr_blackbox;

/*
 * Makes a runtime folder (temp_dir.h) and opens the blackbox in it. Returns the folder's path, or NULL after the line
 * that says why the test cannot run.
 */
static inline const char *own_blackbox_open(const char *name)
{
	const char *dir = temp_dir_make_runtime(name);
	char why[300] = "";

	if (blackbox_open(dir, 0, why, sizeof(why)) < 0) {
		printf("Bail out! %s\n", why);
		return NULL;
	}
	return dir;
}
