/* SPDX-License-Identifier: MIT */
/* The metadata language is not parsed: LTTng writes it from one template, and this looks for its lines. */
#include "recorder/ust_metadata.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_START "/* CTF"
#define PACKET_MAGIC 0x75d11d57u

/* Packet of a metadata stream (CTF 1.8, 7.1), host byte order. */
struct metadata_packet {
	uint32_t magic;
	uint8_t uuid[16];
	uint32_t checksum;
	uint32_t content_size, packet_size; /* bits, header included */
	uint8_t compression, encryption, checksum_scheme, major, minor;
} __attribute__((packed));

GString *ust_metadata_text(const void *data, size_t n)
{
	struct metadata_packet packet;
	GString *text = g_string_new(NULL);
	const char *bytes = data;
	size_t at = 0;

	if (n >= strlen(PLAIN_START) && memcmp(bytes, PLAIN_START, strlen(PLAIN_START)) == 0) {
		g_string_append_len(text, bytes, (gssize)strnlen(bytes, n));
		return text;
	}
	while (n - at >= sizeof(packet)) {
		size_t content, size;

		memcpy(&packet, bytes + at, sizeof(packet));
		content = packet.content_size / 8;
		size = packet.packet_size / 8;
		if (packet.magic != PACKET_MAGIC || packet.compression || packet.encryption ||
			content < sizeof(packet) || content > size || content > n - at)
			break;
		g_string_append_len(text, bytes + at + sizeof(packet),
			(gssize)strnlen(bytes + at + sizeof(packet), content - sizeof(packet)));
		if (size > n - at)
			break;
		at += size;
	}
	if (text->len == 0 || strncmp(text->str, PLAIN_START, strlen(PLAIN_START)) != 0) {
		g_string_free(text, TRUE);
		return NULL;
	}
	return text;
}

/* The inside of the block that begins with `head`, as a copy; NULL when there is none. */
static char *block(const char *text, const char *head, size_t *at_out)
{
	const char *begin = strstr(text, head), *end;

	if (!begin)
		return NULL;
	begin += strlen(head);
	end = strchr(begin, '}');
	if (!end)
		return NULL;
	if (at_out)
		*at_out = (size_t)(begin - text);
	return g_strndup(begin, (gsize)(end - begin));
}

/* The value of "\tkey = value;" inside a block, without quotes; a copy. */
static char *value_of(const char *inside, const char *key)
{
	char *line = g_strdup_printf("\t%s = ", key), *value = NULL;
	const char *begin = strstr(inside, line);

	if (begin) {
		begin += strlen(line);
		begin += *begin == '"';
		value = g_strndup(begin, strcspn(begin, "\";\n"));
	}
	g_free(line);
	return value;
}

static int64_t number_of(const char *inside, const char *key)
{
	char *value = value_of(inside, key);
	int64_t number = value ? strtoll(value, NULL, 10) : 0;

	g_free(value);
	return number;
}

int ust_metadata_clock(const GString *text, struct ctf_clock *clock_out)
{
	char *inside = block(text->str, "\nclock {", NULL), *value;
	struct ctf_clock clock = { .freq = 0 };

	if (!inside)
		return -ENOENT;
	value = value_of(inside, "name");
	g_strlcpy(clock.name, value ? value : "", sizeof(clock.name));
	g_free(value);
	value = value_of(inside, "uuid");
	g_strlcpy(clock.uuid, value ? value : "", sizeof(clock.uuid));
	g_free(value);
	clock.freq = (uint64_t)number_of(inside, "freq");
	clock.offset_s = number_of(inside, "offset_s");
	clock.offset = number_of(inside, "offset");
	g_free(inside);
	if (!clock.freq || !clock.name[0] ||
		strspn(clock.name,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") !=
			strlen(clock.name))
		return -ENOENT;
	*clock_out = clock;
	return 0;
}

void ust_metadata_set_offset(GString *text, const struct ctf_clock *clock)
{
	size_t at;
	char *inside = block(text->str, "\nclock {", &at);
	GString *changed;
	char **lines;

	if (!inside)
		return;
	lines = g_strsplit(inside, "\n", -1);
	changed = g_string_new(NULL);
	for (size_t i = 0; lines[i]; i++) {
		if (g_str_has_prefix(lines[i], "\toffset_s = "))
			continue;
		if (g_str_has_prefix(lines[i], "\toffset = "))
			g_string_append_printf(changed,
				"\toffset_s = %" G_GINT64_FORMAT ";\n\toffset = %" G_GINT64_FORMAT
				";\n",
				clock->offset_s, clock->offset);
		else
			g_string_append_printf(changed, lines[i + 1] ? "%s\n" : "%s", lines[i]);
	}
	g_string_erase(text, (gssize)at, (gssize)strlen(inside));
	g_string_insert(text, (gssize)at, changed->str);
	g_string_free(changed, TRUE);
	g_strfreev(lines);
	g_free(inside);
}

/* Whether the members of a struct are exactly these, in this order. */
static int has_members(const char *text, const char *head, const char *const *name)
{
	char *inside = block(text, head, NULL);
	char **members = inside ? g_strsplit(inside, ";", -1) : NULL;
	size_t i = 0;
	int is_same = members != NULL;

	for (; is_same && name[i]; i++) {
		char *member = members[i] ? g_strstrip(members[i]) : NULL;

		is_same = member && g_str_has_suffix(member, name[i]);
	}
	is_same = is_same && members[i] && *g_strstrip(members[i]) == '\0';
	g_strfreev(members);
	g_free(inside);
	return is_same;
}

int ust_metadata_is_known(const GString *text)
{
	static const char *const header[] = {
		" magic",
		" uuid[16]",
		" stream_id",
		" stream_instance_id",
		NULL,
	};
	static const char *const context[] = {
		" timestamp_begin",
		" timestamp_end",
		" content_size",
		" packet_size",
		" packet_seq_num",
		" events_discarded",
		" cpu_id",
		NULL,
	};

	return has_members(text->str, "packet.header := struct {", header) &&
	       has_members(text->str, "struct packet_context {", context) &&
	       strstr(text->str, G_BYTE_ORDER == G_LITTLE_ENDIAN ? "byte_order = le;"
								 : "byte_order = be;") != NULL;
}
