/* SPDX-License-Identifier: MIT */
/*
 * A record is: time since the one before << 2 | kind, number of the thread; of a wake-up also number of the waker. A number
 * equal to the length of the list adds to it: process and thread id follow. All are variable-length (7 bits a byte).
 * The packer finds numbers again in a small table without collisions resolved: who was pushed out of it is listed twice,
 * which costs some bytes and no search.
 */
#include "recorder/sched_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A time of 64 bits and two new threads. */
#define MAX_RECORD (10u + 2 * 15u)

struct thread_ids {
	uint32_t pid, tid;
};

static uint8_t *put(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

static uint8_t *put_thread(struct sched_packer *packer, uint8_t *at, uint32_t pid, uint32_t tid)
{
	uint32_t slot = tid % G_N_ELEMENTS(packer->recent);

	if (packer->recent[slot].number < packer->n_threads && packer->recent[slot].tid == tid &&
		packer->recent[slot].pid == pid)
		return put(at, packer->recent[slot].number);
	packer->recent[slot].pid = pid;
	packer->recent[slot].tid = tid;
	packer->recent[slot].number = packer->n_threads;
	at = put(at, packer->n_threads++);
	at = put(at, pid);
	return put(at, tid);
}

bool sched_packer_add(struct sched_packer *packer, const struct sched_record *record)
{
	struct sched_chunk *chunk = packer->chunk;
	uint8_t *at, *begin;
	uint64_t ns = record->ns;

	if (!chunk || chunk->n_bytes + MAX_RECORD > SCHED_CHUNK_BYTES)
		return false;
	if (chunk->n_records == 0)
		chunk->begin_ns = chunk->end_ns = ns;
	ns = MAX(ns, chunk->end_ns);
	at = begin = chunk->data + chunk->n_bytes;
	at = put(at, (ns - chunk->end_ns) << 2 | record->kind);
	at = put_thread(packer, at, record->pid, record->tid);
	if (record->kind == SCHED_WAKEUP)
		at = put_thread(packer, at, record->waker_pid, record->waker_tid);
	chunk->n_bytes += (uint32_t)(at - begin);
	chunk->n_records++;
	chunk->end_ns = ns;
	return true;
}

void sched_packer_begin(struct sched_packer *packer, uint32_t cpu)
{
	packer->chunk = g_atomic_rc_box_new0(struct sched_chunk);
	packer->chunk->cpu = cpu;
	packer->chunk->data = g_malloc(SCHED_CHUNK_BYTES);
	packer->n_threads = 0;
	memset(packer->recent, 0xff, sizeof(packer->recent)); /* numbers that no thread has */
}

struct sched_chunk *sched_packer_take(struct sched_packer *packer)
{
	struct sched_chunk *chunk = packer->chunk;

	packer->chunk = NULL;
	if (chunk && chunk->n_records == 0) {
		sched_chunk_put(chunk);
		return NULL;
	}
	if (chunk)
		chunk->data = g_realloc(chunk->data, chunk->n_bytes);
	return chunk;
}

struct sched_chunk *sched_packer_copy(const struct sched_packer *packer)
{
	struct sched_chunk *copy;

	if (!packer->chunk || packer->chunk->n_records == 0)
		return NULL;
	copy = g_atomic_rc_box_new0(struct sched_chunk);
	*copy = *packer->chunk;
	copy->data = g_memdup2(copy->data, copy->n_bytes);
	return copy;
}

struct sched_chunk *sched_chunk_get(struct sched_chunk *chunk)
{
	return g_atomic_rc_box_acquire(chunk);
}

static void chunk_clear(void *data)
{
	struct sched_chunk *chunk = data;

	g_free(chunk->data);
	sched_spool_put(chunk->spool);
}

void sched_chunk_put(struct sched_chunk *chunk)
{
	if (chunk)
		g_atomic_rc_box_release_full(chunk, chunk_clear);
}

struct sched_spool *sched_spool_new(const char *folder, int *err_out)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct sched_spool *spool;

	if (fd < 0) {
		*err_out = -errno;
		return NULL;
	}
	spool = g_atomic_rc_box_new0(struct sched_spool);
	spool->fd = fd;
	return spool;
}

static void spool_clear(void *data)
{
	close(((struct sched_spool *)data)->fd);
}

void sched_spool_put(struct sched_spool *spool)
{
	if (spool)
		g_atomic_rc_box_release_full(spool, spool_clear);
}

int sched_chunk_spool(
	const struct sched_chunk *chunk, struct sched_spool *spool, struct sched_chunk **moved_out)
{
	struct sched_chunk *moved;

	for (uint32_t done = 0; done < chunk->n_bytes;) {
		ssize_t n = pwrite(spool->fd, chunk->data + done, chunk->n_bytes - done,
			(off_t)(spool->n_bytes + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint32_t)n;
	}
	moved = g_atomic_rc_box_new0(struct sched_chunk);
	*moved = *chunk;
	moved->data = NULL;
	moved->offset = spool->n_bytes;
	moved->spool = g_atomic_rc_box_acquire(spool);
	spool->n_bytes += chunk->n_bytes;
	*moved_out = moved;
	return 0;
}

static int read_spooled(struct sched_unpacker *unpacker, const struct sched_chunk *chunk)
{
	unpacker->data = g_malloc(chunk->n_bytes);
	for (uint32_t done = 0; done < chunk->n_bytes;) {
		ssize_t n = pread(chunk->spool->fd, unpacker->data + done, chunk->n_bytes - done,
			(off_t)(chunk->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint32_t)n;
	}
	return 0;
}

int sched_unpacker_begin(struct sched_unpacker *unpacker, struct sched_chunk *chunk)
{
	int err = 0;

	*unpacker = (struct sched_unpacker){
		.chunk = chunk,
		.left = chunk->n_records,
		.ns = chunk->begin_ns,
		.threads = g_array_new(FALSE, FALSE, sizeof(struct thread_ids)),
	};
	if (chunk->spool)
		err = read_spooled(unpacker, chunk);
	unpacker->at = chunk->spool ? unpacker->data : chunk->data;
	unpacker->end = unpacker->at + chunk->n_bytes;
	return err;
}

static bool take(struct sched_unpacker *unpacker, uint64_t *value_out)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && unpacker->at < unpacker->end; shift += 7) {
		uint8_t byte = *unpacker->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*value_out = value;
			return true;
		}
	}
	return false;
}

static bool take_thread(struct sched_unpacker *unpacker, uint32_t *pid_out, uint32_t *tid_out)
{
	struct thread_ids ids;
	uint64_t number, pid, tid;

	if (!take(unpacker, &number) || number > unpacker->threads->len)
		return false;
	if (number == unpacker->threads->len) {
		if (!take(unpacker, &pid) || !take(unpacker, &tid))
			return false;
		ids = (struct thread_ids){ (uint32_t)pid, (uint32_t)tid };
		g_array_append_val(unpacker->threads, ids);
	}
	ids = g_array_index(unpacker->threads, struct thread_ids, number);
	*pid_out = ids.pid;
	*tid_out = ids.tid;
	return true;
}

bool sched_unpacker_next(struct sched_unpacker *unpacker, struct sched_record *record)
{
	uint64_t head;

	if (unpacker->left == 0)
		return false;
	*record = (struct sched_record){ .cpu = unpacker->chunk->cpu };
	unpacker->left--;
	if (!take(unpacker, &head) || !take_thread(unpacker, &record->pid, &record->tid))
		return false;
	record->kind = head & 3;
	unpacker->ns += head >> 2;
	record->ns = unpacker->ns;
	return record->kind != SCHED_WAKEUP ||
	       take_thread(unpacker, &record->waker_pid, &record->waker_tid);
}

void sched_unpacker_end(struct sched_unpacker *unpacker)
{
	if (unpacker->threads)
		g_array_unref(unpacker->threads);
	g_free(unpacker->data);
	sched_chunk_put(unpacker->chunk);
	*unpacker = (struct sched_unpacker){ .chunk = NULL };
}
