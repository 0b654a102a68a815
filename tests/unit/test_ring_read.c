/* SPDX-License-Identifier: MIT */
#include "recorder/ring_read.h"

#include <sys/stat.h>

#include "check.h"
#include "fake_ring.h"
#include "recorder/ring_stuck.h"
#include "temp_dir.h"

#define MEMBER "ust/uid/0/64-bit"

static const char *run_dir;
static char dir[300]; /* of the case */
static struct fake_ring ring;

static char *at(const char *path)
{
	static char text[8][512];
	static unsigned n;

	snprintf(text[++n % 8], sizeof(text[0]), "%s/%s", dir, path);
	return text[n % 8];
}

static void begin(void)
{
	static unsigned n_cases;

	g_snprintf(dir, sizeof(dir), "%s/%u", run_dir, n_cases++);
	g_mkdir_with_parents(at("ring/" MEMBER), 0700);
	g_mkdir_with_parents(at("out"), 0700);
	g_file_set_contents(at("ring/" MEMBER "/metadata"),
		"/* CTF 1.8 */\nevent {\n\tname = \"x\";\n\tid = 3;\n", -1, NULL);
	fake_open(&ring, at("ring/" MEMBER "/flight_0"));
}

static void end(void)
{
	fake_close(&ring);
}

static void write_events(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fake_event(&ring, 1, 1);
}

/* Values of the copied events as "first-last", where they are consecutive; packets must be whole. */
static void values(char *text, size_t n_text)
{
	g_autofree char *data = NULL;
	uint32_t first = 0, last = 0, value;
	gsize n = 0, n_events = 0, o = 0;

	text[0] = '\0';
	if (!g_file_get_contents(at("out/" MEMBER "/flight_0"), &data, &n, NULL))
		return;
	while (o < n) {
		struct ust_packet_head head;

		memcpy(&head, data + o, sizeof(head));
		CHECK_INT(head.magic, UST_PACKET_MAGIC);
		CHECK(head.packet_size / 8 <= n - o && head.content_size <= head.packet_size);
		CHECK(head.timestamp_end >= head.timestamp_begin);
		for (gsize e = sizeof(head); e + FAKE_EVENT <= head.content_size / 8;
			e += FAKE_EVENT) {
			memcpy(&value, data + o + e + 6, sizeof(value));
			if (n_events && value != last + 1)
				g_snprintf(text + strlen(text), n_text - strlen(text), "%u-%u ",
					first, last);
			if (!n_events || value != last + 1)
				first = value;
			last = value;
			n_events++;
		}
		o += head.packet_size / 8;
	}
	if (n_events)
		g_snprintf(text + strlen(text), n_text - strlen(text), "%u-%u", first, last);
}

static struct ring_read_result copy(uint64_t begin_ns)
{
	struct ring_read_result result = { 0 };
	struct ring_read *read = NULL;

	CHECK_INT(ring_read_new(at("ring"), at("out"), begin_ns, &read), 0);
	CHECK_INT(ring_read_finish(read, &result), 0);
	ring_read_free(read);
	return result;
}

static void check_values(const char *want)
{
	char text[256];

	values(text, sizeof(text));
	CHECK_STR(text, want);
}

static void test_open(void)
{
	struct ring_read_result result;

	begin();
	write_events(7);
	result = copy(RING_READ_ALL);
	check_values("0-6");
	CHECK_INT(result.n_bytes, 4096);
	CHECK_INT(result.torn_packets, 0);
	CHECK(g_file_test(at("out/" MEMBER "/metadata"), G_FILE_TEST_EXISTS));
	end();
}

static void test_round(void)
{
	unsigned n = 10 * FAKE_EVENTS + 5;
	char want[64];

	begin();
	write_events(n);
	copy(RING_READ_ALL);
	/* The open packet and the three before it. */
	g_snprintf(want, sizeof(want), "%u-%u", (unsigned)(7 * FAKE_EVENTS), n - 1);
	check_values(want);
	end();
}

static void test_since(void)
{
	char want[64];

	begin();
	write_events(3 * FAKE_EVENTS + 5);
	/* In the middle of the second packet. */
	copy(FAKE_START_NS + FAKE_EVENTS + 50);
	g_snprintf(want, sizeof(want), "%u-%u", (unsigned)FAKE_EVENTS,
		(unsigned)(3 * FAKE_EVENTS + 4));
	check_values(want);
	end();
}

static void test_onward(void)
{
	struct ring_read_result result;
	struct ring_read *read = NULL;
	char want[64];

	begin();
	write_events(2 * FAKE_EVENTS + 5);
	*fake_word(&ring, FAKE_POSITION + 272) = 40;
	CHECK_INT(ring_read_new(at("ring"), at("out"), RING_READ_NEW, &read), 0);
	for (unsigned i = 0; i < 20; i++) {
		write_events(FAKE_EVENTS);
		CHECK(ring_read_lag(read) > 200);
		CHECK_INT(ring_read_drain(read), 0);
		CHECK(ring_read_lag(read) < 300);
	}
	*fake_word(&ring, FAKE_POSITION + 272) = 47;
	CHECK_INT(ring_read_finish(read, &result), 0);
	ring_read_free(read);
	CHECK_INT(result.lost_packets, 0);
	CHECK_INT(result.lost_events, 7);
	g_snprintf(want, sizeof(want), "%u-%u", (unsigned)(2 * FAKE_EVENTS),
		(unsigned)(22 * FAKE_EVENTS + 4));
	check_values(want);
	end();
}

static void test_overtaken(void)
{
	struct ring_read_result result;
	struct ring_read *read = NULL;
	char want[64];

	begin();
	write_events(5);
	CHECK_INT(ring_read_new(at("ring"), at("out"), RING_READ_NEW, &read), 0);
	write_events(10 * FAKE_EVENTS);
	CHECK_INT(ring_read_finish(read, &result), 0);
	ring_read_free(read);
	/* Ten packets and the open one: the writers left three of them, and one of these is given up for a start. */
	CHECK_INT(result.lost_packets, 8);
	g_snprintf(want, sizeof(want), "%u-%u", (unsigned)(8 * FAKE_EVENTS),
		(unsigned)(10 * FAKE_EVENTS + 4));
	check_values(want);
	end();
}

static void test_dead_writer(void)
{
	struct ring_read_result result;

	begin();
	write_events(20);
	fake_event(&ring, 0, 0);
	for (unsigned i = 0; i < 10; i++)
		fake_event(&ring, 1, 0);
	result = copy(RING_READ_ALL);
	check_values("0-19 21-30");
	CHECK_INT(result.torn_packets, 1);
	CHECK_INT(result.torn_bytes, FAKE_EVENT);
	end();
}

static void test_dead_writer_followed(void)
{
	struct ring_read_result result;
	char want[64];

	begin();
	write_events(20);
	fake_event(&ring, 0, 0);
	for (unsigned i = 21; i < FAKE_EVENTS; i++)
		fake_event(&ring, 1, 0);
	fake_switch(&ring, 0);
	write_events(FAKE_EVENTS + 3);
	result = copy(RING_READ_ALL);
	g_snprintf(want, sizeof(want), "0-19 21-%u", (unsigned)(2 * FAKE_EVENTS + 2));
	check_values(want);
	CHECK_INT(result.torn_packets, 1);
	end();
}

static void test_two_dead_writers(void)
{
	struct ring_read_result result;

	begin();
	write_events(20);
	fake_event(&ring, 0, 0);
	fake_event(&ring, 1, 0);
	fake_event(&ring, 0, 0);
	for (unsigned i = 0; i < 1; i++)
		fake_event(&ring, 1, 0);
	/* What lies where the rest would begin, were it one gap, is no event. */
	ring.map[FAKE_DATA + sizeof(struct ust_packet_head) + 22 * FAKE_EVENT] = 0xee;
	ring.map[FAKE_DATA + sizeof(struct ust_packet_head) + 22 * FAKE_EVENT + 1] = 0xee;
	result = copy(RING_READ_ALL);
	check_values("0-19");
	CHECK_INT(result.torn_bytes, 4 * FAKE_EVENT);
	end();
}

static void test_look(void)
{
	struct ring_look look;

	begin();
	ring_look(at("nothing"), &look);
	CHECK_INT(look.n_streams, 0);
	write_events(5);
	ring_look(at("ring"), &look);
	CHECK_INT(look.n_streams, 1);
	CHECK_INT(look.capacity_bytes, FAKE_N * FAKE_SUBBUF);
	CHECK_INT(look.complete_ns, 0);
	CHECK_INT(look.held_bytes, sizeof(struct ust_packet_head) + 5 * FAKE_EVENT);
	write_events(8 * FAKE_EVENTS);
	ring_look(at("ring"), &look);
	CHECK_INT(look.complete_ns, FAKE_START_NS + 5 * FAKE_EVENTS);
	end();
}

static void test_stuck(void)
{
	struct ring_stuck *stuck = ring_stuck_new();

	begin();
	write_events(5);
	CHECK(!ring_stuck_check(stuck, at("ring")));
	CHECK(!ring_stuck_check(stuck, at("ring")));
	*fake_word(&ring, FAKE_POSITION + 272) = 9;
	CHECK(ring_stuck_check(stuck, at("ring")));
	CHECK(!ring_stuck_check(stuck, at("ring")));
	/* Dropping and writing: it was blocked for a moment. */
	*fake_word(&ring, FAKE_POSITION + 272) = 12;
	write_events(1);
	CHECK(!ring_stuck_check(stuck, at("ring")));
	end();
	ring_stuck_free(stuck);
}

/* Bits turned over everywhere in the description and the tables: nothing is read outside of the file. */
static void test_damaged(void)
{
	begin();
	write_events(6 * FAKE_EVENTS + 5);
	for (unsigned byte = 0; byte < FAKE_DATA; byte += byte < 256 ? 1 : 8) {
		struct ring_read *read = NULL;
		struct ring_look look;
		uint8_t kept = ring.map[byte];

		if (byte / 8 * 8 == FAKE_POSITION)
			continue;
		ring.map[byte] ^= 0xa5;
		ring_look(at("ring"), &look);
		if (byte < 256 &&
			ring_read_new(at("ring"), at("out"), RING_READ_FIRST, &read) == 0) {
			ring_read_drain(read);
			ring_read_free(read);
		}
		ring.map[byte] = kept;
		unlink(at("out/" MEMBER "/flight_0"));
	}
	CHECK_INT(truncate(at("ring/" MEMBER "/flight_0"), 300), 0);
	copy(RING_READ_ALL);
	check_values("");
	CHECK_INT(truncate(at("ring/" MEMBER "/flight_0"), FAKE_BYTES), 0);
	end();
}

int main(void)
{
	run_dir = temp_dir_make(NULL, "ring");
	CASE(test_open, "a packet that is written to is copied as far as it is complete");
	CASE(test_round, "a ring that was used up gives all that is left of it");
	CASE(test_since, "a copy since a time begins with the packet of that time");
	CASE(test_onward,
		"a copy of what comes misses nothing, and counts what the writers dropped");
	CASE(test_overtaken, "what was overwritten before it was copied is counted");
	CASE(test_dead_writer, "an event whose writer died is cut out, those behind it stay");
	CASE(test_dead_writer_followed, "likewise in a packet that others follow");
	CASE(test_two_dead_writers,
		"where there is more than one, what is behind the first is given up");
	CASE(test_look, "a look tells how far back all is there");
	CASE(test_stuck, "a ring that drops and takes nothing is stuck");
	CASE(test_damaged, "damaged files are not believed");
	return CHECK_DONE();
}
