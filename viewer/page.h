/* SPDX-License-Identifier: MIT */
/* The files of the page, inside the program: it works without anything installed beside it. */
#pragma once

#include <stddef.h>

struct page_file {
	const char *path; /* "/" is the page itself */
	const char *type;
	const char *begin, *end;
};

/* Ends with a NULL path. */
extern const struct page_file page_files[];

/* The file of that path, NULL: none. */
const struct page_file *page_find(const char *path);
