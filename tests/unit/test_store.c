/* SPDX-License-Identifier: MIT */
#include "recorder/store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "temp_dir.h"

/* An empty folder; the caller frees its path. */
static char *new_dir(void)
{
	static unsigned n_made;
	char *dir = g_strdup_printf("%s/%u", temp_dir_path, n_made++);

	CHECK_INT(mkdir(dir, 0700), 0);
	return dir;
}

/* Number of entries, hidden ones too. */
static unsigned count(const char *dir)
{
	GDir *d = g_dir_open(dir, 0, NULL);
	unsigned n = 0;

	while (g_dir_read_name(d))
		n++;
	g_dir_close(d);
	return n;
}

static char *content(const char *dir, const char *name)
{
	g_autofree char *path = g_strdup_printf("%s/%s", dir, name);
	char *text = NULL;

	g_file_get_contents(path, &text, NULL, NULL);
	return text;
}

static int exists(const char *dir, const char *name)
{
	g_autofree char *path = g_strdup_printf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

static void publish(const struct store *store, const char *text)
{
	struct store_file file;

	CHECK_INT(store_file_begin(store, &file), 0);
	CHECK(write(file.fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK_INT(store_file_publish(&file), 0);
}

static void test_names(void)
{
	g_autofree char *plain = store_kept_name(1706745599, 0),
			*second = store_kept_name(1706745599, 7);

	CHECK_STR(plain, "trace-20240131T235959Z.out");
	CHECK_STR(second, "trace-20240131T235959Z-007.out");
	CHECK(store_is_kept_name(plain));
	CHECK(store_is_kept_name(second));
	CHECK(!store_is_kept_name("trace.out"));
	CHECK(!store_is_kept_name("trace-mine.out"));
	CHECK(!store_is_kept_name("trace-20240131T235959Z.out.gz"));
	CHECK(!store_is_kept_name("trace-20240131T235959Z-7.out"));
	CHECK(!store_is_kept_name("Trace-20240131T235959Z.out"));
}

static void test_publish(void)
{
	g_autofree char *dir = new_dir(), *why = NULL, *text = NULL;
	struct store store;
	struct store_file file;

	CHECK_INT(store_open(dir, &store, &why), 0);
	CHECK_INT(count(dir), 0);
	CHECK_INT(store_file_begin(&store, &file), 0);
	/* Nobody sees it under its name before it is complete. */
	CHECK(!exists(dir, "trace.out"));
	CHECK_INT(write(file.fd, "one", 3), 3);
	CHECK_INT(store_file_publish(&file), 0);
	text = content(dir, "trace.out");
	CHECK_STR(text, "one");
	CHECK_INT(count(dir), 1);
	CHECK_INT(store_file_begin(&store, &file), 0);
	store_file_discard(&file);
	CHECK_INT(count(dir), 1);
	store_close(&store);
}

static void test_older_is_kept(void)
{
	g_autofree char *dir = new_dir(), *why = NULL, *newest = NULL;
	struct store store;

	CHECK_INT(store_open(dir, &store, &why), 0);
	publish(&store, "one");
	publish(&store, "two");
	publish(&store, "three");
	newest = content(dir, "trace.out");
	CHECK_STR(newest, "three");
	CHECK_INT(count(dir), 3);
	store_close(&store);
}

static void test_retention(void)
{
	g_autofree char *dir = new_dir(), *why = NULL,
			*foreign = g_strdup_printf("%s/trace-mine.out", dir);
	struct store store;

	CHECK_INT(store_open(dir, &store, &why), 0);
	CHECK(g_file_set_contents(foreign, "mine", -1, NULL));
	for (int i = 0; i < STORE_KEEP + 5; i++) {
		g_autofree char *text = g_strdup_printf("%d", i);

		publish(&store, text);
	}
	/* trace.out, the kept ones, and the user's file. */
	CHECK_INT(count(dir), 1 + STORE_KEEP + 1);
	CHECK_INT(access(foreign, F_OK), 0);
	store_close(&store);
}

static void test_oldest_go_first(void)
{
	g_autofree char *dir = new_dir();
	static const char *const names[] = {
		"trace-20240101T000000Z.out",
		"trace-20240101T000000Z-001.out",
		"trace-20240101T000000Z-010.out",
		"trace-20240102T000000Z.out",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_strdup_printf("%s/%s", dir, names[i]);

		CHECK(g_file_set_contents(path, "x", -1, NULL));
	}
	CHECK_INT(store_retain(dir, 2), 2);
	CHECK(!exists(dir, names[0]));
	CHECK(!exists(dir, names[1]));
	CHECK(exists(dir, names[2]));
	CHECK(exists(dir, names[3]));
	CHECK_INT(store_retain(dir, 2), 0);
}

static void test_named_file(void)
{
	g_autofree char *dir = new_dir(), *why = NULL, *path = g_strdup_printf("%s/my.out", dir);
	g_autofree char *text = NULL, *missing = g_strdup_printf("%s/no/my.out", dir);
	struct store_file file;

	CHECK_INT(store_file_begin_at("--trace", path, &file, &why), 0);
	CHECK_INT(write(file.fd, "x", 1), 1);
	CHECK_INT(store_file_publish(&file), 0);
	text = content(dir, "my.out");
	CHECK_STR(text, "x");
	CHECK_INT(store_file_begin_at("--trace", path, &file, &why), 0);
	CHECK_INT(store_file_publish(&file), 0);
	CHECK_INT(count(dir), 1);
	CHECK_INT(store_file_begin_at("--trace", dir, &file, &why), -EINVAL);
	CHECK(why && strstr(why, "folder"));
	g_clear_pointer(&why, g_free);
	CHECK_INT(store_file_begin_at("--trace", missing, &file, &why), -ENOENT);
	CHECK(why && strstr(why, "my.out"));
}

static void test_detach(void)
{
	g_autofree char *dir = new_dir(), *why = NULL;
	struct store store;
	struct store_file file;
	char text[8] = "";
	int fd;

	CHECK_INT(store_open(dir, &store, &why), 0);
	CHECK_INT(store_file_begin(&store, &file), 0);
	CHECK_INT(write(file.fd, "abc", 3), 3);
	fd = store_file_detach(&file);
	CHECK_INT(count(dir), 0);
	CHECK_INT(read(fd, text, sizeof(text)), 3);
	CHECK_STR(text, "abc");
	CHECK_INT(file.fd, -1);
	close(fd);
	store_close(&store);
}

static void test_secured(void)
{
	g_autofree char *dir = new_dir(), *why = NULL, *text = NULL;
	struct store store, later;
	struct store_file file;

	CHECK_INT(store_open(dir, &store, &why), 0);
	CHECK_INT(store_file_begin(&store, &file), 0);
	CHECK_INT(write(file.fd, "streams", 7), 7);
	CHECK_INT(store_file_secure(&file), 0);
	CHECK(strstr(file.temporary, "/trace.out.unnamed.") != NULL);
	CHECK_INT(access(file.temporary, F_OK), 0);
	/* Another recorder starts in the folder. */
	CHECK_INT(store_open(dir, &later, &why), 0);
	CHECK_INT(access(file.temporary, F_OK), 0);
	store_close(&later);
	CHECK_INT(write(file.fd, "+names", 6), 6);
	CHECK_INT(store_file_publish(&file), 0);
	text = content(dir, "trace.out");
	CHECK_STR(text, "streams+names");
	CHECK_INT(count(dir), 1);
	CHECK_INT(store_file_begin(&store, &file), 0);
	CHECK_INT(store_file_secure(&file), 0);
	store_file_discard(&file);
	CHECK_INT(count(dir), 1);
	store_close(&store);
}

static void publish_named(const struct store *store, const char *name, const char *text)
{
	struct store_file file;

	CHECK_INT(store_file_begin_named(store, name, &file), 0);
	CHECK(write(file.fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK_INT(store_file_publish(&file), 0);
}

static void test_named_for_a_death(void)
{
	g_autofree char *dir = new_dir(), *why = NULL, *text = NULL, *early = NULL, *last = NULL;
	struct store store;
	struct store_file file;

	CHECK_INT(store_open(dir, &store, &why), 0);
	CHECK_INT(store_file_begin_named(&store, "trace-a-1-SIGSEGV", &file), 0);
	CHECK_INT(write(file.fd, "streams", 7), 7);
	CHECK_INT(store_file_secure(&file), 0);
	early = content(dir, "trace-a-1-SIGSEGV.out");
	CHECK_STR(early, "streams");
	last = content(dir, "trace.out");
	CHECK_STR(last, "streams");
	CHECK_INT(write(file.fd, "+names", 6), 6);
	CHECK_INT(store_file_publish(&file), 0);
	text = content(dir, "trace-a-1-SIGSEGV.out");
	CHECK_STR(text, "streams+names");
	g_free(last);
	last = content(dir, "trace.out");
	CHECK_STR(last, "streams+names");
	/* Nothing but the two names of one file. */
	CHECK_INT(count(dir), 2);
	/* The next of the same name; the first needs no third name when trace.out moves on. */
	publish_named(&store, "trace-a-1-SIGSEGV", "second");
	CHECK(exists(dir, "trace-a-1-SIGSEGV-001.out"));
	CHECK_INT(count(dir), 3);
	publish(&store, "run");
	CHECK_INT(count(dir), 3);
	/* But a trace that has only that one name is kept. */
	publish_named(&store, "trace-b-2-exit1", "third");
	CHECK_INT(count(dir), 5);
	store_close(&store);
}

static void test_newer_stays_last(void)
{
	g_autofree char *dir = new_dir(), *why = NULL, *text = NULL, *last = NULL;
	struct store store;
	struct store_file file;

	CHECK_INT(store_open(dir, &store, &why), 0);
	CHECK_INT(store_file_begin_named(&store, "trace-a-1-exit1", &file), 0);
	CHECK_INT(write(file.fd, "death", 5), 5);
	CHECK_INT(store_file_secure(&file), 0);
	/* While names are looked up, a newer trace is written. */
	publish(&store, "newer");
	CHECK_INT(write(file.fd, "+names", 6), 6);
	CHECK_INT(store_file_publish(&file), 0);
	last = content(dir, "trace.out");
	CHECK_STR(last, "newer");
	text = content(dir, "trace-a-1-exit1.out");
	CHECK_STR(text, "death+names");
	CHECK_INT(count(dir), 2);
	store_close(&store);
}

static bool is_death(const char *name)
{
	return g_str_has_prefix(name, "trace-a-");
}

static void test_retain_kind(void)
{
	g_autofree char *dir = new_dir(), *why = NULL;
	struct store store;

	CHECK_INT(store_open(dir, &store, &why), 0);
	publish_named(&store, "trace-b-1", "x");
	for (int i = 9; i >= 0; i--) {
		g_autofree char *name = g_strdup_printf("trace-a-%d", i);
		g_autofree char *path = g_strdup_printf("%s/%s.out", dir, name);
		struct timespec times[2] = { { .tv_sec = 2000 - i }, { .tv_sec = 2000 - i } };

		publish_named(&store, name, "x");
		CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
	}
	CHECK_INT(store_retain_kind(dir, is_death, 3), 7);
	/* By age, not by name: 0 is the newest. */
	CHECK(exists(dir, "trace-a-0.out") && exists(dir, "trace-a-2.out"));
	CHECK(!exists(dir, "trace-a-3.out") && exists(dir, "trace-b-1.out"));
	store_close(&store);
}

static void test_orphans(void)
{
	g_autofree char *dir = new_dir(), *why = NULL, *dead = NULL, *living = NULL;
	struct store store;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	dead = g_strdup_printf("%s/.trace.out.%d.0", dir, (int)pid);
	living = g_strdup_printf("%s/.trace.out.%d.99", dir, (int)getpid());
	CHECK(g_file_set_contents(dead, "half", -1, NULL));
	CHECK(g_file_set_contents(living, "half", -1, NULL));
	CHECK_INT(store_open(dir, &store, &why), 0);
	CHECK_INT(access(dead, F_OK), -1);
	CHECK_INT(access(living, F_OK), 0);
	store_close(&store);
}

static void test_unusable_folder(void)
{
	g_autofree char *why = NULL;
	struct store store;

	CHECK_INT(store_open("/proc/no-such-folder", &store, &why), -ENOENT);
	CHECK(why && strstr(why, "/proc/no-such-folder") && strstr(why, "--output-dir"));
}

int main(void)
{
	temp_dir_make(NULL, "test_store");
	CASE(test_names, "names of kept traces carry UTC time, and only they are ours");
	CASE(test_publish, "a trace appears when it is complete");
	CASE(test_older_is_kept, "an older trace.out gets a name of its own");
	CASE(test_retention, "no more than the limit are kept, foreign files stay");
	CASE(test_oldest_go_first, "the oldest go first, also within one second");
	CASE(test_named_file, "a named file is replaced, a folder is refused");
	CASE(test_detach, "a detached file has no name and is read from its start");
	CASE(test_secured, "what is safe has a name that stays until it is published");
	CASE(test_named_for_a_death, "a named file is shown early, and as trace.out, too");
	CASE(test_newer_stays_last, "a newer trace.out is not replaced by an older one");
	CASE(test_retain_kind, "of one kind, the newest files stay");
	CASE(test_orphans, "half-written files of dead recorders are removed");
	CASE(test_unusable_folder, "an unusable folder is named");
	return CHECK_DONE();
}
