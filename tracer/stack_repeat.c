/* SPDX-License-Identifier: MIT */
/*
 * Why a hit is right: a walk is a chain of steps, each given by the rule of a pc (the same while the epoch
 * is), registers, and stack words. The first step has the pc and sp of the key; when all words that any step
 * used, and the start's fp and bx where a step used them, are as they were, each step is as it was. So the check
 * needs no order: the loads do not wait for one another, which is where its speed comes from.
 *
 * Words are compared by a 64-bit hash. Walks that rest on more than such words are never kept (see
 * unwind_walk_trail()). All words lie between sp and the top of the thread's stack: mapped as long as it runs.
 */
#include "tracer/stack_repeat.h"

#include "proto/schema.h"
#include "proto/stack.h"
#include "tracer/unwind_memory.h"

_Static_assert(sizeof(struct repeat_record) == 288, "no padding");
_Static_assert(
	sizeof(((struct repeat_record *)0)->words) >= (UNWIND_TRAIL_MAX + 1) * sizeof(uint16_t),
	"a record holds the longest trail, made even");

static unsigned set_of(const struct unwind_start *start)
{
	uint64_t hash = (uint64_t)start->pc * 0x9e3779b97f4a7c15ull +
			(uint64_t)start->sp * 0xd1b54a32d192ed03ull;

	return (unsigned)(hash >> 32) % REPEAT_SETS;
}

/* Two words at a time, each pair folded with keys of its own, so that no product waits for another. */
UNWIND_RAW static uint64_t hash_words(
	const struct repeat_record *record, const struct unwind_start *start)
{
	uint64_t key = 0x589965cc75374cc3ull;
	uint64_t sum = 0;

	for (unsigned i = 0; i < record->n; i += 2) {
		uint64_t a = unwind_memory_load(start->sp + record->words[i] * 8ul);
		uint64_t b = unwind_memory_load(start->sp + record->words[i + 1] * 8ul);

		sum += stack_hash_fold(a ^ key, b ^ (key + 0xe7037ed1a0b428dbull));
		key += 0x9e3779b97f4a7c15ull;
	}
	if (record->has_fp)
		sum += stack_hash_fold(start->fp ^ 0xa0761d6478bd642full, 0x8ebc6af09c88c6e3ull);
	if (record->has_bx)
		sum += stack_hash_fold(start->bx ^ 0x1d8e4e27c47d124full, 0xeb44accab455d165ull);
	return sum;
}

void stack_repeat_drop(struct stack_repeat *repeat)
{
	for (unsigned kind = 0; kind < FR_REPEAT_N; kind++) {
		struct repeat_table *table = &repeat->tables[kind];

		if (!table->is_used)
			continue;
		for (unsigned set = 0; set < REPEAT_SETS; set++)
			for (unsigned way = 0; way < REPEAT_WAYS; way++)
				table->sets[set].key[way].pc = 0;
		table->is_used = false;
	}
	repeat->version = 0;
	repeat->holder = 0;
}

/*
 * False: a capture that we interrupted has the records. A holder whose frame lies below ours was left by
 * longjmp out of a handler: stacks grow down, and ours is on the same one.
 */
static bool take(struct stack_repeat *repeat, uintptr_t sp)
{
	if (repeat->holder && repeat->holder >= sp)
		return false;
	repeat->holder = sp;
	/* Signal fence: a handler sees the holder before anything of what it does. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

static void release(struct stack_repeat *repeat)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	repeat->holder = 0;
}

uint32_t stack_repeat_find(struct stack_repeat *repeat, enum fr_repeat kind,
	const struct unwind_start *start, const struct unwind_bounds *bounds, size_t depth,
	unsigned *flags_out, struct repeat_query *query)
{
	uint64_t version = unwind_epoch_now() << 16 | depth;
	struct repeat_table *table = &repeat->tables[kind];
	unsigned set = set_of(start);

	query->repeat = NULL;
	if (start->sp < bounds->lo || start->sp >= bounds->hi || !take(repeat, start->sp))
		return FR_STACK_NONE;
	if (repeat->version != version) {
		stack_repeat_drop(repeat);
		repeat->version = version;
		repeat->holder = start->sp;
	}
	for (unsigned way = 0; way < REPEAT_WAYS; way++) {
		const struct repeat_record *record = &table->records[set][way];

		if (table->sets[set].key[way].pc != start->pc ||
			table->sets[set].key[way].sp != start->sp)
			continue;
		/* Not the last word on this key: the same place is reached in several ways. */
		if (hash_words(record, start) == record->hash) {
			*flags_out = record->flags;
			release(repeat);
			return record->id;
		}
	}
	*query = (struct repeat_query){ repeat, start, kind, version };
	return FR_STACK_NONE;
}

/* The way to be written: an empty one, else the one written longest ago. */
static unsigned choose_way(struct repeat_table *table, unsigned set)
{
	for (unsigned way = 0; way < REPEAT_WAYS; way++)
		if (!table->sets[set].key[way].pc)
			return way;
	return table->next[set]++ % REPEAT_WAYS;
}

void stack_repeat_keep(const struct repeat_query *query, const struct unwind_trail *trail,
	uint32_t id, unsigned flags)
{
	const struct unwind_start *start = query->start;
	struct stack_repeat *repeat = query->repeat;
	struct repeat_record *record;
	struct repeat_table *table;
	unsigned set, way;
	uintptr_t *pc;

	if (!repeat)
		return;
	/* Rules that changed during the walk may not be those of the version. */
	if (trail->is_partial || id < FR_STACK_FIRST_ID || flags > UINT8_MAX ||
		unwind_epoch_now() != query->version >> 16) {
		release(repeat);
		return;
	}
	table = &repeat->tables[query->kind];
	set = set_of(start);
	way = choose_way(table, set);
	pc = &table->sets[set].key[way].pc;
	record = &table->records[set][way];
	*pc = 0;
	/* Signal fences: a jump out of a handler leaves no key with half a record. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	record->id = id;
	record->flags = (uint8_t)flags;
	record->has_fp = trail->has_fp;
	record->has_bx = trail->has_bx;
	record->n = trail->n;
	__builtin_memcpy(record->words, trail->words, trail->n * sizeof(trail->words[0]));
	if (trail->n & 1)
		record->words[trail->n] = trail->words[trail->n - 1];
	record->hash = hash_words(record, start);
	table->sets[set].key[way].sp = start->sp;
	table->is_used = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*pc = start->pc;
	release(repeat);
}
