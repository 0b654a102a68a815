/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "ctf_fixture.h"
#include "temp_dir.h"
#include "viewer/packets.h"
#include "viewer/source.h"
#include "viewer/unpack.h"

static char *dir; /* of the trace of one case */

/* A trace of 1000 calls in two streams of 4 KiB packets. */
static void make_trace(void)
{
	static unsigned n_made;

	dir = g_strdup_printf("%s/%u", temp_dir_path, n_made++);
	CHECK_INT(g_mkdir(dir, 0700), 0);
	struct ctf_fixture *fixture = ctf_fixture_new(dir, 2, 4096, 1);
	struct event event = { .kind = EVENT_DEF_ENV, .pair = { "command", "x" } };

	ctf_fixture_add(fixture, 0, &event);
	for (unsigned i = 0; i < 1000; i++) {
		event = (struct event){
			.kind = EVENT_CALL, .time_ns = 1000 + i, .tid = i, .proc = 1
		};
		event.call.path = "";
		event.call.ret = -(int64_t)i;
		ctf_fixture_add(fixture, i % 2, &event);
	}
	ctf_fixture_close(fixture);
}

struct seen {
	unsigned n, n_wrong;
	uint64_t last_ns;
};

static int see(void *user, const struct event *event)
{
	struct seen *seen = user;

	seen->n_wrong += event->time_ns < seen->last_ns ||
			 event->call.ret != -(int64_t)event->tid ||
			 event->time_ns != 1000 + event->tid;
	seen->last_ns = event->time_ns;
	seen->n++;
	return 0;
}

static void streams_merge_in_order(void)
{
	struct unpacked unpacked = { 0 };
	struct source_report report;
	struct seen seen = { 0 };

	make_trace();
	CHECK(unpack_open(dir, UINT64_MAX, &unpacked, NULL));
	CHECK(unpacked.state != NULL);
	CHECK_INT(unpacked.events->len, 1);
	CHECK_INT(unpacked.notes->len, 0);
	source_report_init(&report);
	CHECK_INT(source_read(unpacked.dir, (const char *const *)unpacked.events->pdata, 1, see,
			  &seen, &report),
		0);
	CHECK_INT(seen.n, 1000);
	CHECK_INT(seen.n_wrong, 0);
	CHECK_INT(report.n_streams, 2);
	CHECK(report.wall_offset_ns == (int64_t)CTF_FIXTURE_OFFSET_NS);
	source_report_fini(&report);
	g_autofree char *private = g_strdup(unpacked.dir);
	unpack_fini(&unpacked);
	CHECK(access(private, F_OK) != 0);
	g_free(dir);
}

static void a_cut_stream_keeps_its_whole_packets(void)
{
	struct unpacked unpacked = { 0 };
	struct source_report report;
	struct packets packets;
	struct seen seen = { 0 };
	GStatBuf st;

	make_trace();
	g_autofree char *path = g_build_filename(dir, "trace/ust/uid/0/64-bit/ring_1", NULL);
	CHECK_INT(packets_check(path, &packets), 0);
	CHECK(packets.n_packets > 3 && packets.n_whole == packets.n_bytes);
	uint64_t n_packets = packets.n_packets;
	CHECK_INT(truncate(path, (off_t)packets.n_bytes - 100), 0);
	CHECK_INT(packets_check(path, &packets), 0);
	CHECK_INT(packets.n_packets, n_packets - 1);
	CHECK(unpack_open(dir, UINT64_MAX, &unpacked, NULL));
	CHECK_INT(unpacked.notes->len, 1);
	source_report_init(&report);
	CHECK_INT(source_read(unpacked.dir, (const char *const *)unpacked.events->pdata, 1, see,
			  &seen, &report),
		0);
	CHECK(seen.n > 800 && seen.n < 1000);
	CHECK_INT(seen.n_wrong, 0);
	CHECK_INT(report.notes->len, 0);
	/* The user's own file is as it was. */
	CHECK(g_stat(path, &st) == 0 && (uint64_t)st.st_size == packets.n_bytes);
	source_report_fini(&report);
	unpack_fini(&unpacked);
	g_free(dir);
}

static void a_file_of_noise_has_no_packet(void)
{
	struct packets packets;

	make_trace();
	g_autofree char *path = g_build_filename(dir, "noise", NULL);
	CHECK(g_file_set_contents(path, "this is not a packet at all, however long", -1, NULL));
	CHECK_INT(packets_check(path, &packets), 0);
	CHECK_INT(packets.n_whole, 0);
	CHECK_INT(packets_check("/nonexistent/file", &packets), -2);
	g_free(dir);
}

static void refusals_leave_nothing_behind(void)
{
	struct unpacked unpacked = { 0 };
	g_autoptr(GError) error = NULL;

	make_trace();
	g_autofree char *tmp = g_build_filename(dir, "tmp", NULL);
	g_autofree char *foreign = g_build_filename(dir, "foreign", NULL);
	g_autofree char *before = g_strdup(g_getenv("TMPDIR"));
	CHECK_INT(g_mkdir(tmp, 0700), 0);
	g_setenv("TMPDIR", tmp, TRUE);
	CHECK(g_file_set_contents(foreign, "hello", -1, NULL));
	CHECK(!unpack_open(foreign, UINT64_MAX, &unpacked, &error));
	CHECK(error && strstr(error->message, foreign));
	CHECK(unpacked.dir == NULL);
	CHECK_INT(g_rmdir(tmp), 0); /* empty */
	if (before)
		g_setenv("TMPDIR", before, TRUE);
	else
		g_unsetenv("TMPDIR");
	g_free(dir);
}

int main(void)
{
	temp_dir_make(NULL, "test_unpack");
	CASE(streams_merge_in_order, "streams of a folder merge in order, all fields as written");
	CASE(a_cut_stream_keeps_its_whole_packets, "a cut stream shows its whole packets");
	CASE(a_file_of_noise_has_no_packet, "what is no stream has no packets");
	CASE(refusals_leave_nothing_behind, "a refused file leaves no temporary folder");
	return CHECK_DONE();
}
