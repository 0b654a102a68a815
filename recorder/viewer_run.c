/* SPDX-License-Identifier: MIT */
/*
 * The main thread collects all children that end, so that the status of an ordinary one could be gone before we ask.
 * In between stands a supervisor, a child that gives no signal when it ends: only who names it can wait for it. It does
 * nothing but start trace-view, wait, and end with its status. As the leader of a process group it makes both end at once.
 */
#include "recorder/viewer_run.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fs.h"
#include "recorder/access.h"
#include "recorder/owned_dir.h"
#include "recorder/procfs.h"

#define VIEWER "trace-view"
/* As the folders of recordings: what a killed recorder leaves is found by the next one. */
#define FOLDER_PREFIX ".flightrec"
/* The trace is at this descriptor in the child. */
#define TRACE_FD 3
#define TRACE_PATH "/proc/self/fd/3"
#define N_FDS 4
/* How soon it is noticed that nobody waits any more. */
#define POLL_MS 20
/* trace-view removes its files when it is asked to end; then it is made to. */
#define GRACE_MS 1000
/* The program comes first. */
#define NICE 5
#define MAX_NOTES 4096
/* As a shell tells a death by signal. */
#define SIGNAL_STATUS 128

/* Everything the supervisor needs, made before it exists. */
struct viewer_start {
	const struct viewer_job *job;
	int fds[N_FDS]; /* to become 0, 1, 2 and TRACE_FD; -1: none */
	char **argv, **envp;
	pid_t recorder;
};

struct viewer {
	struct owned_dir dir;
	pid_t pid; /* of the supervisor, and the group */
	int pidfd;
};

int viewer_find(char **path_out, char **why_out)
{
	g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *dir = exe ? g_path_get_dirname(exe) : NULL;
	g_autofree char *beside = dir ? g_build_filename(dir, VIEWER, NULL) : NULL;

	if (beside && access(beside, X_OK) == 0) {
		*path_out = g_steal_pointer(&beside);
		return 0;
	}
	if (fs_find_program(VIEWER, path_out) == 0)
		return 0;
	*why_out = g_strdup_printf(VIEWER " is neither beside %s nor in PATH; install it there",
		exe ? exe : "trace-record");
	return -ENOENT;
}

/* From here to supervise(): in a copy of a process with threads, so only system calls. */
static void limit(int resource, uint64_t value)
{
	struct rlimit limits = { .rlim_cur = value, .rlim_max = value };

	setrlimit((__rlimit_resource_t)resource, &limits);
}

/* The kernel, short of memory, shall take this one. */
static void volunteer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? write(fd, "1000", 4) : 0;

	/* Where it is not allowed, all are alike. */
	(void)n;
	if (fd >= 0)
		close(fd);
}

static void __attribute__((noreturn)) become_viewer(const struct viewer_start *start)
{
	struct sigaction reset = { .sa_handler = SIG_DFL };
	sigset_t none;

	/* With the supervisor; it can clean up. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	limit(RLIMIT_AS, start->job->max_bytes);
	limit(RLIMIT_CORE, 0);
	setpriority(PRIO_PROCESS, 0, NICE);
	volunteer();
	sigaction(SIGPIPE, &reset, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(start->job->program, start->argv, start->envp);
	_exit(127);
}

static void __attribute__((noreturn)) supervise(const struct viewer_start *start)
{
	int moved[N_FDS], status = 0;
	pid_t pid;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != start->recorder)
		_exit(1);
	/* Out of each other's way first. */
	for (int i = 0; i < N_FDS; i++)
		moved[i] = fcntl(start->fds[i], F_DUPFD, 2 * N_FDS);
	for (int i = 0; i < N_FDS; i++)
		dup2(moved[i], i);
	/* Connections would stay open as long as we do. */
	syscall(SYS_close_range, N_FDS, ~0u, 0);
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		become_viewer(start);
	if (pid < 0)
		_exit(1);
	while (syscall(SYS_wait4, pid, &status, 0, NULL) < 0 && errno == EINTR)
		continue;
	_exit(WIFSIGNALED(status) ? SIGNAL_STATUS + WTERMSIG(status) : WEXITSTATUS(status));
}

/* The process. 0 or -errno. */
static int launch(struct viewer *viewer, const struct viewer_start *start)
{
	sigset_t all, before;
	long pid;
	int err;

	/* The supervisor sees trace-view through, and ends last. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* No exit signal: see above. */
	pid = syscall(SYS_clone, CLONE_PIDFD, NULL, &viewer->pidfd, NULL, NULL);
	if (pid == 0)
		supervise(start);
	err = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err;
	viewer->pid = (pid_t)pid;
	/* Whoever comes first; else we could signal a group that does not exist yet. */
	setpgid(viewer->pid, viewer->pid);
	return 0;
}

static bool wait_end(const struct viewer *viewer, int ms)
{
	struct pollfd poll_fd = { .fd = viewer->pidfd, .events = POLLIN };

	return poll(&poll_fd, 1, ms) > 0;
}

/* Ends it before its time. */
static void end_early(const struct viewer *viewer)
{
	kill(-viewer->pid, SIGTERM);
	if (!wait_end(viewer, GRACE_MS))
		kill(-viewer->pid, SIGKILL);
}

/* Waits for the end and collects the status: 0, -errno or VIEWER_E_*. */
static int follow(const struct viewer *viewer, const struct viewer_job *job, int *status_out)
{
	uint64_t deadline = procfs_now() + job->max_ns;
	siginfo_t info = { 0 };
	int rc = 0;

	while (rc == 0 && !wait_end(viewer, POLL_MS)) {
		if (job->is_gone && job->is_gone(job->user))
			rc = VIEWER_E_GONE;
		else if (procfs_now() >= deadline)
			rc = VIEWER_E_TIMEOUT;
	}
	if (rc)
		end_early(viewer);
	while (waitid(P_PIDFD, (id_t)viewer->pidfd, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return rc ? rc : -errno;
	*status_out = info.si_code == CLD_EXITED ? info.si_status : SIGNAL_STATUS + info.si_status;
	return rc;
}

/* Nameless, in the folder: 0 or -errno. */
static int open_nameless(const struct owned_dir *dir, const char *name, int *fd_out)
{
	g_autofree char *path = g_build_filename(dir->path, name, NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	unlink(path);
	*fd_out = fd;
	return 0;
}

/* A folder where large temporary files belong, as trace-view itself chooses. */
static int make_folder(struct owned_dir *dir_out)
{
	const char *parents[] = { g_getenv("TMPDIR"), "/var/tmp", "/tmp" };
	int err = -ENOENT;

	for (size_t i = 0; i < G_N_ELEMENTS(parents) && err; i++)
		if (parents[i] && *parents[i] == '/')
			err = owned_dir_create(parents[i], FOLDER_PREFIX, 0700, dir_out);
	return err;
}

static char **make_environment(const struct owned_dir *dir)
{
	char **envp = g_get_environ();

	envp = g_environ_unsetenv(envp, ACCESS_ENV_TOKEN);
	return g_environ_setenv(envp, "TMPDIR", dir->path, TRUE);
}

static char **make_arguments(const struct viewer_job *job)
{
	GPtrArray *argv = g_ptr_array_new();

	g_ptr_array_add(argv, g_strdup(VIEWER));
	for (size_t i = 0; job->args[i]; i++)
		g_ptr_array_add(argv, g_strdup(job->args[i]));
	g_ptr_array_add(argv, g_strdup(TRACE_PATH));
	g_ptr_array_add(argv, NULL);
	return (char **)g_ptr_array_free(argv, FALSE);
}

/* What it said, without its name before each line. NULL: nothing. */
static char *read_notes(int fd)
{
	char text[MAX_NOTES + 1];
	ssize_t n = pread(fd, text, MAX_NOTES, 0);
	GString *notes = g_string_new(NULL);
	g_auto(GStrv) lines = NULL;

	text[MAX(n, 0)] = '\0';
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		const char *words =
			g_str_has_prefix(*line, VIEWER ": ") ? *line + strlen(VIEWER ": ") : *line;

		if (*words)
			g_string_append_printf(notes, "%s%s", notes->len ? "; " : "", words);
	}
	return g_string_free(notes, notes->len == 0);
}

/* The sentence for a result that is none. */
static int explain(
	int rc, int status, const struct viewer_job *job, const char *notes, char **why_out)
{
	if (rc < 0) {
		*why_out = g_strdup_printf("%s cannot be run: %s", job->program, strerror(-rc));
	} else if (rc == VIEWER_E_TIMEOUT) {
		*why_out =
			g_strdup_printf(VIEWER " was not ready after %u s; ask for a shorter time",
				(unsigned)(job->max_ns / 1000000000));
	} else if (rc == VIEWER_E_GONE) {
		*why_out = g_strdup("The client went away");
	} else if (status == 127) {
		*why_out = g_strdup_printf("%s cannot be executed", job->program);
		rc = -ENOEXEC;
	} else if (status >= SIGNAL_STATUS) {
		*why_out = g_strdup_printf(VIEWER " was ended by signal %d%s%s",
			status - SIGNAL_STATUS, notes ? ": " : "", notes ? notes : "");
		rc = VIEWER_E_CRASHED;
	} else {
		*why_out = g_strdup(notes ? notes : VIEWER " failed and did not say why");
		rc = VIEWER_E_REFUSED;
	}
	return rc;
}

/* Opens what it reads and writes, and runs it. 0, -errno or VIEWER_E_*; fds[] are for the caller to close. */
static int run_in_folder(
	struct viewer *viewer, const struct viewer_job *job, int *status_out, int fds[N_FDS])
{
	g_auto(GStrv) argv = make_arguments(job), envp = make_environment(&viewer->dir);
	struct viewer_start start = { job, { -1, -1, -1, -1 }, argv, envp, getpid() };
	int err;

	fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	err = fds[0] < 0 ? -errno : 0;
	if (!err)
		err = open_nameless(&viewer->dir, "out", &fds[1]);
	if (!err)
		err = open_nameless(&viewer->dir, "err", &fds[2]);
	if (err)
		return err;
	memcpy(start.fds, fds, sizeof(start.fds));
	start.fds[TRACE_FD] = job->trace_fd;
	err = launch(viewer, &start);
	if (err)
		return err;
	err = follow(viewer, job, status_out);
	close(viewer->pidfd);
	return err;
}

int viewer_run(const struct viewer_job *job, int *out_fd, char **notes_out, char **why_out)
{
	struct viewer viewer = { .pidfd = -1 };
	int fds[N_FDS] = { -1, -1, -1, -1 };
	g_autofree char *notes = NULL;
	int status = 0;
	int rc = make_folder(&viewer.dir);

	if (rc == 0)
		rc = run_in_folder(&viewer, job, &status, fds);
	owned_dir_remove(&viewer.dir);
	if (fds[2] >= 0)
		notes = read_notes(fds[2]);
	if (rc == 0 && status == 0) {
		lseek(fds[1], 0, SEEK_SET);
		*out_fd = fds[1];
		fds[1] = -1;
		*notes_out = g_steal_pointer(&notes);
	} else {
		rc = explain(rc, status, job, notes, why_out);
	}
	for (int i = 0; i < TRACE_FD; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}
