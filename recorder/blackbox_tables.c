/* SPDX-License-Identifier: MIT */
/*
 * Tables are mostly holes of a sparse file: only their data is read, so that a look at a process that did little
 * costs little.
 */
#include "recorder/blackbox_tables.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES_PER_READ 512

/* Whether an entry is in use, and repairs what must end. */
typedef bool (*entry_check)(void *entry, unsigned kind);

/* The next byte at or after `at` that is no hole; `end` when there is none before it. */
static uint64_t next_data(int fd, uint64_t at, uint64_t end)
{
	off_t found = lseek(fd, (off_t)at, SEEK_DATA);

	if (found < 0)
		return errno == ENXIO ? end : at;
	return MIN((uint64_t)found, end);
}

/* Entries of `size` bytes that `check` lets through. */
static GArray *read_table(const struct blackbox *blackbox, uint64_t offset, uint32_t n,
	uint32_t size, entry_check check, unsigned kind)
{
	GArray *entries = g_array_new(FALSE, FALSE, size);
	g_autofree char *part = g_malloc((size_t)ENTRIES_PER_READ * size);
	uint64_t end = offset + (uint64_t)n * size;

	for (uint32_t i = 0; i < n;) {
		uint64_t at = next_data(blackbox->fd, offset + (uint64_t)i * size, end);
		uint32_t n_now;

		i = (uint32_t)((at - offset) / size);
		n_now = MIN(ENTRIES_PER_READ, n - i);
		if (at >= end || blackbox_read(blackbox, part, (size_t)n_now * size,
					 offset + (uint64_t)i * size))
			break;
		for (uint32_t k = 0; k < n_now; k++)
			if (check(part + (size_t)k * size, kind))
				g_array_append_vals(entries, part + (size_t)k * size, 1);
		i += n_now;
	}
	return entries;
}

static bool bucket_check(void *entry, unsigned kind)
{
	const struct fr_bucket *bucket = entry;

	return bucket->tag > FR_BUCKET_WRITING && bucket->kind == kind;
}

GArray *blackbox_buckets(const struct blackbox *blackbox, enum fr_bucket_kind kind)
{
	return read_table(blackbox, blackbox->header.off_buckets[kind], fr_bucket_number(kind),
		sizeof(struct fr_bucket), bucket_check, kind);
}

bool blackbox_label(const struct blackbox *blackbox, uint32_t id, char text_out[160])
{
	struct fr_label_set set;

	text_out[0] = '\0';
	if (id == 0 || id > FR_BB_MAX_LABELS ||
		blackbox_read(blackbox, &set, sizeof(set),
			blackbox->header.off_labels + (id - 1) * sizeof(set)) ||
		!set.hash)
		return false;
	set.text[sizeof(set.text) - 1] = '\0';
	memcpy(text_out, set.text, sizeof(set.text));
	return true;
}

GArray *blackbox_customs(const struct blackbox *blackbox)
{
	GArray *customs = g_array_new(FALSE, FALSE, sizeof(struct blackbox_custom));

	for (uint32_t i = 0; i < FR_BB_MAX_CUSTOM; i++) {
		struct blackbox_custom custom = { .index = i };
		struct fr_custom entry;

		if (blackbox_read(blackbox, &entry, sizeof(entry),
			    blackbox->header.off_custom + i * sizeof(entry)))
			break;
		if (entry.state != 2)
			continue;
		entry.name[sizeof(entry.name) - 1] = '\0';
		memcpy(custom.name, entry.name, sizeof(custom.name));
		if (custom.name[0])
			g_array_append_val(customs, custom);
	}
	return customs;
}

static bool entry_is_live(void *data, unsigned kind)
{
	const struct fr_custom_entry *entry = data;

	return entry->tag > 2 && entry->profile < FR_BB_MAX_CUSTOM;
}

GArray *blackbox_custom_entries(const struct blackbox *blackbox)
{
	return read_table(blackbox, blackbox->header.off_custom_live, FR_BB_MAX_CUSTOM_LIVE,
		sizeof(struct fr_custom_entry), entry_is_live, 0);
}

static uint32_t read_word(const struct blackbox *blackbox, size_t offset)
{
	uint32_t word;

	return blackbox_read(blackbox, &word, sizeof(word), offset) ? 0 : word;
}

uint32_t blackbox_helper_tid(const struct blackbox *blackbox)
{
	return read_word(blackbox, offsetof(struct fr_blackbox, helper_tid));
}

uint32_t blackbox_helper_seq(const struct blackbox *blackbox)
{
	return read_word(blackbox, offsetof(struct fr_blackbox, helper_seq));
}

uint32_t blackbox_cpu_refusal(const struct blackbox *blackbox)
{
	return read_word(blackbox, offsetof(struct fr_blackbox, cpu_refusal));
}
