/* SPDX-License-Identifier: MIT */
/* Built with AddressSanitizer: a clean run, and one whose fault ASan must still report. */
#include <pthread.h>

#include "cases.h"

static int run_clean(void)
{
	char *text = strdup("hello");

	printf("%s from an ASan build\n", text);
	free(text);
	return 0;
}

static int run_overflow(void)
{
	volatile size_t after_the_end = 10;
	char *text = malloc(10);

	memset(text, 0, 10);
	printf("%d\n", text[after_the_end]);
	free(text);
	return 0;
}

static const struct test_case cases[] = {
	{ "clean", run_clean },
	{ "overflow", run_overflow },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
