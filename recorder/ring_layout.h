/* SPDX-License-Identifier: MIT */
/*
 * The description that LTTng-UST puts at the beginning of a ring's file for those who read it after a crash (layout
 * record version 0), and what we know of the structures it points to from LTTng-UST 2.13. The latter is checked
 * against the former, and not used where they disagree.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ring_layout_record {
	uint8_t magic[16];
	uint64_t mmap_bytes;
	uint16_t endian, major, minor;
	uint8_t word_bytes, type;
	/* Offsets in the file or in the element of an array. */
	uint32_t position, consumed;
	uint32_t commit_array, commit_seq;
	uint32_t writer_array, writer_id;
	uint32_t page_array, page_ref;
	uint32_t page_data;
	uint32_t content_size, packet_size; /* in the packet's header */
	/* Widths in bytes. */
	uint8_t position_width, consumed_width, commit_seq_width, writer_id_width, page_ref_width,
		page_data_width, content_size_width, packet_size_width;
	/* Distances between the elements of the arrays. */
	uint32_t commit_stride, writer_stride, page_stride;
	uint64_t ring_bytes, subbuf_bytes, n_subbuf;
	uint32_t mode; /* 0: overwrite */
} __attribute__((packed));

/* Where things are: offsets in the file, all checked to lie within it. */
struct ring_layout {
	uint64_t file_bytes, ring_bytes, subbuf_bytes, n_subbuf;
	uint64_t position;		      /* u64: the write position */
	uint64_t commit_array, commit_stride; /* per sub-buffer; u64 at 0: bytes committed, */
	uint64_t commit_seq;		      /* here: likewise, as far as without a gap */
	uint64_t writer_array, writer_stride; /* per sub-buffer: id of its page, u64 */
	uint64_t lost[3];		      /* u64 each; 0: not known */
};

/* An id in the writer's table: index of the page, closed or not, and in which lap it was closed (31 bits). */
#define RING_PAGE_INDEX(id) ((id)&0xffffffffu)
#define RING_PAGE_IS_CLOSED(id) (((id) >> 32) & 1)
#define RING_PAGE_LAP(id) ((id) >> 33)
#define RING_LAP_MASK 0x7fffffffu

/*
 * Reads the layout of a mapped file. Returns true when it is a known one, and in pages_out[n_subbuf + 1] (g_free) the
 * offset of each page's data.
 */
bool ring_layout_read(const uint8_t *map, uint64_t n_bytes, struct ring_layout *layout_out,
	uint64_t **pages_out, uint64_t **sizes_out);
