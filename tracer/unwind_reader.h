/* SPDX-License-Identifier: MIT */
/* Bounded reads of the number formats that unwind tables are made of. Context: hook | signal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracer/unwind_arch.h"

/* DW_EH_PE_*: how a pointer is encoded. */
enum {
	PE_OMIT = 0xff,
	PE_INDIRECT = 0x80,
	PE_FORMAT = 0x0f,
	PE_BASE = 0x70,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_UDATA4 = 0x03,
	PE_SDATA4 = 0x0b,
};

/* Bytes still to be read. After a read past the end is_bad is set, reads give 0, and `at` stays. */
struct reader {
	const uint8_t *at, *end;
	bool is_bad;
};

UNWIND_RAW static inline uint64_t read_fixed(struct reader *reader, unsigned size)
{
	uint64_t value = 0;

	if ((size_t)(reader->end - reader->at) < size) {
		reader->is_bad = true;
		return 0;
	}
	switch (size) {
	case 1:
		value = *reader->at;
		break;
	case 2: {
		uint16_t v;
		__builtin_memcpy(&v, reader->at, sizeof(v));
		value = v;
		break;
	}
	case 4: {
		uint32_t v;
		__builtin_memcpy(&v, reader->at, sizeof(v));
		value = v;
		break;
	}
	default:
		__builtin_memcpy(&value, reader->at, sizeof(value));
	}
	reader->at += size;
	return value;
}

/* Bits beyond 64 are dropped, as DWARF consumers do. */
UNWIND_RAW static inline uint64_t read_uleb(struct reader *reader)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (reader->at < reader->end) {
		uint8_t byte = *reader->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			return value;
	}
	reader->is_bad = true;
	return 0;
}

UNWIND_RAW static inline int64_t read_sleb(struct reader *reader)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (reader->at < reader->end) {
		uint8_t byte = *reader->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80)) {
			if (shift < 64 && (byte & 0x40))
				value |= ~0ull << shift;
			return (int64_t)value;
		}
	}
	reader->is_bad = true;
	return 0;
}

/* A pointer encoded as `encoding` says (DW_EH_PE_*); `data` is the base of datarel ones. */
UNWIND_RAW static inline uint64_t read_encoded(
	struct reader *reader, uint8_t encoding, uintptr_t data)
{
	uintptr_t here = (uintptr_t)reader->at;
	uint64_t value;

	switch (encoding & PE_FORMAT) {
	case 0x0:
	case 0x4:
	case 0xc:
		value = read_fixed(reader, 8);
		break;
	case 0x1:
		value = read_uleb(reader);
		break;
	case 0x2:
		value = read_fixed(reader, 2);
		break;
	case 0x3:
		value = read_fixed(reader, 4);
		break;
	case 0x9:
		value = (uint64_t)read_sleb(reader);
		break;
	case 0xa:
		value = (uint64_t)(int16_t)read_fixed(reader, 2);
		break;
	case 0xb:
		value = (uint64_t)(int32_t)read_fixed(reader, 4);
		break;
	default:
		reader->is_bad = true;
		return 0;
	}
	if ((encoding & PE_BASE) == PE_PCREL)
		value += here;
	else if ((encoding & PE_BASE) == PE_DATAREL)
		value += data;
	else if (encoding & PE_BASE)
		reader->is_bad = true;
	return value;
}
