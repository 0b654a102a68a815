/* SPDX-License-Identifier: MIT */
#include "viewer/csv.h"

#include <string.h>

static void put(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

void csv_row(FILE *out, int n, const char *const *values)
{
	for (int i = 0; i < n; i++) {
		if (values[i])
			put(out, values[i]);
		putc(i == n - 1 ? '\n' : ',', out);
	}
}
