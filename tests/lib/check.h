/* SPDX-License-Identifier: MIT */
/* Unit tests: a few macros that print TAP. A case that checks nothing fails. */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int check_n_cases, check_n_failed_cases;
static int check_n_in_case, check_failed_in_case;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		check_n_in_case++;                                                                 \
		if (!(cond)) {                                                                     \
			check_failed_in_case++;                                                    \
			printf("# %s:%d: failed: %s\n", __FILE__, __LINE__, #cond);                \
		}                                                                                  \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		intmax_t check_got = (intmax_t)(got), check_want = (intmax_t)(want);               \
		check_n_in_case++;                                                                 \
		if (check_got != check_want) {                                                     \
			check_failed_in_case++;                                                    \
			printf("# %s:%d: %s is %jd, want %jd\n", __FILE__, __LINE__, #got,         \
				check_got, check_want);                                            \
		}                                                                                  \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *check_got = (got), *check_want = (want);                               \
		check_n_in_case++;                                                                 \
		if (!check_got || !check_want || strcmp(check_got, check_want) != 0) {             \
			check_failed_in_case++;                                                    \
			printf("# %s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__, #got,   \
				check_got ? check_got : "(null)",                                  \
				check_want ? check_want : "(null)");                               \
		}                                                                                  \
	} while (0)

/* Runs one case; its name states the behaviour that it checks. */
#define CASE(fn, behaviour)                                                                        \
	do {                                                                                       \
		check_n_in_case = check_failed_in_case = 0;                                        \
		fn();                                                                              \
		if (check_n_in_case == 0) {                                                        \
			printf("# no check was made\n");                                           \
			check_failed_in_case++;                                                    \
		}                                                                                  \
		check_n_failed_cases += check_failed_in_case != 0;                                 \
		printf("%sok %d - %s\n", check_failed_in_case ? "not " : "", ++check_n_cases,      \
			behaviour);                                                                \
		fflush(stdout);                                                                    \
	} while (0)

#define CHECK_DONE() (printf("1..%d\n", check_n_cases), check_n_failed_cases ? 1 : 0)
