/* SPDX-License-Identifier: MIT */
/*
 * Two of the four faults live here. The cache keeps every value that it was ever given: no limit, no
 * age, no eviction. And cache_transfer() locks its two shelves in the order of its arguments, so a
 * move from hot to cold that meets one from cold to hot waits for ever.
 */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_BUCKETS 1024

struct entry {
	struct entry *next; /* owned */
	char *key;	    /* owned */
	char *value;	    /* owned */
};

struct shelf {
	const char *name;
	pthread_mutex_t lock; /* protects all below */
	struct entry *buckets[N_BUCKETS];
	size_t n_entries, n_bytes;
};

static struct shelf shelves[CACHE_N_SHELVES] = {
	[CACHE_HOT] = { .name = "hot", .lock = PTHREAD_MUTEX_INITIALIZER },
	[CACHE_COLD] = { .name = "cold", .lock = PTHREAD_MUTEX_INITIALIZER },
};
static int journal_fd = -1;

static size_t bucket_of(const char *key)
{
	size_t hash = 5381;

	for (; *key; key++)
		hash = hash * 33 + (unsigned char)*key;
	return hash % N_BUCKETS;
}

/* The link that points to the key's entry, or the NULL link at the end of its bucket. */
static struct entry **shelf_find(struct shelf *shelf, const char *key)
{
	struct entry **link = &shelf->buckets[bucket_of(key)];

	while (*link && strcmp((*link)->key, key) != 0)
		link = &(*link)->next;
	return link;
}

static struct entry *shelf_unlink(struct shelf *shelf, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->next;
	shelf->n_entries--;
	shelf->n_bytes -= strlen(entry->value);
	return entry;
}

/* Puts an entry onto the shelf. Returns the one that it replaces, to be freed; or NULL. */
static struct entry *shelf_put(struct shelf *shelf, struct entry *entry)
{
	struct entry **link = shelf_find(shelf, entry->key);
	struct entry *old = *link ? shelf_unlink(shelf, link) : NULL;

	entry->next = *link;
	*link = entry;
	shelf->n_entries++;
	shelf->n_bytes += strlen(entry->value);
	return old;
}

static void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	free(entry->key);
	free(entry->value);
	free(entry);
}

static struct entry *entry_new(const char *key, const char *value)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->key = strdup(key);
	entry->value = strdup(value);
	if (!entry->key || !entry->value) {
		entry_free(entry);
		return NULL;
	}
	return entry;
}

int cache_init(void)
{
	char path[] = "/tmp/buggycache-XXXXXX";

	journal_fd = mkstemp(path);
	if (journal_fd < 0)
		return -errno;
	unlink(path);
	return 0;
}

bool cache_put(const char *key, const char *value)
{
	struct shelf *shelf = &shelves[CACHE_HOT];
	struct entry *entry = entry_new(key, value), *old;

	if (!entry)
		return false;
	pthread_mutex_lock(&shelf->lock);
	old = shelf_put(shelf, entry);
	pthread_mutex_unlock(&shelf->lock);
	entry_free(old);
	return true;
}

char *cache_get(const char *key)
{
	char *value = NULL;

	for (int i = 0; i < CACHE_N_SHELVES && !value; i++) {
		struct entry *entry;

		pthread_mutex_lock(&shelves[i].lock);
		entry = *shelf_find(&shelves[i], key);
		if (entry)
			value = strdup(entry->value);
		pthread_mutex_unlock(&shelves[i].lock);
	}
	return value;
}

/* A move is on disk before it happens. Slow, and called with a shelf's lock held. */
static void journal_move(const char *key, const struct shelf *from, const struct shelf *to)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%s %s %.400s\n", from->name, to->name, key);

	if (write(journal_fd, line, (size_t)n) != n || fdatasync(journal_fd) != 0)
		perror("buggycache: journal");
}

bool cache_transfer(const char *key, enum cache_shelf from, enum cache_shelf to)
{
	struct shelf *source = &shelves[from], *target = &shelves[to];
	struct entry **link, *old = NULL;
	bool is_found;

	pthread_mutex_lock(&source->lock);
	link = shelf_find(source, key);
	is_found = *link != NULL;
	if (is_found) {
		journal_move(key, source, target);
		pthread_mutex_lock(&target->lock); /* the fault: no fixed order of the two */
		old = shelf_put(target, shelf_unlink(source, link));
		pthread_mutex_unlock(&target->lock);
	}
	pthread_mutex_unlock(&source->lock);
	entry_free(old);
	return is_found;
}

enum cache_shelf cache_shelf_by_name(const char *name)
{
	int i = 0;

	while (i < CACHE_N_SHELVES && strcmp(shelves[i].name, name) != 0)
		i++;
	return (enum cache_shelf)i;
}

void cache_size(size_t *n_entries_out, size_t *n_bytes_out)
{
	*n_entries_out = *n_bytes_out = 0;
	for (int i = 0; i < CACHE_N_SHELVES; i++) {
		pthread_mutex_lock(&shelves[i].lock);
		*n_entries_out += shelves[i].n_entries;
		*n_bytes_out += shelves[i].n_bytes;
		pthread_mutex_unlock(&shelves[i].lock);
	}
}
