/* SPDX-License-Identifier: MIT */
/*
 * libdebuginfod is loaded when it is first wanted, so that nothing depends on it (and on curl) otherwise.
 * A server that accepts and stays silent costs the library over 100 s with its default settings; the
 * progress callback, called at least once a second, ends a request at our own deadline. Failures are
 * remembered, because the library forgets those.
 */
#include "common/symbol_debuginfod.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include <glib.h>

#define LIMIT_US (10 * G_USEC_PER_SEC)

/* From <elfutils/debuginfod.h>, whose package is not needed to build. */
typedef struct debuginfod_client debuginfod_client;
typedef int (*progress_fn)(debuginfod_client *client, long a, long b);

struct library {
	debuginfod_client *(*begin)(void);
	int (*find)(debuginfod_client *, const unsigned char *, int, char **);
	void (*set_progress)(debuginfod_client *, progress_fn);
	void (*end)(debuginfod_client *);
};

static GMutex lock;	   /* guards all below; one request at a time */
static GHashTable *failed; /* owned: build-ids in hex */
static gint64 deadline_us;

static const struct library *library_get(void)
{
	static struct library library;
	static int is_tried;
	void *so;

	if (is_tried)
		return library.end ? &library : NULL;
	is_tried = 1;
	so = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!so)
		return NULL;
	*(void **)&library.begin = dlsym(so, "debuginfod_begin");
	*(void **)&library.find = dlsym(so, "debuginfod_find_debuginfo");
	*(void **)&library.set_progress = dlsym(so, "debuginfod_set_progressfn");
	if (library.begin && library.find && library.set_progress)
		*(void **)&library.end = dlsym(so, "debuginfod_end");
	return library.end ? &library : NULL;
}

static int past_deadline(debuginfod_client *client, long a, long b)
{
	(void)client, (void)a, (void)b;
	return g_get_monotonic_time() > deadline_us;
}

static int find_locked(const uint8_t *build_id, size_t n_build_id)
{
	const struct library *library = library_get();
	debuginfod_client *client;
	char *path = NULL;
	int fd;

	if (!library)
		return -1;
	client = library->begin();
	if (!client)
		return -1;
	deadline_us = g_get_monotonic_time() + LIMIT_US;
	library->set_progress(client, past_deadline);
	fd = library->find(client, build_id, (int)n_build_id, &path);
	library->end(client);
	free(path);
	return fd < 0 ? -1 : fd;
}

int symbol_debuginfod_find(const uint8_t *build_id, size_t n_build_id)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	GString *hex;
	int fd = -1;

	if (!urls || !*urls || n_build_id == 0 || n_build_id > 64)
		return -1;
	hex = g_string_new(NULL);
	for (size_t i = 0; i < n_build_id; i++)
		g_string_append_printf(hex, "%02x", build_id[i]);
	g_mutex_lock(&lock);
	if (!failed)
		failed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!g_hash_table_contains(failed, hex->str)) {
		fd = find_locked(build_id, n_build_id);
		if (fd < 0)
			g_hash_table_add(failed, g_strdup(hex->str));
	}
	g_mutex_unlock(&lock);
	g_string_free(hex, TRUE);
	return fd;
}
