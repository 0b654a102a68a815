/* SPDX-License-Identifier: MIT */
/* How the process ends by itself: exit(), main()'s return, _exit() and its relatives; exec. */
#pragma once

/* Registers what must run last. Once, as early as can be. Context: init. */
void exit_start(void);

/*
 * Does an environment still hold what has the next image traced: our library among those to be preloaded, and the runtime
 * folder? Memory that cannot be read is not touched. Context: hook.
 */
int exit_is_env_traced(char *const *env);
