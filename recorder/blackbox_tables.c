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

#include "proto/schema.h"

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

/* How many entries of a ring, whose next number is `next`, may still be there. */
static uint64_t ring_first(uint64_t next, uint64_t n_entries)
{
	return next > n_entries ? next - n_entries : 0;
}

static uint64_t read_long(const struct blackbox *blackbox, size_t offset)
{
	uint64_t word;

	return blackbox_read(blackbox, &word, sizeof(word), offset) ? 0 : word;
}

static gint sample_compare(gconstpointer a, gconstpointer b)
{
	const struct fr_cpu_sample *one = a, *other = b;

	if (one->time_ns != other->time_ns)
		return one->time_ns < other->time_ns ? -1 : 1;
	return one->seq < other->seq ? -1 : one->seq > other->seq;
}

/*
 * One part of the ring, which may be written meanwhile: read twice, since a copy of an entry is whole when both say the same
 * number. Returns how many of the numbers [number, number + n), as far as they may be of that time, were not there.
 */
static uint64_t read_samples(const struct blackbox *blackbox, uint64_t number, uint32_t n,
	uint64_t begin_ns, GArray *samples)
{
	g_autofree struct fr_cpu_sample *first = g_new0(struct fr_cpu_sample, n);
	g_autofree struct fr_cpu_sample *again = g_new0(struct fr_cpu_sample, n);
	uint64_t at = blackbox->header.off_samples +
		      number % FR_BB_SAMPLES * sizeof(struct fr_cpu_sample);
	uint64_t n_missing = 0;

	if (blackbox_read(blackbox, first, n * sizeof(*first), at) ||
		blackbox_read(blackbox, again, n * sizeof(*again), at))
		return n;
	for (uint32_t i = 0; i < n; i++) {
		if (first[i].seq != number + i + 1 ||
			memcmp(&first[i], &again[i], sizeof(first[i])) != 0) {
			n_missing++;
			continue;
		}
		/* Those before one that is too old are too old, too. */
		if (first[i].time_ns < begin_ns)
			n_missing = 0;
		else
			g_array_append_val(samples, first[i]);
	}
	return n_missing;
}

/* Is number `number`, the oldest that may be there, older than begin_ns? Then what was written over is not missed. */
static bool is_covered(const struct blackbox *blackbox, uint64_t number, uint64_t begin_ns)
{
	struct fr_cpu_sample sample;

	return blackbox_read(blackbox, &sample, sizeof(sample),
		       blackbox->header.off_samples + number % FR_BB_SAMPLES * sizeof(sample)) ==
		       0 &&
	       sample.seq == number + 1 && sample.time_ns < begin_ns;
}

uint64_t blackbox_samples(const struct blackbox *blackbox, uint64_t begin_ns, GArray **samples_out)
{
	uint64_t end = read_long(blackbox, offsetof(struct fr_blackbox, samples_next));
	uint64_t from = ring_first(end, FR_BB_SAMPLES), at = end, n_missing = 0, n_before;
	GArray *samples = g_array_new(FALSE, FALSE, sizeof(struct fr_cpu_sample));

	*samples_out = samples;
	/* From the newest on: what is wanted is often little. Times are almost in the order of numbers. */
	while (at > from) {
		uint32_t n = (uint32_t)MIN(
			MIN(at - from, (at - 1) % FR_BB_SAMPLES + 1), ENTRIES_PER_READ);

		at -= n;
		n_before = samples->len;
		n_missing += read_samples(blackbox, at, n, begin_ns, samples);
		if (samples->len == n_before && is_covered(blackbox, at, begin_ns))
			break;
	}
	if (at == from && from && !is_covered(blackbox, from, begin_ns) && begin_ns)
		n_missing += 1;
	g_array_sort(samples, sample_compare);
	return n_missing;
}

GArray *blackbox_triggers(const struct blackbox *blackbox, uint64_t from, uint64_t *next_out)
{
	uint64_t end = read_long(blackbox, offsetof(struct fr_blackbox, triggers_next)), number;
	GArray *triggers = g_array_new(FALSE, FALSE, sizeof(struct fr_trigger));

	for (number = MAX(from, ring_first(end, FR_BB_TRIGGERS)); number < end; number++) {
		uint64_t at = blackbox->header.off_triggers +
			      number % FR_BB_TRIGGERS * sizeof(struct fr_trigger);
		struct fr_trigger trigger, again;

		if (blackbox_read(blackbox, &trigger, sizeof(trigger), at) ||
			blackbox_read(blackbox, &again, sizeof(again), at))
			break;
		/* Not finished yet: the next look finds it. One that others have followed was left so. */
		if (trigger.seq < number + 1 && number + 1 == end)
			break;
		if (trigger.seq != number + 1 || memcmp(&trigger, &again, sizeof(trigger)) != 0 ||
			trigger.kind >= FR_TRIGGER_N)
			continue;
		trigger.reason[sizeof(trigger.reason) - 1] = '\0';
		g_array_append_val(triggers, trigger);
	}
	if (next_out)
		*next_out = number;
	return triggers;
}

bool blackbox_crash(const struct blackbox *blackbox, struct fr_crash *crash_out)
{
	struct fr_crash crash;

	if (blackbox_read(blackbox, &crash, sizeof(crash), blackbox->header.off_crash) ||
		crash.state != 2)
		return false;
	crash.n_regs = MIN(crash.n_regs, FR_CRASH_REGS);
	crash.n_code = MIN(crash.n_code, sizeof(crash.code_bytes));
	crash.n_stack_bytes = MIN(crash.n_stack_bytes, FR_CRASH_STACK_BYTES);
	*crash_out = crash;
	return true;
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
