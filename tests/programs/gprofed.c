/* SPDX-License-Identifier: MIT */
/* Built with -pg: spends 2 s of CPU time in spin(), and says how many seconds they were. */
#include <stdio.h>
#include <time.h>

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double spin(double until);

/* Known to gprof by its name. */
__attribute__((noinline)) double spin(double until)
{
	volatile unsigned long x = 1;

	do {
		for (int i = 0; i < 100000; i++)
			x = x * 6364136223846793005u + 1;
	} while (cpu_now() < until);
	return cpu_now();
}

int main(void)
{
	printf("%.3f\n", spin(2.0));
	return 0;
}
