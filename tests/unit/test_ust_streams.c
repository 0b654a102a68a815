/* SPDX-License-Identifier: MIT */
/* Recordings with known packets: what is kept, what is counted as lost, what babeltrace2 then reads. */
#include "check.h"
#include "run.h"

#include <fcntl.h>

#include "lttng_file.h"
#include "recorder/archive.h"
#include "recorder/ust_metadata.h"
#include "recorder/ust_streams.h"

#define OFFSET 1795208062798252979

static GString *stream;

/* Starts a recording folder of user `uid` below run_dir/rec, with metadata. */
static void folder(const char *where, unsigned uid, int64_t offset)
{
	char *path = g_strdup_printf("%s/%s/ust/uid/%u/64-bit", run_dir, where, uid);
	char *metadata = g_build_filename(path, "metadata", NULL);

	g_mkdir_with_parents(path, 0755);
	lttng_write_metadata(metadata, offset);
	g_free(metadata);
	g_free(path);
}

static void clean(void)
{
	run("rm -rf rec trace out.tgz");
	g_string_truncate(stream, 0);
}

static void write_stream(const char *path)
{
	run_write(path, stream->str, stream->len);
	g_string_truncate(stream, 0);
}

/* Packs and unpacks; returns the number of events that babeltrace2 reads without any complaint. */
static unsigned pack(struct ust_streams *streams)
{
	int fd = open(run_path("out.tgz"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct archive_out *out = archive_out_new(fd, 0);

	CHECK_INT(ust_streams_pack(streams, out), 0);
	CHECK_INT(archive_out_finish(out, NULL), 0);
	archive_out_free(out);
	close(fd);
	CHECK_INT(run("tar xzf out.tgz"), 0);
	CHECK_INT(run("babeltrace2 trace 2>&1 >events; grep -v ' discarded \\| lost ' || true"), 0);
	CHECK_INT(run("grep -c t:n: events || true"), 0);
	return (unsigned)atoi(run_output);
}

static struct ust_streams *scan(int is_ring)
{
	return ust_streams_scan(run_path("rec"), is_ring);
}

static void whole_run(void)
{
	const struct ust_summary *summary;
	struct ust_streams *streams;
	struct ctf_clock clock;

	clean();
	folder("rec", 1000, OFFSET);
	lttng_append_packet(stream, 0, 0, 0, 1000, 0, 50);
	lttng_append_packet(stream, 0, 1, 0, 2000, 50, 60);
	write_stream("rec/ust/uid/1000/64-bit/ch_0");
	lttng_append_packet(stream, 1, 0, 0, 900, 0, 7);
	write_stream("rec/ust/uid/1000/64-bit/ch_1");
	run("mkdir rec/ust/uid/1000/64-bit/index; echo x > rec/ust/uid/1000/64-bit/index/ch_0.idx");
	streams = scan(0);
	summary = ust_streams_summary(streams);
	CHECK_INT(summary->n_streams, 2);
	CHECK_INT(summary->lost_events, 0);
	CHECK_INT(summary->lost_packets, 0);
	CHECK_INT(summary->oldest_ns, 900);
	CHECK_INT(summary->newest_ns, 2600);
	CHECK_INT(summary->covered_ns, 0);
	CHECK_INT(summary->is_unknown, 0);
	CHECK_INT(ust_streams_notes(streams)->len, 0);
	CHECK_INT(ust_streams_clock(streams, &clock), 0);
	CHECK_STR(clock.name, "monotonic");
	CHECK_STR(clock.uuid, "8d187574-d2df-431f-b03b-ac44547b5fa0");
	CHECK_INT(clock.offset, OFFSET);
	CHECK_INT(clock.freq, 1000000000);
	CHECK_INT(pack(streams), 117);
	CHECK_INT(run("tar tzf out.tgz"), 0);
	CHECK_STR(run_output, "trace/ust/uid/1000/64-bit/metadata\ntrace/ust/uid/1000/64-bit/ch_0\n"
			      "trace/ust/uid/1000/64-bit/ch_1\n");
	ust_streams_free(streams);
}

static void cut_file(void)
{
	struct ust_streams *streams;
	gsize at[] = { 40, 84, 500, 4095 };

	for (size_t i = 0; i < G_N_ELEMENTS(at); i++) {
		clean();
		folder("rec", 0, OFFSET);
		lttng_append_packet(stream, 0, 0, 0, 1000, 0, 50);
		lttng_append_packet(stream, 0, 1, 0, 2000, 50, 60);
		g_string_truncate(stream, LTTNG_PACKET_SIZE + at[i]);
		write_stream("rec/ust/uid/0/64-bit/ch_0");
		streams = scan(0);
		CHECK_INT(ust_streams_notes(streams)->len, 1);
		CHECK_INT(ust_streams_summary(streams)->newest_ns, 1500);
		CHECK_INT(pack(streams), 50);
		ust_streams_free(streams);
	}
}

static void losses_of_a_run(void)
{
	const struct ust_summary *summary;
	struct ust_streams *streams;

	clean();
	folder("rec", 0, OFFSET);
	/* Rotated files: packets 2..3 and 5..6; 0 and 1 were overwritten on disk, 4 is a hole. */
	lttng_append_packet(stream, 0, 5, 30, 5000, 0, 1);
	lttng_append_packet(stream, 0, 6, 41, 6000, 0, 1);
	write_stream("rec/ust/uid/0/64-bit/ch_0_2");
	lttng_append_packet(stream, 0, 2, 10, 2000, 0, 1);
	lttng_append_packet(stream, 0, 3, 20, 3000, 0, 1);
	write_stream("rec/ust/uid/0/64-bit/ch_0_1");
	lttng_append_packet(stream, 1, 0, 100, 1000, 0, 1);
	write_stream("rec/ust/uid/0/64-bit/ch_1_0");
	streams = scan(0);
	summary = ust_streams_summary(streams);
	CHECK_INT(summary->n_streams, 2);
	CHECK_INT(summary->lost_events, 141);
	CHECK_INT(summary->lost_packets, 3);
	CHECK_INT(summary->covered_ns, 2000);
	ust_streams_free(streams);
}

static void losses_of_a_ring(void)
{
	const struct ust_summary *summary;
	struct ust_streams *streams;

	clean();
	folder("rec", 0, OFFSET);
	lttng_append_packet(stream, 0, 90, 1000, 5000, 0, 1);
	lttng_append_packet(stream, 0, 92, 1007, 6000, 0, 1);
	write_stream("rec/ust/uid/0/64-bit/ch_0");
	/* An idle CPU still holds everything since the session began: it does not limit the window. */
	lttng_append_packet(stream, 1, 0, 3, 100, 0, 1);
	write_stream("rec/ust/uid/0/64-bit/ch_1");
	streams = scan(1);
	summary = ust_streams_summary(streams);
	CHECK_INT(summary->lost_events, 10);
	CHECK_INT(summary->lost_packets, 1);
	CHECK_INT(summary->covered_ns, 5000);
	CHECK_INT(summary->oldest_ns, 100);
	ust_streams_free(streams);
}

static void two_users(void)
{
	struct ust_streams *streams;

	clean();
	folder("rec", 0, OFFSET);
	lttng_append_packet(stream, 0, 0, 0, 1000, 0, 3);
	write_stream("rec/ust/uid/0/64-bit/ch_0");
	/* Sampled at another time, and with fewer digits. */
	lttng_uuid[0]++;
	folder("rec", 65534, 99);
	lttng_append_packet(stream, 0, 0, 0, 1005, 100, 3);
	write_stream("rec/ust/uid/65534/64-bit/ch_0");
	streams = scan(0);
	CHECK_INT(pack(streams), 6);
	/* With one offset in both they interleave: 0 100 1 101 2 102 or the same from the other side. */
	CHECK_INT(run("sed 's/.*n = \\([0-9]*\\).*/\\1/' events | tr '\\n' ' '"), 0);
	CHECK_STR(run_output, "0 100 1 101 2 102 ");
	ust_streams_free(streams);
}

static void damaged_packets(void)
{
	struct lttng_packet_head *head;
	struct ust_streams *streams;

	clean();
	folder("rec", 0, OFFSET);
	lttng_append_packet(stream, 0, 0, 0, 1000, 0, 5);
	lttng_append_packet(stream, 0, 1, 0, 2000, 5, 5);
	head = (void *)(stream->str + LTTNG_PACKET_SIZE);
	head->packet_size = UINT64_MAX - 7;
	write_stream("rec/ust/uid/0/64-bit/ch_0");
	lttng_append_packet(stream, 1, 0, 0, 1000, 0, 5);
	head = (void *)stream->str;
	head->content_size = head->packet_size + 8;
	write_stream("rec/ust/uid/0/64-bit/ch_1");
	lttng_append_packet(stream, 2, 0, 0, 1000, 0, 5);
	head = (void *)stream->str;
	head->packet_size = 0;
	head->content_size = 0;
	write_stream("rec/ust/uid/0/64-bit/ch_2");
	streams = scan(0);
	CHECK_INT(ust_streams_notes(streams)->len, 3);
	CHECK_INT(pack(streams), 5);
	ust_streams_free(streams);
}

static void unknown_layout(void)
{
	char *text, **parts, *changed;
	struct ust_streams *streams;

	clean();
	folder("rec", 0, OFFSET);
	text = lttng_metadata_text(OFFSET);
	parts = g_strsplit(text, "\tuint32_t cpu_id;\n", 2);
	changed = g_strconcat(parts[0], "\tuint64_t something_new;\n\tuint32_t cpu_id;\n", parts[1], NULL);
	run_write("rec/ust/uid/0/64-bit/metadata", changed, strlen(changed));
	lttng_append_packet(stream, 0, 0, 0, 1000, 0, 5);
	write_stream("rec/ust/uid/0/64-bit/ch_0");
	streams = scan(0);
	CHECK_INT(ust_streams_summary(streams)->is_unknown, 1);
	CHECK_INT(ust_streams_notes(streams)->len, 1);
	ust_streams_free(streams);
	g_free(changed);
	g_free(text);
	g_strfreev(parts);
}

static void nothing_there(void)
{
	struct ust_streams *streams;
	struct ctf_clock clock;

	clean();
	streams = ust_streams_scan(NULL, 0);
	CHECK_INT(ust_streams_summary(streams)->n_streams, 0);
	CHECK_INT(ust_streams_clock(streams, &clock), -ENOENT);
	ust_streams_free(streams);
	streams = ust_streams_scan("/nonexistent", 0);
	CHECK_INT(ust_streams_summary(streams)->n_streams, 0);
	ust_streams_free(streams);
	/* A program that never registered leaves metadata only, or not even that. */
	folder("rec", 0, OFFSET);
	run_write("rec/ust/uid/0/64-bit/ch_0", "", 0);
	folder("rec", 1, OFFSET);
	run_write("rec/ust/uid/1/64-bit/metadata", "", 0);
	streams = scan(0);
	CHECK_INT(ust_streams_summary(streams)->n_streams, 0);
	CHECK_INT(ust_streams_clock(streams, &clock), 0);
	CHECK_INT(pack(streams), 0);
	ust_streams_free(streams);
}

static void metadata_packets(void)
{
	char *want = lttng_metadata_text(OFFSET), *data;
	GString *text;
	gsize n;

	clean();
	folder("rec", 0, OFFSET);
	g_file_get_contents(run_path("rec/ust/uid/0/64-bit/metadata"), &data, &n, NULL);
	text = ust_metadata_text(data, n);
	CHECK_STR(text->str, want);
	CHECK(ust_metadata_is_known(text));
	g_string_free(text, TRUE);
	/* Cut at every place: text up to the last whole packet, never an overrun. */
	for (gsize cut = 0; cut < n; cut += 13) {
		char *copy = g_memdup2(data, MAX(cut, 1));

		text = ust_metadata_text(copy, cut);
		CHECK(!text || g_str_has_prefix(want, text->str));
		if (text)
			g_string_free(text, TRUE);
		g_free(copy);
	}
	text = ust_metadata_text(want, strlen(want));
	CHECK_STR(text->str, want);
	g_string_free(text, TRUE);
	CHECK(ust_metadata_text("hello world, this is no metadata", 32) == NULL);
	g_free(data);
	g_free(want);
}

int main(void)
{
	run_init("test_ust_streams");
	stream = g_string_new(NULL);
	CASE(whole_run, "a whole recording is kept, measured and readable");
	CASE(cut_file, "a file that ends inside a packet is cut before it");
	CASE(losses_of_a_run, "losses of a run: discarded events, holes, overwritten files");
	CASE(losses_of_a_ring, "losses of a ring: history that was overwritten is none");
	CASE(two_users, "folders of two users get one clock offset and interleave");
	CASE(damaged_packets, "packets with impossible sizes are left out with a note");
	CASE(unknown_layout, "with an unknown packet layout losses are unknown");
	CASE(nothing_there, "no streams, empty files and empty metadata are fine");
	CASE(metadata_packets, "metadata is unpacked, whole or cut");
	g_string_free(stream, TRUE);
	run_fini();
	return CHECK_DONE();
}
