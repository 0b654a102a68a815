/* SPDX-License-Identifier: MIT */
#include "common/symbol_units.h"

#include <dwarf.h>

#include "common/symbol_span.h"

GArray *symbol_units_read(Dwarf *dwarf, Dwarf_Addr bias)
{
	GArray *spans = symbol_span_table();
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	uint8_t type;

	while (dwarf_get_units(dwarf, unit, &unit, NULL, &type, &die, NULL) == 0) {
		struct symbol_span span = { .value = dwarf_dieoffset(&die) };
		Dwarf_Addr base, lo, hi;
		ptrdiff_t at = 0;

		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		while ((at = dwarf_ranges(&die, at, &base, &lo, &hi)) > 0) {
			/* The linker sets ranges of dropped sections to 0. */
			if (lo == 0 || lo >= hi)
				continue;
			/* A function per section gives a range each, mostly side by side. */
			if (span.hi == lo + bias && spans->len) {
				struct symbol_span *last =
					&g_array_index(spans, struct symbol_span, spans->len - 1);

				if (last->value == span.value) {
					last->hi = span.hi = hi + bias;
					continue;
				}
			}
			span.lo = lo + bias;
			span.hi = hi + bias;
			g_array_append_val(spans, span);
		}
	}
	symbol_span_finish(spans);
	return spans;
}
