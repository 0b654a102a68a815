/* SPDX-License-Identifier: MIT */
/*
 * A ring file as LTTng-UST 2.13 lays it out, written by hand: an event is 2 bytes of id, 4 of time and 4 of value.
 */
#pragma once

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/ring_layout.h"
#include "recorder/ust_packet.h"

#define FAKE_SUBBUF 4096u
#define FAKE_N 4u
#define FAKE_EVENT 10u
#define FAKE_EVENTS ((FAKE_SUBBUF - sizeof(struct ust_packet_head)) / FAKE_EVENT)
#define FAKE_COMMIT 1024u
#define FAKE_PAGES 2048u   /* references */
#define FAKE_RECORDS 2304u /* of pages */
#define FAKE_WRITER 3072u
#define FAKE_DATA 8192u
#define FAKE_BYTES (FAKE_DATA + (FAKE_N + 1) * FAKE_SUBBUF)
#define FAKE_POSITION 512u
#define FAKE_START_NS 1000000u /* event n happens at this + n */

struct fake_ring {
	uint8_t *map;
	uint64_t position, n_events;
};

static inline uint64_t *fake_word(struct fake_ring *ring, uint64_t at)
{
	return (uint64_t *)(void *)(ring->map + at);
}

static inline void fake_open(struct fake_ring *ring, const char *path)
{
	static const uint8_t magic[16] = { 0x17, 0x7b, 0xf1, 0x77, 0xbf, 0x17, 0x7b, 0xf1, 0x77,
		0xbf, 0x17, 0x7b, 0xf1, 0x77, 0xbf, 0x17 };
	struct ring_layout_record record = {
		.mmap_bytes = FAKE_BYTES,
		.endian = 0x1234,
		.word_bytes = 8,
		.position = FAKE_POSITION,
		.consumed = FAKE_POSITION + 24,
		.commit_array = FAKE_COMMIT,
		.commit_seq = 8,
		.writer_array = FAKE_WRITER,
		.page_array = FAKE_PAGES,
		.page_ref = 8,
		.page_data = 40,
		.content_size = G_STRUCT_OFFSET(struct ust_packet_head, content_size),
		.packet_size = G_STRUCT_OFFSET(struct ust_packet_head, packet_size),
		.position_width = 8,
		.consumed_width = 8,
		.commit_seq_width = 8,
		.writer_id_width = 8,
		.page_ref_width = 8,
		.page_data_width = 8,
		.content_size_width = 8,
		.packet_size_width = 8,
		.commit_stride = 128,
		.writer_stride = 8,
		.page_stride = 16,
		.ring_bytes = FAKE_SUBBUF * FAKE_N,
		.subbuf_bytes = FAKE_SUBBUF,
		.n_subbuf = FAKE_N,
	};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, FAKE_BYTES) < 0)
		g_error("cannot make %s", path);
	*ring = (struct fake_ring){ .map = mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE,
					    MAP_SHARED, fd, 0) };
	close(fd);
	memcpy(record.magic, magic, sizeof(magic));
	memcpy(ring->map, &record, sizeof(record));
	*fake_word(ring, FAKE_POSITION + 16) = FAKE_COMMIT;
	*fake_word(ring, FAKE_POSITION + 56) = FAKE_WRITER;
	*fake_word(ring, FAKE_POSITION + 96) = FAKE_PAGES;
	for (unsigned i = 0; i <= FAKE_N; i++) {
		uint64_t page = FAKE_RECORDS + i * 64;

		*fake_word(ring, FAKE_PAGES + i * 16 + 8) = page;
		*fake_word(ring, page + 40) = FAKE_DATA + i * FAKE_SUBBUF;
		if (i < FAKE_N)
			*fake_word(ring, FAKE_WRITER + i * 8) = 1ull << 32 | i;
	}
}

static inline void fake_close(struct fake_ring *ring)
{
	munmap(ring->map, FAKE_BYTES);
}

static inline unsigned fake_index(const struct fake_ring *ring)
{
	return (unsigned)(ring->position / FAKE_SUBBUF % FAKE_N);
}

static inline void fake_commit(struct fake_ring *ring, unsigned index, uint64_t n, int is_gapless)
{
	uint64_t *counts = fake_word(ring, FAKE_COMMIT + index * 128);

	counts[0] += n;
	if (is_gapless)
		counts[1] = counts[0];
}

static inline void fake_move(struct fake_ring *ring, uint64_t n)
{
	ring->position += n;
	*fake_word(ring, FAKE_POSITION) = ring->position;
}

/* Closes the packet that is full. */
static inline void fake_switch(struct fake_ring *ring, int is_gapless)
{
	unsigned index = fake_index(ring);
	uint64_t used = ring->position % FAKE_SUBBUF, lap = ring->position / (FAKE_SUBBUF * FAKE_N);
	struct ust_packet_head *head = (void *)(ring->map + FAKE_DATA + index * FAKE_SUBBUF);

	*fake_word(ring, FAKE_RECORDS + index * 64 + 24) = used;
	fake_commit(ring, index, FAKE_SUBBUF - used, is_gapless);
	if (is_gapless) {
		head->timestamp_end = FAKE_START_NS + ring->n_events;
		head->content_size = used * 8;
		head->packet_size = FAKE_SUBBUF * 8;
		*fake_word(ring, FAKE_WRITER + index * 8) = lap << 33 | 1ull << 32 | index;
	}
	fake_move(ring, FAKE_SUBBUF - used);
}

static inline void fake_begin(struct fake_ring *ring)
{
	unsigned index = fake_index(ring);
	struct ust_packet_head head = {
		.magic = UST_PACKET_MAGIC,
		.timestamp_begin = FAKE_START_NS + ring->n_events,
		.content_size = UINT64_MAX,
		.packet_size = UINT64_MAX,
		.packet_seq_num = ring->position / FAKE_SUBBUF,
	};

	*fake_word(ring, FAKE_WRITER + index * 8) = index;
	memcpy(ring->map + FAKE_DATA + index * FAKE_SUBBUF, &head, sizeof(head));
	fake_move(ring, sizeof(head));
	fake_commit(ring, index, sizeof(head), 1);
}

/*
 * Writes one event; unless it is_whole, its writer dies within. is_gapless: no such event lies before it in the packet.
 */
static inline void fake_event(struct fake_ring *ring, int is_whole, int is_gapless)
{
	uint8_t event[FAKE_EVENT];
	uint16_t id = 3;
	uint32_t time = (uint32_t)(FAKE_START_NS + ring->n_events),
		 value = (uint32_t)ring->n_events;
	unsigned index;

	if (ring->position % FAKE_SUBBUF + FAKE_EVENT > FAKE_SUBBUF)
		fake_switch(ring, is_gapless);
	if (ring->position % FAKE_SUBBUF == 0)
		fake_begin(ring);
	index = fake_index(ring);
	memcpy(event, &id, 2);
	memcpy(event + 2, &time, 4);
	memcpy(event + 6, &value, 4);
	if (is_whole)
		memcpy(ring->map + FAKE_DATA + index * FAKE_SUBBUF + ring->position % FAKE_SUBBUF,
			event, sizeof(event));
	fake_move(ring, FAKE_EVENT);
	if (is_whole)
		fake_commit(ring, index, FAKE_EVENT, is_gapless);
	ring->n_events++;
}
