/* SPDX-License-Identifier: MIT */
#include "tracer/labels.h"

#include <string.h>

#include "proto/stack.h"
#include "tracer/blackbox.h"
#include "tracer/internal.h"

#define N_PROBES 64
#define UNUSED 0
#define WRITING 1

_Static_assert(LABELS_SIZE == sizeof(((struct fr_label_set *)0)->text), "a slot's set fits");
_Static_assert((FR_BB_MAX_LABELS & (FR_BB_MAX_LABELS - 1)) == 0, "a power of two");

static struct fr_label_set *table(void)
{
	return (struct fr_label_set *)((char *)fr_blackbox + fr_blackbox->off_labels);
}

static int commit(const struct fr_label_set *set)
{
	return blackbox_commit(
		(uint64_t)((const char *)set - (const char *)fr_blackbox), sizeof(*set));
}

static uint64_t hash_of(const char *text, size_t n)
{
	uint64_t hash = 0x9e3779b97f4a7c15ull ^ n, word;

	for (; n >= sizeof(word); text += sizeof(word), n -= sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		hash = stack_hash_fold(hash ^ word, 0xa0761d6478bd642full);
	}
	for (word = 0; n > 0; n--)
		word = word << 8 | (uint8_t)*text++;
	hash = stack_hash_fold(hash ^ word, 0xe7037ed1a0b428dbull);
	return hash > WRITING ? hash : hash + 2;
}

uint32_t labels_intern(const char *text)
{
	size_t n = strnlen(text, LABELS_SIZE - 1);
	uint64_t hash = hash_of(text, n);
	uint32_t i;

	if (n == 0)
		return 0;
	for (i = 0; i < N_PROBES; i++) {
		uint32_t at = (uint32_t)(hash + i) % FR_BB_MAX_LABELS;
		struct fr_label_set *set = &table()[at];
		uint64_t found;

		if (commit(set) < 0)
			break;
		/* Acquire: pairs with the release below; the text is complete once the hash is there. */
		found = __atomic_load_n(&set->hash, __ATOMIC_ACQUIRE);
		if (found == hash && strncmp(set->text, text, n) == 0 && !set->text[n])
			return at + 1;
		if (found != UNUSED || !__atomic_compare_exchange_n(&set->hash, &found, WRITING, 0,
					       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		memcpy(set->text, text, n);
		__atomic_store_n(&set->hash, hash, __ATOMIC_RELEASE);
		return at + 1;
	}
	fr_count(labels_overflow, 1);
	return 0;
}

const char *labels_text(uint32_t id)
{
	const struct fr_label_set *set;

	if (id < 1 || id > FR_BB_MAX_LABELS)
		return NULL;
	set = &table()[id - 1];
	if (!blackbox_is_committed(
		    (uint64_t)((const char *)set - (const char *)fr_blackbox), sizeof(*set)))
		return NULL;
	return __atomic_load_n(&set->hash, __ATOMIC_ACQUIRE) > WRITING ? set->text : NULL;
}

/* Appends with '\', ',' and '=' escaped by a '\'. Returns the new end, or NULL when it does not fit. */
static char *put_escaped(char *at, const char *end, const char *text)
{
	for (; *text; text++) {
		int is_special = *text == ',' || *text == '=' || *text == '\\';

		if (end - at < 2 + is_special)
			return NULL;
		if (is_special)
			*at++ = '\\';
		*at++ = *text;
	}
	return at;
}

/* The end of the first pair. */
static const char *pair_end(const char *set)
{
	while (*set && *set != ',')
		set += *set == '\\' && set[1] ? 2 : 1;
	return set;
}

/* Copies all pairs of `set` but those of the key (escaped, with its '='). */
static char *put_others(char *at, const char *end, const char *set, const char *key, size_t n_key)
{
	while (*set) {
		const char *stop = pair_end(set);
		size_t n = (size_t)(stop - set);

		if (n < n_key || memcmp(set, key, n_key) != 0) {
			if ((size_t)(end - at) < n + 2)
				return NULL;
			memcpy(at, set, n);
			at += n;
			*at++ = ',';
		}
		set = *stop ? stop + 1 : stop;
	}
	return at;
}

int labels_add(char out[LABELS_SIZE], const char *before, const char *key, const char *value)
{
	const char *end = out + LABELS_SIZE;
	char pair[LABELS_SIZE], *at = put_escaped(pair, pair + sizeof(pair) - 1, key);
	size_t n_key;

	if (!at || at == pair)
		return -1;
	*at++ = '=';
	n_key = (size_t)(at - pair);
	at = put_escaped(at, pair + sizeof(pair), value ? value : "");
	if (!at)
		return -1;
	*at = '\0';
	out = put_others(out, end, before, pair, n_key);
	if (!out || (size_t)(end - out) <= (size_t)(at - pair))
		return -1;
	memcpy(out, pair, (size_t)(at - pair) + 1);
	return 0;
}

/* Copies up to `stop` and drops the escapes. */
static void unescape(char *out, const char *from, const char *stop)
{
	const char *end = out + LABELS_SIZE - 1;

	while (from < stop && out < end) {
		if (*from == '\\' && from + 1 < stop)
			from++;
		*out++ = *from++;
	}
	*out = '\0';
}

const char *labels_next(const char *set, char key[LABELS_SIZE], char value[LABELS_SIZE])
{
	const char *stop, *equals = set;

	if (!*set)
		return NULL;
	stop = pair_end(set);
	while (equals < stop && *equals != '=')
		equals += *equals == '\\' && equals + 1 < stop ? 2 : 1;
	unescape(key, set, equals);
	unescape(value, equals < stop ? equals + 1 : stop, stop);
	return *stop ? stop + 1 : stop;
}
