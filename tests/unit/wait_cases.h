/* SPDX-License-Identifier: MIT */
/* Waits of known length at known places, for the profiles `block` and `mutex`. */
#pragma once

#include <stdint.h>

/* What a profile must show below (block) or at (mutex) a function. */
struct known_wait {
	const char *profile, *site;
	void *function; /* the site's address; NULL: [unknown] */
	uint64_t n;	/* waits; of mutex those that this site ended */
	uint64_t ns;	/* as the program measured it, around the calls */
};

#define KNOWN_WAITS 32

/* Lets all of them happen, which takes two seconds. Returns how many were written. */
unsigned known_waits_make(struct known_wait out[KNOWN_WAITS]);
