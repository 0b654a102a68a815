/* SPDX-License-Identifier: MIT */
/* The page's files as they are. */
#define FILE(name, file)            \
	.global page_##name##_begin; \
	.global page_##name##_end;   \
	.hidden page_##name##_begin; \
	.hidden page_##name##_end;   \
	page_##name##_begin:;       \
	.incbin file;               \
	page_##name##_end:;         \
	.byte 0

	.section .rodata
FILE(index, "viewer/web/index.html")
FILE(style, "viewer/web/style.css")
FILE(app, "viewer/web/app.js")
FILE(model, "viewer/web/model.js")
FILE(lanes, "viewer/web/lanes.js")
FILE(draw, "viewer/web/draw.js")
FILE(timeline, "viewer/web/timeline.js")
FILE(panel, "viewer/web/panel.js")
FILE(flame, "viewer/web/flame.js")
FILE(tables, "viewer/web/tables.js")
	.section .note.GNU-stack, "", %progbits
