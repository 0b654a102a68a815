/* SPDX-License-Identifier: MIT */
/*
 * In the file, after lanes and tables, is what the events taught us beside the definitions: threads that no definition
 * names, names that changed, strings. They are arrays of plain structs, saved as they are in memory: the version in the
 * file's tail, which has the sizes of these structs in it, makes sure that nobody else reads them.
 */
#include "viewer/index_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "viewer/finding.h"
#include "viewer/summary.h"

#define META_KIND 99

enum meta {
	META_STRINGS,
	META_PROCESSES,
	META_THREADS,
	META_STACKS,
	META_TIMES,
	META_NOTES,
	META_SUMMARY,
	META_FINDINGS,
	META_N
};
enum { META_ID, META_OFFSET, META_BYTES, META_COLUMNS };

static const uint8_t meta_widths[META_COLUMNS] = { 1, 8, 8 };

/* Times and numbers of struct trace that a run fills in. */
struct times {
	uint64_t begin_ns, end_ns, first_ns, last_ns, n_events, n_outside;
	uint64_t report_events, report_foreign, report_lost;
	int64_t wall_offset_ns;
	uint64_t origin_ns, n_cut;
	uint32_t report_streams, report_failed, has_clock, n_definition_strings;
};

static uint32_t version(void)
{
	return INDEX_VERSION << 24 ^ (uint32_t)sizeof(struct thread) << 16 ^
	       (uint32_t)sizeof(struct process) << 8 ^ (uint32_t)sizeof(struct stack) ^
	       (uint32_t)sizeof(struct times) << 12;
}

static struct pool_schema schema_of(struct pool_key key)
{
	if (key.kind == META_KIND)
		return (struct pool_schema){ meta_widths, META_COLUMNS };
	return index_schema_of(key);
}

static void save(struct pool *pool, struct series *meta, enum meta id, const void *bytes, size_t n)
{
	uint64_t row[META_COLUMNS] = { id, pool_write(pool, bytes, n), n };

	series_append(meta, row);
}

static void save_array(struct pool *pool, struct series *meta, enum meta id, const GArray *array)
{
	save(pool, meta, id, array->data,
		(size_t)array->len * g_array_get_element_size((GArray *)array));
}

/* Strings that came with events, each ended with NUL. */
static void save_strings(
	struct pool *pool, struct series *meta, const struct strings *strings, uint32_t first)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	for (uint32_t i = first; i < strings_n(strings); i++) {
		const char *text = strings_get(strings, i);

		g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text) + 1);
	}
	save(pool, meta, META_STRINGS, bytes->data, bytes->len);
}

static void save_notes(struct pool *pool, struct series *meta, const GPtrArray *notes)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	for (guint i = 0; i < notes->len; i++)
		g_byte_array_append(bytes, notes->pdata[i], (guint)strlen(notes->pdata[i]) + 1);
	save(pool, meta, META_NOTES, bytes->data, bytes->len);
}

/* Writes what makes the file an index that can be opened again. 0 or -errno. */
static int finish_file(const struct indexed *indexed, uint32_t n_definition_strings)
{
	const struct index *index = indexed->index;
	const struct trace *trace = index->trace;
	struct pool *pool = index->pool;
	struct series *meta = pool_add(pool, (struct pool_key){ .kind = META_KIND },
		(struct pool_schema){ meta_widths, META_COLUMNS });
	struct times times = {
		.begin_ns = trace->begin_ns,
		.end_ns = trace->end_ns,
		.first_ns = trace->first_ns,
		.last_ns = trace->last_ns,
		.n_events = trace->n_events,
		.n_outside = trace->n_outside,
		.report_events = trace->report.n_events,
		.report_foreign = trace->report.n_foreign,
		.report_lost = trace->report.n_lost,
		.wall_offset_ns = trace->report.wall_offset_ns,
		.origin_ns = index->origin_ns,
		.n_cut = index->n_cut,
		.report_streams = trace->report.n_streams,
		.report_failed = trace->report.n_failed,
		.has_clock = (uint32_t)trace->report.has_clock,
		.n_definition_strings = n_definition_strings,
	};

	save_strings(pool, meta, trace->strings, n_definition_strings);
	save_array(pool, meta, META_PROCESSES, trace->processes);
	save_array(pool, meta, META_THREADS, trace->threads);
	save_array(pool, meta, META_STACKS, trace->stacks.stacks);
	save(pool, meta, META_TIMES, &times, sizeof(times));
	save_notes(pool, meta, trace->notes);
	save(pool, meta, META_SUMMARY, indexed->summary, strlen(indexed->summary) + 1);
	save(pool, meta, META_FINDINGS, indexed->findings, strlen(indexed->findings) + 1);
	return pool_finish(pool, version());
}

/* A blob of the file, NULL: not there. */
static const void *blob(const struct pool *pool, enum meta id, size_t *n_out)
{
	const struct series *meta = pool_find(pool, (struct pool_key){ .kind = META_KIND });

	for (uint64_t row = 0; meta && row < series_n(meta); row++) {
		if (series_get(meta, row, META_ID) != id)
			continue;
		*n_out = (size_t)series_get(meta, row, META_BYTES);
		return pool_bytes(pool, series_get(meta, row, META_OFFSET), *n_out);
	}
	return NULL;
}

static gboolean load_array(const struct pool *pool, enum meta id, GArray *array)
{
	size_t n, size = g_array_get_element_size(array);
	const void *bytes = blob(pool, id, &n);

	if (!bytes || n % size || n / size > G_MAXUINT32 || n / size < array->len)
		return FALSE;
	g_array_set_size(array, 0);
	g_array_append_vals(array, bytes, (guint)(n / size));
	return TRUE;
}

static gboolean load_texts(
	const struct pool *pool, enum meta id, void (*fn)(void *user, const char *text), void *user)
{
	size_t n;
	const char *bytes = blob(pool, id, &n), *end;

	if (!bytes || (n && bytes[n - 1] != '\0'))
		return FALSE;
	for (end = bytes + n; bytes < end; bytes += strlen(bytes) + 1)
		fn(user, bytes);
	return TRUE;
}

static void take_string(void *user, const char *text)
{
	strings_add(user, text);
}

static void take_note(void *user, const char *text)
{
	g_ptr_array_add(user, g_strdup(text));
}

static gboolean load_tables(struct index *index)
{
	for (int i = 0; i < INDEX_N_TABLES; i++) {
		index->tables[i] = pool_find(index->pool, index_table_key((enum index_table_id)i));
		if (!index->tables[i])
			return FALSE;
	}
	return TRUE;
}

/* Fills `trace`, which has its definitions, from the index. */
static gboolean load(struct index *index, struct trace *trace)
{
	const struct times *times;
	size_t n;

	times = blob(index->pool, META_TIMES, &n);
	if (!times || n != sizeof(*times) ||
		times->n_definition_strings != strings_n(trace->strings))
		return FALSE;
	if (!load_array(index->pool, META_PROCESSES, trace->processes) ||
		!load_array(index->pool, META_THREADS, trace->threads) ||
		!load_array(index->pool, META_STACKS, trace->stacks.stacks) || !load_tables(index))
		return FALSE;
	g_ptr_array_set_size(trace->notes, 0);
	if (!load_texts(index->pool, META_STRINGS, take_string, trace->strings) ||
		!load_texts(index->pool, META_NOTES, take_note, trace->notes))
		return FALSE;
	trace->begin_ns = times->begin_ns;
	trace->end_ns = times->end_ns;
	trace->first_ns = times->first_ns;
	trace->last_ns = times->last_ns;
	trace->n_events = times->n_events;
	trace->n_outside = times->n_outside;
	trace->report.n_events = times->report_events;
	trace->report.n_foreign = times->report_foreign;
	trace->report.n_lost = times->report_lost;
	trace->report.n_streams = times->report_streams;
	trace->report.n_failed = times->report_failed;
	trace->report.has_clock = (int)times->has_clock;
	trace->report.wall_offset_ns = times->wall_offset_ns;
	index->origin_ns = times->origin_ns;
	index->n_cut = times->n_cut;
	index->trace = trace;
	return TRUE;
}

/* A text, to g_free(); NULL: not there. */
static char *load_text(const struct indexed *indexed, enum meta id)
{
	size_t n;
	const char *text = blob(indexed->index->pool, id, &n);

	return text && n && text[n - 1] == '\0' ? g_strdup(text) : NULL;
}

static gboolean load_summary(struct indexed *indexed)
{
	indexed->summary = load_text(indexed, META_SUMMARY);
	indexed->findings = load_text(indexed, META_FINDINGS);
	return indexed->summary && indexed->findings;
}

/* The folder of all indexes, to g_free(); NULL: none is to be kept, or there is no home. */
static char *cache_folder(const struct index_options *options)
{
	if (options->cache)
		return *options->cache ? g_strdup(options->cache) : NULL;
	return g_build_filename(g_get_user_cache_dir(), "flightrec", NULL);
}

/* Names the trace at `path` by what it is, to g_free(); NULL when it cannot be kept: it is a folder, or not there. */
static char *identity(const char *path)
{
	struct stat st;
	g_autofree char *text = NULL;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	text = g_strdup_printf("%ju %ju %jd %jd.%09ld %u", (uintmax_t)st.st_dev,
		(uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec, version());
	return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static gboolean open_kept(
	const char *folder, const struct index_options *options, struct indexed *out)
{
	g_autofree char *file = g_build_filename(folder, "index", NULL);
	struct indexed found = { .was_kept = 1, .index = g_new0(struct index, 1) };
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && pool_open(fd, version(), schema_of, &found.index->pool) == 0)
		found.trace = trace_open(folder, options->max_size, NULL);
	if (found.trace && load(found.index, found.trace) && load_summary(&found)) {
		/* What was used last goes last. */
		utimensat(AT_FDCWD, folder, NULL, 0);
		*out = found;
		return TRUE;
	}
	indexed_close(&found);
	return FALSE;
}

static gboolean copy_file(const char *from, const char *to)
{
	g_autofree char *bytes = NULL;
	gsize n;

	return g_file_get_contents(from, &bytes, &n, NULL) &&
	       g_file_set_contents(to, bytes, (gssize)n, NULL);
}

/* The state trace: a few files, no folders. */
static gboolean copy_state(const char *from, const char *folder)
{
	g_autofree char *to = g_build_filename(folder, "trace", "state", NULL);
	g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
	const char *name;

	if (!dir || g_mkdir_with_parents(to, 0700) < 0)
		return FALSE;
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *source = g_build_filename(from, name, NULL);
		g_autofree char *target = g_build_filename(to, name, NULL);

		if (!copy_file(source, target))
			return FALSE;
	}
	return TRUE;
}

struct kept {
	char *path;
	int64_t used; /* seconds */
	uint64_t bytes;
};

static int compare_kept(gconstpointer a, gconstpointer b)
{
	int64_t x = ((const struct kept *)a)->used, y = ((const struct kept *)b)->used;

	return (x < y) - (x > y);
}

/* Removes what was not used for longest, until all fit; `bytes` more are to come. */
static void make_room(const char *cache, uint64_t max_bytes)
{
	g_autoptr(GDir) dir = g_dir_open(cache, 0, NULL);
	GArray *all = g_array_new(FALSE, FALSE, sizeof(struct kept));
	uint64_t sum = 0;
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		struct kept kept = { .path = g_build_filename(cache, name, NULL) };
		struct stat st;

		if (lstat(kept.path, &st) < 0 || !S_ISDIR(st.st_mode)) {
			g_free(kept.path);
			continue;
		}
		kept.used = st.st_mtim.tv_sec;
		kept.bytes = fs_tree_bytes(kept.path);
		g_array_append_val(all, kept);
	}
	g_array_sort(all, compare_kept);
	for (guint i = 0; i < all->len; i++) {
		const struct kept *kept = &g_array_index(all, struct kept, i);

		sum += kept->bytes;
		/* The newest stays, however large: it is in use. */
		if (sum > max_bytes && i > 0)
			fs_remove_tree(kept->path);
		g_free(kept->path);
	}
	g_array_unref(all);
}

/* A file without a name, for an index that nobody keeps. */
int index_scratch_file(void)
{
	static const char *const places[] = { "/var/tmp", "/tmp" };
	const char *tmpdir = g_getenv("TMPDIR");
	int fd = tmpdir ? open(tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

	for (size_t i = 0; fd < 0 && i < G_N_ELEMENTS(places); i++)
		fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd;
}

struct progress {
	const struct index_options *options;
	uint64_t n;
};

static int on_event(void *self, struct trace *trace, const struct trace_event *at)
{
	struct progress *progress = self;
	uint64_t span = trace->end_ns > trace->begin_ns ? trace->end_ns - trace->begin_ns : 0;

	if (++progress->n % 65536 == 0 && span)
		progress->options->on_progress(progress->options->user,
			CLAMP((double)(at->begin_ns - trace->begin_ns) / (double)span, 0, 1));
	return 0;
}

/* The summary as text; NULL when there is no memory for it. */
static char *print_summary(struct summary *summary)
{
	char *text = NULL, *copy = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	int err;

	if (!out)
		return NULL;
	summary_finish(summary);
	err = summary_print_json(summary, out, 0);
	if (fclose(out) == 0 && err == 0)
		copy = g_strdup(text);
	free(text);
	return copy;
}

/* Reads all events into an index in `fd`. */
static gboolean build(
	int fd, const struct index_options *options, struct indexed *out, GError **error)
{
	struct index_builder *builder = index_builder_new(out->trace, fd);
	struct progress progress = { options, 0 };
	struct trace_pass passes[SUMMARY_N_PASSES + 2] = { index_builder_pass(builder),
		{ .event = on_event, .self = &progress, .is_unclipped = 1 } };
	size_t first = options->on_progress ? 2 : 1;
	struct summary summary;

	summary_init(&summary, out->trace);
	summary_passes(&summary, passes + first);
	if (!trace_run(out->trace, passes, first + SUMMARY_N_PASSES, error)) {
		index_builder_free(builder);
		summary_fini(&summary);
		return FALSE;
	}
	out->index = index_builder_finish(builder, error);
	if (out->index) {
		out->summary = print_summary(&summary);
		out->findings = findings_text(out->index);
	}
	summary_fini(&summary);
	return out->index != NULL;
}

gboolean indexed_open(
	const char *path, const struct index_options *options, struct indexed *out, GError **error)
{
	g_autofree char *cache = cache_folder(options), *name = cache ? identity(path) : NULL;
	g_autofree char *folder = name ? g_build_filename(cache, name, NULL) : NULL;
	g_autofree char *making = NULL, *file = NULL;
	uint32_t n_strings;
	int fd = -1;

	*out = (struct indexed){ 0 };
	if (folder && open_kept(folder, options, out)) {
		unpack_fini(&out->trace->files);
		return TRUE;
	}
	out->trace = trace_open(path, options->max_size, error);
	if (!out->trace)
		return FALSE;
	n_strings = strings_n(out->trace->strings);
	if (folder) {
		making = g_strdup_printf("%s/.%s.%d", cache, name, (int)getpid());
		file = g_build_filename(making, "index", NULL);
		if (g_mkdir_with_parents(making, 0700) == 0)
			fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (fd < 0) {
		/* No room for a cache, or no wish: it works without. */
		g_clear_pointer(&folder, g_free);
		fd = index_scratch_file();
	}
	if (fd < 0) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM,
			"There is no place for an index: no file can be made in /var/tmp or /tmp; "
			"set TMPDIR");
		indexed_close(out);
		return FALSE;
	}
	if (!build(fd, options, out, error)) {
		if (making)
			fs_remove_tree(making);
		indexed_close(out);
		return FALSE;
	}
	if (folder && out->summary && finish_file(out, n_strings) == 0 &&
		out->trace->files.state && copy_state(out->trace->files.state, making)) {
		fs_remove_tree(folder);
		if (rename(making, folder) == 0)
			make_room(
				cache, options->max_cache ? options->max_cache : INDEX_STORE_BYTES);
	}
	if (making)
		fs_remove_tree(making);
	/* Nobody reads the streams again: why keep them. */
	unpack_fini(&out->trace->files);
	return TRUE;
}

void indexed_close(struct indexed *indexed)
{
	index_free(indexed->index);
	trace_free(indexed->trace);
	g_free(indexed->summary);
	g_free(indexed->findings);
	*indexed = (struct indexed){ 0 };
}
