/* SPDX-License-Identifier: MIT */
/*
 * libiberty knows both Rust schemes (legacy `_ZN…17h<hash>E` and v0 `_R…`) and C++, and it bounds its
 * recursion, which matters because names come out of files we did not make.
 */
#include "common/symbol_demangle.h"

#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <libiberty/demangle.h>

#define MAX_NAME 4096

char *symbol_demangle(const char *name)
{
	char *text, *copy;

	if (strncmp(name, "_Z", 2) != 0 && strncmp(name, "_R", 2) != 0 &&
		strncmp(name, "___Z", 4) != 0)
		return NULL;
	/* The time to demangle may grow faster than the name: real ones stay far below this. */
	if (strlen(name) > 64 * 1024)
		return NULL;
	text = rust_demangle(name, DMGL_NO_OPTS);
	if (!text)
		text = cplus_demangle_v3(name, DMGL_NO_OPTS);
	if (!text)
		return NULL;
	copy = symbol_utf8(text);
	free(text);
	return copy;
}

static gboolean is_plain(gunichar c)
{
	return c == '\t' || c == '\n' || (c >= 0x20 && c != 0x7f);
}

char *symbol_utf8(const char *text)
{
	GString *out = g_string_new(NULL);

	while (*text && out->len < MAX_NAME) {
		gunichar c = g_utf8_get_char_validated(text, -1);

		if (c == (gunichar)-1 || c == (gunichar)-2 || !is_plain(c)) {
			g_string_append_printf(out, "\\x%02x", (unsigned char)*text);
			text++;
			continue;
		}
		g_string_append_unichar(out, c);
		text = g_utf8_next_char(text);
	}
	if (*text)
		g_string_append(out, "…");
	return g_string_free(out, FALSE);
}
