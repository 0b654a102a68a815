/* SPDX-License-Identifier: MIT */
/* Comma-separated values as RFC 4180 has them, but for lines that end with \n. */
#pragma once

#include <stdio.h>

/* A row of n texts; NULL is an empty one. */
void csv_row(FILE *out, int n, const char *const *values);
