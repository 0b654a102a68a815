/* SPDX-License-Identifier: MIT */
/* Protobuf's wire format, appended to a byte array: for streams of messages that are too many to build as objects. */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <string.h>

static inline void proto_varint(GByteArray *out, uint64_t value)
{
	guint8 bytes[10];
	guint n = 0;

	do {
		bytes[n++] = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
	g_byte_array_append(out, bytes, n);
}

/* A number (int32, int64, uint64, bool, enum). */
static inline void proto_number(GByteArray *out, uint32_t field, uint64_t value)
{
	proto_varint(out, (uint64_t)field << 3);
	proto_varint(out, value);
}

/* fixed64, little endian. */
static inline void proto_fixed(GByteArray *out, uint32_t field, uint64_t value)
{
	guint64 bytes = GUINT64_TO_LE(value);

	proto_varint(out, (uint64_t)field << 3 | 1);
	g_byte_array_append(out, (const guint8 *)&bytes, sizeof(bytes));
}

/* A string, bytes, or a message that was made in an array of its own. */
static inline void proto_bytes(GByteArray *out, uint32_t field, const void *bytes, size_t n)
{
	proto_varint(out, (uint64_t)field << 3 | 2);
	proto_varint(out, n);
	g_byte_array_append(out, bytes, (guint)n);
}

static inline void proto_text(GByteArray *out, uint32_t field, const char *text)
{
	proto_bytes(out, field, text, strlen(text));
}

static inline void proto_message(GByteArray *out, uint32_t field, const GByteArray *message)
{
	proto_bytes(out, field, message->data, message->len);
}
