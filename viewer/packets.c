/* SPDX-License-Identifier: MIT */
/*
 * babeltrace2 gives up on a stream file whose last packet is cut before it has shown the first event. So
 * the headers are walked here first, and the file is cut after its last whole packet.
 *
 * lttng-ust: magic u32, uuid 16, stream u32, stream instance u64. The state trace has no instance. Then
 * the packet context: timestamp_begin, timestamp_end, content_size, packet_size, u64 each, sizes in bits.
 */
#include "viewer/packets.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CTF_MAGIC 0xC1FC1FC1u

static const uint32_t header_sizes[] = { 32, 24 };

/* Size in bytes of the packet at `offset`, or 0 when it is not a whole packet of this layout. */
static uint64_t packet_size(int fd, uint64_t offset, uint64_t n_bytes, uint32_t header_size)
{
	uint8_t head[64];
	uint32_t magic;
	uint64_t content, packet;
	uint32_t n_head = header_size + 32;

	if (pread(fd, head, n_head, (off_t)offset) != (ssize_t)n_head)
		return 0;
	memcpy(&magic, head, sizeof(magic));
	memcpy(&content, head + header_size + 16, sizeof(content));
	memcpy(&packet, head + header_size + 24, sizeof(packet));
	content = le64toh(content);
	packet = le64toh(packet);
	if (le32toh(magic) != CTF_MAGIC || packet % 8 || content > packet ||
		content < (uint64_t)n_head * 8 || packet / 8 > n_bytes - offset)
		return 0;
	return packet / 8;
}

int packets_check(const char *path, struct packets *packets_out)
{
	struct packets best = { 0 };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	best.n_bytes = (uint64_t)st.st_size;
	for (unsigned i = 0; i < sizeof(header_sizes) / sizeof(header_sizes[0]); i++) {
		struct packets now = { .n_bytes = best.n_bytes };
		uint64_t size;
		while (now.n_whole < now.n_bytes &&
			(size = packet_size(fd, now.n_whole, now.n_bytes, header_sizes[i])) > 0) {
			now.n_whole += size;
			now.n_packets++;
		}
		if (now.n_whole > best.n_whole)
			best = now;
	}
	close(fd);
	*packets_out = best;
	return 0;
}

char *packets_find_stream(const char *dir, uint64_t instance)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	char *found = NULL;

	while (entries && !found && (entry = readdir(entries))) {
		uint8_t head[32];
		uint32_t magic;
		uint64_t is;
		int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head)) {
			memcpy(&magic, head, sizeof(magic));
			memcpy(&is, head + 24, sizeof(is));
			if (le32toh(magic) == CTF_MAGIC && le64toh(is) == instance)
				found = strdup(entry->d_name);
		}
		if (fd >= 0)
			close(fd);
	}
	if (entries)
		closedir(entries);
	return found;
}
