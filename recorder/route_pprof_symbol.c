/* SPDX-License-Identifier: MIT */
/* /debug/pprof/symbol, with which pprof asks for names that a profile lacks, and /debug/pprof/cmdline. */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/route_pprof.h"

/* More than any profile has; a body is bounded besides. */
#define MAX_ADDRESSES 65536u

/* Go's ParseUint of base 0; 0 when it is none. */
static uint64_t parse_address(const char *text, size_t n)
{
	g_autofree char *word = g_strndup(text, n);
	const char *digits = word, *allowed = "0123456789";
	char *end;
	int base = 10;
	uint64_t value;

	if (word[0] == '0' && word[1]) {
		switch (g_ascii_tolower(word[1])) {
		case 'x':
			base = 16;
			allowed = "0123456789abcdefABCDEF";
			digits += 2;
			break;
		case 'b':
			base = 2;
			digits += 2;
			break;
		case 'o':
			base = 8;
			digits += 2;
			break;
		default:
			base = 8;
			digits++;
		}
	}
	if (!*digits || digits[strspn(digits, allowed)])
		return 0;
	errno = 0;
	value = strtoull(digits, &end, base);
	return errno || *end ? 0 : value;
}

/* The words of the input, parted by '+'. */
static GArray *parse_addresses(const char *input, size_t n)
{
	GArray *addresses = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	const char *at = input, *end = input + n;

	while (at < end && addresses->len < MAX_ADDRESSES) {
		const char *plus = memchr(at, '+', (size_t)(end - at));
		uint64_t address = parse_address(at, (size_t)((plus ? plus : end) - at));

		if (address)
			g_array_append_val(addresses, address);
		at = plus ? plus + 1 : end;
	}
	return addresses;
}

void route_pprof_symbol(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	g_autoptr(GString) out = g_string_new("num_symbols: 1\n");
	g_autoptr(GArray) addresses = NULL;
	g_autofree char **names = NULL;
	const char *input = http_request_raw_query(request);
	size_t n = strlen(input);
	pid_t pid;

	if (!route_pprof_pid(request, context, &pid))
		return;
	if (http_request_is_post(request))
		input = http_request_body(request, &n);
	addresses = parse_addresses(input, n);
	names = g_new0(char *, addresses->len + 1);
	profiles_symbols(context->profiles, pid, (const uint64_t *)(const void *)addresses->data,
		addresses->len, names);
	for (guint i = 0; i < addresses->len; i++) {
		if (names[i])
			g_string_append_printf(out, "0x%" PRIx64 " %s\n",
				g_array_index(addresses, uint64_t, i), names[i]);
		g_free(names[i]);
	}
	http_reply(request, 200, PPROF_TEXT, out->str, out->len);
}

/* The arguments of the program as we started it, each ended with NUL. */
static GByteArray *own_arguments(const struct routes_context *context)
{
	GByteArray *bytes = g_byte_array_new();

	for (char **argv = context->options->argv; argv && *argv; argv++)
		g_byte_array_append(bytes, (const guint8 *)*argv, (guint)strlen(*argv) + 1);
	return bytes;
}

void route_pprof_cmdline(struct http_request *request, void *user)
{
	struct routes_context *context = user;
	g_autoptr(GByteArray) bytes = NULL;
	size_t n;
	pid_t pid;

	if (!route_pprof_pid(request, context, &pid))
		return;
	if (!profiles_cmdline(context->profiles, pid ? pid : atomic_load(&context->pid), &bytes))
		bytes = own_arguments(context);
	n = bytes->len;
	if (context->options->is_cmdline_redacted)
		n = strnlen((const char *)bytes->data, n);
	else if (n && bytes->data[n - 1] == '\0')
		n--;
	http_reply(request, 200, PPROF_TEXT, bytes->data ? (const char *)bytes->data : "", n);
}
