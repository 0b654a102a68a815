/* SPDX-License-Identifier: MIT */
/*
 * The stack table inside a blackbox: an index of FR_BB_STACK_INDEX words and an arena of records.
 *
 * An index word is (hash >> 32) << 32 | id; 0 is an empty entry. Entries are found by open addressing
 * with linear probing from (hash & (FR_BB_STACK_INDEX - 1)) and are never changed once set, so a reader
 * that only wants all stacks scans the whole index. The id is the byte offset of the record in the
 * arena divided by 8; 0 and 1 are reserved (FR_STACK_NONE, FR_STACK_OVERFLOW), so the arena's
 * first 16 bytes stay unused. A word is stored after its record is complete; records that lost a race
 * for their entry stay in the arena, unreachable.
 *
 * A record is struct fr_stack_record, then for each frame, leaf first, the difference to the frame
 * before (the first one: to 0), modulo 2^64, zigzag-coded, as a little-endian base-128 number (7 bits a
 * byte, the top bit set on all bytes but the last), then zeros to a multiple of 8 bytes. A stack of 27
 * frames takes about 90 bytes.
 *
 * Two stacks are the same when all 64 bits of their hash are: at 65536 stacks the chance of any
 * mix-up would be 1 in 8 thousand million.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FR_STACK_MAX_FRAMES 512
#define FR_STACK_FIRST_ID 2u /* ids below have no record */

struct fr_stack_record {
	uint32_t hash;	/* the low half of the hash; the high half is in the index */
	uint16_t n;	/* frames, 1..FR_STACK_MAX_FRAMES */
	uint16_t flags; /* FR_STACK_* */
};

static inline uint32_t stack_entry_id(uint64_t word)
{
	return (uint32_t)word;
}

static inline uint32_t stack_entry_hash(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint64_t stack_hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The hash of a stack; its high half is never 0 so that an index word never is. */
static inline uint64_t stack_record_hash(const uint64_t *addr, size_t n, unsigned flags)
{
	uint64_t lane0 = 0x9e3779b97f4a7c15ull ^ n;
	uint64_t lane1 = 0xd1b54a32d192ed03ull ^ flags;
	uint64_t hash;
	size_t i;

	for (i = 0; i + 2 <= n; i += 2) {
		lane0 = stack_hash_fold(lane0 ^ addr[i], 0xa0761d6478bd642full);
		lane1 = stack_hash_fold(lane1 ^ addr[i + 1], 0xe7037ed1a0b428dbull);
	}
	if (i < n)
		lane0 = stack_hash_fold(lane0 ^ addr[i], 0x8ebc6af09c88c6e3ull);
	hash = stack_hash_fold(lane0 ^ 0x589965cc75374cc3ull, lane1 ^ 0x1d8e4e27c47d124full);
	return hash >> 32 ? hash : hash | 1ull << 32;
}

static inline uint64_t stack_zigzag(uint64_t delta)
{
	return delta << 1 ^ -(delta >> 63);
}

/* Bytes that the record of this stack takes in the arena, padding included: at most 8 + 10 * n + 7. */
static inline size_t stack_record_size(const uint64_t *addr, size_t n)
{
	size_t size = sizeof(struct fr_stack_record);
	uint64_t before = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t code = stack_zigzag(addr[i] - before);

		size += (size_t)(70 - __builtin_clzll(code | 1)) / 7;
		before = addr[i];
	}
	return (size + 7) & ~(size_t)7;
}

/*
 * Writes the record to `out`, which is 8-aligned and has stack_record_size() bytes, all zero. `hash`
 * is that of stack_record_hash(); n is 1..FR_STACK_MAX_FRAMES.
 */
static inline void stack_record_encode(
	uint8_t *out, uint64_t hash, const uint64_t *addr, size_t n, unsigned flags)
{
	struct fr_stack_record *record = (struct fr_stack_record *)(void *)out;
	uint64_t before = 0;

	record->hash = (uint32_t)hash;
	record->n = (uint16_t)n;
	record->flags = (uint16_t)flags;
	out += sizeof(*record);
	for (size_t i = 0; i < n; i++) {
		uint64_t code = stack_zigzag(addr[i] - before);

		for (; code >= 0x80; code >>= 7)
			*out++ = (uint8_t)(code | 0x80);
		*out++ = (uint8_t)code;
		before = addr[i];
	}
}

/*
 * Reads the stack `id` out of an arena of which arena_size bytes may be read. Writes its frames to
 * addr_out and FR_STACK_* bits to *flags_out, returns the number of frames; 0, and nothing promised about
 * the outputs, when there is no such record, it is damaged (its hash is checked) or has more
 * than `max` frames; max = FR_STACK_MAX_FRAMES is always enough. Trusts nothing in the arena.
 */
static inline size_t stack_record_decode(const uint8_t *arena, size_t arena_size, uint32_t id,
	uint64_t *addr_out, size_t max, unsigned *flags_out)
{
	size_t at = (size_t)id * 8;
	struct fr_stack_record record;
	uint64_t address = 0;

	if (id < FR_STACK_FIRST_ID || arena_size < sizeof(record) ||
		at > arena_size - sizeof(record))
		return 0;
	memcpy(&record, arena + at, sizeof(record));
	if (record.n == 0 || record.n > FR_STACK_MAX_FRAMES || record.n > max)
		return 0;
	at += sizeof(record);
	for (size_t i = 0; i < record.n; i++) {
		uint64_t code = 0;
		unsigned shift = 0;
		uint8_t byte;

		do {
			if (at >= arena_size || shift > 63)
				return 0;
			byte = arena[at++];
			code |= (uint64_t)(byte & 0x7f) << shift;
			shift += 7;
		} while (byte & 0x80);
		address += code >> 1 ^ -(code & 1);
		addr_out[i] = address;
	}
	if ((uint32_t)stack_record_hash(addr_out, record.n, record.flags) != record.hash)
		return 0;
	*flags_out = record.flags;
	return record.n;
}
