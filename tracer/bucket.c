/* SPDX-License-Identifier: MIT */
#include "tracer/bucket.h"

#include "proto/stack.h"
#include "tracer/blackbox.h"
#include "tracer/internal.h"

static struct fr_bucket *table_of(enum fr_bucket_kind kind)
{
	return (struct fr_bucket *)((char *)fr_blackbox + fr_blackbox->off_buckets[kind]);
}

static uint64_t hash_of(const struct bucket_key *key)
{
	uint64_t hash = stack_hash_fold(
		key->stack ^ 0x9e3779b97f4a7c15ull, key->key ^ 0xd1b54a32d192ed03ull);

	hash = stack_hash_fold(hash ^ key->rate, 0x8ebc6af09c88c6e3ull);
	return hash > FR_BUCKET_WRITING ? hash : hash + 2;
}

static int is_same(const struct fr_bucket *bucket, const struct bucket_key *key)
{
	return bucket->stack == key->stack && bucket->key == key->key && bucket->rate == key->rate;
}

uint32_t bucket_find(const struct bucket_key *key)
{
	struct fr_bucket *table = table_of(key->kind);
	uint64_t hash = hash_of(key);
	uint32_t mask = fr_bucket_number(key->kind) - 1, n;

	for (n = 0; n < FR_BUCKET_PROBES; n++) {
		uint32_t i = (uint32_t)(hash + n) & mask;
		struct fr_bucket *bucket = &table[i];
		uint64_t tag;

		if (blackbox_commit(
			    (uint64_t)((char *)bucket - (char *)fr_blackbox), sizeof(*bucket)) < 0)
			break;
		/* Acquire: pairs with the release below; the key is complete once the tag is there. */
		tag = __atomic_load_n(&bucket->tag, __ATOMIC_ACQUIRE);
		if (tag == hash && is_same(bucket, key))
			return i;
		if (tag != FR_BUCKET_EMPTY ||
			!__atomic_compare_exchange_n(&bucket->tag, &tag, FR_BUCKET_WRITING, 0,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		bucket->kind = key->kind;
		bucket->stack = key->stack;
		bucket->key = key->key;
		bucket->rate = key->rate;
		__atomic_store_n(&bucket->tag, hash, __ATOMIC_RELEASE);
		return i;
	}
	fr_count(buckets_overflow, 1);
	return FR_BUCKET_OVERFLOW;
}

void bucket_add(enum fr_bucket_kind kind, uint32_t bucket, unsigned i, uint64_t n)
{
	if (bucket < fr_bucket_number(kind))
		__atomic_fetch_add(&table_of(kind)[bucket].value[i], n, __ATOMIC_RELAXED);
}
