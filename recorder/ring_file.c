/* SPDX-License-Identifier: MIT */
/*
 * What makes a copy right while programs write:
 *
 * - A writer first moves the write position, then writes, then adds what it wrote to the sub-buffer's commit count; the
 *   last one to do so closes the packet: header, then a mark with the lap's number in the table of pages. So what
 *   carries the mark of its lap is complete.
 * - A sub-buffer is overwritten only after the write position has moved beyond it by a whole ring. So what was copied
 *   is right when the position, read after the copy, has not.
 * - An open packet is complete up to the write position at any moment at which as much was committed as was reserved.
 *
 * Control words are read from a mapping, data with pread(): pages of a mapping would count as our memory.
 */
#include "recorder/ring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/procfs.h"
#include "recorder/ring_layout.h"
#include "recorder/ust_packet.h"

/* Id of an event header that is followed by a long id and a whole time. */
#define EXTENDED_ID 0xffff
#define COMPACT_HEADER_BYTES 6
#define EXTENDED_HEADER_BYTES 14

struct ring_file {
	int fd;
	uint8_t *map;
	struct ring_layout layout;
	uint64_t *pages; /* owned: offset of each page's data */
	uint64_t *
		sizes; /* owned: and of the word that holds how much of it was used when it was closed; 0 */
};

/* Acquire: what a writer did before it stored the word is seen by whoever finds the word. */
static uint64_t load(const struct ring_file *file, uint64_t offset)
{
	return __atomic_load_n(
		(const uint64_t *)(const void *)(file->map + offset), __ATOMIC_ACQUIRE);
}

int ring_file_open(int dir_fd, const char *name, struct ring_file **file_out)
{
	struct ring_file *file;
	struct stat st;
	void *map;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct ring_layout_record))
		err = RING_FILE_E_LAYOUT;
	map = err ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (!err && map == MAP_FAILED)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	file = g_new0(struct ring_file, 1);
	file->fd = fd;
	file->map = map;
	file->layout.file_bytes = (uint64_t)st.st_size;
	if (!ring_layout_read(
		    map, (uint64_t)st.st_size, &file->layout, &file->pages, &file->sizes)) {
		ring_file_close(file);
		return RING_FILE_E_LAYOUT;
	}
	*file_out = file;
	return 0;
}

void ring_file_close(struct ring_file *file)
{
	if (!file)
		return;
	munmap(file->map, file->layout.file_bytes);
	close(file->fd);
	g_free(file->pages);
	g_free(file->sizes);
	g_free(file);
}

uint64_t ring_file_subbuf_bytes(const struct ring_file *file)
{
	return file->layout.subbuf_bytes;
}

uint64_t ring_file_bytes(const struct ring_file *file)
{
	return file->layout.ring_bytes;
}

uint64_t ring_file_position(const struct ring_file *file)
{
	return load(file, file->layout.position);
}

uint64_t ring_file_oldest(const struct ring_file *file, uint64_t position)
{
	uint64_t current = position & ~(file->layout.subbuf_bytes - 1);
	uint64_t others = file->layout.ring_bytes - file->layout.subbuf_bytes;

	return current > others ? current - others : 0;
}

uint64_t ring_file_lost(const struct ring_file *file)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(file->layout.lost); i++)
		sum += file->layout.lost[i] ? load(file, file->layout.lost[i]) : 0;
	return sum;
}

static uint64_t subbuf_index(const struct ring_file *file, uint64_t position)
{
	return position % file->layout.ring_bytes / file->layout.subbuf_bytes;
}

static uint64_t page_id(const struct ring_file *file, uint64_t position)
{
	return load(file, file->layout.writer_array +
				  subbuf_index(file, position) * file->layout.writer_stride);
}

/* Bytes committed to the sub-buffer at `position` in this lap: all, or those before the first gap. */
static uint64_t committed(const struct ring_file *file, uint64_t position, bool is_gapless)
{
	uint64_t element = file->layout.commit_array +
			   subbuf_index(file, position) * file->layout.commit_stride;
	uint64_t count = load(file, element + (is_gapless ? file->layout.commit_seq : 0));
	uint64_t before = position / file->layout.ring_bytes * file->layout.subbuf_bytes;

	return count < before ? 0 : MIN(count - before, file->layout.subbuf_bytes);
}

static bool is_lapped(const struct ring_file *file, uint64_t position)
{
	/* What was copied before this was there before the position is looked at. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_file_position(file) > position + file->layout.ring_bytes;
}

static bool is_closed(const struct ring_file *file, uint64_t position, uint64_t id)
{
	uint64_t lap = position / file->layout.ring_bytes;

	/* A ring that was never used up carries the marks of lap 0 from the beginning: hence the count. */
	return RING_PAGE_IS_CLOSED(id) && RING_PAGE_LAP(id) == (lap & RING_LAP_MASK) &&
	       committed(file, position, false) == file->layout.subbuf_bytes;
}

/* Copies the first n bytes of the page. 0, -errno or RING_FILE_E_*. */
static int copy(
	const struct ring_file *file, uint64_t position, uint64_t id, void *buffer, uint64_t n)
{
	uint64_t page = RING_PAGE_INDEX(id);
	ssize_t got;

	if (page > file->layout.n_subbuf)
		return RING_FILE_E_LAYOUT;
	got = pread(file->fd, buffer, n, (off_t)file->pages[page]);
	if (got != (ssize_t)n)
		return got < 0 ? -errno : -EIO;
	return is_lapped(file, position) ? RING_FILE_E_LAPPED : 0;
}

/* Whether the header is that of the packet at `position`, not of one that lay there before. */
static bool is_of(
	const struct ring_file *file, const struct ust_packet_head *head, uint64_t position)
{
	return head->magic == UST_PACKET_MAGIC &&
	       head->packet_seq_num == position / file->layout.subbuf_bytes;
}

int ring_file_begin(const struct ring_file *file, uint64_t position, uint64_t *begin_ns_out)
{
	struct ust_packet_head head;
	int rc = copy(file, position, page_id(file, position), &head, sizeof(head));

	if (rc)
		return rc;
	if (!is_of(file, &head, position))
		return RING_FILE_E_OPEN;
	*begin_ns_out = head.timestamp_begin;
	return 0;
}

int ring_file_read(const struct ring_file *file, uint64_t position, void *buffer,
	struct ring_packet *packet_out)
{
	struct ust_packet_head *head = buffer;
	uint64_t id = page_id(file, position), n_bytes;
	int rc;

	if (is_lapped(file, position))
		return RING_FILE_E_LAPPED;
	if (!is_closed(file, position, id))
		return RING_FILE_E_OPEN;
	rc = copy(file, position, id, buffer, file->layout.subbuf_bytes);
	if (rc)
		return rc;
	n_bytes = head->packet_size / 8;
	/* Another reader of LTTng's own may have exchanged the page for its own for a moment. */
	if (page_id(file, position) != id || !is_of(file, head, position) ||
		head->packet_size % 8 || n_bytes > file->layout.subbuf_bytes ||
		n_bytes < sizeof(*head) || head->content_size > head->packet_size)
		return RING_FILE_E_OPEN;
	*packet_out = (struct ring_packet){
		.n_bytes = n_bytes,
		.begin_ns = head->timestamp_begin,
		.end_position = position + file->layout.subbuf_bytes,
		.is_closed = true,
	};
	return 0;
}

/* Whether an event of the packet may begin at `offset`. */
static bool is_event(const uint8_t *packet, uint64_t offset, uint64_t end, uint64_t now_ns,
	uint32_t max_event_id)
{
	const struct ust_packet_head *head = (const void *)packet;
	uint64_t time, age = now_ns - head->timestamp_begin;
	uint32_t time32, id32;
	uint16_t id;

	if (offset + COMPACT_HEADER_BYTES > end)
		return false;
	memcpy(&id, packet + offset, sizeof(id));
	if (id != EXTENDED_ID) {
		memcpy(&time32, packet + offset + 2, sizeof(time32));
		return id <= max_event_id &&
		       (age > UINT32_MAX || time32 - (uint32_t)head->timestamp_begin <= age);
	}
	if (offset + EXTENDED_HEADER_BYTES > end)
		return false;
	memcpy(&id32, packet + offset + 2, sizeof(id32));
	memcpy(&time, packet + offset + 6, sizeof(time));
	return id32 <= max_event_id && time >= head->timestamp_begin && time <= now_ns;
}

/* How far a packet is complete. */
struct extent {
	uint64_t position, committed; /* as they were */
	uint64_t reserved;	      /* bytes of the packet */
	uint64_t gapless;	      /* bytes before the first gap */
	uint64_t end;		      /* of the last event reserved, as far as known */
	bool is_complete;
};

static void measure(
	const struct ring_file *file, uint64_t position, uint64_t id, struct extent *extent)
{
	uint64_t subbuf = file->layout.subbuf_bytes, page = RING_PAGE_INDEX(id), used = 0;
	uint64_t before = ring_file_position(file);

	extent->committed = committed(file, position, false);
	extent->position = ring_file_position(file);
	extent->gapless = committed(file, position, true);
	extent->reserved = MIN(extent->position - position, subbuf);
	extent->end = extent->reserved;
	extent->is_complete = before == extent->position && extent->reserved < subbuf &&
			      extent->committed == extent->reserved;
	if (extent->is_complete)
		extent->gapless = extent->reserved;
	if (extent->reserved < subbuf)
		return;
	/* All is reserved, padding too: the events end where whoever began the next packet has said. */
	if (page <= file->layout.n_subbuf && file->sizes[page])
		used = load(file, file->sizes[page]);
	extent->end = used >= extent->gapless && used <= subbuf ? used : extent->gapless;
}

/*
 * Removes the gap that a dead writer's event left and moves what is behind it. The gap's size is known only as the sum of
 * what is missing: with more than one unfinished event, what is found there is no event, and all behind is given
 * up. Returns how many bytes are good.
 */
static uint64_t cut_gap(
	uint8_t *packet, const struct extent *extent, uint64_t now_ns, uint32_t max_event_id)
{
	uint64_t gap = extent->reserved - MIN(extent->committed, extent->reserved);
	uint64_t behind = extent->gapless + gap;

	if (!gap || behind >= extent->end ||
		!is_event(packet, behind, extent->end, now_ns, max_event_id))
		return extent->gapless;
	memmove(packet + extent->gapless, packet + behind, extent->end - behind);
	return extent->end - gap;
}

static bool is_same(const struct extent *a, const struct extent *b)
{
	return a->position == b->position && a->committed == b->committed;
}

int ring_file_read_open(const struct ring_file *file, uint64_t position, bool is_last_try,
	uint32_t max_event_id, void *buffer, struct ring_packet *packet_out)
{
	struct ust_packet_head *head = buffer;
	uint64_t id = page_id(file, position), n, padded, now_ns, next_ns;
	struct extent extent, later;
	int rc;

	measure(file, position, id, &extent);
	/* Not before: no event that is copied may be newer. */
	now_ns = procfs_now();
	if (!extent.is_complete && !is_last_try)
		return RING_FILE_E_OPEN;
	*packet_out = (struct ring_packet){ .end_position = position };
	if (extent.reserved == 0)
		return 0;
	rc = copy(file, position, id, buffer, file->layout.subbuf_bytes);
	if (rc)
		return rc;
	measure(file, position, id, &later);
	if (page_id(file, position) != id || !is_of(file, head, position) ||
		extent.gapless < sizeof(*head))
		return RING_FILE_E_OPEN;
	/* A packet that others follow ended when the next one began. */
	if (extent.reserved == file->layout.subbuf_bytes &&
		ring_file_begin(file, position + file->layout.subbuf_bytes, &next_ns) == 0)
		now_ns = MIN(now_ns, next_ns);
	n = extent.gapless;
	/* While somebody writes, there may be other gaps behind. */
	if (!extent.is_complete && is_same(&extent, &later))
		n = cut_gap(buffer, &extent, now_ns, max_event_id);
	padded = (n + UST_PACKET_ALIGN - 1) & ~(uint64_t)(UST_PACKET_ALIGN - 1);
	memset((uint8_t *)buffer + n, 0, padded - n);
	head->timestamp_end = now_ns;
	head->content_size = n * 8;
	head->packet_size = padded * 8;
	head->events_discarded = ring_file_lost(file);
	packet_out->n_bytes = padded;
	packet_out->begin_ns = head->timestamp_begin;
	packet_out->end_position = position + extent.reserved;
	packet_out->torn_bytes = extent.reserved - n;
	return 0;
}
