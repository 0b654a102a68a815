/* SPDX-License-Identifier: MIT */
/*
 * Only what may change is read again and again, with one pread(): the file belongs to the program, which could cut it
 * short under a mapping.
 */
#include "recorder/watch_internal.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/blackbox_tables.h"
#include "recorder/pidfd.h"
#include "recorder/procfs.h"
#include "recorder/program.h"

/* exec() itself is over within milliseconds, a traced image has its blackbox within the time LTTng allows its daemon. */
#define EXEC_NS 10000000ull
#define TRACED_NS 4000000000ull
/* The kernel notes starts in ticks of 10 ms. */
#define START_SLACK_NS 20000000ull

/* True when nothing has the process's number any more, or a later process has it. */
static bool is_another(const struct watch_entry *entry)
{
	struct procfs_stat stat;

	return procfs_stat_read(entry->process.pid, 0, &stat) != 0 ||
	       stat.start_ns > entry->process.start_ns + START_SLACK_NS;
}

/* The name that the kernel has is cut at 15 bytes. */
static void fill_names(struct watch_entry *entry)
{
	const char *path = entry->blackbox->header.exe, *exe = strrchr(path, '/');
	struct watch_process *process = &entry->process;
	struct procfs_stat stat;
	struct fr_slot first;

	exe = exe ? exe + 1 : path;
	g_strlcpy(process->exe, *exe ? exe : "program", sizeof(process->exe));
	if (procfs_stat_read(process->pid, 0, &stat) != 0 || !stat.comm[0] ||
		stat.start_ns > process->start_ns + START_SLACK_NS) {
		/* Gone already: what its first thread was called. */
		stat.comm[0] = '\0';
		if (blackbox_read(entry->blackbox, &first, sizeof(first),
			    entry->blackbox->header.off_slots) == 0 &&
			first.tid == (uint32_t)process->pid)
			g_strlcpy(stat.comm, first.name, sizeof(first.name));
	}
	if (!stat.comm[0] || (strlen(stat.comm) == 15 && g_str_has_prefix(process->exe, stat.comm)))
		g_strlcpy(process->name, process->exe, sizeof(process->name));
	else
		g_strlcpy(process->name, stat.comm, sizeof(process->name));
}

int watch_entry_new(
	const char *rundir, uint16_t proc, struct watch_entry **entry_out, bool *is_dead_out)
{
	struct watch_entry *entry;
	struct blackbox *blackbox;
	int err = blackbox_open_proc(rundir, proc, &blackbox);

	if (err)
		return err;
	entry = g_new0(struct watch_entry, 1);
	entry->blackbox = blackbox;
	entry->oom = -1;
	entry->process.proc = proc;
	entry->process.pid = (pid_t)blackbox->header.pid;
	entry->process.start_ns = blackbox->header.start_ns;
	fill_names(entry);
	entry->pidfd = pidfd_open_process(entry->process.pid);
	/* Only now that the number cannot go to another process: is it still this one's? */
	*is_dead_out = entry->pidfd == -ESRCH || is_another(entry);
	if (*is_dead_out && entry->pidfd >= 0) {
		close(entry->pidfd);
		entry->pidfd = -1;
	}
	if (entry->pidfd < 0)
		entry->pidfd = -1;
	*entry_out = entry;
	return 0;
}

void watch_entry_free(struct watch_entry *entry)
{
	if (!entry)
		return;
	if (entry->pidfd >= 0)
		close(entry->pidfd);
	blackbox_close(entry->blackbox);
	g_free(entry);
}

void watch_entry_refresh(struct watch_entry *entry)
{
	struct fr_blackbox now;

	if (blackbox_read(entry->blackbox, &now, sizeof(now), 0) != 0)
		return;
	entry->blackbox->header.state = now.state;
	entry->blackbox->header.end_ns = now.end_ns;
	entry->blackbox->header.triggers_next = now.triggers_next;
	entry->blackbox->header.exit_kind = now.exit_kind;
	entry->blackbox->header.exit_code = now.exit_code;
	entry->blackbox->header.is_traced_exec = now.is_traced_exec;
}

bool watch_entry_is_gone(const struct watch_entry *entry)
{
	struct procfs_stat stat;

	return is_another(entry) || procfs_stat_read(entry->process.pid, 0, &stat) != 0 ||
	       stat.state == 'Z' || stat.state == 'X';
}

/* What the process itself wrote before its end. */
static void how_by_blackbox(const struct watch_entry *entry, struct process_end *end)
{
	const struct fr_blackbox *header = &entry->blackbox->header;
	struct fr_crash crash;

	if (header->exit_kind != FR_EXIT_UNKNOWN || header->state == FR_PROCESS_EXITED) {
		end->how = PROCESS_END_EXIT;
		end->code = header->exit_code & 0xff;
	} else if (blackbox_crash(entry->blackbox, &crash)) {
		end->how = PROCESS_END_SIGNAL;
		end->signal = crash.signal;
	} else {
		end->how = PROCESS_END_UNKNOWN;
	}
}

bool watch_entry_how(const struct watch_entry *entry, struct oom *oom, bool is_final,
	struct process_end *end_out)
{
	struct process_end end = { .end_ns = entry->end_ns };
	int status;

	if (entry->pidfd >= 0 && pidfd_wait_status(entry->pidfd, entry->process.pid, &status))
		process_end_of_status(status, &end);
	else if (is_final)
		how_by_blackbox(entry, &end);
	else
		return false;
	if (end.how == PROCESS_END_SIGNAL && end.signal == SIGKILL)
		end.is_oom = oom_has_killed(oom, entry->oom);
	*end_out = end;
	return true;
}

/* Whether the program that runs as `pid` now loads the tracer when it is asked to. */
static bool is_traceable(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/exe", (int)pid), *why = NULL;
	struct program program = { 0 };
	bool is_it;

	/* Another user's program cannot be looked at. */
	if (program_inspect(path, &program, &why) != 0)
		return true;
	is_it = program.kind == PROGRAM_TRACED;
	program_fini(&program);
	return is_it;
}

bool watch_entry_is_lost(const struct watch_entry *entry, uint64_t now_ns)
{
	const struct fr_blackbox *header = &entry->blackbox->header;
	uint64_t ns = now_ns - entry->execed_ns;

	if (entry->is_away || !entry->execed_ns || ns < EXEC_NS)
		return false;
	return !header->is_traced_exec || ns > TRACED_NS || !is_traceable(entry->process.pid);
}

void watch_entry_triggers(struct watch_entry *entry, const struct watch_calls *calls)
{
	g_autoptr(GArray) triggers = NULL;

	if (entry->blackbox->header.triggers_next <= entry->n_triggers)
		return;
	triggers = blackbox_triggers(entry->blackbox, entry->n_triggers, &entry->n_triggers);
	for (guint i = 0; i < triggers->len && calls->on_trigger; i++)
		calls->on_trigger(calls->user, &entry->process,
			&g_array_index(triggers, struct fr_trigger, i));
}
