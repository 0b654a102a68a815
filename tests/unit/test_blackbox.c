/* SPDX-License-Identifier: MIT */
/* The tracer's side of the blackbox: names, layout, room. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "temp_dir.h"
#include "tracer/blackbox.h"
#include "tracer/internal.h"

uint16_t fr_proc;
struct fr_blackbox *fr_blackbox;

static const char *rundir;

static void path_of(char *out, size_t size, unsigned proc)
{
	snprintf(out, size, "%s/blackbox/%05u", rundir, proc);
}

static void opens_and_fills_the_header(void)
{
	char why[200] = "", path[300];
	struct stat st;

	CHECK_INT(blackbox_open(rundir, 0, why, sizeof(why)), 0);
	CHECK_STR(why, "");
	CHECK(fr_blackbox->magic == FR_BLACKBOX_MAGIC);
	CHECK_INT(fr_blackbox->pid, getpid());
	CHECK_INT(fr_blackbox->proc, fr_proc);
	CHECK_INT(fr_blackbox->parent_proc, 0);
	CHECK(strstr(fr_blackbox->exe, "test_blackbox") != NULL);
	path_of(path, sizeof(path), fr_proc);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_size, fr_blackbox->file_size);
	CHECK_INT(st.st_mode & 0777, 0600);
	/* Almost all of it is hole. */
	CHECK(st.st_blocks * 512 < 1 << 20);
}

static void regions_do_not_overlap(void)
{
	const struct fr_blackbox *b = fr_blackbox;

	CHECK(b->off_calls >= sizeof(*b));
	CHECK(b->off_slots >=
		b->off_calls + sizeof(struct fr_call_total) * FR_BB_MAX_CALLS * FR_BB_CALL_SHARDS);
	CHECK(b->off_modules >= b->off_slots + sizeof(struct fr_slot) * FR_BB_MAX_THREADS);
	CHECK(b->off_stack_index >= b->off_modules + sizeof(struct fr_module) * FR_BB_MAX_MODULES);
	CHECK(b->off_live >= b->off_stack_index + sizeof(uint64_t) * FR_BB_STACK_INDEX);
	CHECK(b->off_stack_arena >= b->off_live + sizeof(struct fr_live) * FR_BB_MAX_LIVE);
	CHECK(b->file_size >= b->off_stack_arena + FR_BB_STACK_ARENA);
}

static void commits_what_is_asked(void)
{
	uint64_t at = fr_blackbox->off_stack_arena + (5 << 20);

	CHECK(!blackbox_is_committed(at, 100));
	CHECK_INT(blackbox_commit(at, 100), 0);
	CHECK(blackbox_is_committed(at, 100));
	CHECK(!blackbox_is_committed(at, 1 << 20));
	CHECK_INT(blackbox_commit(fr_blackbox->off_slots, sizeof(struct fr_slot)), 0);
}

static void takes_the_next_free_number(void)
{
	uint16_t first = fr_proc;
	char why[200];

	CHECK_INT(blackbox_open(rundir, first, why, sizeof(why)), 0);
	CHECK_INT(fr_proc, first % 65535 + 1);
	CHECK_INT(fr_blackbox->parent_proc, first);
	/* The bits of the old file say nothing about the new one. */
	CHECK(!blackbox_is_committed(fr_blackbox->off_stack_arena + (5 << 20), 100));
}

static void refuses_below_the_file_size_limit(void)
{
	struct rlimit limit, small;
	struct fr_blackbox *before = fr_blackbox;
	char why[200] = "";

	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_FSIZE, &small);
	CHECK_INT(blackbox_open(rundir, 0, why, sizeof(why)), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &limit);
	CHECK(strstr(why, "ulimit -f") != NULL);
	CHECK(fr_blackbox == before);
}

static void says_which_folder_is_missing(void)
{
	struct fr_blackbox *before = fr_blackbox;
	char why[200] = "";

	CHECK_INT(blackbox_open("/nonexistent", 0, why, sizeof(why)), -ENOENT);
	CHECK(strstr(why, "/nonexistent/blackbox/") != NULL);
	CHECK(fr_blackbox == before);
}

int main(void)
{
	rundir = temp_dir_make_runtime("test_blackbox");
	CASE(opens_and_fills_the_header, "a new file has its header and takes little room");
	CASE(regions_do_not_overlap, "regions lie one after the other");
	CASE(commits_what_is_asked, "a region exists after its commit, and only it");
	CASE(takes_the_next_free_number, "the next process gets the next free number");
	CASE(refuses_below_the_file_size_limit, "a file size limit is respected and named");
	CASE(says_which_folder_is_missing, "a missing folder is named");
	return CHECK_DONE();
}
