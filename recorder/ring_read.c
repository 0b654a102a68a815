/* SPDX-License-Identifier: MIT */
/*
 * Each stream has a cursor, the position of the next packet to copy. What the writers overtook is skipped: in a copy of
 * the past, the file begins anew behind it, so that there is no hole in what is claimed; in one of what is new it is
 * a loss, which the packets' sequence numbers show as well.
 */
#include "recorder/ring_read.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fs.h"
#include "recorder/procfs.h"
#include "recorder/ring_file.h"
#include "recorder/ring_files.h"
#include "recorder/ust_metadata.h"
#include "recorder/ust_packet.h"

/* An event takes 20 ns to write, and some time slices when its thread is put off the CPU just then. */
#define FINISH_NS 50000000ull
#define N_SPINS 300
/* At most half of a ring is given up at once for the sake of the rest. */
#define MAX_SKIP_EIGHTHS 4u
/* A copy of the past that is overtaken again and again is given up after so long. */
#define GIVE_UP_NS 2000000000ull
#define NAP_US 100
/* Streams of another user appear when a program changes its user id. */
#define REFRESH_NS 50000000ull
#define MAX_METADATA (64u << 20)

struct stream {
	struct ring_file *file; /* owned */
	char *member, *name;	/* owned */
	int fd;			/* owned; its copy */
	uint64_t cursor;
	uint64_t n_bytes;     /* in the copy */
	uint64_t lost_before; /* events that the ring had dropped when the copy began */
	uint32_t max_event_id;
	unsigned n_skips; /* how often the writers overtook a copy of the past */
};

struct ring_read {
	char *folder, *out; /* owned */
	uint64_t begin_ns;
	bool is_begun;	/* streams that appear now are copied from their beginning */
	bool is_onward; /* what is overwritten is lost, not history */
	uint64_t refreshed_ns;
	GPtrArray *streams; /* owns struct stream */
	uint8_t *buffer;    /* owned; of the largest sub-buffer */
	uint64_t buffer_bytes;
	int error; /* the first of making files; 0 */
	struct ring_read_result result;
};

static void stream_free(void *data)
{
	struct stream *stream = data;

	ring_file_close(stream->file);
	if (stream->fd >= 0)
		close(stream->fd);
	g_free(stream->member);
	g_free(stream->name);
	g_free(stream);
}

static uint64_t subbuf_floor(const struct stream *stream, uint64_t position)
{
	return position & ~(ring_file_subbuf_bytes(stream->file) - 1);
}

/* The newest packet that began at `begin_ns` or before, else the oldest. */
static uint64_t find_begin(const struct stream *stream, uint64_t begin_ns)
{
	uint64_t position = ring_file_position(stream->file), at, packet_ns;
	uint64_t oldest = ring_file_oldest(stream->file, position);

	for (at = subbuf_floor(stream, position); at > oldest;
		at -= ring_file_subbuf_bytes(stream->file)) {
		if (ring_file_begin(stream->file, at, &packet_ns) == 0 && packet_ns <= begin_ns)
			return at;
	}
	return oldest;
}

static uint64_t first_position(const struct ring_read *read, const struct stream *stream)
{
	uint64_t position = ring_file_position(stream->file);

	if (read->is_begun)
		return 0;
	if (read->begin_ns == RING_READ_ALL)
		return ring_file_oldest(stream->file, position);
	/* A packet that was just closed counts: the next begins with the next event, whenever that comes. */
	if (read->begin_ns == RING_READ_NEW)
		return subbuf_floor(stream, position ? position - 1 : 0);
	return find_begin(stream, read->begin_ns);
}

/* Nothing of a stream could be copied: it is known only from now on. */
static void note_gone(struct ring_read *read, const struct stream *stream)
{
	if (!read->is_onward && stream->n_skips && !stream->n_bytes)
		read->result.complete_ns = procfs_now();
}

static int open_copy(const struct ring_read *read, const struct stream *stream)
{
	g_autofree char *dir = g_strdup_printf("%s/%s", read->out, stream->member);
	g_autofree char *path = g_strdup_printf("%s/%s", dir, stream->name);
	int fd;

	if (g_mkdir_with_parents(dir, 0700) < 0)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int is_new_stream(const char *member, const char *name, void *user)
{
	const struct ring_read *read = user;

	for (guint i = 0; i < read->streams->len; i++) {
		const struct stream *stream = g_ptr_array_index(read->streams, i);

		if (strcmp(stream->member, member) == 0 && strcmp(stream->name, name) == 0)
			return 0;
	}
	return 1;
}

static void add_stream(const char *member, const char *name, struct ring_file *file, void *user)
{
	struct ring_read *read = user;
	struct stream *stream = g_new0(struct stream, 1);
	uint64_t subbuf_bytes = ring_file_subbuf_bytes(file);

	stream->file = file;
	stream->member = g_strdup(member);
	stream->name = g_strdup(name);
	stream->fd = open_copy(read, stream);
	if (stream->fd < 0 && !read->error)
		read->error = stream->fd;
	stream->cursor = first_position(read, stream);
	if (read->is_onward && !read->is_begun)
		stream->lost_before = ring_file_lost(file);
	if (subbuf_bytes > read->buffer_bytes) {
		g_free(read->buffer);
		read->buffer = g_malloc(subbuf_bytes);
		read->buffer_bytes = subbuf_bytes;
	}
	g_ptr_array_add(read->streams, stream);
}

static void refresh(struct ring_read *read)
{
	uint64_t now = procfs_now();

	if (read->is_begun && now - read->refreshed_ns < REFRESH_NS)
		return;
	read->refreshed_ns = now;
	ring_files_walk(read->folder, is_new_stream, add_stream, read);
	read->is_begun = true;
}

int ring_read_new(
	const char *folder, const char *out, uint64_t begin_ns, struct ring_read **read_out)
{
	struct ring_read *read = g_new0(struct ring_read, 1);

	read->folder = g_strdup(folder);
	read->out = g_strdup(out);
	read->begin_ns = begin_ns;
	read->is_onward = begin_ns == RING_READ_NEW || begin_ns == RING_READ_FIRST;
	read->is_begun = begin_ns == RING_READ_FIRST;
	read->streams = g_ptr_array_new_with_free_func(stream_free);
	refresh(read);
	if (read->error) {
		int err = read->error;

		ring_read_free(read);
		return err;
	}
	*read_out = read;
	return 0;
}

void ring_read_free(struct ring_read *read)
{
	if (!read)
		return;
	g_ptr_array_unref(read->streams);
	g_free(read->folder);
	g_free(read->out);
	g_free(read->buffer);
	g_free(read);
}

uint64_t ring_read_bytes(const struct ring_read *read)
{
	return read->result.n_bytes;
}

unsigned ring_read_lag(struct ring_read *read)
{
	unsigned most = 0;

	refresh(read);
	for (guint i = 0; i < read->streams->len; i++) {
		const struct stream *stream = g_ptr_array_index(read->streams, i);
		uint64_t ahead = ring_file_position(stream->file) - stream->cursor;
		uint64_t lag = ahead / (ring_file_bytes(stream->file) / 1024 + 1);

		most = MAX(most, (unsigned)MIN(lag, 1000u));
	}
	return most;
}

/* The writers have been where the cursor is: goes on with the oldest that is held. */
static int skip_lapped(struct ring_read *read, struct stream *stream)
{
	uint64_t subbuf_bytes = ring_file_subbuf_bytes(stream->file);
	uint64_t position = ring_file_position(stream->file);
	uint64_t oldest = MAX(ring_file_oldest(stream->file, position), stream->cursor);

	/* The oldest is overwritten next: one more gives time to copy, and a fast program a larger start. */
	oldest += subbuf_bytes;
	if (!read->is_onward) {
		oldest += subbuf_floor(stream,
			ring_file_bytes(stream->file) / 8 * MIN(stream->n_skips, MAX_SKIP_EIGHTHS));
		stream->n_skips++;
	}
	oldest = MIN(oldest, subbuf_floor(stream, position));
	if (read->is_onward) {
		read->result.lost_packets += (oldest - stream->cursor) / subbuf_bytes;
	} else if (stream->n_bytes) {
		if (ftruncate(stream->fd, 0) < 0 || lseek(stream->fd, 0, SEEK_SET) < 0)
			return -errno;
		read->result.n_bytes -= stream->n_bytes;
		stream->n_bytes = 0;
	}
	stream->cursor = oldest;
	return 0;
}

static int put(struct ring_read *read, struct stream *stream, const struct ring_packet *packet)
{
	const struct ust_packet_head *head = (const void *)read->buffer;
	int err = fs_write_all(stream->fd, read->buffer, packet->n_bytes);

	if (err)
		return err;
	/* What the ring dropped before the oldest packet's end is history. */
	if (stream->n_bytes == 0 && !read->is_onward && stream->cursor > 0 && packet->is_closed)
		stream->lost_before = head->events_discarded;
	stream->n_bytes += packet->n_bytes;
	read->result.n_bytes += packet->n_bytes;
	if (packet->torn_bytes) {
		read->result.torn_packets++;
		read->result.torn_bytes += packet->torn_bytes;
	}
	return 0;
}

/* Copies closed packets up to `target`. 0, -errno, or RING_FILE_E_OPEN at one that is not closed. */
static int copy_closed(struct ring_read *read, struct stream *stream, uint64_t target)
{
	while (stream->cursor < target) {
		struct ring_packet packet;
		int rc = ring_file_read(stream->file, stream->cursor, read->buffer, &packet);

		if (rc == RING_FILE_E_LAPPED) {
			rc = skip_lapped(read, stream);
		} else if (rc == 0) {
			rc = put(read, stream, &packet);
			stream->cursor += ring_file_subbuf_bytes(stream->file);
		}
		if (rc)
			return rc;
	}
	return 0;
}

int ring_read_drain(struct ring_read *read)
{
	refresh(read);
	for (guint i = 0; i < read->streams->len && !read->error; i++) {
		struct stream *stream = g_ptr_array_index(read->streams, i);
		uint64_t whole = subbuf_floor(stream, ring_file_position(stream->file));
		int rc = copy_closed(read, stream, whole);

		if (rc < 0)
			read->error = rc;
	}
	return read->error;
}

/* One try at a packet that is not closed; moves the cursor behind it. 0, -errno or RING_FILE_E_*. */
static int copy_open(struct ring_read *read, struct stream *stream, bool is_last_try)
{
	struct ring_packet packet;
	int rc = ring_file_read_open(stream->file, stream->cursor, is_last_try,
		stream->max_event_id, read->buffer, &packet);

	if (rc == 0 && packet.n_bytes)
		rc = put(read, stream, &packet);
	if (rc == 0)
		stream->cursor += ring_file_subbuf_bytes(stream->file);
	return rc;
}

/* Copies all that is complete before `target`, waiting for what is being written until `deadline_ns`. */
static int finish_stream(
	struct ring_read *read, struct stream *stream, uint64_t target, uint64_t deadline_ns)
{
	uint64_t give_up = procfs_now() + GIVE_UP_NS;

	for (unsigned n = 0; stream->cursor < target; n++) {
		bool is_last_try = n > N_SPINS && procfs_now() >= deadline_ns;
		int rc = copy_closed(read, stream, target);

		/* Overtaken up to the end: something newer is better than nothing. */
		if (rc == 0 && !stream->n_bytes && stream->n_skips && procfs_now() < give_up)
			target = ring_file_position(stream->file);
		if (rc == RING_FILE_E_OPEN)
			rc = copy_open(read, stream, is_last_try);
		if (rc == RING_FILE_E_OPEN && is_last_try) {
			/* Not even its header was written. */
			read->result.torn_packets++;
			stream->cursor += ring_file_subbuf_bytes(stream->file);
			rc = 0;
		}
		if (rc < 0 || rc == RING_FILE_E_LAYOUT)
			return rc < 0 ? rc : -EIO;
		if (rc == RING_FILE_E_OPEN && n > N_SPINS)
			g_usleep(NAP_US);
	}
	return 0;
}

/* Largest id of an event in the metadata. */
static uint32_t max_event_id(const char *text)
{
	uint32_t most = 0;

	while ((text = strstr(text, "event {"))) {
		unsigned id;

		text = strchr(text, '\n');
		if (!text)
			break;
		for (int i = 0; i < 4 && text; i++) {
			if (sscanf(text, " id = %u;", &id) == 1)
				most = MAX(most, id);
			text = strchr(text + 1, '\n');
		}
		if (!text)
			break;
	}
	return most;
}

/* The metadata of one folder of the ring; NULL when there is none yet. */
static char *load_metadata(const struct ring_read *read, const char *member, gsize *n_out)
{
	g_autofree char *path = g_strdup_printf("%s/%s/metadata", read->folder, member);
	char *data = NULL;

	if (!g_file_get_contents(path, &data, n_out, NULL))
		return NULL;
	if (*n_out > MAX_METADATA)
		g_clear_pointer(&data, g_free);
	return data;
}

static void note_ids(const char *member, void *user)
{
	struct ring_read *read = user;
	gsize n = 0;
	g_autofree char *data = load_metadata(read, member, &n);
	GString *text = data ? ust_metadata_text(data, n) : NULL;
	uint32_t most = text ? max_event_id(text->str) : 0;

	for (guint i = 0; i < read->streams->len; i++) {
		struct stream *stream = g_ptr_array_index(read->streams, i);

		if (strcmp(stream->member, member) == 0)
			stream->max_event_id = most;
	}
	if (text)
		g_string_free(text, TRUE);
}

static void copy_metadata(const char *member, void *user)
{
	struct ring_read *read = user;
	gsize n = 0;
	g_autofree char *data = load_metadata(read, member, &n);
	g_autofree char *dir = g_strdup_printf("%s/%s", read->out, member);
	g_autofree char *path = g_strdup_printf("%s/metadata", dir);
	int fd, err;

	if (!data)
		return;
	if (g_mkdir_with_parents(dir, 0700) < 0) {
		read->error = read->error ? read->error : -errno;
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : fs_write_all(fd, data, n);
	if (fd >= 0)
		close(fd);
	if (err && !read->error)
		read->error = err;
}

int ring_read_finish(struct ring_read *read, struct ring_read_result *result_out)
{
	uint64_t deadline = procfs_now() + FINISH_NS;
	g_autofree uint64_t *targets = NULL;
	int err;

	read->refreshed_ns = 0;
	refresh(read);
	targets = g_new0(uint64_t, read->streams->len + 1);
	for (guint i = 0; i < read->streams->len; i++) {
		const struct stream *stream = g_ptr_array_index(read->streams, i);

		targets[i] = ring_file_position(stream->file);
	}
	ring_files_members(read->folder, note_ids, read);
	for (guint i = 0; i < read->streams->len; i++) {
		struct stream *stream = g_ptr_array_index(read->streams, i);

		if (!read->error)
			read->error = finish_stream(read, stream, targets[i], deadline);
		note_gone(read, stream);
		read->result.lost_events += ring_file_lost(stream->file) - stream->lost_before;
	}
	/* Last: it has all events that are in the streams by now. And without it nothing can be read. */
	err = read->error;
	read->error = 0;
	ring_files_members(read->folder, copy_metadata, read);
	*result_out = read->result;
	return read->error ? read->error : err;
}
