/* SPDX-License-Identifier: MIT */
/* What ctf_writer writes is read back by babeltrace2, which must not complain about anything. */
#include "check.h"
#include "run.h"

#include <fcntl.h>

#include "recorder/ctf_writer.h"

static const char *const colours[] = { "red", "dark \"green\"", NULL };

static const struct ctf_field all_fields[] = {
	{ .name = "small", .type = CTF_U16 },
	{ .name = "short", .type = CTF_U32 }, /* a keyword of the metadata language */
	{ .name = "colour", .type = CTF_U32, .labels = colours },
	{ .name = "big", .type = CTF_U64 },
	{ .name = "fd", .type = CTF_S32 },
	{ .name = "ret", .type = CTF_S64 },
	{ .name = "text", .type = CTF_STRING },
	{ .name = "frames", .type = CTF_U64_SEQUENCE },
	{ .name = NULL },
};
static const struct ctf_field pair[] = {
	{ .name = "n", .type = CTF_U32 },
	{ .name = "text", .type = CTF_STRING },
	{ .name = NULL },
};
static const struct ctf_class classes[] = { { "t:all", all_fields }, { "t:pair", pair } };
static const struct ctf_clock test_clock = {
	.name = "monotonic",
	.uuid = "8d187574-d2df-431f-b03b-ac44547b5fa0",
	.freq = 1000000000,
	.offset = 1795208062798252979,
};

static struct ctf_writer *begin(int *fd)
{
	run("rm -rf trace; mkdir trace");
	*fd = open(run_path("trace/stream"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return ctf_writer_new(*fd, classes, G_N_ELEMENTS(classes), &test_clock);
}

static uint64_t end(struct ctf_writer *writer, int fd)
{
	const struct ctf_env env[] = { { "hostname", "a\"b\\c" } };
	GString *metadata = ctf_writer_metadata(writer, env, 1);
	uint64_t n_bytes;

	CHECK_INT(ctf_writer_flush(writer, &n_bytes), 0);
	run_write("trace/metadata", metadata->str, metadata->len);
	g_string_free(metadata, TRUE);
	ctf_writer_free(writer);
	close(fd);
	return n_bytes;
}

static void put_all(struct ctf_writer *writer, uint64_t timestamp, const char *text)
{
	const uint64_t frames[] = { 0x401000, UINT64_MAX };

	ctf_writer_begin(writer, 0, timestamp);
	ctf_put_u16(writer, 65535);
	ctf_put_u32(writer, UINT32_MAX);
	ctf_put_u32(writer, 1);
	ctf_put_u64(writer, UINT64_MAX);
	ctf_put_s32(writer, -1);
	ctf_put_s64(writer, INT64_MIN);
	ctf_put_string(writer, text);
	ctf_put_sequence(writer, frames, 2);
	ctf_writer_end(writer);
}

static void every_type(void)
{
	struct ctf_writer *writer;
	int fd;

	writer = begin(&fd);
	put_all(writer, 1000, "x");
	end(writer, fd);
	CHECK_INT(run("babeltrace2 --clock-cycles trace"), 0);
	CHECK_STR(run_output,
		"[00000000000000001000] (+????????\?\?\?\?) a\"b\\c t:all: { small = 65535, short = 4294967295, "
		"colour = ( \"dark \\\"green\\\"\" : container = 1 ), big = 18446744073709551615, "
		"fd = -1, ret = -9223372036854775808, text = \"x\", frames_length = 2, "
		"frames = [ [0] = 0x401000, [1] = 0xFFFFFFFFFFFFFFFF ] }\n");
}

static void strings(void)
{
	struct ctf_writer *writer;
	int fd;

	writer = begin(&fd);
	put_all(writer, 1, "quote \" backslash \\ newline \n tab \t umlaut ü ok");
	put_all(writer, 2, "bad \xff\xc3 utf8");
	put_all(writer, 3, "escape \033[31m");
	put_all(writer, 4, "");
	put_all(writer, 5, NULL);
	end(writer, fd);
	CHECK_INT(run("babeltrace2 trace | sed 's/.*text = //; s/, frames_length.*//'"), 0);
	CHECK_STR(run_output, "\"quote \\\" backslash \\\\ newline \\n tab \\t umlaut ü ok\"\n"
			      "\"bad \\\\xff\\\\xc3 utf8\"\n"
			      "\"escape \\\\x1b[31m\"\n"
			      "\"-\"\n\"-\"\n");
}

static void many_packets(void)
{
	const unsigned n = 100003;
	struct ctf_writer *writer;
	char expect[32], *long_text = g_strnfill(3000, 'y');
	uint64_t n_bytes;
	int fd;

	writer = begin(&fd);
	for (unsigned i = 0; i < n; i++) {
		ctf_writer_begin(writer, 1, 10 * (uint64_t)i);
		ctf_put_u32(writer, i);
		ctf_put_string(writer, i % 1000 ? "short" : long_text);
		ctf_writer_end(writer);
	}
	n_bytes = end(writer, fd);
	g_free(long_text);
	CHECK_INT(run("stat -c %%s trace/stream"), 0);
	CHECK_INT(strtoull(run_output, NULL, 10), n_bytes);
	CHECK_INT(run("babeltrace2 --clock-cycles trace > out; wc -l < out"), 0);
	snprintf(expect, sizeof(expect), "%u\n", n);
	CHECK_STR(run_output, expect);
	/* Order, and every number once. */
	CHECK_INT(run("sed 's/.* n = \\([0-9]*\\),.*/\\1/' out | awk '$1 != NR - 1 { exit 1 }'"), 0);
	CHECK_INT(run("sed 's/^.\\([0-9]*\\).*/\\1/' out | awk '$1 != 10 * (NR - 1) { exit 1 }'"), 0);
}

static void times_never_go_back(void)
{
	struct ctf_writer *writer;
	int fd;

	writer = begin(&fd);
	put_all(writer, 500, "a");
	put_all(writer, 400, "b");
	end(writer, fd);
	CHECK_INT(run("babeltrace2 --clock-cycles trace | cut -c 1-22"), 0);
	CHECK_STR(run_output, "[00000000000000000500]\n[00000000000000000500]\n");
}

static void no_event(void)
{
	struct ctf_writer *writer;
	int fd;

	writer = begin(&fd);
	end(writer, fd);
	CHECK_INT(run("babeltrace2 trace"), 0);
	CHECK_STR(run_output, "");
}

static void absolute_clock(void)
{
	struct ctf_writer *writer;
	int fd;

	writer = begin(&fd);
	put_all(writer, 201747021, "x");
	end(writer, fd);
	CHECK_INT(run("babeltrace2 --clock-seconds trace | cut -c 1-22"), 0);
	CHECK_STR(run_output, "[1795208063.000000000]\n");
}

static void full_disk(void)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct ctf_writer *writer =
		ctf_writer_new(fd, classes, G_N_ELEMENTS(classes), &test_clock);
	uint64_t n_bytes;

	put_all(writer, 1, "x");
	CHECK_INT(ctf_writer_flush(writer, &n_bytes), -ENOSPC);
	ctf_writer_free(writer);
	close(fd);
}

int main(void)
{
	run_init("test_ctf_writer");
	CASE(every_type, "babeltrace2 reads every field type as it was put");
	CASE(strings, "strings keep quotes, newlines and UTF-8; other bytes are escaped, none is empty");
	CASE(many_packets, "100,003 events over many packets come back in order");
	CASE(times_never_go_back, "an earlier time is raised to the last one");
	CASE(no_event, "a stream without events is valid");
	CASE(absolute_clock, "the clock's offset gives wall-clock time");
	CASE(full_disk, "a full disk is reported");
	run_fini();
	return CHECK_DONE();
}
