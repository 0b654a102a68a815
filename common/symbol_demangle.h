/* SPDX-License-Identifier: MIT */
/* C++ and Rust symbol names → names as in the source. */
#pragma once

/*
 * The name as people write it, without parameters but with template arguments:
 * `_ZN3boxIiE3getEv` → `box<int>::get`. Rust names lose their hash. NULL when the name is not mangled.
 * The caller frees the result with g_free(). Any thread.
 */
char *symbol_demangle(const char *name);

/*
 * Valid UTF-8 for a trace: bytes that are not, and control characters but tab and newline, become
 * `\xNN`; the length is cut at 4096 bytes. The caller frees the result with g_free().
 */
char *symbol_utf8(const char *text);
