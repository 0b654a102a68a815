/* SPDX-License-Identifier: MIT */
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "stress_unwind.h"

namespace
{

struct witness {
	witness(int fd, int &n) : fd_(fd), n_(n)
	{
	}
	~witness()
	{
		if (write(fd_, "d", 1) == 1)
			n_++;
	}
	int fd_;
	int &n_;
};

void descend(int fd, int depth, int &n)
{
	witness guard(fd, n);

	if (depth == 0)
		throw std::runtime_error(std::to_string(fd));
	try {
		descend(fd, depth - 1, n);
	} catch (const std::logic_error &) {
		n = -1;
	} catch (...) {
		if (depth % 3 == 0)
			throw std::length_error("again");
		throw;
	}
}

} // namespace

int stress_throw(int fd, int depth)
{
	int n = 0;

	try {
		descend(fd, depth, n);
	} catch (const std::exception &error) {
		n += error.what()[0] == '\0';
	}
	return n;
}
