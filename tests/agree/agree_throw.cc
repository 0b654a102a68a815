/* SPDX-License-Identifier: MIT */
/* agree_throw SECONDS: the work of tests/unit/unwind_busy.cc, which throws, sorts, formats and calls back. */
#include <cstdio>
#include <cstdlib>
#include <ctime>

extern "C" unsigned busy_round(unsigned seed);

int main(int argc, char **argv)
{
	std::time_t end = std::time(nullptr) + (argc > 1 ? std::atoi(argv[1]) : 10);
	unsigned sum = 0;

	while (std::time(nullptr) < end)
		sum += busy_round(sum);
	std::printf("%u\n", sum);
	return 0;
}
