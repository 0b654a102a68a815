/* SPDX-License-Identifier: MIT */
#include "viewer/page.h"

#include <string.h>

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"

/* X(name in page_files.S, path, type) */
#define PAGE_TABLE(X)                   \
	X(index, "/", HTML)             \
	X(style, "/style.css", CSS)     \
	X(app, "/app.js", JS)           \
	X(model, "/model.js", JS)       \
	X(lanes, "/lanes.js", JS)       \
	X(draw, "/draw.js", JS)         \
	X(timeline, "/timeline.js", JS) \
	X(panel, "/panel.js", JS)       \
	X(flame, "/flame.js", JS)       \
	X(tables, "/tables.js", JS)

#define FR_X(name, path, type) extern const char page_##name##_begin[], page_##name##_end[];
PAGE_TABLE(FR_X)
#undef FR_X

const struct page_file page_files[] = {
#define FR_X(name, path, type) { path, type, page_##name##_begin, page_##name##_end },
	PAGE_TABLE(FR_X)
#undef FR_X
		{ NULL, NULL, NULL, NULL },
};

const struct page_file *page_find(const char *path)
{
	for (const struct page_file *file = page_files; file->path; file++)
		if (strcmp(file->path, path) == 0)
			return file;
	return NULL;
}
