/* SPDX-License-Identifier: MIT */
/* trace-record --recover: writes the recordings that killed recorders have left in memory. */
#pragma once

/*
 * The whole program, with its arguments from "--recover" on: returns its exit status (0: everything found was written, or
 * nothing was there; 1: something could not be; 2: usage).
 */
int recover_main(int argc, char **argv);
