/* SPDX-License-Identifier: MIT */
/*
 * One packet is gathered in memory and written when it is over PACKET_SIZE, so an event of any
 * size fits. Everything is byte-aligned and in host order; times are full 64-bit numbers, no wrapping.
 * Field names get the underscore that LTTng gives them (readers take it off): `short` and `string` would be
 * keywords otherwise.
 */
#include "recorder/ctf_writer.h"

#include <string.h>

#include "common/fs.h"
#include "common/symbol_demangle.h"

#define PACKET_SIZE (256u << 10)
#define MAGIC 0xc1fc1fc1u

/* As declared in the metadata; written as is. */
struct packet_header {
	uint32_t magic;
	uint8_t uuid[16];
	uint32_t stream_id;
	uint64_t timestamp_begin, timestamp_end;
	uint64_t content_size, packet_size; /* bits */
	uint64_t packet_seq_num;
} __attribute__((packed));

struct ctf_writer {
	int fd; /* borrowed */
	int err;
	const struct ctf_class *classes; /* borrowed */
	size_t n_classes;
	const struct ctf_clock *clock; /* borrowed */
	const struct ctf_field *field; /* next one expected; NULL between events */
	GByteArray *packet;	       /* owned: header and events */
	uint64_t begin, last;	       /* times in this packet */
	uint64_t n_packets, n_bytes;
	uint8_t uuid[16];
};

static void packet_start(struct ctf_writer *writer)
{
	g_byte_array_set_size(writer->packet, sizeof(struct packet_header));
}

struct ctf_writer *ctf_writer_new(
	int fd, const struct ctf_class *classes, size_t n_classes, const struct ctf_clock *clock)
{
	struct ctf_writer *writer = g_new0(struct ctf_writer, 1);

	writer->fd = fd;
	writer->classes = classes;
	writer->n_classes = n_classes;
	writer->clock = clock;
	writer->packet = g_byte_array_new();
	for (size_t i = 0; i < sizeof(writer->uuid); i++)
		writer->uuid[i] = (uint8_t)g_random_int();
	/* Version 4 of RFC 4122: random. */
	writer->uuid[6] = (writer->uuid[6] & 0x0f) | 0x40;
	writer->uuid[8] = (writer->uuid[8] & 0x3f) | 0x80;
	packet_start(writer);
	return writer;
}

void ctf_writer_free(struct ctf_writer *writer)
{
	if (!writer)
		return;
	g_byte_array_unref(writer->packet);
	g_free(writer);
}

static void packet_write(struct ctf_writer *writer)
{
	struct packet_header header = {
		.magic = MAGIC,
		.timestamp_begin = writer->begin,
		.timestamp_end = writer->last,
		.content_size = (uint64_t)writer->packet->len * 8,
		.packet_size = (uint64_t)writer->packet->len * 8,
		.packet_seq_num = writer->n_packets,
	};

	memcpy(header.uuid, writer->uuid, sizeof(header.uuid));
	memcpy(writer->packet->data, &header, sizeof(header));
	if (!writer->err)
		writer->err = fs_write_all(writer->fd, writer->packet->data, writer->packet->len);
	writer->n_packets++;
	writer->n_bytes += writer->packet->len;
	packet_start(writer);
}

static void put(struct ctf_writer *writer, enum ctf_type type, const void *data, size_t n)
{
	g_assert(writer->field && writer->field->name && writer->field->type == type);
	g_byte_array_append(writer->packet, data, (guint)n);
	writer->field++;
}

void ctf_writer_begin(struct ctf_writer *writer, size_t class, uint64_t timestamp)
{
	uint16_t id = (uint16_t) class;

	g_assert(!writer->field && class < writer->n_classes);
	timestamp = MAX(timestamp, writer->last);
	if (writer->packet->len == sizeof(struct packet_header))
		writer->begin = timestamp;
	writer->last = timestamp;
	g_byte_array_append(writer->packet, (const guint8 *)&id, sizeof(id));
	g_byte_array_append(writer->packet, (const guint8 *)&timestamp, sizeof(timestamp));
	writer->field = writer->classes[class].fields;
}

void ctf_put_u16(struct ctf_writer *writer, uint16_t value)
{
	put(writer, CTF_U16, &value, sizeof(value));
}

void ctf_put_u32(struct ctf_writer *writer, uint32_t value)
{
	put(writer, CTF_U32, &value, sizeof(value));
}

void ctf_put_u64(struct ctf_writer *writer, uint64_t value)
{
	put(writer, CTF_U64, &value, sizeof(value));
}

void ctf_put_s32(struct ctf_writer *writer, int32_t value)
{
	put(writer, CTF_S32, &value, sizeof(value));
}

void ctf_put_s64(struct ctf_writer *writer, int64_t value)
{
	put(writer, CTF_S64, &value, sizeof(value));
}

void ctf_put_string(struct ctf_writer *writer, const char *value)
{
	/* Never empty: babeltrace2 2.0 shows the text of an earlier event in place of an empty string. */
	char *valid = symbol_utf8(value && *value ? value : "-");

	put(writer, CTF_STRING, valid, strlen(valid) + 1);
	g_free(valid);
}

void ctf_put_sequence(struct ctf_writer *writer, const uint64_t *values, size_t n)
{
	uint32_t length = (uint32_t)n;

	put(writer, CTF_U64_SEQUENCE, &length, sizeof(length));
	if (n)
		g_byte_array_append(
			writer->packet, (const guint8 *)values, (guint)(n * sizeof(*values)));
}

void ctf_writer_end(struct ctf_writer *writer)
{
	g_assert(writer->field && !writer->field->name);
	writer->field = NULL;
	if (writer->packet->len >= PACKET_SIZE)
		packet_write(writer);
}

int ctf_writer_flush(struct ctf_writer *writer, uint64_t *n_bytes_out)
{
	if (writer->packet->len > sizeof(struct packet_header) || writer->n_packets == 0)
		packet_write(writer);
	*n_bytes_out = writer->n_bytes;
	return writer->err;
}

/* A string literal of the metadata language. */
static void append_quoted(GString *text, const char *value)
{
	char *valid = symbol_utf8(value);

	g_string_append_c(text, '"');
	for (const char *c = valid; *c; c++) {
		if (*c == '"' || *c == '\\')
			g_string_append_c(text, '\\');
		if (*c == '\n')
			g_string_append(text, "\\n");
		else if (*c == '\t')
			g_string_append(text, "\\t");
		else
			g_string_append_c(text, *c);
	}
	g_string_append_c(text, '"');
	g_free(valid);
}

static void append_field(GString *text, const struct ctf_field *field)
{
	static const char *const type[] = {
		[CTF_U16] = "u16",
		[CTF_U32] = "u32",
		[CTF_U64] = "u64",
		[CTF_S32] = "s32",
		[CTF_S64] = "s64",
		[CTF_STRING] = "string",
	};

	g_string_append(text, "\t\t");
	if (field->labels) {
		g_string_append(text, "enum : u32 { ");
		for (size_t i = 0; field->labels[i]; i++) {
			g_string_append(text, i ? ", " : "");
			append_quoted(text, field->labels[i]);
			g_string_append_printf(text, " = %zu", i);
		}
		g_string_append_printf(text, " } _%s;\n", field->name);
	} else if (field->type == CTF_U64_SEQUENCE) {
		g_string_append_printf(text, "u32 _%s_length;\n\t\tx64 _%s[_%s_length];\n",
			field->name, field->name, field->name);
	} else {
		g_string_append_printf(text, "%s _%s;\n", type[field->type], field->name);
	}
}

static void append_trace(GString *text, const struct ctf_writer *writer)
{
	const uint8_t *u = writer->uuid;

	g_string_append(text, "/* CTF 1.8 */\n\n");
	for (unsigned bits = 8; bits <= 64; bits *= 2)
		g_string_append_printf(text,
			"typealias integer { size = %u; align = 8; signed = false; } := u%u;\n",
			bits, bits);
	for (unsigned bits = 32; bits <= 64; bits *= 2)
		g_string_append_printf(text,
			"typealias integer { size = %u; align = 8; signed = true; } := s%u;\n",
			bits, bits);
	g_string_append(text,
		"typealias integer { size = 64; align = 8; signed = false; base = hex; } "
		":= x64;\n\ntrace {\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"");
	for (size_t i = 0; i < 16; i++)
		g_string_append_printf(
			text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
	g_string_append_printf(
		text, "\";\n\tbyte_order = %s;\n", G_BYTE_ORDER == G_LITTLE_ENDIAN ? "le" : "be");
	g_string_append(text, "\tpacket.header := struct {\n\t\tu32 magic;\n\t\tu8 uuid[16];\n"
			      "\t\tu32 stream_id;\n\t};\n};\n\n");
}

static void append_clock(GString *text, const struct ctf_clock *clock)
{
	g_string_append_printf(text, "clock {\n\tname = \"%s\";\n", clock->name);
	if (clock->uuid[0])
		g_string_append_printf(text, "\tuuid = \"%s\";\n", clock->uuid);
	g_string_append_printf(text,
		"\tdescription = \"Monotonic Clock\";\n\tfreq = %" G_GUINT64_FORMAT ";\n",
		clock->freq);
	if (clock->offset_s)
		g_string_append_printf(
			text, "\toffset_s = %" G_GINT64_FORMAT ";\n", clock->offset_s);
	g_string_append_printf(text, "\toffset = %" G_GINT64_FORMAT ";\n\tabsolute = true;\n};\n\n",
		clock->offset);
	g_string_append_printf(text,
		"typealias integer {\n\tsize = 64; align = 8; signed = false;\n"
		"\tmap = clock.%s.value;\n} := time;\n\n",
		clock->name);
}

GString *ctf_writer_metadata(
	const struct ctf_writer *writer, const struct ctf_env *env, size_t n_env)
{
	GString *text = g_string_new(NULL);

	append_trace(text, writer);
	g_string_append(text, "env {\n");
	for (size_t i = 0; i < n_env; i++) {
		g_string_append_printf(text, "\t%s = ", env[i].key);
		append_quoted(text, env[i].value);
		g_string_append(text, ";\n");
	}
	g_string_append(text, "};\n\n");
	append_clock(text, writer->clock);
	g_string_append(text,
		"stream {\n\tid = 0;\n\tevent.header := struct {\n\t\tu16 id;\n\t\ttime "
		"timestamp;\n"
		"\t};\n\tpacket.context := struct {\n\t\ttime timestamp_begin;\n"
		"\t\ttime timestamp_end;\n\t\tu64 content_size;\n\t\tu64 packet_size;\n"
		"\t\tu64 packet_seq_num;\n\t};\n};\n");
	for (size_t i = 0; i < writer->n_classes; i++) {
		const struct ctf_class *class = &writer->classes[i];

		g_string_append_printf(text,
			"\nevent {\n\tname = \"%s\";\n\tid = %zu;\n\tstream_id = 0;\n"
			"\tfields := struct {\n",
			class->name, i);
		for (const struct ctf_field *field = class->fields; field->name; field++)
			append_field(text, field);
		g_string_append(text, "\t};\n};\n");
	}
	return text;
}
