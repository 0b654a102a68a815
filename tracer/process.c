/* SPDX-License-Identifier: MIT */
/*
 * Start and end of the tracer in a process. Before the constructor all hooks pass through; when it cannot
 * set up what it needs they pass through for good, and the program never notices.
 */
#include "tracer/process.h"

#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tracer/api_record.h"
#include "tracer/blackbox.h"
#include "tracer/custom.h"
#include "tracer/events_thread.h"
#include "tracer/exit.h"
#include "tracer/fatal.h"
#include "tracer/helper.h"
#include "tracer/internal.h"
#include "tracer/live.h"
#include "tracer/lttng_fd.h"
#include "tracer/modules.h"
#include "tracer/sampler.h"
#include "tracer/sigprof.h"
#include "tracer/stack.h"
#include "tracer/sys.h"
#include "tracer/thread.h"
#include "tracer/user.h"
#include "tracer/wait_table.h"

int fr_on;
uint16_t fr_proc;
const struct fr_control *fr_control;
struct fr_blackbox *fr_blackbox;
struct fr_range fr_lttng_all = { 0, UINTPTR_MAX };
struct fr_range fr_own;

void *fr_find_vfork(void) __attribute__((visibility("hidden")));

static struct fr_range lttng_ranges[FR_LTTNG_RANGES];
static int n_lttng_ranges, knows_lttng;
static int is_ready;
static char rundir[192];

int process_is_ready(void)
{
	return is_ready;
}

const char *process_rundir(void)
{
	return rundir;
}

/* Remembers where liblttng-ust*.so and this library lie. */
static int find_ranges(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *name = strrchr(info->dlpi_name, '/');
	struct fr_range *hull = arg;
	size_t i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X) &&
			(uintptr_t)find_ranges - begin < phdr->p_memsz)
			fr_own = (struct fr_range){ begin, begin + phdr->p_memsz };
	}
	if (strncmp(name ? name + 1 : info->dlpi_name, "liblttng-ust", 12) != 0)
		return 0;
	for (i = 0; i < info->dlpi_phnum && n_lttng_ranges < FR_LTTNG_RANGES; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		struct fr_range range = { info->dlpi_addr + phdr->p_vaddr,
			info->dlpi_addr + phdr->p_vaddr + phdr->p_memsz };

		if (phdr->p_type != PT_LOAD || !(phdr->p_flags & PF_X))
			continue;
		if (range.start < hull->start)
			hull->start = range.start;
		if (range.end > hull->end)
			hull->end = range.end;
		lttng_ranges[n_lttng_ranges++] = range;
	}
	return 0;
}

/*
 * liblttng-ust's constructor runs before ours, since we depend on it, and starts its threads: the first hook
 * that wants to know looks, while there is one thread. Until then the hull is the whole address space.
 */
static void know_lttng(void)
{
	struct fr_range hull = { UINTPTR_MAX, 0 };

	knows_lttng = 1;
	dl_iterate_phdr(find_ranges, &hull);
	if (!n_lttng_ranges)
		hull.start = 0;
	fr_lttng_all = hull;
}

int fr_is_lttng_slow(uintptr_t address)
{
	int i;

	if (unlikely(!knows_lttng))
		know_lttng();
	for (i = 0; i < n_lttng_ranges; i++)
		if (address >= lttng_ranges[i].start && address < lttng_ranges[i].end)
			return 1;
	return 0;
}

static int map_control(char *why_out, size_t why_size)
{
	char path[256];
	struct stat st;
	long fd, ret;

	snprintf(path, sizeof(path), "%s/control", rundir);
	fd = sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		/* The recorder was killed and what it left is tidied up: nobody wants to read of that. */
		if (fd != -ENOENT)
			snprintf(why_out, why_size, "cannot open %s: error %ld", path, -fd);
		return (int)fd;
	}
	ret = fstat((int)fd, &st) < 0 || st.st_size < (off_t)sizeof(*fr_control)
		      ? -EINVAL
		      : sys(SYS_mmap, NULL, sizeof(*fr_control), PROT_READ, MAP_SHARED, fd, 0);
	sys(SYS_close, fd);
	if (ret < 0 && ret > -4096) {
		snprintf(why_out, why_size, "cannot map %s: error %ld", path, -ret);
		return (int)ret;
	}
	fr_control = (const struct fr_control *)ret;
	if (fr_control->magic != FR_CONTROL_MAGIC || fr_control->version != FR_CONTROL_VERSION) {
		snprintf(why_out, why_size, "%s is of another version of flightrec", path);
		return -EINVAL;
	}
	return 0;
}

_Static_assert(offsetof(struct fr_counters, unwind_end_expression) + sizeof(uint64_t) -
			       offsetof(struct fr_counters, unwind_misses) ==
		       sizeof(struct unwind_stats),
	"the walk counts into the blackbox");

static int set_up(uint16_t parent_proc, char *why_out, size_t why_size)
{
	int ret = blackbox_open(rundir, parent_proc, why_out, why_size);

	if (ret < 0)
		return ret;
	stack_init(fr_blackbox, blackbox_commit);
	unwind_count_into((struct unwind_stats *)&fr_blackbox->counters.unwind_misses);
	ret = thread_init();
	if (ret == 0)
		ret = user_init();
	if (ret < 0) {
		snprintf(why_out, why_size, "no memory for the thread tables: error %d", -ret);
		fr_blackbox->state = FR_PROCESS_OFF;
		snprintf(fr_blackbox->why, sizeof(fr_blackbox->why), "%s", why_out);
		return ret;
	}
	if (!parent_proc)
		modules_scan();
	return 0;
}

static void emit_process(void)
{
	struct fr_event_thread e = { 0 };

	e.common.proc = fr_proc;
	e.common.tid = fr_self.tid;
	e.pid = fr_blackbox->pid;
	e.ppid = fr_blackbox->ppid;
	e.parent_proc = fr_blackbox->parent_proc;
	e.name = fr_blackbox->exe;
	lttng_ust_tracepoint(flightrec_thread, process, &e);
}

/* One sentence, from the program that the user started; its children keep quiet. */
static void complain(const char *why)
{
	char text[400];
	int n;

	if (!*why || (fr_control && fr_control->recorder_pid != (uint32_t)getppid() &&
			     !getenv("FLIGHTREC_DEBUG")))
		return;
	n = snprintf(text, sizeof(text), "flightrec: this program runs untraced: %s\n", why);
	if (n > 0)
		sys(SYS_write, 2, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* gcc -pg puts it into a program; gprof's timer and handler are set up inside libc. */
extern void gmon_start(void) __asm__("__gmon_start__") __attribute__((weak));

static void switch_on(const struct thread_birth *birth)
{
	/* Release: a thread that sees it on sees all tables. */
	__atomic_store_n(&fr_on, 1, __ATOMIC_RELEASE);
	fr_blackbox->state = FR_PROCESS_RUNNING;
	if (gmon_start)
		sigprof_give_up();
	sampler_init();
	thread_attach(birth);
	emit_process();
	fatal_start();
	exit_start();
	helper_start();
}

static __attribute__((constructor)) void start(void)
{
	const char *dir = getenv(FR_ENV_DIR);
	int saved_errno = errno;
	char why[300] = "";

	real_init();
	if (!knows_lttng)
		know_lttng();
	is_ready = 1;
	if (!dir || dir[0] != '/')
		goto out;
	if (strlen(dir) >= sizeof(rundir)) {
		complain("the path in " FR_ENV_DIR " is too long");
		goto out;
	}
	memcpy(rundir, dir, strlen(dir) + 1);
	fr_self.busy = 1;
	if (map_control(why, sizeof(why)) < 0 || set_up(0, why, sizeof(why)) < 0)
		complain(why);
	fr_self.busy = 0;
	if (!why[0])
		switch_on(NULL);
out:
	errno = saved_errno;
}

/* Not the process that the blackbox is of, but one that shares its memory (clone). */
static int is_other_process(void)
{
	return (uint32_t)sys(SYS_getpid) != fr_blackbox->pid;
}

/* May this thread write of this process? Also when our destructor has run. */
static int is_recorded(void)
{
	return fr_blackbox && fr_blackbox->state != FR_PROCESS_OFF && !fr_self.in_vfork &&
	       !is_other_process();
}

void process_note_end(int kind, int code)
{
	if (!is_recorded())
		return;
	fr_blackbox->exit_code = code & 0xff;
	__atomic_store_n(&fr_blackbox->exit_kind, (uint32_t)kind, __ATOMIC_RELEASE);
}

static void set_ended(void)
{
	fr_blackbox->end_ns = fr_now();
	__atomic_store_n(&fr_blackbox->state, FR_PROCESS_EXITED, __ATOMIC_RELEASE);
}

void process_end(int kind, int code)
{
	if (!is_recorded())
		return;
	process_note_end(kind, code);
	set_ended();
}

static __attribute__((destructor)) void stop(void)
{
	int saved_errno = errno;

	if (!fr_on || fr_self.in_vfork || is_other_process())
		return;
	sampler_end();
	thread_detach();
	set_ended();
	fr_on = 0;
	errno = saved_errno;
}

void process_after_fork(void)
{
	uint16_t parent = fr_proc;
	char why[300];

	if (!fr_on)
		return;
	fr_on = 0;
	wait_reset();
	live_reset();
	modules_reset();
	unwind_after_fork();
	if (set_up(parent, why, sizeof(why)) < 0) {
		fr_self.stage = FR_STAGE_OFF;
		return;
	}
	user_after_fork();
	custom_after_fork();
	api_record_after_fork();
	__atomic_store_n(&fr_on, 1, __ATOMIC_RELEASE);
	fr_blackbox->state = FR_PROCESS_RUNNING;
	sigprof_after_fork();
	fatal_after_fork();
	sampler_init();
	thread_after_fork();
	emit_process();
	helper_start();
}

void process_is_raw_child(void)
{
	if (fr_on)
		fr_count(forks_raw, 1);
	sigprof_after_fork();
	fatal_after_fork();
	fr_on = 0;
	fr_self.stage = FR_STAGE_OFF;
}

void process_exec(int is_traced)
{
	if (!is_recorded())
		return;
	fr_blackbox->is_traced_exec = (uint32_t)is_traced;
	fr_blackbox->end_ns = fr_now();
	__atomic_store_n(&fr_blackbox->state, FR_PROCESS_EXECED, __ATOMIC_RELEASE);
}

void process_exec_failed(void)
{
	if (!is_recorded() || fr_blackbox->state != FR_PROCESS_EXECED)
		return;
	__atomic_store_n(&fr_blackbox->state, FR_PROCESS_RUNNING, __ATOMIC_RELEASE);
	fr_blackbox->end_ns = 0;
}

/* The real vfork(), for vfork.S. */
void *fr_real_vfork __attribute__((visibility("hidden")));
__attribute__((used, section("fr_reals"))) static const struct fr_real fr_entry_vfork = { "vfork",
	&fr_real_vfork };

void *fr_find_vfork(void)
{
	return real_find(&fr_entry_vfork);
}
