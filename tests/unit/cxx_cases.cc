/* SPDX-License-Identifier: MIT */
#include "cxx_cases.h"

#include <memory>
#include <new>
#include <string>
#include <vector>

#include "flightrec.hpp"

namespace
{

struct alignas(256) wide {
	char bytes[512];
};

struct counted {
	~counted()
	{
		sum++;
	}
	static int sum;
	char bytes[40];
};
int counted::sum;

void *plain, *array, *plain_nothrow, *array_nothrow, *aligned, *aligned_array, *aligned_nothrow, *sized;
wide *over_aligned;
counted *cookies;

} // namespace

extern "C" unsigned cxx_new(unsigned long *bytes_out)
{
	constexpr std::align_val_t at{ 128 };

	plain = ::operator new(1001);
	array = ::operator new[](1002);
	plain_nothrow = ::operator new(1003, std::nothrow);
	array_nothrow = ::operator new[](1004, std::nothrow);
	aligned = ::operator new(1024, at);
	aligned_array = ::operator new[](1152, at);
	aligned_nothrow = ::operator new(1280, at, std::nothrow);
	sized = ::operator new(1005);
	over_aligned = new wide;
	cookies = new counted[10]; /* and a word that says how many */
	*bytes_out = 1001 + 1002 + 1003 + 1004 + 1024 + 1152 + 1280 + 1005 + sizeof(wide) +
		     10 * sizeof(counted) + sizeof(std::size_t);
	return 10;
}

extern "C" void cxx_delete()
{
	constexpr std::align_val_t at{ 128 };

	::operator delete(plain);
	::operator delete[](array);
	::operator delete(plain_nothrow, std::nothrow);
	::operator delete[](array_nothrow, std::nothrow);
	::operator delete(aligned, at);
	::operator delete[](aligned_array, 1152, at);
	::operator delete(aligned_nothrow, at, std::nothrow);
	::operator delete(sized, 1005);
	delete over_aligned;
	delete[] cookies;
}

extern "C" void cxx_scopes(void (*inside)(void), void (*outside)(void))
{
	flightrec_profile_t *profile = flightrec_profile_new("cxx");

	{
		flightrec::label outer("kind", "outer");
		const flightrec_labels_t set = flightrec_labels_get();
		flightrec::label inner("kind", "inner");
		flightrec::labels others(set);
		flightrec::profile_entry entry(profile), another(profile);
		flightrec::task task("test");
		flightrec::task_scope scope(task);
		flightrec::region region("here");

		inside();
	}
	outside();
	flightrec::cpu_profile refused(-1);
	if (refused.error() == 0)
		std::terminate();
}
