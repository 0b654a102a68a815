/* SPDX-License-Identifier: MIT */
/*
 * Packet headers are read here, not through a trace reader: only their cumulative loss counters can be
 * trusted (the control library's counts are 0 for everything lost in overwrite mode), and a file that
 * ends in the middle of a packet must be cut before it, or no reader takes it.
 *
 * Metadata is stored as plain text, with one clock offset in all traces of the archive: folders of
 * several user ids may have sampled it at different moments.
 */
#include "recorder/ust_streams.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/archive.h"
#include "recorder/ust_metadata.h"
#include "recorder/ust_packet.h"

#define MAX_DEPTH 10
#define MAX_METADATA (64u << 20)

struct file {
	char *path, *name; /* owned */
	uint64_t n_bytes;  /* of whole packets */
};

/* One CPU's stream of one channel, over all its files. */
struct stream {
	uint64_t n_packets;
	uint64_t first_seq, last_seq;
	uint64_t first_begin_ns;
	uint64_t first_discarded, last_discarded;
};

/* One N-bit folder: a CTF trace. */
struct trace {
	char *dir;	     /* owned */
	char *member;	     /* owned: its path in the archive */
	GString *metadata;   /* owned */
	GArray *files;	     /* owned: struct file */
	GHashTable *streams; /* owned: key text → struct stream */
	int is_known;
};

struct ust_streams {
	int is_ring;
	GPtrArray *traces; /* owns struct trace */
	GPtrArray *notes;  /* owns strings */
	struct ust_summary summary;
	struct ctf_clock clock;
	int has_clock;
};

static void file_clear(void *data)
{
	struct file *file = data;

	g_free(file->path);
	g_free(file->name);
}

static void trace_free(void *data)
{
	struct trace *trace = data;

	g_free(trace->dir);
	g_free(trace->member);
	if (trace->metadata)
		g_string_free(trace->metadata, TRUE);
	g_array_unref(trace->files);
	g_hash_table_unref(trace->streams);
	g_free(trace);
}

static void note(struct ust_streams *streams, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void note(struct ust_streams *streams, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(streams->notes, g_strdup_vprintf(format, args));
	va_end(args);
}

static void stream_add_packet(struct trace *trace, const struct ust_packet_head *head)
{
	char *key = g_strdup_printf("%u/%" G_GUINT64_FORMAT "/%u", head->stream_id,
		head->stream_instance_id, head->cpu_id);
	struct stream *stream = g_hash_table_lookup(trace->streams, key);

	if (!stream) {
		stream = g_new0(struct stream, 1);
		stream->first_seq = UINT64_MAX;
		g_hash_table_insert(trace->streams, g_strdup(key), stream);
	}
	g_free(key);
	stream->n_packets++;
	if (head->packet_seq_num < stream->first_seq) {
		stream->first_seq = head->packet_seq_num;
		stream->first_begin_ns = head->timestamp_begin;
		stream->first_discarded = head->events_discarded;
	}
	if (head->packet_seq_num >= stream->last_seq) {
		stream->last_seq = head->packet_seq_num;
		stream->last_discarded = head->events_discarded;
	}
}

static int is_sane(const struct ust_packet_head *head, uint64_t n_left)
{
	return head->magic == UST_PACKET_MAGIC && head->packet_size % 8 == 0 &&
	       head->content_size <= head->packet_size && head->content_size >= sizeof(*head) * 8 &&
	       head->packet_size / 8 <= n_left;
}

/* Goes from packet to packet; sets the number of bytes up to the last whole one. */
static void file_scan(
	struct ust_streams *streams, struct trace *trace, struct file *file, int fd, uint64_t size)
{
	struct ust_summary *summary = &streams->summary;
	struct ust_packet_head head;

	while (size - file->n_bytes >= sizeof(head) &&
		pread(fd, &head, sizeof(head), (off_t)file->n_bytes) == (ssize_t)sizeof(head) &&
		is_sane(&head, size - file->n_bytes)) {
		stream_add_packet(trace, &head);
		if (!summary->oldest_ns || head.timestamp_begin < summary->oldest_ns)
			summary->oldest_ns = head.timestamp_begin;
		summary->newest_ns =
			MAX(summary->newest_ns, MAX(head.timestamp_begin, head.timestamp_end));
		file->n_bytes += head.packet_size / 8;
	}
	if (file->n_bytes < size)
		note(streams,
			"The last %" G_GUINT64_FORMAT
			" bytes of stream %s are no whole packet and were "
			"left out: the recording was cut short there.",
			size - file->n_bytes, file->name);
}

static void trace_add_file(struct ust_streams *streams, struct trace *trace, const char *name)
{
	struct file file = {
		.path = g_build_filename(trace->dir, name, NULL),
		.name = g_strdup(name),
	};
	int fd = open(file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		note(streams, "Stream %s could not be read and is missing: %s.", name,
			g_strerror(errno));
	} else if (S_ISREG(st.st_mode)) {
		if (trace->is_known)
			file_scan(streams, trace, &file, fd, (uint64_t)st.st_size);
		else
			file.n_bytes = (uint64_t)st.st_size;
	}
	if (fd >= 0)
		close(fd);
	if (file.n_bytes)
		g_array_append_val(trace->files, file);
	else
		file_clear(&file);
}

static int file_compare(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* Reads metadata and all packet headers of one folder. NULL with a note when it is of no use. */
static struct trace *trace_scan(struct ust_streams *streams, const char *path, const char *member)
{
	char *metadata_path = g_build_filename(path, "metadata", NULL), *data = NULL;
	struct trace *trace;
	const char *name;
	GString *text = NULL;
	struct stat st;
	gsize n;
	GDir *dir;

	if (stat(metadata_path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < MAX_METADATA &&
		g_file_get_contents(metadata_path, &data, &n, NULL))
		text = ust_metadata_text(data, n);
	g_free(data);
	g_free(metadata_path);
	if (!text) {
		note(streams, "The streams in %s have no readable metadata and were left out.",
			member);
		return NULL;
	}
	trace = g_new0(struct trace, 1);
	trace->dir = g_strdup(path);
	trace->member = g_strdup(member);
	trace->metadata = text;
	trace->is_known = ust_metadata_is_known(text);
	trace->files = g_array_new(FALSE, FALSE, sizeof(struct file));
	g_array_set_clear_func(trace->files, file_clear);
	trace->streams = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	if (!trace->is_known) {
		streams->summary.is_unknown = 1;
		note(streams,
			"This version of LTTng writes packets that flightrec does not know: what "
			"was lost is unknown.");
	}
	dir = g_dir_open(path, 0, NULL);
	while (dir && (name = g_dir_read_name(dir)) != NULL)
		if (strcmp(name, "metadata") != 0 && name[0] != '.')
			trace_add_file(streams, trace, name);
	if (dir)
		g_dir_close(dir);
	g_array_sort(trace->files, file_compare);
	return trace;
}

/* The archive's name of .../ust/uid/UID/N-bit: "trace/ust/uid/UID/N-bit"; NULL for other folders. */
static char *member_of(const char *path)
{
	char **part = g_strsplit(path, "/", -1);
	guint n = g_strv_length(part);
	char *member = NULL;

	if (n >= 4 && strcmp(part[n - 4], "ust") == 0 && strcmp(part[n - 3], "uid") == 0 &&
		*part[n - 2] && strspn(part[n - 2], "0123456789") == strlen(part[n - 2]) &&
		isdigit((unsigned char)*part[n - 1]) && g_str_has_suffix(part[n - 1], "-bit"))
		member = g_strjoin("/", "trace/ust/uid", part[n - 2], part[n - 1], NULL);
	g_strfreev(part);
	return member;
}

static int is_folder(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int has_member(const struct ust_streams *streams, const char *member)
{
	for (guint i = 0; i < streams->traces->len; i++) {
		const struct trace *trace = g_ptr_array_index(streams->traces, i);

		if (strcmp(trace->member, member) == 0)
			return 1;
	}
	return 0;
}

/* What an earlier ring held, from before it was renewed, gets a place of its own. Takes over `member`. */
static char *free_member(const struct ust_streams *streams, char *member)
{
	g_autofree char *user = member ? g_strdup(strstr(member, "uid/")) : NULL;

	for (unsigned i = 1; member && has_member(streams, member); i++) {
		g_free(member);
		member = g_strdup_printf("trace/ust/before-%u/%s", i, user);
	}
	return member;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)b, *(char *const *)a);
}

/* Newest names first: the newest part gets the plain name. */
static void find_traces(struct ust_streams *streams, const char *path, unsigned depth)
{
	char *member = free_member(streams, member_of(path));
	GPtrArray *names;
	const char *name;
	GDir *dir;

	if (member) {
		struct trace *trace;

		trace = trace_scan(streams, path, member);
		if (trace)
			g_ptr_array_add(streams->traces, trace);
		g_free(member);
		return;
	}
	dir = depth < MAX_DEPTH ? g_dir_open(path, 0, NULL) : NULL;
	if (!dir)
		return;
	names = g_ptr_array_new_with_free_func(g_free);
	while ((name = g_dir_read_name(dir)) != NULL)
		g_ptr_array_add(names, g_build_filename(path, name, NULL));
	g_dir_close(dir);
	g_ptr_array_sort(names, name_compare);
	for (guint i = 0; i < names->len; i++)
		if (is_folder(g_ptr_array_index(names, i)))
			find_traces(streams, g_ptr_array_index(names, i), depth + 1);
	g_ptr_array_unref(names);
}

static void sum_stream(struct ust_streams *streams, const struct stream *stream)
{
	struct ust_summary *summary = &streams->summary;
	uint64_t n_expected = stream->last_seq - stream->first_seq + 1;

	summary->n_streams++;
	if (n_expected > stream->n_packets)
		summary->lost_packets += n_expected - stream->n_packets;
	if (stream->first_seq > 0)
		summary->covered_ns = MAX(summary->covered_ns, stream->first_begin_ns);
	if (streams->is_ring) {
		if (stream->last_discarded > stream->first_discarded && stream->first_seq > 0)
			summary->lost_events += stream->last_discarded - stream->first_discarded;
		else if (stream->first_seq == 0)
			summary->lost_events += stream->last_discarded;
	} else {
		summary->lost_events += stream->last_discarded;
		summary->lost_packets += stream->first_seq;
	}
}

struct ust_streams *ust_streams_scan(const char *dir, int is_ring)
{
	struct ust_streams *streams = g_new0(struct ust_streams, 1);

	streams->is_ring = is_ring;
	streams->traces = g_ptr_array_new_with_free_func(trace_free);
	streams->notes = g_ptr_array_new_with_free_func(g_free);
	if (dir)
		find_traces(streams, dir, 0);
	for (guint i = 0; i < streams->traces->len; i++) {
		struct trace *trace = g_ptr_array_index(streams->traces, i);
		GHashTableIter iter;
		void *stream;

		g_hash_table_iter_init(&iter, trace->streams);
		while (g_hash_table_iter_next(&iter, NULL, &stream))
			sum_stream(streams, stream);
		if (!trace->is_known)
			streams->summary.n_streams += trace->files->len;
		if (!streams->has_clock)
			streams->has_clock =
				ust_metadata_clock(trace->metadata, &streams->clock) == 0;
		else
			ust_metadata_set_offset(trace->metadata, &streams->clock);
	}
	return streams;
}

void ust_streams_free(struct ust_streams *streams)
{
	if (!streams)
		return;
	g_ptr_array_unref(streams->traces);
	g_ptr_array_unref(streams->notes);
	g_free(streams);
}

const struct ust_summary *ust_streams_summary(const struct ust_streams *streams)
{
	return &streams->summary;
}

int ust_streams_clock(const struct ust_streams *streams, struct ctf_clock *clock_out)
{
	if (!streams->has_clock)
		return -ENOENT;
	*clock_out = streams->clock;
	return 0;
}

const GPtrArray *ust_streams_notes(const struct ust_streams *streams)
{
	return streams->notes;
}

static int trace_pack(const struct trace *trace, struct archive_out *out)
{
	char *name;
	int err;

	if (!trace->files->len)
		return 0;
	name = g_strconcat(trace->member, "/metadata", NULL);
	err = archive_out_add(out, name, trace->metadata->str, trace->metadata->len);
	g_free(name);
	for (guint i = 0; i < trace->files->len && !err; i++) {
		const struct file *file = &g_array_index(trace->files, struct file, i);
		int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0)
			return -errno;
		name = g_strconcat(trace->member, "/", file->name, NULL);
		err = archive_out_add_fd(out, name, fd, file->n_bytes);
		g_free(name);
		close(fd);
	}
	return err;
}

int ust_streams_pack(struct ust_streams *streams, struct archive_out *out)
{
	int err = 0;

	for (guint i = 0; i < streams->traces->len && !err; i++)
		err = trace_pack(g_ptr_array_index(streams->traces, i), out);
	return err ? err : archive_out_flush(out);
}
