/* SPDX-License-Identifier: MIT */
/* What only C++ can do, for test_cxx.c. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Allocates by every form of new: their number, and the sum of bytes asked for. Deletes them, by the forms that fit. */
unsigned cxx_new(unsigned long *bytes_out);
void cxx_delete(void);

/* Calls `inside` within the scopes of flightrec.hpp, and `outside` after them. */
void cxx_scopes(void (*inside)(void), void (*outside)(void));

#ifdef __cplusplus
}
#endif
