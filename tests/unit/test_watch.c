/* SPDX-License-Identifier: MIT */
/* The watch, on real processes whose blackboxes the test writes. */
#include "recorder/watch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "blackbox_file.h"
#include "check.h"
#include "run.h"
#include "recorder/procfs.h"

#define WAIT_MS 5000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct process_end told; /* the last end */
static uint16_t told_proc;
static struct fr_trigger trigger;
static unsigned n_ends, n_triggers, n_living;

static void on_end(void *user, const struct watch_process *process, const struct process_end *end)
{
	(void)user;
	pthread_mutex_lock(&mutex);
	told = *end;
	told_proc = process->proc;
	n_ends++;
	pthread_mutex_unlock(&mutex);
}

static void on_trigger(
	void *user, const struct watch_process *process, const struct fr_trigger *got)
{
	(void)user, (void)process;
	pthread_mutex_lock(&mutex);
	trigger = *got;
	n_triggers++;
	pthread_mutex_unlock(&mutex);
}

static void on_second(void *user, const GArray *processes)
{
	(void)user;
	pthread_mutex_lock(&mutex);
	n_living = processes->len;
	pthread_mutex_unlock(&mutex);
}

static bool reaches(const unsigned *number, unsigned want)
{
	for (int i = 0; i < WAIT_MS; i++) {
		bool is_there;

		pthread_mutex_lock(&mutex);
		is_there = *number >= want;
		pthread_mutex_unlock(&mutex);
		if (is_there)
			return true;
		usleep(1000);
	}
	return false;
}

static struct watch *start(void)
{
	static const struct watch_calls calls = { on_end, on_trigger, on_second, NULL };
	struct watch *watch = NULL;

	n_ends = n_triggers = n_living = 0;
	CHECK_INT(watch_new(run_dir, &calls, &watch), 0);
	return watch;
}

/* A process that waits to be killed, or ends with `code` when that is not negative; with a blackbox. */
static pid_t spawn(uint16_t proc, int code, struct blackbox_file *file_out)
{
	g_autofree char *name = g_strdup_printf("blackbox/%05u", proc);
	pid_t pid = fork();

	if (pid == 0) {
		if (code >= 0) {
			usleep(200000);
			_exit(code);
		}
		for (;;)
			pause();
	}
	*file_out = blackbox_file_create(run_path(name), proc);
	file_out->header->pid = (uint32_t)pid;
	file_out->header->start_ns = procfs_now();
	return pid;
}

static void remove_file(uint16_t proc)
{
	g_autofree char *name = g_strdup_printf("blackbox/%05u", proc);

	unlink(run_path(name));
}

static void test_killed(void)
{
	struct watch *watch = start();
	struct blackbox_file file;
	pid_t pid = spawn(11, -1, &file);
	struct process_end noted;
	uint64_t killed_ns;

	CHECK(reaches(&n_living, 1));
	killed_ns = procfs_now();
	kill(pid, SIGKILL);
	CHECK(reaches(&n_ends, 1));
	CHECK_INT(told_proc, 11);
	CHECK_INT(told.how, PROCESS_END_SIGNAL);
	CHECK_INT(told.signal, SIGKILL);
	CHECK(told.end_ns >= killed_ns);
	CHECK(process_end_read(run_dir, 11, &noted));
	CHECK_INT(noted.signal, SIGKILL);
	waitpid(pid, NULL, 0);
	watch_free(watch);
	blackbox_file_close(&file);
	remove_file(11);
}

static void test_exit_code(void)
{
	struct watch *watch = start();
	struct blackbox_file file;
	pid_t pid = spawn(12, 7, &file);

	CHECK(reaches(&n_ends, 1));
	CHECK_INT(told.how, PROCESS_END_EXIT);
	CHECK_INT(told.code, 7);
	waitpid(pid, NULL, 0);
	watch_free(watch);
	blackbox_file_close(&file);
	remove_file(12);
}

/* Dead and collected before anybody looked: what the process wrote is all there is. */
static void test_found_dead(void)
{
	struct blackbox_file file;
	pid_t pid = spawn(13, 0, &file);
	struct watch *watch;

	waitpid(pid, NULL, 0);
	watch = start();
	CHECK(reaches(&n_ends, 1));
	CHECK_INT(told.how, PROCESS_END_UNKNOWN);
	watch_free(watch);
	file.header->exit_kind = FR_EXIT_DIRECT;
	file.header->exit_code = 9;
	watch = start();
	CHECK(reaches(&n_ends, 1));
	CHECK_INT(told.how, PROCESS_END_EXIT);
	CHECK_INT(told.code, 9);
	watch_free(watch);
	blackbox_file_close(&file);
	remove_file(13);
}

static void test_program(void)
{
	struct watch *watch = start();
	struct blackbox_file file;
	struct watch_process process;
	struct process_end end;
	pid_t pid = spawn(14, -1, &file);
	int status;

	watch_set_program(watch, pid);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	CHECK(watch_program_ended(watch, status, &process, &end));
	CHECK_INT(process.proc, 14);
	CHECK(process.is_main);
	CHECK_INT(end.how, PROCESS_END_SIGNAL);
	CHECK_INT(end.signal, SIGTERM);
	CHECK(end.end_ns > file.header->start_ns);
	watch_settle(watch, 100);
	CHECK_INT(n_ends, 0);
	/* Nothing is known of it any more. */
	CHECK(!watch_program_ended(watch, status, &process, &end));
	watch_free(watch);
	blackbox_file_close(&file);
	remove_file(14);
}

/* exec() into something with the tracer: a second file, and the first image is no death. */
static void test_exec_traced(void)
{
	struct watch *watch = start();
	struct blackbox_file file, next;
	struct process_end end;
	pid_t pid = spawn(15, -1, &file);

	CHECK(reaches(&n_living, 1));
	file.header->state = FR_PROCESS_EXECED;
	file.header->is_traced_exec = 1;
	next = blackbox_file_create(run_path("blackbox/00004"), 4);
	next.header->pid = (uint32_t)pid;
	next.header->start_ns = procfs_now();
	kill(pid, SIGUSR2);
	CHECK(reaches(&n_ends, 1));
	CHECK_INT(n_ends, 1);
	CHECK_INT(told_proc, 4);
	CHECK_INT(told.signal, SIGUSR2);
	CHECK(process_end_read(run_dir, 15, &end));
	CHECK_INT(end.how, PROCESS_END_EXEC);
	CHECK_INT(end.is_traced, 1);
	waitpid(pid, NULL, 0);
	watch_free(watch);
	blackbox_file_close(&file);
	blackbox_file_close(&next);
	remove_file(15);
	remove_file(4);
}

static void test_exec_untraced(void)
{
	struct watch *watch = start();
	struct blackbox_file file;
	pid_t pid = spawn(16, -1, &file);

	CHECK(reaches(&n_living, 1));
	file.header->state = FR_PROCESS_EXECED;
	CHECK(reaches(&n_ends, 1));
	CHECK_INT(told.how, PROCESS_END_EXEC);
	CHECK_INT(told.is_traced, 0);
	/* It lives on; its end is nobody's business any more. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	watch_settle(watch, 1000);
	CHECK_INT(n_ends, 1);
	watch_free(watch);
	blackbox_file_close(&file);
	remove_file(16);
}

static void test_trigger(void)
{
	struct watch *watch = start();
	struct blackbox_file file;
	pid_t pid = spawn(17, -1, &file);
	struct fr_trigger *triggers = blackbox_file_at(&file, file.header->off_triggers);

	CHECK(reaches(&n_living, 1));
	triggers[0] = (struct fr_trigger){ .seq = 1, .kind = FR_TRIGGER_ASKED, .value = 42 };
	memset(triggers[0].reason, 'x', sizeof(triggers[0].reason));
	file.header->triggers_next = 1;
	CHECK(reaches(&n_triggers, 1));
	CHECK_INT(trigger.value, 42);
	CHECK_INT(strlen(trigger.reason), sizeof(trigger.reason) - 1);
	/* The next one comes, and only that. */
	triggers[1] = (struct fr_trigger){ .seq = 2, .kind = FR_TRIGGER_SLOW, .value = 43 };
	file.header->triggers_next = 2;
	/* In its last moment. */
	kill(pid, SIGKILL);
	CHECK(reaches(&n_ends, 1));
	CHECK_INT(n_triggers, 2);
	CHECK_INT(trigger.value, 43);
	waitpid(pid, NULL, 0);
	watch_free(watch);
	blackbox_file_close(&file);
	remove_file(17);
}

int main(void)
{
	run_dir = temp_dir_make_runtime("test_watch");
	CASE(test_killed, "a killed process is told, with its signal and when");
	CASE(test_exit_code, "a process that exits is told, with its status");
	CASE(test_found_dead, "of one that is found dead, what it wrote itself counts");
	CASE(test_program, "the program's own end has the wait status of who waited");
	CASE(test_exec_traced, "a traced image that follows another is the same process");
	CASE(test_exec_untraced, "a process that becomes something untraced is told as lost");
	CASE(test_trigger, "triggers are told once each, the last ones too");
	return CHECK_DONE();
}
