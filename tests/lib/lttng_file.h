/* SPDX-License-Identifier: MIT */
/*
 * Writes folders as lttng-consumerd does (2.13, 64 bit): metadata in packets, streams of one event class
 * `t:n` with a 32-bit field. For tests that must know exactly what is in a recording.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

/* Of all that is written from now on; two traces must differ in it. */
static uint8_t lttng_uuid[16] = {
	0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x47, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01,
};

struct lttng_packet_head {
	uint32_t magic;
	uint8_t uuid[16];
	uint32_t stream_id;
	uint64_t stream_instance_id;
	uint64_t timestamp_begin, timestamp_end, content_size, packet_size;
	uint64_t packet_seq_num, events_discarded;
	uint32_t cpu_id;
} __attribute__((packed));

#define LTTNG_PACKET_SIZE 4096

/* The text of the metadata with this clock offset. The caller frees it. */
static inline char *lttng_metadata_text(int64_t offset)
{
	return g_strdup_printf(
		"/* CTF 1.8 */\n\n"
		"typealias integer { size = 8; align = 8; signed = false; } := uint8_t;\n"
		"typealias integer { size = 16; align = 8; signed = false; } := uint16_t;\n"
		"typealias integer { size = 32; align = 8; signed = false; } := uint32_t;\n"
		"typealias integer { size = 64; align = 8; signed = false; } := uint64_t;\n"
		"typealias integer { size = 64; align = 8; signed = false; } := unsigned long;\n\n"
		"trace {\n\tmajor = 1;\n\tminor = 8;\n"
		"\tuuid = \"%02x223344-5566-4788-99aa-bbccddeeff01\";\n\tbyte_order = le;\n"
		"\tpacket.header := struct {\n\t\tuint32_t magic;\n\t\tuint8_t  uuid[16];\n"
		"\t\tuint32_t stream_id;\n\t\tuint64_t stream_instance_id;\n\t};\n};\n\n"
		"env {\n\tdomain = \"ust\";\n\ttracer_name = \"lttng-ust\";\n};\n\n"
		"clock {\n\tname = \"monotonic\";\n"
		"\tuuid = \"8d187574-d2df-431f-b03b-ac44547b5fa0\";\n"
		"\tdescription = \"Monotonic Clock\";\n"
		"\tfreq = 1000000000; /* Frequency, in Hz */\n"
		"\t/* clock value offset from Epoch is: offset * (1/freq) */\n"
		"\toffset = %" PRId64 ";\n};\n\n"
		"typealias integer {\n\tsize = 64; align = 8; signed = false;\n"
		"\tmap = clock.monotonic.value;\n} := uint64_clock_monotonic_t;\n\n"
		"struct packet_context {\n\tuint64_clock_monotonic_t timestamp_begin;\n"
		"\tuint64_clock_monotonic_t timestamp_end;\n\tuint64_t content_size;\n"
		"\tuint64_t packet_size;\n\tuint64_t packet_seq_num;\n"
		"\tunsigned long events_discarded;\n\tuint32_t cpu_id;\n};\n\n"
		"stream {\n\tid = 0;\n\tevent.header := struct {\n\t\tuint16_t id;\n"
		"\t\tuint64_clock_monotonic_t timestamp;\n\t};\n"
		"\tpacket.context := struct packet_context;\n};\n\n"
		"event {\n\tname = \"t:n\";\n\tid = 0;\n\tstream_id = 0;\n"
		"\tfields := struct {\n\t\tuint32_t _n;\n\t};\n};\n\n",
		lttng_uuid[0], offset);
}

/* Appends one metadata packet, padded to 4096 bytes. */
static inline void lttng_metadata_packet(GString *out, const char *text, size_t n)
{
	struct {
		uint32_t magic;
		uint8_t uuid[16];
		uint32_t checksum, content_size, packet_size;
		uint8_t compression, encryption, checksum_scheme, major, minor;
	} __attribute__((packed)) head = { .magic = 0x75d11d57, .major = 1, .minor = 8 };
	gsize begin = out->len;

	memcpy(head.uuid, lttng_uuid, 16);
	head.content_size = (uint32_t)(sizeof(head) + n) * 8;
	head.packet_size = 4096 * 8;
	g_string_append_len(out, (const char *)&head, sizeof(head));
	g_string_append_len(out, text, (gssize)n);
	while (out->len < begin + 4096)
		g_string_append_c(out, '\0');
}

/* The metadata file as the daemon writes it, in packets that cut the text at any place. */
static inline void lttng_write_metadata(const char *path, int64_t offset)
{
	char *text = lttng_metadata_text(offset);
	GString *out = g_string_new(NULL);

	for (size_t at = 0; at < strlen(text); at += 1001)
		lttng_metadata_packet(out, text + at, MIN(1001, strlen(text) - at));
	g_file_set_contents(path, out->str, (gssize)out->len, NULL);
	g_string_free(out, TRUE);
	g_free(text);
}

/* Appends a packet with `n` events 10 ns apart from `begin` on, their field counting from `first`. */
static inline void lttng_append_packet(GString *out, uint32_t cpu, uint64_t seq, uint64_t discarded,
	uint64_t begin, uint32_t first, unsigned n)
{
	struct lttng_packet_head head = {
		.magic = 0xc1fc1fc1,
		.stream_instance_id = cpu,
		.timestamp_begin = begin,
		.timestamp_end = begin + 10 * (uint64_t)n,
		.content_size = (sizeof(head) + 14 * (uint64_t)n) * 8,
		.packet_size = LTTNG_PACKET_SIZE * 8,
		.packet_seq_num = seq,
		.events_discarded = discarded,
		.cpu_id = cpu,
	};
	gsize start = out->len;

	memcpy(head.uuid, lttng_uuid, 16);
	g_string_append_len(out, (const char *)&head, sizeof(head));
	for (unsigned i = 0; i < n; i++) {
		struct {
			uint16_t id;
			uint64_t timestamp;
			uint32_t value;
		} __attribute__((packed)) event = { 0, begin + 10 * (uint64_t)i, first + i };

		g_string_append_len(out, (const char *)&event, sizeof(event));
	}
	while (out->len < start + LTTNG_PACKET_SIZE)
		g_string_append_c(out, '\0');
}
