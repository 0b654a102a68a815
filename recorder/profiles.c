/* SPDX-License-Identifier: MIT */
/*
 * A request opens the blackboxes anew, collects rows, finds names and writes: nothing is kept between requests but
 * names. What it reads may be a moment apart; every table only grows, so no number is wrong by more than what
 * happened meanwhile.
 */
#include "recorder/profiles.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/blackbox_tables.h"
#include "recorder/deadlock.h"
#include "recorder/dump.h"
#include "recorder/procfs.h"
#include "recorder/profile_symbols.h"
#include "recorder/profiles_internal.h"
#include "recorder/thread_ask.h"
#include "viewer/profile_text.h"

/* Command lines that are kept for after the death of their processes. */
#define MAX_CMDLINE_BYTES ((size_t)4 << 20)

int profiles_new(const char *rundir, struct fr_control *control, struct symbol_cache *symbols,
	struct profiles **profiles_out)
{
	struct profiles *profiles = g_new0(struct profiles, 1);

	profiles->rundir = g_strdup(rundir);
	profiles->control = control;
	profiles->orders = orders_new(control);
	profiles->cache = symbols;
	profiles->sizes = profile_rows_new();
	g_mutex_init(&profiles->building);
	g_mutex_init(&profiles->lock);
	profiles->cmdlines =
		g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_byte_array_unref);
	profiles_cpu_init(&profiles->cpu);
	*profiles_out = profiles;
	return 0;
}

void profiles_free(struct profiles *profiles)
{
	if (!profiles)
		return;
	profiles_cpu_fini(profiles);
	orders_free(profiles->orders);
	profile_rows_free(profiles->sizes);
	g_hash_table_unref(profiles->cmdlines);
	g_mutex_clear(&profiles->building);
	g_mutex_clear(&profiles->lock);
	g_free(profiles->rundir);
	g_free(profiles);
}

void profiles_set_engine(struct profiles *profiles, enum profiles_engine engine)
{
	profiles->engine = engine;
}

int64_t profiles_now_real(void)
{
	return g_get_real_time() * 1000;
}

/* Remembers what /proc forgets when a process dies. */
static void note_cmdlines(struct profiles *profiles, const GPtrArray *processes)
{
	g_mutex_lock(&profiles->lock);
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		void *key = GUINT_TO_POINTER(process->id);
		g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)process->pid);
		g_autofree char *text = NULL;
		GByteArray *bytes;
		size_t n = 0;

		if (!process->is_alive || g_hash_table_contains(profiles->cmdlines, key) ||
			profiles->cmdline_bytes > MAX_CMDLINE_BYTES ||
			!g_file_get_contents(path, &text, &n, NULL) || n == 0)
			continue;
		bytes = g_byte_array_sized_new((guint)n);
		g_byte_array_append(bytes, (const guint8 *)text, (guint)n);
		g_hash_table_insert(profiles->cmdlines, key, bytes);
		profiles->cmdline_bytes += n;
	}
	g_mutex_unlock(&profiles->lock);
}

int profiles_open(struct profiles *profiles, pid_t pid, GPtrArray **processes_out, char **why_out)
{
	GPtrArray *processes = profile_processes_open(profiles ? profiles->rundir : NULL, pid);

	if (pid && processes->len == 0) {
		g_ptr_array_unref(processes);
		*why_out = g_strdup_printf("No traced process has or had the pid %d", (int)pid);
		return PROFILES_E_NO_PROCESS;
	}
	if (profiles)
		note_cmdlines(profiles, processes);
	*processes_out = processes;
	return 0;
}

const struct profile_kind *profiles_kind(struct profiles *profiles, const char *name,
	const GPtrArray *processes, struct profile_kind *space)
{
	const struct profile_kind *kind = profile_kind_find(name);
	g_auto(GStrv) customs = NULL;

	if (kind)
		return kind;
	customs = profile_custom_names(processes);
	if (!g_strv_contains((const char *const *)customs, name))
		return NULL;
	profile_kind_custom(name, space);
	return space;
}

uint64_t profiles_period(const struct profiles *profiles, const struct profile_kind *kind,
	const GPtrArray *processes)
{
	uint64_t rate = 0;

	if (kind != &profile_kind_heap && kind != &profile_kind_allocs)
		return 1;
	if (profiles && profiles->control)
		rate = __atomic_load_n(&profiles->control->alloc_rate, __ATOMIC_RELAXED);
	return rate ? rate : profile_heap_rate(processes);
}

GByteArray *profiles_pack(struct profiles *profiles, const struct profile_build *build)
{
	struct profile *profile;
	GByteArray *bytes;

	if (profiles)
		g_mutex_lock(&profiles->building);
	profile = profile_build(build);
	bytes = profile_pack(profile);
	profile_free(profile);
	if (profiles)
		g_mutex_unlock(&profiles->building);
	return bytes;
}

static GByteArray *bytes_of(GString *text)
{
	gsize n = text->len;

	return g_byte_array_new_take((guint8 *)g_string_free(text, FALSE), n);
}

GByteArray *profiles_write_text(struct profiles *profiles, const struct profile_build *build)
{
	const struct profile_kind *kind = build->kind;
	GString *out = g_string_new(NULL);
	struct profile *profile;

	if (profiles)
		g_mutex_lock(&profiles->building);
	profile = profile_build(build);
	kind->write_text(kind, profile, build->processes, build->period, out);
	profile_free(profile);
	if (profiles)
		g_mutex_unlock(&profiles->building);
	return bytes_of(out);
}

static GByteArray *write_dump(struct profiles *profiles, const GPtrArray *processes)
{
	uint32_t wanted = thread_ask(profiles ? profiles->orders : NULL, processes);
	GString *out = g_string_new(NULL);

	if (profiles)
		g_mutex_lock(&profiles->building);
	dump_write(processes, wanted, profiles ? profiles->cache : NULL, out);
	if (profiles)
		g_mutex_unlock(&profiles->building);
	return bytes_of(out);
}

int profiles_take(struct profiles *profiles, const char *name, const struct profiles_query *query,
	GByteArray **bytes_out, char **why_out)
{
	g_autoptr(GPtrArray) processes = NULL;
	struct profile_kind space;
	struct profile_build build = { 0 };
	struct profile_rows *rows;
	uint32_t wanted = 0;
	int rc = profiles_open(profiles, query->pid, &processes, why_out);

	if (rc)
		return rc;
	build.kind = profiles_kind(profiles, name, processes, &space);
	if (!build.kind) {
		*why_out = g_strdup("Unknown profile");
		return PROFILES_E_UNKNOWN;
	}
	if (build.kind->is_threads && query->debug >= 2) {
		*bytes_out = write_dump(profiles, processes);
		return 0;
	}
	if (build.kind->is_threads)
		wanted = thread_ask(profiles ? profiles->orders : NULL, processes);
	rows = profile_rows_new();
	build.kind->collect(build.kind, processes, wanted, rows);
	build.processes = processes;
	build.rows = rows;
	build.cache = profiles ? profiles->cache : NULL;
	build.sizes = profiles ? profiles->sizes : NULL;
	build.time_ns = profiles_now_real();
	build.period = profiles_period(profiles, build.kind, processes);
	if (query->debug > 0) {
		if (build.kind->scale_text)
			build.kind->scale_text(rows, build.period);
		*bytes_out = profiles_write_text(profiles, &build);
	} else {
		if (build.kind->scale)
			build.kind->scale(rows);
		*bytes_out = profiles_pack(profiles, &build);
	}
	profile_rows_free(rows);
	return 0;
}

bool profiles_is_known(struct profiles *profiles, const char *name, bool *has_delta_out)
{
	g_autoptr(GPtrArray) processes =
		profile_processes_open(profiles ? profiles->rundir : NULL, 0);
	struct profile_kind space;
	const struct profile_kind *kind = profiles_kind(profiles, name, processes, &space);

	if (kind && has_delta_out)
		*has_delta_out = kind->has_delta;
	return kind != NULL;
}

bool profiles_is_alive(struct profiles *profiles)
{
	g_autoptr(GPtrArray) processes =
		profile_processes_open(profiles ? profiles->rundir : NULL, 0);

	return profile_processes_are_alive(processes);
}

bool profiles_has_pid(struct profiles *profiles, pid_t pid)
{
	g_autoptr(GPtrArray) processes =
		profile_processes_open(profiles ? profiles->rundir : NULL, pid);

	return processes->len > 0;
}

static void entry_clear(void *data)
{
	g_free(((struct profiles_entry *)data)->name);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(
		((const struct profiles_entry *)a)->name, ((const struct profiles_entry *)b)->name);
}

static uint64_t count_of(const struct profile_kind *kind, const GPtrArray *processes)
{
	struct profile_rows *rows;
	uint64_t n;

	if (kind->count)
		return kind->count(kind, processes);
	rows = profile_rows_new();
	kind->collect(kind, processes, 0, rows);
	n = rows->all->len;
	profile_rows_free(rows);
	return n;
}

GArray *profiles_list(struct profiles *profiles, pid_t pid)
{
	GArray *entries = g_array_new(FALSE, FALSE, sizeof(struct profiles_entry));
	g_autoptr(GPtrArray) processes =
		profile_processes_open(profiles ? profiles->rundir : NULL, pid);
	g_auto(GStrv) customs = profile_custom_names(processes);

	g_array_set_clear_func(entries, entry_clear);
	for (size_t i = 0; profile_kinds[i]; i++) {
		struct profiles_entry entry = {
			.name = g_strdup(profile_kinds[i]->name),
			.about = profile_kinds[i]->about,
			.count = count_of(profile_kinds[i], processes),
		};

		g_array_append_val(entries, entry);
	}
	for (char **name = customs; *name; name++) {
		struct profile_kind kind;
		struct profiles_entry entry = { .name = g_strdup(*name), .about = "" };

		profile_kind_custom(*name, &kind);
		entry.count = count_of(&kind, processes);
		g_array_append_val(entries, entry);
	}
	g_array_sort(entries, compare_entries);
	return entries;
}

/* Appends "N TEXT" for what is not 0. */
static void append_loss(GString *out, uint64_t n, const char *text)
{
	if (n)
		g_string_append_printf(
			out, "%s%" G_GUINT64_FORMAT " %s", out->len ? ", " : "", n, text);
}

char *profiles_losses(struct profiles *profiles, const char *name, pid_t pid)
{
	g_autoptr(GPtrArray) processes =
		profile_processes_open(profiles ? profiles->rundir : NULL, pid);
	bool is_heap = strcmp(name, "heap") == 0 || strcmp(name, "allocs") == 0;
	bool is_threads = strcmp(name, "goroutine") == 0 || strcmp(name, "thread") == 0;
	struct fr_counters sum = { 0 };
	GString *out = g_string_new(NULL);

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		struct fr_counters counters;

		if (!process->blackbox ||
			blackbox_read(process->blackbox, &counters, sizeof(counters),
				offsetof(struct fr_blackbox, counters)))
			continue;
#define FR_X(field, text) sum.field += counters.field;
		FR_COUNTER_TABLE(FR_X)
#undef FR_X
	}
	if (!is_threads)
		append_loss(out, sum.buckets_overflow, "samples without room in a profile's table");
	if (is_heap)
		append_loss(out, sum.live_overflow, "objects whose free is not followed");
	append_loss(out, sum.stacks_overflow, "stacks without room in the stack table");
	if (is_threads)
		append_loss(out, sum.threads_overflow, "threads without a slot");
	if (!profile_kind_find(name))
		append_loss(out, sum.custom_overflow, "entries without room");
	return g_string_free(out, out->len == 0);
}

bool profiles_cmdline(struct profiles *profiles, pid_t pid, GByteArray **bytes_out)
{
	g_autoptr(GPtrArray) processes = NULL;
	g_autofree char *why = NULL;
	bool is_found = false;

	if (!profiles || profiles_open(profiles, pid, &processes, &why))
		return false;
	g_mutex_lock(&profiles->lock);
	/* The last image that the process was. */
	for (guint i = processes->len; i > 0 && !is_found; i--) {
		const struct profile_process *process = g_ptr_array_index(processes, i - 1);
		GByteArray *bytes =
			g_hash_table_lookup(profiles->cmdlines, GUINT_TO_POINTER(process->id));

		if (bytes) {
			*bytes_out = g_byte_array_ref(bytes);
			is_found = true;
		}
	}
	g_mutex_unlock(&profiles->lock);
	return is_found;
}

json_t *profiles_deadlocks(struct profiles *profiles)
{
	g_autoptr(GPtrArray) processes =
		profile_processes_open(profiles ? profiles->rundir : NULL, 0);

	return deadlock_json(processes);
}
