/* SPDX-License-Identifier: MIT */
/* Work for test_unwind_agree.c: C++ that throws, sorts, formats, allocates and calls back from libraries. */
#include <algorithm>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" unsigned busy_round(unsigned seed);

namespace
{

struct shape {
	virtual ~shape() = default;
	virtual double area(unsigned depth) const = 0;
};

struct leaf : shape {
	explicit leaf(unsigned side) : side_(side)
	{
	}
	double area(unsigned depth) const override
	{
		if (side_ % 7 == 3)
			throw std::runtime_error(
				"side " + std::to_string(side_) + " at " + std::to_string(depth));
		return side_ * 1.5;
	}
	unsigned side_;
};

struct node : shape {
	double area(unsigned depth) const override
	{
		std::string guard(depth + 20, 'x'); /* a destructor that unwinding must run */
		double sum = 0;

		for (const auto &child : children_) {
			try {
				sum += child->area(depth + 1);
			} catch (const std::logic_error &) {
				sum -= 1;
			}
		}
		return sum + static_cast<double>(guard.size());
	}
	std::vector<std::unique_ptr<shape>> children_;
};

std::unique_ptr<shape> grow(unsigned depth, unsigned &seed)
{
	seed = seed * 1103515245u + 12345u;
	if (depth == 0)
		return std::make_unique<leaf>(seed >> 16 & 0xff);
	auto parent = std::make_unique<node>();
	for (unsigned i = 0; i < 3; i++)
		parent->children_.push_back(grow(depth - 1, seed));
	return parent;
}

} // namespace

unsigned busy_round(unsigned seed)
{
	std::map<std::string, unsigned> words;
	std::vector<unsigned> numbers;
	unsigned caught = 0;

	for (unsigned i = 0; i < 20; i++) {
		try {
			words["area"] += static_cast<unsigned>(grow(3, seed)->area(0));
		} catch (const std::exception &error) {
			words[error.what()]++;
			caught++;
		}
		numbers.push_back(seed);
	}
	std::sort(numbers.begin(), numbers.end(), [&words](unsigned a, unsigned b) {
		return a % 1000 + words.size() < b % 1000 + words.size();
	});
	std::ostringstream out;
	for (const auto &word : words)
		out << word.first << '=' << word.second << ' ' << 3.25 * word.second << '\n';
	return caught + static_cast<unsigned>(out.str().size()) + numbers.front();
}
