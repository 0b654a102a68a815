/* SPDX-License-Identifier: MIT */
/* Closing as the program may: descriptors of liblttng-ust answer EBADF, or are left out of a range. */
#pragma once

/* close(2). -1 and errno. */
int close_guarded(int fd);

/* close_range(2). -1 and errno. */
int close_range_guarded(unsigned first, unsigned last, int flags);

/* dup2(2) and dup3(2). Onto a descriptor of liblttng-ust: -1 and EBADF. */
int dup2_guarded(int from, int to);
int dup3_guarded(int from, int to, int flags);
