/* SPDX-License-Identifier: MIT */
#include "viewer/serve_pprof.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "viewer/derive.h"

static void refuse(struct http_request *request, unsigned status, const char *sentence)
{
	g_autofree char *text = g_strdup_printf("%s\n", sentence);

	http_reply(request, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* A bound of time as the command line wants it, to g_free(); NULL: none was asked. */
static char *bound(const struct http_request *request, const char *key)
{
	const char *text = http_request_query(request, key);
	char *end;
	uint64_t ns;

	if (!text || !*text)
		return NULL;
	ns = g_ascii_strtoull(text, &end, 10);
	return *end ? NULL : g_strdup_printf("--%s=%" G_GUINT64_FORMAT "ns", key, ns);
}

void serve_pprof(struct http_request *request, const char *path)
{
	const char *name = http_request_query(request, "type");
	const struct derivation *type = name ? derive_find(name) : NULL;
	g_autofree char *output = NULL, *option = NULL, *message = NULL, *file = NULL;
	g_autofree char *from = bound(request, "from"), *to = bound(request, "to");
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	struct stat st;
	int fd, status = -1;

	if (!type) {
		refuse(request, 404, "there is no such profile");
		return;
	}
	fd = g_file_open_tmp("trace-view-XXXXXX.pb.gz", &output, NULL);
	if (fd < 0) {
		refuse(request, 500, "there is no place for a temporary file");
		return;
	}
	option = g_strdup_printf("--type=%s", type->name);
	file = g_strdup_printf("%s.pb.gz", type->name);
	g_ptr_array_add(argv, (char *)(uintptr_t) "/proc/self/exe");
	g_ptr_array_add(argv, (char *)(uintptr_t) "pprof");
	g_ptr_array_add(argv, option);
	if (from)
		g_ptr_array_add(argv, from);
	if (to)
		g_ptr_array_add(argv, to);
	g_ptr_array_add(argv, (char *)(uintptr_t) "-o");
	g_ptr_array_add(argv, output);
	g_ptr_array_add(argv, (char *)(uintptr_t) "--");
	g_ptr_array_add(argv, (char *)(uintptr_t)path);
	g_ptr_array_add(argv, NULL);
	g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
		&message, &status, NULL);
	unlink(output);
	if (status != 0 || fstat(fd, &st) < 0) {
		close(fd);
		refuse(request, 400,
			message && *message ? message : "the profile could not be made");
		return;
	}
	http_reply_file(request, "application/octet-stream", file, fd, (uint64_t)st.st_size);
}
