/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of liblttng-ust inside the program: moved out of the way, so that the program's own get the
 * numbers they would have without us, and kept from its close(), closefrom() and close_range().
 */
#pragma once

struct msghdr;

/* Reads the descriptor limit. Context: init, and early hooks. */
void lttng_fd_init(void);

/* Moves a descriptor out of the program's way; returns its number from now on. Keeps errno. */
int lttng_fd_move(int fd);

/* The same for one of our own, which is closed when there is no room for it: -1. */
int lttng_fd_move_own(int fd);

/* The same for all that were received in a message. */
void lttng_fd_move_received(struct msghdr *message);

/* May this descriptor be one of liblttng-ust's? */
int lttng_fd_is_candidate(int fd);

/* Range of the numbers that its descriptors were moved to: [first, last]; first > last when none. */
void lttng_fd_range(int *first_out, int *last_out);
