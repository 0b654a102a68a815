/* SPDX-License-Identifier: MIT */
/*
 * A signal interrupts a call that sleeps, and not all of them are restarted. So /proc is asked first what a thread does
 * that our hooks know nothing of. What changes between the look and the signal is what eintr.h is for.
 */
#include "tracer/dump.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "tracer/sampler.h"
#include "tracer/sigprof.h"
#include "tracer/sys.h"
#include "tracer/thread.h"

#define WAIT_NS 100000000u
#define FIRST_PAUSE_NS 50000
#define MAX_PAUSE_NS 2000000

/* "/proc/self/task/TID/NAME" into path_out, which has 64 bytes. Without stdio: this thread takes no locks. */
static void put_path(char *path_out, uint32_t tid, const char *name)
{
	static const char folder[] = "/proc/self/task/";
	char digits[12], *at = path_out;
	int n = 0;

	memcpy(at, folder, sizeof(folder) - 1);
	at += sizeof(folder) - 1;
	do {
		digits[n++] = (char)('0' + tid % 10);
	} while (tid /= 10);
	while (n > 0)
		*at++ = digits[--n];
	*at++ = '/';
	while (*name)
		*at++ = *name++;
	*at = '\0';
}

/* Reads a file of a thread as a string; 0 when it cannot be read. */
static int read_text(uint32_t tid, const char *name, char *text_out, size_t size)
{
	char path[64];
	size_t n = 0;
	long fd, ret;

	put_path(path, tid, name);
	fd = sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (n < size - 1 && (ret = sys(SYS_read, fd, text_out + n, size - 1 - n)) > 0)
		n += (size_t)ret;
	sys(SYS_close, fd);
	text_out[n] = '\0';
	return n > 0;
}

/* The number at `text`; -1 when there is none. */
static int64_t parse(const char *text, unsigned base)
{
	int64_t value = 0;
	int n = 0;

	while (*text == ' ' || *text == '\t')
		text++;
	if (base == 16 && text[0] == '0' && text[1] == 'x')
		text += 2;
	for (; n < 18; n++, text++) {
		unsigned digit = *text >= '0' && *text <= '9'	? (unsigned)(*text - '0')
				 : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a') + 10
								: 99;

		if (digit >= base)
			break;
		value = value * (int64_t)base + digit;
	}
	return n ? value : -1;
}

/*
 * "NUMBER 0xARG0 … 0xARG5 0xSP 0xPC", or "running", or "-1 …" for a thread that waits outside of a call (a page
 * fault). Is it a call that the kernel takes up again after a handler with SA_RESTART?
 */
static int is_restarted(const char *text)
{
	int64_t number = parse(text, 10);
	int n_spaces = 0;

	if (strncmp(text, "running", 7) == 0 || text[0] == '-')
		return 1;
	switch (number) {
	case SYS_read:
	case SYS_write:
	case SYS_readv:
	case SYS_writev:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_flock:
	case SYS_wait4:
	case SYS_waitid:
	case SYS_openat:
		return 1;
	case SYS_futex:
		/* Without a timeout, which is the fourth argument. */
		for (; *text && n_spaces < 4; text++)
			n_spaces += *text == ' ';
		return parse(text, 16) == 0;
	default:
		return 0;
	}
}

/* May this thread, which says that it runs, be interrupted? */
static int is_free(uint32_t tid)
{
	const uint64_t bit = 1ull << (SIGPROF - 1);
	char text[2048];
	const char *at;

	if (!read_text(tid, "status", text, sizeof(text)))
		return 0;
	at = strstr(text, "\nSigBlk:");
	if (!at || ((uint64_t)parse(at + 8, 16) & bit))
		return 0;
	at = strstr(text, "\nState:");
	if (!at)
		return 0;
	for (at += 7; *at == ' ' || *at == '\t'; at++)
		;
	switch (*at) {
	case 'R':
		return 1;
	case 'S':
	case 'D':
		return read_text(tid, "syscall", text, sizeof(text)) && is_restarted(text);
	default: /* stopped, or at its end */
		return 0;
	}
}

static int is_asked(const struct fr_slot *slot)
{
	return slot->tid && !__atomic_load_n(&slot->is_exited, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&slot->state, __ATOMIC_RELAXED) == FR_STATE_RUNNING;
}

static int send(uint32_t tid, struct fr_private *private, uint32_t seq)
{
	siginfo_t info = { .si_signo = SIGPROF, .si_code = SI_QUEUE };
	long ret;

	info.si_pid = (int)sys(SYS_getpid);
	info.si_uid = (unsigned)sys(SYS_getuid);
	info.si_value.sival_ptr = (void *)((uint64_t)sampler_cookie << 32 | seq);
	if (!sigprof_send_begin())
		return 0;
	__atomic_store_n(&private->dump_wanted, seq, __ATOMIC_SEQ_CST);
	ret = sys(SYS_rt_tgsigqueueinfo, info.si_pid, tid, SIGPROF, &info);
	if (ret < 0)
		__atomic_store_n(&private->dump_wanted, 0, __ATOMIC_SEQ_CST);
	sigprof_send_end();
	return ret == 0;
}

/* Requests that are on their way still. Those of earlier dumps, which were never answered, hold nobody up. */
static uint32_t count_open(
	const struct fr_slot *slots, const struct fr_private *privates, uint32_t n, uint32_t seq)
{
	uint32_t n_open = 0, i;

	for (i = 0; i < n; i++)
		n_open += __atomic_load_n(&privates[i].dump_wanted, __ATOMIC_RELAXED) == seq &&
			  !__atomic_load_n(&slots[i].is_exited, __ATOMIC_RELAXED);
	return n_open;
}

void dump_take(uint32_t seq)
{
	struct timespec pause = { 0, FIRST_PAUSE_NS };
	struct fr_private *privates;
	struct fr_slot *slots;
	uint32_t n = thread_table(&slots, &privates), i;
	uint64_t end_ns;

	if (!seq || sigprof_take(NULL, 0) != 0)
		return;
	for (i = 0; i < n; i++)
		if (is_asked(&slots[i]) && is_free(slots[i].tid) && is_asked(&slots[i]))
			send(slots[i].tid, &privates[i], seq);
	end_ns = fr_now() + WAIT_NS;
	while (count_open(slots, privates, n, seq) && fr_now() < end_ns) {
		sys(SYS_nanosleep, &pause, NULL);
		if (pause.tv_nsec < MAX_PAUSE_NS)
			pause.tv_nsec *= 2;
	}
}
