/* SPDX-License-Identifier: MIT */
/*
 * Programs of many cases: `program CASE` runs one, `program --list` names them. What a case prints
 * and how it ends is the same in each run, so that a bare and a traced run can be compared.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct test_case {
	const char *name;
	int (*run)(void); /* the exit code, if it returns */
};

/* Ends the program with a message that names what failed. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: failed: %s: %s\n", __FILE__, __LINE__, #condition, \
				strerror(errno));                                                  \
			exit(99);                                                                  \
		}                                                                                  \
	} while (0)

/* Waits for a child and prints how it ended. */
static inline void report_child(const char *what, pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		printf("%s: killed by signal %d\n", what, WTERMSIG(status));
	else
		printf("%s: exit code %d\n", what, WEXITSTATUS(status));
	fflush(stdout);
}

static inline int cases_main(const struct test_case *cases, size_t n_cases, int argc, char **argv)
{
	for (size_t i = 0; i < n_cases && argc == 2; i++) {
		if (strcmp(argv[1], "--list") == 0)
			puts(cases[i].name);
		else if (strcmp(argv[1], cases[i].name) == 0)
			return cases[i].run();
	}
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return 0;
	fprintf(stderr, "usage: %s CASE|--list\n", argv[0]);
	return 2;
}
