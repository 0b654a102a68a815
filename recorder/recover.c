/* SPDX-License-Identifier: MIT */
/*
 * All that is needed is in the runtime folder: the ring's files, which no daemon has to read, and the blackboxes, which
 * also hold the sampled profiles. A program that still runs goes on undisturbed: nothing is asked of it.
 */
#include "recorder/recover.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "common/symbol_cache.h"
#include "common/units.h"
#include "recorder/blackbox_read.h"
#include "recorder/death_profiles.h"
#include "recorder/procfs.h"
#include "recorder/profiles.h"
#include "recorder/ring_read.h"
#include "recorder/runtime_left.h"
#include "recorder/staging.h"
#include "recorder/store.h"
#include "recorder/trace_out.h"

#define EXIT_USAGE 2
/* Samples say themselves how much CPU time each stands for; this is only the period that the profile names. */
#define CPU_HZ 19

struct recover {
	const char *output_dir;
	bool is_kept, is_quiet;
	char **folders; /* borrowed; as many as given */
	int n_folders;
	struct store store;
	struct symbol_cache *symbols;
};

/* What one of them turned into. */
struct recovered {
	char *file; /* owned */
	uint64_t covered_ns, lost_events;
};

static char *scratch_new(const char *dir)
{
	char *path = g_strdup_printf("%s/.flightrec-recover-XXXXXX", dir);

	if (g_mkdtemp(path))
		return path;
	g_free(path);
	return NULL;
}

/* The page as it was: orders to a program that still runs do not go out. */
static struct fr_control *control_open(const char *rundir)
{
	g_autofree char *path = g_strdup_printf("%s/control", rundir);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct fr_control *control = g_new0(struct fr_control, 1);

	if (fd >= 0) {
		if (pread(fd, control, sizeof(*control), 0) != (ssize_t)sizeof(*control))
			memset(control, 0, sizeof(*control));
		close(fd);
	}
	return control;
}

/* What people call a process: its first thread's name, which may be cut at 15 bytes; else that of its file. To g_free(). */
static char *process_name(const struct blackbox *blackbox)
{
	g_autofree char *exe = g_path_get_basename(blackbox->header.exe);
	struct fr_slot first;

	if (blackbox_read(blackbox, &first, sizeof(first), blackbox->header.off_slots) != 0 ||
		first.tid != blackbox->header.pid)
		return g_steal_pointer(&exe);
	first.name[sizeof(first.name) - 1] = '\0';
	if (!first.name[0] || (strlen(first.name) == 15 && g_str_has_prefix(exe, first.name)))
		return g_steal_pointer(&exe);
	return g_strdup(first.name);
}

/* "redis-server-123", of the process that was recorded first. */
static char *name_of(const char *rundir)
{
	g_autoptr(GArray) procs = blackbox_list(rundir);
	g_autofree char *name = g_strdup("program");
	uint64_t first_ns = UINT64_MAX;
	unsigned pid = 0;

	for (guint i = 0; i < procs->len; i++) {
		struct blackbox *blackbox;

		if (blackbox_open_proc(rundir, g_array_index(procs, uint16_t, i), &blackbox) != 0)
			continue;
		if (blackbox->header.start_ns < first_ns && blackbox->header.exe[0]) {
			first_ns = blackbox->header.start_ns;
			pid = blackbox->header.pid;
			g_free(name);
			name = process_name(blackbox);
		}
		blackbox_close(blackbox);
	}
	g_strcanon(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-", '_');
	return g_strdup_printf("trace-%s-%u-recovered", name, pid);
}

/* When its recorder was last known to live, CLOCK_MONOTONIC; 0: not in this boot. */
static uint64_t left_end_ns(const struct runtime_left *left)
{
	time_t ago = time(NULL) - left->last;
	uint64_t now = procfs_now(), ns = (uint64_t)MAX(ago, 0) * 1000000000u;

	return ns < now ? now - ns : 0;
}

static int pack(struct recover *recover, const struct runtime_left *left, const char *ust_dir,
	const struct ring_read_result *losses, struct store_file *file,
	struct trace_out_result *result)
{
	static const char *const notes[] = {
		"The recorder was killed: this is what it left in memory, written later by "
		"trace-record --recover",
		NULL,
	};
	struct fr_control *control = control_open(left->dir.path);
	const struct trace_out_env env[] = { { "command",
		*left->command ? left->command : "unknown" } };
	struct death_profiles members = { .cpu_hz = CPU_HZ, .end_ns = left_end_ns(left) };
	const struct trace_out_request request = {
		.rundir = left->dir.path,
		.ust_dir = ust_dir,
		.losses = losses,
		.mode = "snapshot",
		.end_reason = "recorder_death",
		.notes = notes,
		.env = env,
		.n_env = G_N_ELEMENTS(env),
		.add_members = death_profiles_add,
		.members = &members,
		.is_progress = !recover->is_quiet,
		.symbols = recover->symbols,
	};
	int err = profiles_new(left->dir.path, control, recover->symbols, &members.profiles);

	if (!err)
		err = trace_out_write(file->fd, &request, result);
	profiles_free(members.profiles);
	g_free(control);
	return err;
}

/* Copies the ring to a folder beside the trace, and packs it. 0 or -errno. */
static int write_trace(
	struct recover *recover, const struct runtime_left *left, struct recovered *recovered)
{
	g_autofree char *scratch = scratch_new(recover->store.dir);
	g_autofree char *name = name_of(left->dir.path);
	struct ring_read_result read_result = { 0 };
	struct trace_out_result result = { 0 };
	struct store_file file = { .fd = -1 };
	struct ring_read *read = NULL;
	int err;

	if (!scratch)
		return -errno;
	err = ring_read_new(left->ring, scratch, RING_READ_ALL, &read);
	if (!err)
		err = ring_read_finish(read, &read_result);
	ring_read_free(read);
	if (!err)
		err = store_file_begin_named(&recover->store, name, &file);
	if (!err)
		err = pack(recover, left, scratch, &read_result, &file, &result);
	fs_remove_tree(scratch);
	if (err) {
		store_file_discard(&file);
		return err;
	}
	recovered->file = g_strdup(file.path);
	recovered->covered_ns = result.end_ns - result.begin_ns;
	recovered->lost_events = read_result.lost_events;
	err = store_file_publish(&file);
	if (err)
		g_clear_pointer(&recovered->file, g_free);
	return err;
}

/* What was recovered, and whether the program still runs. */
static void tell(const struct recover *recover, const struct runtime_left *left,
	const struct recovered *recovered)
{
	g_autoptr(GDateTime) last = g_date_time_new_from_unix_local(left->last);
	g_autofree char *when = g_date_time_format(last, "%F %T");
	uint64_t unit = recovered->covered_ns < 1000000000 ? 1000000 : 100000000;
	char window[64];

	units_duration_format(
		(int64_t)(recovered->covered_ns / unit * unit), window, sizeof(window));
	log_say("%.80s: the last %s that a recorder held which was killed at about %s are in %s; "
		"%s",
		*left->command ? left->command : "a program", window, when, recovered->file,
		left->is_alive ? "the program still runs, unrecorded"
			       : "the program has ended, too");
	if (left->is_alive)
		log_say("%s stays until the program has ended and a recorder is started, or is "
			"removed by "
			"another --recover then",
			left->dir.path);
	else if (recover->is_kept)
		log_say("%s is kept (--keep)", left->dir.path);
}

/* Takes `left` over. False after a message. */
static bool recover_one(struct recover *recover, struct runtime_left *left)
{
	struct recovered recovered = { 0 };
	int err = write_trace(recover, left, &recovered);

	if (err) {
		log_error("The recording in %s could not be written to %s: %s", left->dir.path,
			recover->store.dir, strerror(-err));
		runtime_left_release(left);
		return false;
	}
	tell(recover, left, &recovered);
	g_free(recovered.file);
	if (left->is_alive || recover->is_kept)
		runtime_left_release(left);
	else
		runtime_left_remove(left);
	return true;
}

static int recover_all(struct recover *recover)
{
	g_autoptr(GArray) list = runtime_left_list();
	int status = EXIT_SUCCESS;

	if (list->len == 0)
		log_say("No killed recorder has left a recording here");
	/* The newest last: trace.out leads to it. */
	for (guint i = list->len; i > 0; i--) {
		if (!recover_one(recover, &g_array_index(list, struct runtime_left, i - 1)))
			status = EXIT_FAILURE;
	}
	return status;
}

static int recover_given(struct recover *recover)
{
	int status = EXIT_SUCCESS;

	for (int i = 0; i < recover->n_folders; i++) {
		struct runtime_left left;

		if (runtime_left_open(recover->folders[i], &left)) {
			if (recover_one(recover, &left))
				continue;
		} else {
			log_error("%s holds no recording of yours that a killed recorder left: "
				  "expected a folder such as /dev/shm/flightrec-%u-PID",
				recover->folders[i], (unsigned)geteuid());
		}
		status = EXIT_FAILURE;
	}
	return status;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct recover *recover = state->input;

	switch (key) {
	case 'o':
		recover->output_dir = arg;
		return 0;
	case 'k':
		recover->is_kept = true;
		return 0;
	case 'q':
		recover->is_quiet = true;
		return 0;
	case ARGP_KEY_ARGS:
		recover->folders = state->argv + state->next;
		recover->n_folders = state->argc - state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int recover_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "output-dir", 'o', "DIR", 0, "Folder for the traces (default: the current one)",
			0 },
		{ "keep", 'k', NULL, 0, "Leave the recording where it is, too", 0 },
		{ "quiet", 'q', NULL, 0, "Report failures only", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "[DIR...]",
		.doc = "Writes the recordings that killed recorders of yours have left in memory, "
		       "or those in the runtime folders DIR, as traces with their profiles.",
	};
	static char name[] = "trace-record --recover";
	struct recover recover = { .output_dir = "." };
	g_autofree char *why = NULL;
	int status;

	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &recover);
	log_init("trace-record", recover.is_quiet);
	if (store_open(recover.output_dir, &recover.store, &why) < 0) {
		log_error("%s", why);
		return EXIT_FAILURE;
	}
	staging_clean(recover.store.dir);
	recover.symbols = symbol_cache_new(SYMBOL_CACHE_BYTES);
	status = recover.n_folders ? recover_given(&recover) : recover_all(&recover);
	symbol_cache_free(recover.symbols);
	store_close(&recover.store);
	return status;
}
