/* SPDX-License-Identifier: MIT */
/*
 * Around a fork. liblttng-ust must know of it: without its protocol the child shares the parent's ring positions, and
 * its exit() waits for threads that are not there. The guard is held across, so that the program's pthread_atfork()
 * handlers in the child do not write into the parent's slot. errno is kept. Context: hook.
 */
#pragma once

#include <signal.h>

struct fork_state {
	sigset_t signals;
	int had_guard;
};

void fork_before(struct fork_state *state) __attribute__((visibility("hidden")));

/* On both sides, with the state that fork_before() filled: the child, too, becomes a traced process. */
void fork_after(struct fork_state *state, int is_child) __attribute__((visibility("hidden")));
