/* SPDX-License-Identifier: MIT */
#include "recorder/ring_layout.h"

#include <glib.h>
#include <string.h>

#include "recorder/ust_packet.h"

#define LAYOUT_ENDIAN 0x1234
#define TYPE_UST 0
#define MODE_OVERWRITE 0
#define MAX_SUBBUFS (1u << 20)

static const uint8_t layout_magic[16] = { 0x17, 0x7b, 0xf1, 0x77, 0xbf, 0x17, 0x7b, 0xf1, 0x77,
	0xbf, 0x17, 0x7b, 0xf1, 0x77, 0xbf, 0x17 };

/*
 * From the write position on, in bytes: struct lttng_ust_ring_buffer of 2.13. References are pairs of words: object,
 * offset in it.
 */
#define COMMIT_REF 16 /* its offset word */
#define CONSUMED 24
#define WRITER_REF 56
#define PAGE_REF 96
#define LOST_FULL 264
#define LOST_WRAP 272
#define LOST_BIG 280
/* In a page's record, before the reference to its data. */
#define DATA_SIZE_BACK 16

static uint64_t word(const uint8_t *map, uint64_t offset)
{
	uint64_t value;

	memcpy(&value, map + offset, sizeof(value));
	return value;
}

static bool is_power(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* Whether an array of n elements lies within the file, words aligned. */
static bool is_inside(
	uint64_t n_bytes, uint64_t array, uint64_t stride, uint64_t n, uint64_t word_at)
{
	return stride && stride % 8 == 0 && array % 8 == 0 && word_at % 8 == 0 &&
	       word_at + 8 <= stride && array < n_bytes && stride <= n_bytes &&
	       n * stride <= n_bytes - array;
}

static bool is_known(const struct ring_layout_record *record, uint64_t n_bytes)
{
	return memcmp(record->magic, layout_magic, sizeof(layout_magic)) == 0 &&
	       record->endian == LAYOUT_ENDIAN && record->major == 0 && record->word_bytes == 8 &&
	       record->type == TYPE_UST && record->mode == MODE_OVERWRITE &&
	       record->mmap_bytes <= n_bytes && record->position_width == 8 &&
	       record->commit_seq_width == 8 && record->writer_id_width == 8 &&
	       record->page_ref_width == 8 && record->page_data_width == 8 &&
	       record->commit_seq == 8 && record->content_size_width == 8 &&
	       record->content_size == G_STRUCT_OFFSET(struct ust_packet_head, content_size) &&
	       record->packet_size == G_STRUCT_OFFSET(struct ust_packet_head, packet_size) &&
	       is_power(record->subbuf_bytes) && is_power(record->n_subbuf) &&
	       record->subbuf_bytes >= UST_PACKET_ALIGN && record->n_subbuf >= 2 &&
	       record->n_subbuf <= MAX_SUBBUFS &&
	       record->subbuf_bytes <= n_bytes / record->n_subbuf &&
	       record->ring_bytes == record->subbuf_bytes * record->n_subbuf &&
	       record->position % 8 == 0 && record->position + 8ull <= n_bytes &&
	       is_inside(n_bytes, record->commit_array, record->commit_stride, record->n_subbuf,
		       record->commit_seq) &&
	       is_inside(n_bytes, record->writer_array, record->writer_stride, record->n_subbuf,
		       record->writer_id) &&
	       is_inside(n_bytes, record->page_array, record->page_stride, record->n_subbuf + 1,
		       record->page_ref);
}

/* The counters behind the position are used only where all neighbours are what they should be. */
static void find_lost(const uint8_t *map, uint64_t n_bytes, const struct ring_layout_record *record,
	struct ring_layout *layout)
{
	uint64_t at = record->position;

	if (at + LOST_BIG + 8 > n_bytes || record->consumed != at + CONSUMED ||
		word(map, at + COMMIT_REF) != record->commit_array ||
		word(map, at + WRITER_REF) != record->writer_array ||
		word(map, at + PAGE_REF) != record->page_array)
		return;
	layout->lost[0] = at + LOST_FULL;
	layout->lost[1] = at + LOST_WRAP;
	layout->lost[2] = at + LOST_BIG;
}

bool ring_layout_read(const uint8_t *map, uint64_t n_bytes, struct ring_layout *layout_out,
	uint64_t **pages_out, uint64_t **sizes_out)
{
	g_autofree uint64_t *pages = NULL, *sizes = NULL;
	struct ring_layout_record record;
	struct ring_layout layout = { .file_bytes = n_bytes };

	if (n_bytes < sizeof(record))
		return false;
	memcpy(&record, map, sizeof(record));
	if (!is_known(&record, n_bytes))
		return false;
	pages = g_new0(uint64_t, record.n_subbuf + 1);
	sizes = g_new0(uint64_t, record.n_subbuf + 1);
	for (uint64_t i = 0; i <= record.n_subbuf; i++) {
		uint64_t page =
			word(map, record.page_array + i * record.page_stride + record.page_ref);

		if (page % 8 || page > n_bytes || n_bytes - page < record.page_data + 8ull)
			return false;
		if (record.page_data >= DATA_SIZE_BACK)
			sizes[i] = page + record.page_data - DATA_SIZE_BACK;
		pages[i] = word(map, page + record.page_data);
		if (pages[i] % 8 || pages[i] > n_bytes || n_bytes - pages[i] < record.subbuf_bytes)
			return false;
	}
	layout.ring_bytes = record.ring_bytes;
	layout.subbuf_bytes = record.subbuf_bytes;
	layout.n_subbuf = record.n_subbuf;
	layout.position = record.position;
	layout.commit_array = record.commit_array;
	layout.commit_stride = record.commit_stride;
	layout.commit_seq = record.commit_seq;
	layout.writer_array = record.writer_array + record.writer_id;
	layout.writer_stride = record.writer_stride;
	find_lost(map, n_bytes, &record, &layout);
	*layout_out = layout;
	*pages_out = g_steal_pointer(&pages);
	*sizes_out = g_steal_pointer(&sizes);
	return true;
}
