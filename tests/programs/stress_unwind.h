/* SPDX-License-Identifier: MIT */
/* The C++ part of stress_unwind. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Throws through `depth` frames whose destructors write to `fd`, and catches. Returns how many ran. */
int stress_throw(int fd, int depth);

#ifdef __cplusplus
}
#endif
