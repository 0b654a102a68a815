/* SPDX-License-Identifier: MIT */
/* What the rules about locks share. */
#pragma once

#include "viewer/finding.h"

/* Locks for which nobody waits for this share of the window are not looked at. */
#define FINDING_LOCK_SHARE 0.01

/* Waits for one lock that can be contended (mutex, rwlock, spin). */
struct finding_waits {
	uint64_t obj, n, sum_ns, max_ns, max_row;
	uint64_t any_ns,
		covered_ns; /* in which anybody waited; its earliest moment, while it is summed */
	uint64_t n_looked, n_convoy, max_line;
	uint32_t process, kind; /* index; enum fr_lock of one of them */
};

/* Whether waiting for this kind (enum fr_lock) means that others were in the way. */
int finding_is_lock(uint64_t kind);
/* "mutex", "rwlock", "spin". Static. */
const char *finding_lock_name(uint32_t kind);

/* What holders of `locks` (struct finding_waits) did while others waited: blocking calls, waits for other locks. */
void finding_held(struct findings *findings, const GArray *locks);
