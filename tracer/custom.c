/* SPDX-License-Identifier: MIT */
/*
 * Open addressing with linear probing over a fixed array. Entries that were used never become empty again, so a search
 * ends at an empty one. An adder publishes its entry first and then looks for another one of the same key: of
 * two at once, at least the later one to publish finds the other, and withdraws.
 */
#include "tracer/custom.h"

#include <string.h>

#include "proto/stack.h"
#include "tracer/blackbox.h"
#include "tracer/internal.h"

#define N_PROBES 64
#define EMPTY 0
#define REMOVED 1
#define WRITING 2

#define UNUSED 0
#define NAMING 1
#define THERE 2

_Static_assert(sizeof(((struct fr_custom *)0)->name) == CUSTOM_NAME_MAX + 1, "a name fits");

/* Beside the blackbox, since a child of a fork gets a new one. */
static char names[FR_BB_MAX_CUSTOM][CUSTOM_NAME_MAX + 1];

static struct fr_custom *profile_at(int index)
{
	return (struct fr_custom *)((char *)fr_blackbox + fr_blackbox->off_custom) + index;
}

static struct fr_custom_entry *entry_at(uint64_t i)
{
	return (struct fr_custom_entry *)((char *)fr_blackbox + fr_blackbox->off_custom_live) +
	       i % FR_BB_MAX_CUSTOM_LIVE;
}

static int commit(const void *at, size_t size)
{
	return blackbox_commit((uint64_t)((const char *)at - (const char *)fr_blackbox), size);
}

static int commit_profiles(void)
{
	return commit(profile_at(0), sizeof(struct fr_custom) * FR_BB_MAX_CUSTOM);
}

static int is_named(int index, const char *name)
{
	/* Acquire: pairs with the release of custom_new(). */
	return __atomic_load_n(&profile_at(index)->state, __ATOMIC_ACQUIRE) == THERE &&
	       strcmp(names[index], name) == 0;
}

/* Any profile of that name but `except`. */
static int find_other(const char *name, int except)
{
	int i;

	for (i = 0; i < (int)FR_BB_MAX_CUSTOM; i++)
		if (i != except && is_named(i, name))
			return i;
	return -ENOENT;
}

int custom_find(const char *name)
{
	return commit_profiles() < 0 ? -ENOENT : find_other(name, -1);
}

int custom_new(const char *name)
{
	int i;

	if (commit_profiles() < 0)
		goto full;
	if (find_other(name, -1) >= 0)
		return -EEXIST;
	for (i = 0; i < (int)FR_BB_MAX_CUSTOM; i++) {
		struct fr_custom *profile = profile_at(i);
		uint32_t unused = UNUSED;

		if (!__atomic_compare_exchange_n(&profile->state, &unused, NAMING, 0,
			    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		memcpy(names[i], name, strlen(name) + 1);
		memcpy(profile->name, names[i], sizeof(names[i]));
		profile->n_entries = 0;
		/* Sequentially consistent, as are the loads behind: of two at once one sees the other. */
		__atomic_store_n(&profile->state, THERE, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (find_other(name, i) < 0)
			return i;
		names[i][0] = profile->name[0] = '\0';
		__atomic_store_n(&profile->state, UNUSED, __ATOMIC_RELEASE);
		return -EEXIST;
	}
full:
	fr_count(custom_overflow, 1);
	return -ENOSPC;
}

const char *custom_name(int index)
{
	return index >= 0 && index < (int)FR_BB_MAX_CUSTOM ? names[index] : "";
}

uint64_t custom_count(int index)
{
	return commit_profiles() < 0
		       ? 0
		       : __atomic_load_n(&profile_at(index)->n_entries, __ATOMIC_RELAXED);
}

static uint64_t hash_of(int index, uint64_t key)
{
	uint64_t hash = stack_hash_fold(
		key ^ 0x9e3779b97f4a7c15ull, (uint64_t)(unsigned)index ^ 0xd1b54a32d192ed03ull);

	return hash > WRITING ? hash : hash + WRITING + 1;
}

/* An entry of the key other than `except`; NULL none. */
static struct fr_custom_entry *find_entry(
	int index, uint64_t key, const struct fr_custom_entry *except)
{
	uint64_t hash = hash_of(index, key);
	unsigned i;

	for (i = 0; i < N_PROBES; i++) {
		struct fr_custom_entry *entry = entry_at(hash + i);
		uint64_t tag;

		if (commit(entry, sizeof(*entry)) < 0)
			break;
		/* Acquire: pairs with the release of custom_add(). */
		tag = __atomic_load_n(&entry->tag, __ATOMIC_ACQUIRE);
		if (tag == EMPTY)
			break;
		if (tag == hash && entry != except && entry->key == key &&
			entry->profile == (uint32_t)index)
			return entry;
	}
	return NULL;
}

/* Takes a published entry out; 0 when somebody else did. */
static int withdraw(struct fr_custom_entry *entry, uint64_t hash)
{
	return __atomic_compare_exchange_n(
		&entry->tag, &hash, REMOVED, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

int custom_add(int index, uint64_t key, uint32_t stack)
{
	uint64_t hash = hash_of(index, key);
	unsigned i;

	if (commit_profiles() < 0)
		goto full;
	if (find_entry(index, key, NULL))
		return -EEXIST;
	for (i = 0; i < N_PROBES; i++) {
		struct fr_custom_entry *entry = entry_at(hash + i);
		uint64_t tag;

		if (commit(entry, sizeof(*entry)) < 0)
			break;
		tag = __atomic_load_n(&entry->tag, __ATOMIC_RELAXED);
		if (tag > REMOVED || !__atomic_compare_exchange_n(&entry->tag, &tag, WRITING, 0,
					     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		entry->key = key;
		entry->profile = (uint32_t)index;
		entry->stack = stack;
		__atomic_store_n(&entry->tag, hash, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (find_entry(index, key, entry)) {
			withdraw(entry, hash);
			return -EEXIST;
		}
		__atomic_fetch_add(&profile_at(index)->n_entries, 1, __ATOMIC_RELAXED);
		return 0;
	}
full:
	fr_count(custom_overflow, 1);
	return -ENOSPC;
}

void custom_remove(int index, uint64_t key)
{
	struct fr_custom_entry *entry = find_entry(index, key, NULL);

	if (entry && withdraw(entry, hash_of(index, key)))
		__atomic_fetch_sub(&profile_at(index)->n_entries, 1, __ATOMIC_RELAXED);
}

void custom_after_fork(void)
{
	int i;

	for (i = 0; i < (int)FR_BB_MAX_CUSTOM; i++) {
		if (!names[i][0] || commit_profiles() < 0)
			continue;
		memcpy(profile_at(i)->name, names[i], sizeof(names[i]));
		__atomic_store_n(&profile_at(i)->state, THERE, __ATOMIC_RELEASE);
	}
}
