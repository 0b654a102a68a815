/* SPDX-License-Identifier: MIT */
/*
 * libdebuginfod is loaded when it is first wanted, so that nothing depends on it (and on curl) otherwise.
 * A server that accepts and stays silent costs the library over 100 s with its default settings. So each
 * request runs on a thread of its own: the progress callback, called about once a second, ends it at our
 * deadline, and a request that does not even get there (name servers that are silent) is left behind.
 * Failures are remembered, because the library forgets those.
 */
#include "common/symbol_debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#define SILENT_US (10 * G_USEC_PER_SEC)
#define REMEMBER_US (600 * G_USEC_PER_SEC)
#define PAUSE_US (60 * G_USEC_PER_SEC)
/* The library ends a request within a second of being told. */
#define GRACE_US (3 * G_USEC_PER_SEC)
#define TICK_US (G_USEC_PER_SEC / 4)
#define MAX_FAILED 10000
/* Before anything arrives, the callback is given a count of its calls instead of bytes. */
#define MANY_BYTES (64 << 10)

/* From <elfutils/debuginfod.h>, whose package is not needed to build. */
typedef struct debuginfod_client debuginfod_client;
typedef int (*progress_fn)(debuginfod_client *client, long a, long b);

struct library {
	debuginfod_client *(*begin)(void);
	int (*find)(debuginfod_client *, const unsigned char *, int, char **);
	void (*set_progress)(debuginfod_client *, progress_fn);
	void (*set_user)(debuginfod_client *, void *);
	void *(*get_user)(debuginfod_client *);
	void (*end)(debuginfod_client *);
};

struct symbol_debuginfod {
	symbol_debuginfod_tick tick; /* or NULL */
	void *user;		     /* of tick */
	gint64 left_us;
	gint64 waited_us; /* of the last request, when it was given up */
	int err; /* -errno of the first failure that is the servers' or the network's; 0 none */
	gboolean is_given_up;
	unsigned n_not_asked;
};

/* One request, shared by who waits and the thread that asks. */
struct request {
	const struct library *library;
	uint8_t build_id[64];
	size_t n_build_id;
	gint64 deadline_us;    /* not to be passed, whatever arrives */
	gint64 last_us;	       /* when something arrived; of the asking thread */
	long last_bytes;       /* of the asking thread */
	gboolean is_over;      /* `lock` */
	gboolean is_abandoned; /* `lock`: the asking thread frees */
	int fd;		       /* `lock`: result or -errno */
};

static GMutex lock;	   /* guards all below; one request at a time */
static GCond changed;	   /* a request is over */
static GHashTable *failed; /* owned: build-id in hex → time of failure, us (owned) */
static gboolean is_asking; /* a request is under way, perhaps an abandoned one */
static gint64 paused_until_us;

static const struct library *library_get(void)
{
	static struct library library;
	static gsize is_tried;

	if (g_once_init_enter(&is_tried)) {
		void *so = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);

		if (so) {
			*(void **)&library.begin = dlsym(so, "debuginfod_begin");
			*(void **)&library.find = dlsym(so, "debuginfod_find_debuginfo");
			*(void **)&library.set_progress = dlsym(so, "debuginfod_set_progressfn");
			*(void **)&library.set_user = dlsym(so, "debuginfod_set_user_data");
			*(void **)&library.get_user = dlsym(so, "debuginfod_get_user_data");
			*(void **)&library.end = dlsym(so, "debuginfod_end");
		}
		g_once_init_leave(&is_tried, 1);
	}
	return library.begin && library.find && library.set_progress && library.set_user &&
			       library.get_user && library.end
		       ? &library
		       : NULL;
}

const char *symbol_debuginfod_missing(void)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	if (!urls || !*urls)
		return "DEBUGINFOD_URLS names no server; set it, for instance to "
		       "https://debuginfod.debian.net";
	if (!library_get())
		return "libdebuginfod.so.1 cannot be loaded; install it with: apt install "
		       "libdebuginfod1";
	return NULL;
}

struct symbol_debuginfod *symbol_debuginfod_new(
	uint64_t limit_ns, symbol_debuginfod_tick tick, void *user)
{
	struct symbol_debuginfod *round;

	if (!limit_ns)
		return NULL;
	round = g_new0(struct symbol_debuginfod, 1);
	round->left_us = (gint64)(limit_ns / 1000);
	round->tick = tick;
	round->user = user;
	return round;
}

void symbol_debuginfod_free(struct symbol_debuginfod *round)
{
	g_free(round);
}

/* Non-zero ends the request. */
static int on_progress(debuginfod_client *client, long a, long b)
{
	struct request *request = library_get()->get_user(client);
	gint64 now = g_get_monotonic_time();

	if ((b > 0 || a > MANY_BYTES) && a != request->last_bytes) {
		request->last_bytes = a;
		request->last_us = now;
	}
	return now > request->deadline_us || now > request->last_us + SILENT_US;
}

static void *ask(void *data)
{
	struct request *request = data;
	const struct library *library = request->library;
	debuginfod_client *client = library->begin();
	char *path = NULL;
	int fd = -ENOMEM;

	if (client) {
		library->set_user(client, request);
		library->set_progress(client, on_progress);
		fd = library->find(client, request->build_id, (int)request->n_build_id, &path);
		library->end(client);
		free(path);
	}
	g_mutex_lock(&lock);
	is_asking = FALSE;
	request->fd = fd;
	request->is_over = TRUE;
	g_cond_broadcast(&changed);
	if (request->is_abandoned) {
		if (fd >= 0)
			close(fd);
		g_free(request);
	}
	g_mutex_unlock(&lock);
	return NULL;
}

/* The descriptor or -errno. Called with `lock` held, which is let go meanwhile. */
static int ask_within(struct symbol_debuginfod *round, const uint8_t *build_id, size_t n_build_id)
{
	struct request *request = g_new0(struct request, 1);
	gint64 now = g_get_monotonic_time(), end = now + round->left_us + GRACE_US;
	GThread *thread;
	int fd;

	request->library = library_get();
	memcpy(request->build_id, build_id, n_build_id);
	request->n_build_id = n_build_id;
	request->last_us = now;
	request->deadline_us = now + round->left_us;
	request->last_bytes = -1;
	thread = g_thread_try_new("debuginfod", ask, request, NULL);
	if (!thread) {
		g_free(request);
		return -EAGAIN;
	}
	g_thread_unref(thread);
	is_asking = TRUE;
	for (; !request->is_over && now < end; now = g_get_monotonic_time()) {
		g_cond_wait_until(&changed, &lock, MIN(end, now + TICK_US));
		/* The request is left behind: nobody waits until the library notices. */
		if (round->tick && round->tick(round->user)) {
			round->left_us = 0;
			break;
		}
	}
	if (!request->is_over) {
		request->is_abandoned = TRUE;
		return -ETIME;
	}
	fd = request->fd;
	g_free(request);
	return fd;
}

/* Called with `lock` held. */
static gboolean has_failed(const char *hex)
{
	const gint64 *when = failed ? g_hash_table_lookup(failed, hex) : NULL;

	return when && g_get_monotonic_time() < *when + REMEMBER_US;
}

static void remember_failure(const char *hex)
{
	gint64 now = g_get_monotonic_time();

	if (!failed)
		failed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	if (g_hash_table_size(failed) >= MAX_FAILED)
		g_hash_table_remove_all(failed);
	g_hash_table_insert(failed, g_strdup(hex), g_memdup2(&now, sizeof(now)));
}

/* Called with `lock` held. */
static int find_locked(struct symbol_debuginfod *round, const uint8_t *build_id, size_t n_build_id,
	const char *hex)
{
	gint64 begin = g_get_monotonic_time(), took;
	int fd;

	if (has_failed(hex))
		return -1;
	if (round->is_given_up || round->left_us <= 0 || is_asking || begin < paused_until_us) {
		round->n_not_asked++;
		round->err = round->err ? round->err : -ETIME;
		return -1;
	}
	fd = ask_within(round, build_id, n_build_id);
	took = g_get_monotonic_time() - begin;
	round->left_us -= took;
	if (fd >= 0)
		return fd;
	remember_failure(hex);
	/* The library calls a request that we ended a file that is not there. */
	if (fd == -ETIME || took >= SILENT_US || round->left_us <= 0) {
		round->is_given_up = TRUE;
		round->waited_us = took;
		paused_until_us = g_get_monotonic_time() + PAUSE_US;
		fd = -ETIME;
	} else if (fd == -ENOENT) {
		return -1;
	}
	round->err = round->err ? round->err : fd;
	return -1;
}

int symbol_debuginfod_find(
	struct symbol_debuginfod *round, const uint8_t *build_id, size_t n_build_id)
{
	GString *hex;
	int fd;

	if (!round || n_build_id == 0 || n_build_id > 64 || symbol_debuginfod_missing())
		return -1;
	hex = g_string_new(NULL);
	for (size_t i = 0; i < n_build_id; i++)
		g_string_append_printf(hex, "%02x", build_id[i]);
	g_mutex_lock(&lock);
	fd = find_locked(round, build_id, n_build_id, hex->str);
	g_mutex_unlock(&lock);
	g_string_free(hex, TRUE);
	return fd;
}

char *symbol_debuginfod_trouble(const struct symbol_debuginfod *round)
{
	const char *missing = round ? symbol_debuginfod_missing() : NULL, *urls;
	GString *text;

	if (missing)
		return g_strdup_printf("Debug files could not be asked for: %s.", missing);
	if (!round || !round->err)
		return NULL;
	urls = getenv("DEBUGINFOD_URLS");
	text = g_string_new(NULL);
	if (round->is_given_up)
		g_string_printf(text,
			"debuginfod (%s) did not answer within %.1f s and was not waited for any "
			"longer",
			urls, (double)round->waited_us / G_USEC_PER_SEC);
	else if (round->err == -ETIME)
		g_string_printf(text,
			"debuginfod (%s) was not asked for everything: it did not "
			"answer a moment ago, or the time limit was reached",
			urls);
	else
		g_string_printf(text, "debuginfod (%s) failed: %s", urls, g_strerror(-round->err));
	if (round->n_not_asked)
		g_string_append_printf(text, "; %u files were not asked for", round->n_not_asked);
	g_string_append(text, ": functions have the names that local files give.");
	return g_string_free(text, FALSE);
}
