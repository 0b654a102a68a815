/* SPDX-License-Identifier: MIT */
/*
 * Two generations, each with an arena. New answers, and old ones that are asked for again, go into the young
 * generation; when that holds half of the memory allowed, the old one is dropped as a whole and the young
 * one takes its place. So what is used stays, without a list to keep in order or anything to free singly.
 */
#include "common/symbol_answers.h"

#include <glib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 << 10)
/* Of a GHashTable per entry: pointer and hash, at most two slots each. */
#define TABLE_BYTES 32

struct generation {
	GPtrArray *blocks; /* owned */
	size_t n_in_block;
	GHashTable *answers; /* owned: set of struct symbol_answer, in the blocks */
	GHashTable *strings; /* owned: set of texts, in the blocks */
};

struct symbol_answers {
	size_t max_bytes;
	struct generation young, old;
};

static guint answer_hash(const void *key)
{
	const struct symbol_answer *answer = key;
	uint64_t mixed = (answer->addr ^ ((uint64_t)answer->module << 48)) * 0x9e3779b97f4a7c15u;

	return (guint)(mixed >> 32);
}

static gboolean answer_equal(const void *a, const void *b)
{
	const struct symbol_answer *x = a, *y = b;

	return x->addr == y->addr && x->module == y->module;
}

static void generation_init(struct generation *generation)
{
	generation->blocks = g_ptr_array_new_with_free_func(g_free);
	generation->n_in_block = 0;
	generation->answers = g_hash_table_new(answer_hash, answer_equal);
	generation->strings = g_hash_table_new(g_str_hash, g_str_equal);
}

static void generation_fini(struct generation *generation)
{
	g_hash_table_unref(generation->answers);
	g_hash_table_unref(generation->strings);
	g_ptr_array_unref(generation->blocks);
}

static size_t generation_bytes(const struct generation *generation)
{
	guint n = g_hash_table_size(generation->answers) + g_hash_table_size(generation->strings);

	return generation->blocks->len * BLOCK_BYTES + (size_t)n * TABLE_BYTES;
}

/* n ≤ BLOCK_BYTES */
static void *generation_alloc(struct generation *generation, size_t n)
{
	char *block;

	n = (n + 7) & ~(size_t)7;
	if (generation->blocks->len == 0 || generation->n_in_block + n > BLOCK_BYTES) {
		g_ptr_array_add(generation->blocks, g_malloc(BLOCK_BYTES));
		generation->n_in_block = 0;
	}
	block = g_ptr_array_index(generation->blocks, generation->blocks->len - 1);
	block += generation->n_in_block;
	generation->n_in_block += n;
	return block;
}

static const char *generation_intern(struct generation *generation, const char *text)
{
	char *known = g_hash_table_lookup(generation->strings, text);
	size_t n = strlen(text) + 1;

	if (known)
		return known;
	known = generation_alloc(generation, n);
	memcpy(known, text, n);
	g_hash_table_add(generation->strings, known);
	return known;
}

struct symbol_answers *symbol_answers_new(size_t max_bytes)
{
	struct symbol_answers *answers = g_new0(struct symbol_answers, 1);

	answers->max_bytes = max_bytes;
	generation_init(&answers->young);
	generation_init(&answers->old);
	return answers;
}

void symbol_answers_free(struct symbol_answers *answers)
{
	if (!answers)
		return;
	generation_fini(&answers->young);
	generation_fini(&answers->old);
	g_free(answers);
}

/* Copies into the young generation. NULL: more frames than a block holds, which no compiler makes. */
static const struct symbol_answer *add(
	struct symbol_answers *answers, const struct symbol_answer *from)
{
	size_t n_frames = from->n_frames, size = sizeof(struct symbol_frame) * n_frames;
	struct symbol_answer *answer;
	struct symbol_frame *frames;

	if (size + sizeof(*answer) > BLOCK_BYTES)
		return NULL;
	for (size_t i = 0; i < n_frames; i++)
		if (strlen(from->frames[i].func) >= BLOCK_BYTES ||
			strlen(from->frames[i].system_name) >= BLOCK_BYTES ||
			strlen(from->frames[i].file) >= BLOCK_BYTES)
			return NULL;
	answer = generation_alloc(&answers->young, sizeof(*answer));
	frames = generation_alloc(&answers->young, size);
	*answer = *from;
	answer->frames = frames;
	for (size_t i = 0; i < n_frames; i++) {
		frames[i] = from->frames[i];
		frames[i].func = generation_intern(&answers->young, frames[i].func);
		frames[i].system_name = generation_intern(&answers->young, frames[i].system_name);
		frames[i].file = generation_intern(&answers->young, frames[i].file);
	}
	g_hash_table_add(answers->young.answers, answer);
	return answer;
}

/* Before something is added. */
static void make_room(struct symbol_answers *answers)
{
	if (generation_bytes(&answers->young) + BLOCK_BYTES <= answers->max_bytes / 2)
		return;
	generation_fini(&answers->old);
	answers->old = answers->young;
	generation_init(&answers->young);
}

const struct symbol_answer *symbol_answers_find(
	struct symbol_answers *answers, uint32_t module, uint64_t addr)
{
	const struct symbol_answer key = { .module = module, .addr = addr }, *found, *copy;

	found = g_hash_table_lookup(answers->young.answers, &key);
	if (found)
		return found;
	found = g_hash_table_lookup(answers->old.answers, &key);
	/* With the young one full, the next make_room() would free what is found here: then it stays old. */
	if (!found || generation_bytes(&answers->young) + 2 * BLOCK_BYTES > answers->max_bytes / 2)
		return found;
	copy = add(answers, found);
	return copy ? copy : found;
}

void symbol_answers_add(struct symbol_answers *answers, const struct symbol_answer *answer)
{
	if (g_hash_table_contains(answers->young.answers, answer))
		return;
	make_room(answers);
	add(answers, answer);
}

size_t symbol_answers_bytes(const struct symbol_answers *answers)
{
	return generation_bytes(&answers->young) + generation_bytes(&answers->old);
}
