/* SPDX-License-Identifier: MIT */
/* One buffer per stream is the packet being filled; its header and context are written when it is full. */
#include "ctf_fixture.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/schema.h"

/* The traces of a trace.out: lttng-ust's, and those that the recorder writes, of one stream each. */
enum part { PART_UST, PART_STATE, PART_SCHED, PART_CPU, N_PARTS };

static const char *const part_dirs[N_PARTS] = { "trace/ust/uid/0/64-bit", "trace/state",
	"trace/sched", "trace/cpu" };

struct stream {
	FILE *file;
	GByteArray *packet;
	uint64_t first_ns, last_ns, n_packets;
	uint32_t head; /* bytes of packet header and context */
	enum part part;
};

struct ctf_fixture {
	struct stream *streams;
	unsigned n_ust; /* streams of lttng-ust's; then one for each of the other parts */
	uint32_t packet_bytes;
	int schema;
};

static enum part part_of(enum event_kind kind)
{
	if (kind >= EVENT_FIRST_DEF)
		return PART_STATE;
	return event_is_kernel(kind) ? PART_SCHED : kind == EVENT_CPU ? PART_CPU : PART_UST;
}

/* Whether schema 1 did not have it yet. field NULL: the event itself. */
static int is_new(enum event_kind kind, const char *field)
{
	static const struct {
		enum event_kind kind;
		const char *field;
	} fields[] = { { EVENT_WAIT, "wake" }, { EVENT_DEF_PROCESS, "exit_kind" },
		{ EVENT_DEF_PROCESS, "exit_code" }, { EVENT_DEF_PROCESS, "signal" },
		{ EVENT_DEF_PROCESS, "is_oom" }, { EVENT_DEF_THREAD, "delay" },
		{ EVENT_DEF_THREAD, "slices" }, { EVENT_DEF_THREAD, "voluntary" },
		{ EVENT_DEF_THREAD, "involuntary" } };

	if (kind == EVENT_DEF_CRASH || kind == EVENT_DEF_TRIGGER ||
		(kind >= EVENT_WOKEN && kind < EVENT_FIRST_DEF))
		return 1;
	for (size_t i = 0; field && i < G_N_ELEMENTS(fields); i++)
		if (fields[i].kind == kind && g_str_equal(fields[i].field, field))
			return 1;
	return 0;
}

/* Number 1: of lttng-ust's trace. */
static void append_uuid(GByteArray *to, enum part part)
{
	uint8_t uuid[16];

	for (int i = 0; i < 16; i++)
		uuid[i] = (uint8_t)(part * 16 + i + 1);
	g_byte_array_append(to, uuid, sizeof(uuid));
}

static void put(GByteArray *to, uint64_t value, size_t n_bytes)
{
	uint64_t le = GUINT64_TO_LE(value);

	g_byte_array_append(to, (const guint8 *)&le, n_bytes);
}

static void flush(struct ctf_fixture *fixture, struct stream *stream)
{
	g_autoptr(GByteArray) head = g_byte_array_new();
	uint64_t content = stream->packet->len;
	uint64_t size = (content + 4095) / 4096 * 4096;

	if (content == stream->head)
		return;
	put(head, 0xC1FC1FC1, 4);
	append_uuid(head, stream->part);
	put(head, 0, 4);
	if (stream->part == PART_UST)
		put(head, (uint64_t)(stream - fixture->streams), 8);
	put(head, stream->first_ns, 8);
	put(head, stream->last_ns, 8);
	put(head, content * 8, 8);
	put(head, size * 8, 8);
	put(head, stream->n_packets++, 8);
	if (stream->part == PART_UST) {
		put(head, 0, 8);
		put(head, (uint64_t)(stream - fixture->streams), 4);
	}
	g_assert(head->len == stream->head);
	memcpy(stream->packet->data, head->data, head->len);
	g_byte_array_set_size(stream->packet, size);
	memset(stream->packet->data + content, 0, size - content);
	if (fwrite(stream->packet->data, 1, size, stream->file) != size)
		g_error("fixture: cannot write a packet");
	g_byte_array_set_size(stream->packet, stream->head);
}

static const char *type_of(const struct event_field *field)
{
	static const char *const types[] = { [EVENT_U32] = "u32",
		[EVENT_U64] = "u64",
		[EVENT_S32] = "s32",
		[EVENT_S64] = "s64",
		[EVENT_STRING] = "string" };

	return types[field->type];
}

static void describe_field(GString *text, const struct event_field *field)
{
	if (field->type == EVENT_FRAMES) {
		g_string_append_printf(text, "\t\tu32 __%s_length;\n\t\tu64 _%s[__%s_length];\n",
			field->name, field->name, field->name);
	} else if (event_enum_name(field->show, 0)) {
		g_string_append(text, "\t\tenum : u32 {\n");
		for (uint64_t i = 0; event_enum_name(field->show, i); i++)
			g_string_append_printf(text, "\t\t\t\"%s\" = %u,\n",
				event_enum_name(field->show, i), (unsigned)i);
		g_string_append_printf(text, "\t\t} _%s;\n", field->name);
	} else {
		g_string_append_printf(text, "\t\t%s _%s;\n", type_of(field), field->name);
	}
}

static void write_metadata(const char *dir, enum part part, int schema)
{
	int is_own = part != PART_UST; /* in the form of the recorder */
	g_autoptr(GByteArray) uuid = g_byte_array_new();
	g_autoptr(GString) text = g_string_new("/* CTF 1.8 */\n");
	g_autofree char *path = g_build_filename(dir, "metadata", NULL);

	for (int bits = 8; bits <= 64; bits *= 2)
		for (int is_signed = 0; is_signed < 2; is_signed++)
			g_string_append_printf(text,
				"typealias integer { size = %d; align = 8; signed = %s; } := "
				"%c%d;\n",
				bits, is_signed ? "true" : "false", is_signed ? 's' : 'u', bits);
	g_string_append(text, "trace { major = 1; minor = 8; byte_order = le; uuid = \"");
	append_uuid(uuid, part);
	for (int i = 0; i < 16; i++)
		g_string_append_printf(text, "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid->data[i]);
	g_string_append_printf(text,
		"\";\n\tpacket.header := struct { u32 magic; u8 uuid[16]; u32 stream_id;%s "
		"};\n};\n",
		is_own ? "" : " u64 stream_instance_id;");
	if (!is_own)
		g_string_append(text, "env { domain = \"ust\"; tracer_name = \"lttng-ust\"; "
				      "tracer_major = 2; tracer_minor = 13; };\n");
	g_string_append_printf(text,
		"clock { name = \"monotonic\"; freq = 1000000000; offset = %" G_GUINT64_FORMAT
		";%s };\n",
		CTF_FIXTURE_OFFSET_NS, is_own ? " absolute = true;" : "");
	g_string_append(text,
		"typealias integer { size = 32; align = 8; map = clock.monotonic.value; } := t32;\n"
		"typealias integer { size = 64; align = 8; map = clock.monotonic.value; } := t64;\n"
		"struct event_header_large {\n"
		"\tenum : u16 { compact = 0 ... 65534, extended = 65535 } id;\n"
		"\tvariant <id> { struct { t32 timestamp; } compact;\n"
		"\t\tstruct { u32 id; t64 timestamp; } extended; } v;\n} align(8);\n");
	g_string_append_printf(text,
		"stream { id = 0;\n\tevent.header := %s;\n\tpacket.context := struct { t64 "
		"timestamp_begin; t64 timestamp_end; u64 content_size; u64 packet_size; u64 "
		"packet_seq_num;%s };\n};\n",
		is_own ? "struct { u16 id; t64 timestamp; }" : "struct event_header_large",
		is_own ? "" : " u64 events_discarded; u32 cpu_id;");
	for (int i = 0; i < EVENT_N; i++) {
		if (part_of(i) != part || (schema < 2 && is_new(i, NULL)))
			continue;
		g_string_append_printf(text,
			"event { name = \"%s\"; id = %d; stream_id = 0;\n\tfields := struct {\n"
			"\t\tu16 _proc;\n\t\tu32 _tid;\n\t\tu32 _stack;\n",
			event_infos[i].name, i);
		for (uint32_t j = 0; j < event_infos[i].n_fields; j++)
			if (schema >= 2 || !is_new(i, event_infos[i].fields[j].name))
				describe_field(text, &event_infos[i].fields[j]);
		g_string_append(text, "\t};\n};\n");
	}
	if (!g_file_set_contents(path, text->str, (gssize)text->len, NULL))
		g_error("fixture: cannot write %s", path);
}

static void open_stream(struct stream *stream, const char *dir, const char *name, enum part part)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);

	stream->file = fopen(path, "w");
	if (!stream->file)
		g_error("fixture: cannot write %s", path);
	stream->part = part;
	stream->head = part == PART_UST ? 84 : 64;
	stream->packet = g_byte_array_new();
	g_byte_array_set_size(stream->packet, stream->head);
}

struct ctf_fixture *ctf_fixture_new(
	const char *dir, unsigned n_streams, uint32_t packet_bytes, int schema)
{
	struct ctf_fixture *fixture = g_new0(struct ctf_fixture, 1);

	fixture->packet_bytes = packet_bytes;
	fixture->n_ust = n_streams;
	fixture->schema = schema;
	fixture->streams = g_new0(struct stream, n_streams + N_PARTS - 1);
	for (int part = 0; part < N_PARTS; part++) {
		g_autofree char *path = g_build_filename(dir, part_dirs[part], NULL);
		if (schema < 2 && part >= PART_SCHED)
			continue;
		if (g_mkdir_with_parents(path, 0755) < 0)
			g_error("fixture: cannot make %s", path);
		write_metadata(path, part, schema);
		for (unsigned i = 0; part == PART_UST && i < n_streams; i++) {
			g_autofree char *name = g_strdup_printf("ring_%u", i);
			open_stream(&fixture->streams[i], path, name, part);
		}
		if (part != PART_UST)
			open_stream(&fixture->streams[n_streams + (unsigned)part - 1], path,
				"stream", part);
	}
	return fixture;
}

static void put_field(GByteArray *to, const struct event *event, const struct event_field *field)
{
	const char *from = (const char *)event + field->offset;
	const char *string;

	switch (field->type) {
	case EVENT_U32:
	case EVENT_S32:
		put(to, *(const uint32_t *)from, 4);
		break;
	case EVENT_U64:
	case EVENT_S64:
		put(to, *(const uint64_t *)from, 8);
		break;
	case EVENT_STRING:
		string = *(const char *const *)from;
		g_byte_array_append(to, (const guint8 *)string, strlen(string) + 1);
		break;
	case EVENT_FRAMES:
		put(to, event->def_stack.n_frames, 4);
		for (uint32_t i = 0; i < event->def_stack.n_frames; i++)
			put(to, event->def_stack.frames[i], 8);
		break;
	}
}

void ctf_fixture_add(struct ctf_fixture *fixture, unsigned number, const struct event *event)
{
	enum part part = part_of(event->kind);
	unsigned index = part == PART_UST ? number : fixture->n_ust + (unsigned)part - 1;
	struct stream *stream = &fixture->streams[index];
	GByteArray *packet = stream->packet;
	const struct event_info *info = &event_infos[event->kind];

	if (fixture->schema < 2 && is_new(event->kind, NULL))
		return;
	if (packet->len > fixture->packet_bytes - 1024)
		flush(fixture, stream);
	if (packet->len == stream->head) {
		stream->first_ns = event->time_ns;
		stream->last_ns = event->time_ns;
	}
	if (part != PART_UST) {
		put(packet, event->kind, 2);
		put(packet, event->time_ns, 8);
	} else if (event->time_ns - stream->last_ns < UINT64_C(1) << 32) {
		put(packet, event->kind, 2);
		put(packet, event->time_ns, 4);
	} else {
		put(packet, 65535, 2);
		put(packet, event->kind, 4);
		put(packet, event->time_ns, 8);
	}
	stream->last_ns = event->time_ns;
	put(packet, event->proc, 2);
	put(packet, event->tid, 4);
	put(packet, event->stack, 4);
	for (uint32_t i = 0; i < info->n_fields; i++)
		if (fixture->schema >= 2 || !is_new(event->kind, info->fields[i].name))
			put_field(packet, event, &info->fields[i]);
}

void ctf_fixture_close(struct ctf_fixture *fixture)
{
	for (unsigned i = 0; i < fixture->n_ust + N_PARTS - 1; i++) {
		struct stream *stream = &fixture->streams[i];
		if (!stream->file)
			continue;
		flush(fixture, stream);
		if (fclose(stream->file) != 0)
			g_error("fixture: cannot write a stream");
		g_byte_array_free(stream->packet, TRUE);
	}
	g_free(fixture->streams);
	g_free(fixture);
}
