/* SPDX-License-Identifier: MIT */
/*
 * trace-record: options, setup, the program's life, teardown. Everything that can be refused is refused before anything is
 * started; whatever was started is gone before we exit with the program's status.
 */
#include <errno.h>
#include <glib.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log.h"
#include "common/symbol_cache.h"
#include "common/symbol_debuginfod.h"
#include "recorder/access.h"
#include "recorder/blackbox_read.h"
#include "recorder/daemon.h"
#include "recorder/guard.h"
#include "recorder/launch.h"
#include "recorder/linger.h"
#include "recorder/lttng_ctl.h"
#include "recorder/options.h"
#include "recorder/output_profiles.h"
#include "recorder/past.h"
#include "recorder/process.h"
#include "recorder/procfs.h"
#include "recorder/profiles.h"
#include "recorder/program.h"
#include "recorder/recording.h"
#include "recorder/recover.h"
#include "recorder/routes.h"
#include "recorder/runtime_dir.h"
#include "recorder/runtime_left.h"
#include "recorder/sched.h"
#include "recorder/serve.h"
#include "recorder/staging.h"
#include "recorder/store.h"

#define EXIT_USAGE 2
/* A client that is being sent its trace gets this long after the program's end. */
#define DRAIN_MS 5000

struct app {
	struct inherited inherited;
	struct options options;
	struct program program;
	char *library, *sessiond; /* owned */
	char *users_lttng_home;	  /* owned; the variable as we found it; NULL: not set */
	struct store store;
	struct store_file trace_file; /* of --trace */
	struct output_profiles outputs;
	struct access access;
	struct serve serve;
	struct daemon_user user;
	struct runtime_dir rundir;
	struct daemon daemon;
	struct lttng_ctl *ctl;
	struct recording *recording;
	struct sched *sched;
	struct symbol_cache *symbols; /* outlives what looks up names */
	struct profiles *profiles;
	struct guard *guard;
	struct routes_context context;
	char *command;		 /* owned */
	char *note, *small_ring; /* owned; sentences for every trace; NULL: nothing to say */
};

/* Refuses: prints the sentence and gives the exit status back. */
static int fail(char *why, int status)
{
	log_error("%s", why);
	g_free(why);
	return status;
}

/* Reads, finds and binds; starts nothing. 0 or the exit status. */
static int app_check(struct app *app)
{
	char *why = NULL;
	int rc = program_inspect(app->options.argv[0], &app->program, &why);

	if (rc)
		return fail(why, rc);
	if (app->program.kind == PROGRAM_REFUSED)
		return fail(g_strdup(app->program.why), EXIT_FAILURE);
	if (app->program.kind != PROGRAM_BARE) {
		if (launch_find_library(&app->library, &why) < 0)
			return fail(why, EXIT_FAILURE);
		if (fs_find_program("lttng-sessiond", &app->sessiond) < 0)
			return fail(
				g_strdup("lttng-sessiond is not installed; install it with: apt "
					 "install lttng-tools"),
				EXIT_FAILURE);
	}
	if (store_open(app->options.output_dir, &app->store, &why) < 0)
		return fail(why, EXIT_FAILURE);
	if (app->options.trace_file && app->program.kind != PROGRAM_BARE &&
		store_file_begin_at("--trace", app->options.trace_file, &app->trace_file, &why) < 0)
		return fail(why, EXIT_FAILURE);
	if (output_profiles_open(&app->options, &app->outputs, &why) < 0 ||
		access_load(&app->options, &app->access, &why) < 0)
		return fail(why, EXIT_FAILURE);
	rc = serve_listen(&app->options, &app->access, &app->serve, &why);
	if (rc == -EINVAL || rc == -EPERM)
		return fail(why, EXIT_USAGE);
	return rc ? fail(why, EXIT_FAILURE) : 0;
}

static int spawn_daemon(struct app *app)
{
	char *why = NULL;

	if (daemon_start_ready(app->sessiond, app->rundir.lttng_home, &app->user, app->ctl,
		    &app->daemon, &why) < 0)
		return fail(why, -1);
	return 0;
}

/* Starts the thread that talks to the daemon, and the daemon unless one is shared. 0 or -1. */
static int start_daemon(struct app *app)
{
	int rc;

	app->users_lttng_home = g_strdup(g_getenv("LTTNG_HOME"));
	/* liblttng-ctl looks for the daemon there. No other thread exists yet. */
	g_setenv("LTTNG_HOME", app->rundir.lttng_home, TRUE);
	rc = lttng_ctl_new(&app->user, &app->ctl);
	if (rc < 0) {
		log_error("Cannot talk to the session daemon: %s", strerror(-rc));
		return -1;
	}
	if (!app->user.is_shared)
		return spawn_daemon(app);
	log_say("%s", app->note);
	if (lttng_ctl_is_alive(app->ctl) < 0)
		return spawn_daemon(app);
	lttng_ctl_clean(app->ctl);
	return 0;
}

/* No timers in a program that is to be sampled from outside, unless they are asked for. */
static uint32_t always_hz(const struct options *options)
{
	if (options->cpu_engine == PROFILES_ENGINE_PERF && !options_is_given(options, "cpu-always"))
		return 0;
	return options->cpu_always_hz;
}

static int start_profiles(struct app *app, char **why_out)
{
	int err;

	/* Whenever no profile wants another rate. */
	app->rundir.control->cpu_hz = always_hz(&app->options);
	err = profiles_new(app->rundir.dir.path, app->rundir.control, app->symbols, &app->profiles);

	if (err) {
		*why_out = g_strdup_printf("Cannot take profiles: %s", strerror(-err));
		return err;
	}
	profiles_set_engine(app->profiles, (enum profiles_engine)app->options.cpu_engine);
	return serve_listen_inside(&app->serve, app->rundir.dir.path, why_out);
}

static int start_guard(struct app *app, char **why_out)
{
	const struct guard_settings settings = {
		.options = &app->options,
		.rundir = app->rundir.dir.path,
		.output_dir = app->store.dir,
		.control = app->rundir.control,
		.recording = app->recording,
		.profiles = app->profiles,
	};

	runtime_left_describe(app->rundir.dir.path, app->command);
	return guard_new(&settings, &app->guard, why_out);
}

static struct sched *start_sched(const struct app *app)
{
	struct sched_settings settings = {
		.choice = app->options.events & FR_EVENTS_SCHED ? app->options.sched : SCHED_OFF,
		.history_bytes = app->options.sched_bytes,
		.rundir = app->rundir.dir.path,
		.spool_dir = app->store.dir,
		.control = app->rundir.control,
	};

	return sched_new(&settings);
}

/* Runtime folder, daemon, ring, and the trace of --trace. 0 or -1 after a message. */
static int app_start(struct app *app)
{
	struct recording_settings settings = {
		.options = &app->options,
		.rundir = &app->rundir,
		.user = &app->user,
		.daemon = &app->daemon,
		.store = &app->store,
		.symbols = app->symbols,
		.untraced = app->program.why,
	};
	struct recording_info *info;
	char *why = NULL;
	int rc = 0;

	if (app->program.kind != PROGRAM_BARE) {
		daemon_user_choose(&app->user, &app->note);
		if (runtime_dir_create(app->options.buffer_bytes + RUNTIME_DIR_MARGIN,
			    app->user.uid, app->user.gid, &app->rundir, &why) < 0)
			return fail(why, -1);
		staging_clean(app->store.dir);
		if (start_daemon(app) < 0)
			return -1;
		settings.ctl = app->ctl;
		settings.ring =
			lttng_geometry_fit(runtime_dir_ring_bytes(&app->rundir,
						   app->options.buffer_bytes, &app->small_ring),
				(unsigned)get_nprocs_conf());
		if (app->small_ring)
			log_say("%s", app->small_ring);
		settings.sched = app->sched = start_sched(app);
		settings.notes[0] = app->note;
		settings.notes[1] = app->small_ring;
	}
	if (recording_new(&settings, &app->recording, &why) < 0)
		return fail(why, -1);
	if (app->rundir.control && (start_profiles(app, &why) < 0 || start_guard(app, &why) < 0))
		return fail(why, -1);
	if (app->trace_file.fd < 0)
		return 0;
	info = g_new0(struct recording_info, 1);
	rc = recording_start(app->recording, SESSION_TRACE, 0, &app->trace_file, info, &why);
	g_free(info);
	return rc ? fail(why, -1) : 0;
}

static int start_http(struct app *app)
{
	int err;

	app->context.options = &app->options;
	app->context.recording = app->recording;
	app->context.profiles = app->profiles;
	app->context.past = past_new(app->recording);
	app->context.sched = app->sched;
	app->context.triggers = guard_triggers(app->guard);
	app->context.control = app->rundir.control;
	app->context.url = serve_url(&app->serve);
	app->context.rundir = app->rundir.dir.path;
	app->context.command = app->command;
	app->context.note = app->note ? app->note : app->small_ring;
	app->context.start_real_ns = g_get_real_time() * 1000;
	pthread_mutex_init(&app->context.in_use.mutex, NULL);
	err = serve_start(&app->serve, &app->access, &app->context);
	if (err)
		log_error("Cannot answer HTTP: %s", strerror(-err));
	return err;
}

static void write_port_file(const struct app *app)
{
	unsigned port = app->serve.outside ? http_server_port(app->serve.outside) : 0;
	g_autofree char *text = g_strdup_printf("%u\n", port);
	int err;

	if (!app->options.port_file)
		return;
	err = fs_write_atomic(app->options.port_file, text, strlen(text), 0666);
	if (err)
		log_error(
			"Cannot write --port-file %s: %s", app->options.port_file, strerror(-err));
}

static void on_other_exit(pid_t pid, int status, void *user)
{
	struct app *app = user;

	if (pid != app->daemon.pid)
		return;
	app->daemon.pid = 0;
	log_error("The session daemon died (%s %d): the program goes on, unrecorded from now on",
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	recording_daemon_died(app->recording);
}

static void on_own_signal(const siginfo_t *info, void *user)
{
	struct app *app = user;

	guard_signal(app->guard, info);
}

/* Children that outlive the program are not waited for, but the user is told. */
static void tell_survivors(const struct app *app)
{
	struct blackbox_sum sum = { 0 };

	if (!app->rundir.dir.path)
		return;
	blackbox_sum(app->rundir.dir.path, &sum);
	if (sum.n_alive)
		log_say("%s has ended; %u process%s that it started %s on, unrecorded",
			app->options.argv[0], sum.n_alive, sum.n_alive == 1 ? "" : "es",
			sum.n_alive == 1 ? "goes" : "go");
}

static int exec_failure(const struct app *app, int err)
{
	log_error("%s: cannot be executed: %s", app->options.argv[0], strerror(err));
	return err == ENOENT ? 127 : 126;
}

static void on_forked(pid_t pid, void *user)
{
	struct app *app = user;

	sched_program_forked(app->sched, pid);
}

/* Runs the program from start to end and returns the exit status. */
static int app_run(struct app *app)
{
	bool is_bare = app->program.kind == PROGRAM_BARE;
	const char *lttng_home =
		app->user.is_shared ? app->users_lttng_home : app->rundir.lttng_home;
	g_auto(GStrv) envp = launch_environment(
		&app->program, app->library, is_bare ? NULL : &app->rundir, lttng_home);
	pid_t pid;
	int err, status;

	/* Before the program exists, so that nothing it does can come between. */
	if (start_http(app) < 0)
		return EXIT_FAILURE;
	if (app->program.why)
		log_say("%s", app->program.why);
	if (is_bare && app->options.trace_file)
		log_say("Nothing is recorded, so --trace %s is not written",
			app->options.trace_file);
	err = process_start(
		&app->inherited, app->program.path, app->options.argv, envp, on_forked, app, &pid);
	if (err) {
		recording_program_ended(app->recording);
		return exec_failure(app, err);
	}
	atomic_store(&app->context.pid, pid);
	output_profiles_begin(&app->outputs, &app->options, app->profiles, pid);
	log_say("%s (pid %d: %s)",
		app->context.url ? app->context.url
				 : "nothing is served, by --mode or --enable-pprof",
		(int)pid, app->options.argv[0]);
	if (app->options.debuginfod_ns && symbol_debuginfod_missing())
		log_say("--debuginfod: %s", symbol_debuginfod_missing());
	if (app->access.note)
		log_say("%s", app->access.note);
	write_port_file(app);
	guard_set_program(app->guard, pid);
	status = process_wait(pid, (int)app->options.on_signal, on_own_signal, on_other_exit, app);
	linger_forget_signals();
	atomic_store(&app->context.end_ns, procfs_now());
	guard_program_ended(app->guard, status);
	recording_program_ended(app->recording);
	if (app->profiles)
		output_profiles_write(&app->outputs, app->profiles);
	tell_survivors(app);
	if (app->options.linger_ns && app->context.url)
		linger(app->options.argv[0], app->context.url, app->options.linger_ns,
			on_other_exit, app);
	return process_exit_code(status);
}

/* In the reverse order of the start; every part copes with never having been started. */
static void app_stop(struct app *app)
{
	serve_stop(&app->serve, DRAIN_MS);
	guard_free(app->guard);
	past_free(app->context.past);
	profiles_free(app->profiles);
	recording_free(app->recording);
	sched_free(app->sched);
	symbol_cache_free(app->symbols);
	lttng_ctl_free(app->ctl);
	daemon_stop(&app->daemon);
	runtime_dir_remove(&app->rundir);
	store_file_discard(&app->trace_file);
	output_profiles_discard(&app->outputs);
	store_close(&app->store);
	program_fini(&app->program);
	g_free(app->library);
	g_free(app->sessiond);
	g_free(app->users_lttng_home);
	g_free(app->command);
	g_free(app->note);
	g_free(app->small_ring);
	access_fini(&app->access);
	options_fini(&app->options);
}

/*
 * Hundreds of connections, each with a thread, would spread over an arena each what they need for a moment, and libc
 * gives little of it back. Profiles and traces are large and short-lived: always by mmap(), which libc stops to do after
 * the first large free() unless it is told.
 */
static void keep_memory_small(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
}

int main(int argc, char **argv)
{
	static struct app app = { .trace_file = { .fd = -1 }, .outputs = OUTPUT_PROFILES_NONE };
	int status;

	keep_memory_small();
	process_inherit(&app.inherited);
	log_init("trace-record", false);
	if (argc > 1 && strcmp(argv[1], "--recover") == 0)
		return recover_main(argc - 1, argv + 1);
	options_parse(argc, argv, &app.options);
	log_init("trace-record", app.options.is_quiet);
	if (app.options.is_cmdline_redacted)
		procfs_hide_arguments();
	app.command = access_command(&app.options);
	app.symbols = symbol_cache_new(SYMBOL_CACHE_BYTES);
	status = app_check(&app);
	if (status == 0)
		status = app_start(&app) < 0 ? EXIT_FAILURE : app_run(&app);
	app_stop(&app);
	return status;
}
