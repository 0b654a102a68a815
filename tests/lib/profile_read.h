/* SPDX-License-Identifier: MIT */
/* Reads a packed profile back, as any reader would: gunzip, then protobuf. */
#pragma once

#include <glib.h>
#include <zlib.h>

#include "profile.pb-c.h"

/* NULL when it is no gzip or no profile. Free with perftools__profiles__profile__free_unpacked(p, NULL). */
static inline Perftools__Profiles__Profile *profile_read(const GByteArray *packed)
{
	z_stream stream = { .next_in = packed->data, .avail_in = packed->len };
	size_t size = 1 << 20;
	g_autofree uint8_t *bytes = g_malloc(size);

	stream.next_out = bytes;
	stream.avail_out = size;
	if (inflateInit2(&stream, 16 + 15) != Z_OK || inflate(&stream, Z_FINISH) != Z_STREAM_END) {
		inflateEnd(&stream);
		return NULL;
	}
	size = stream.total_out;
	inflateEnd(&stream);
	return perftools__profiles__profile__unpack(NULL, size, bytes);
}

static inline const char *profile_text(const Perftools__Profiles__Profile *profile, int64_t index)
{
	return index >= 0 && (size_t)index < profile->n_string_table ? profile->string_table[index]
								     : "(bad index)";
}
