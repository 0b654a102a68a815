/* SPDX-License-Identifier: MIT */
#include "recorder/process_end.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void process_end_of_status(int status, struct process_end *end_out)
{
	if (WIFSIGNALED(status)) {
		end_out->how = PROCESS_END_SIGNAL;
		end_out->signal = (uint32_t)WTERMSIG(status);
		end_out->is_core = WCOREDUMP(status) != 0;
	} else {
		end_out->how = PROCESS_END_EXIT;
		end_out->code = WEXITSTATUS(status);
	}
}

int process_end_write(const char *rundir, uint16_t proc, const struct process_end *end)
{
	g_autofree char *path = g_strdup_printf("%s/" PROCESS_ENDS_NAME, rundir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return -errno;
	n = pwrite(fd, end, sizeof(*end), (off_t)proc * (off_t)sizeof(*end));
	if (n != (ssize_t)sizeof(*end))
		err = n < 0 ? -errno : -ENOSPC;
	close(fd);
	return err;
}

bool process_end_read(const char *rundir, uint16_t proc, struct process_end *end_out)
{
	g_autofree char *path = g_strdup_printf("%s/" PROCESS_ENDS_NAME, rundir);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool is_there = false;

	memset(end_out, 0, sizeof(*end_out));
	if (fd < 0)
		return false;
	is_there = pread(fd, end_out, sizeof(*end_out), (off_t)proc * (off_t)sizeof(*end_out)) ==
			   (ssize_t)sizeof(*end_out) &&
		   end_out->how != PROCESS_END_NONE && end_out->how <= PROCESS_END_EXEC;
	if (!is_there)
		memset(end_out, 0, sizeof(*end_out));
	close(fd);
	return is_there;
}

char *process_signal_name(int number)
{
	const char *abbreviation = number > 0 ? sigabbrev_np(number) : NULL;

	if (abbreviation)
		return g_strdup_printf("SIG%s", abbreviation);
	if (number >= SIGRTMIN && number <= SIGRTMAX)
		return number == SIGRTMIN ? g_strdup("SIGRTMIN")
					  : g_strdup_printf("SIGRTMIN+%d", number - SIGRTMIN);
	return g_strdup_printf("signal %d", number);
}

const char *process_signal_meaning(int number)
{
	static const struct {
		int number;
		const char *text;
	} meanings[] = {
		{ SIGSEGV, "segmentation fault" },
		{ SIGBUS, "bus error" },
		{ SIGFPE, "arithmetic exception" },
		{ SIGILL, "illegal instruction" },
		{ SIGABRT, "abort" },
		{ SIGTRAP, "trap" },
		{ SIGSYS, "system call refused by a filter" },
		{ SIGXCPU, "CPU time limit" },
		{ SIGXFSZ, "file size limit" },
		{ SIGPIPE, "nobody reads what it writes" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++) {
		if (meanings[i].number == number)
			return meanings[i].text;
	}
	return NULL;
}

/* "RTMIN+3", "RTMAX-1". 0: it is none. */
static int realtime_number(const char *name)
{
	bool is_min = g_str_has_prefix(name, "RTMIN"), is_max = g_str_has_prefix(name, "RTMAX");
	char *end = NULL;
	gint64 offset = 0;

	if (!is_min && !is_max)
		return 0;
	name += strlen("RTMIN");
	if (*name) {
		if (*name != (is_min ? '+' : '-'))
			return 0;
		offset = g_ascii_strtoll(name, &end, 10);
		if (*end || offset < -64 || offset > 64)
			return 0;
	}
	return (is_min ? SIGRTMIN : SIGRTMAX) + (int)offset;
}

int process_signal_number(const char *name)
{
	char *end = NULL;
	gint64 number = g_ascii_strtoll(name, &end, 10);

	if (*name && !*end)
		return number > 0 && number <= SIGRTMAX ? (int)number : 0;
	if (g_ascii_strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (int i = 1; i < SIGRTMIN; i++) {
		const char *abbreviation = sigabbrev_np(i);

		if (abbreviation && g_ascii_strcasecmp(abbreviation, name) == 0)
			return i;
	}
	number = realtime_number(name);
	return number >= SIGRTMIN && number <= SIGRTMAX ? (int)number : 0;
}
