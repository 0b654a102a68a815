/* SPDX-License-Identifier: MIT */
/* The tables of the sampled profiles in the blackbox (layout: proto/blackbox.h): key → totals. */
#pragma once

#include <stdint.h>

#include "proto/blackbox.h"

/* What a bucket is found by; see enum fr_bucket_kind. */
struct bucket_key {
	enum fr_bucket_kind kind;
	uint32_t stack;
	uint64_t key, rate;
};

/*
 * The bucket of a key, made when it is new: its index for bucket_add(), or FR_BUCKET_OVERFLOW when the table has
 * no room near its place or the file system none at all (counted). Wait-free. Context: hook | signal.
 */
uint32_t bucket_find(const struct bucket_key *key);

/* Adds to value `i` of a bucket; nothing for FR_BUCKET_OVERFLOW. Wait-free. Context: hook | signal. */
void bucket_add(enum fr_bucket_kind kind, uint32_t bucket, unsigned i, uint64_t n);
