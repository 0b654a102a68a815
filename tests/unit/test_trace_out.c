/* SPDX-License-Identifier: MIT */
/*
 * A whole trace.out of this very process, with a blackbox as the tracer would write it and streams with
 * known events, unpacked by tar and read by babeltrace2.
 */
#include "check.h"
#include "run.h"

#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "blackbox_file.h"
#include "clock.h"
#include "lttng_file.h"
#include "recorder/trace_out.h"

#define PROC 12

/* Fills the module of this program itself, as the tracer would. */
static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
	struct fr_module *module = data;

	(void)size;
	module->base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		const uint8_t *note = (const uint8_t *)info->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type == PT_LOAD && phdr->p_flags & PF_X) {
			module->start = info->dlpi_addr + (phdr->p_vaddr & ~4095ull);
			module->end = info->dlpi_addr + phdr->p_vaddr + phdr->p_memsz;
			module->file_offset = phdr->p_offset & ~4095ull;
		}
		if (phdr->p_type == PT_NOTE && note[8] == 3 && !module->n_build_id) {
			module->n_build_id = note[4];
			memcpy(module->build_id, note + 16, note[4]);
		}
	}
	if (readlink("/proc/self/exe", module->path, sizeof(module->path) - 1) < 0)
		abort();
	return 1;
}

/* Frames of the recorded stack: return addresses into these functions. */
__attribute__((noinline)) static void victim_leaf(void)
{
	__asm__ volatile("nop; nop; nop");
}

__attribute__((noinline)) static void victim_caller(void)
{
	victim_leaf();
	__asm__ volatile("nop; nop; nop");
}

static struct blackbox_file file;

static void build(void)
{
	const uint64_t frames[] = { (uintptr_t)victim_leaf + 2, (uintptr_t)victim_caller + 6, 0x10 };
	struct fr_call_total *calls;
	struct fr_slot *slot;
	uint32_t id;

	run("rm -rf rd rec trace; mkdir -p rd/blackbox");
	file = blackbox_file_create(run_path("rd/blackbox/00012"), PROC);
	file.header->start_ns = now_ns();
	id = blackbox_file_stack(&file, frames, 3, FR_STACK_BROKEN);
	slot = blackbox_file_slot(&file, (uint32_t)getpid());
	slot->start_ns = file.header->start_ns;
	slot->state = FR_STATE_NET;
	slot->call = FR_CALL_recv;
	slot->since_ns = now_ns();
	slot->fd = 7;
	slot->stack = id;
	strcpy(slot->name, "main \"q\"");
	dl_iterate_phdr(on_object, blackbox_file_module(&file));
	calls = blackbox_file_at(&file, file.header->off_calls);
	calls[FR_CALL_read].n = 10;
	victim_caller();
}

static int write_trace(const char *name, struct trace_out_request *request, struct trace_out_result *result)
{
	int fd = open(run_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), err;

	request->rundir = run_path("rd");
	err = trace_out_write(fd, request, result);
	close(fd);
	return err;
}

static int has(const char *text)
{
	int is_there = strstr(run_output, text) != NULL;

	if (!is_there)
		printf("# not found: %s\n", text);
	return is_there;
}

/* Unpacks and reads; any warning is a failure. The output is left in run_output. */
static void read_trace(const char *name)
{
	CHECK_INT(run("rm -rf trace && tar xzf %s && babeltrace2 trace >events", name), 0);
	CHECK_STR(run_output, "");
	CHECK_INT(run("babeltrace2 --clock-cycles trace/state | sed 's/.*flightrec_state:/ /'"), 0);
}

/* LTTng's files with 300 events from `begin` on; five more were lost. */
static void build_streams(uint64_t begin)
{
	GString *stream = g_string_new(NULL);

	run("mkdir -p rec/ust/uid/0/64-bit");
	lttng_write_metadata(run_path("rec/ust/uid/0/64-bit/metadata"), 1795208062798252979);
	lttng_append_packet(stream, 0, 0, 0, begin + 10, 0, 200);
	lttng_append_packet(stream, 0, 1, 5, begin + 5000, 200, 100);
	run_write("rec/ust/uid/0/64-bit/ch_0", stream->str, stream->len);
	g_string_free(stream, TRUE);
}

static void whole(void)
{
	static const char *const notes[] = { "a note", NULL };
	static const struct trace_out_env env[] = { { "command", "prog \"x\" é" } };
	struct trace_out_request request = {
		.mode = "run",
		.end_reason = "stop",
		.asked_ns = 5000000000,
		.notes = notes,
		.env = env,
		.n_env = 1,
	};
	struct trace_out_result result;
	uint64_t begin = now_ns();
	char text[256];

	build();
	build_streams(begin);
	request.ust_dir = run_path("rec");
	request.begin_ns = begin;
	request.end_ns = now_ns();
	CHECK_INT(write_trace("a.out", &request, &result), 0);
	CHECK_INT(result.begin_ns, begin);
	CHECK_INT(result.end_ns, request.end_ns);
	CHECK_INT(result.lost_events, 5);
	CHECK_INT(run("stat -c %%s a.out"), 0);
	CHECK_INT(strtoull(run_output, NULL, 10), result.n_bytes);
	CHECK_INT(run("rm -rf trace && tar xzf a.out && find trace -type f | sort"), 0);
	CHECK_STR(run_output, "trace/state/metadata\ntrace/state/state\ntrace/ust/uid/0/64-bit/ch_0\n"
			      "trace/ust/uid/0/64-bit/metadata\n");
	/* All streams in one run, times never going back. */
	CHECK_INT(run("babeltrace2 --clock-seconds --no-delta trace 2>errors >events; "
		      "grep -v discarded errors; grep -c t:n: events"),
		0);
	CHECK_STR(run_output, "300\n");
	CHECK_INT(run("cut -d] -f1 events | sort -c"), 0);
	CHECK_INT(run("babeltrace2 trace/state | sed 's/.*flightrec_state:/ /'"), 0);
	snprintf(text, sizeof(text), "process: { proc = 12, pid = %d, ", getpid());
	CHECK(has(text));
	CHECK(has("func = \"victim_leaf\""));
	CHECK(has("func = \"victim_caller\""));
	CHECK(has("addr = 16, depth = 0, func = \"-\""));
	CHECK(has("flags = 4, frames_length = 3"));
	CHECK(has("name = \"main \\\"q\\\"\""));
	CHECK(has("state = ( \"net\" : container = 11 ), call = ( \"recv\""));
	CHECK(has("path = \"[vdso]\""));
	CHECK(has("libc.so.6\""));
	CHECK(has("call_total: { proc = 12, call = ( \"read\" : container = 1 ), n = 10,"));
	CHECK(has("fd = 0, target = "));
	CHECK(has("key = \"command\", value = \"prog \\\"x\\\" é\""));
	CHECK(has("key = \"lost.events\", value = \"5\""));
	CHECK(has("key = \"window.asked_ns\", value = \"5000000000\""));
	CHECK(has("key = \"note.0\", value = \"a note\""));
	CHECK(has("key = \"scheduling\", value = \"none: nothing is traced\""));
	blackbox_file_close(&file);
}

/* What a recorder leaves that is killed while it looks up names. */
static void on_safe(void *user)
{
	const char *name = user;

	CHECK_INT(run("cp %s killed.out", name), 0);
}

static void safe_before_names(void)
{
	struct trace_out_request request = { .mode = "run", .end_reason = "stop" };
	struct trace_out_result result;
	uint64_t begin = now_ns();

	build();
	build_streams(begin);
	request.ust_dir = run_path("rec");
	request.begin_ns = begin;
	request.end_ns = now_ns();
	request.on_safe = on_safe;
	request.user = (void *)(uintptr_t) "f.out";
	CHECK_INT(write_trace("f.out", &request, &result), 0);
	CHECK_STR(result.names, "");
	/* Complete for any reader, but without names, and it says so. */
	CHECK_INT(run("gzip -t killed.out && rm -rf trace && tar xzf killed.out && "
		      "babeltrace2 trace 2>errors >events; grep -c t:n: events"),
		0);
	CHECK_STR(run_output, "300\n");
	CHECK_INT(run("babeltrace2 trace/state | sed 's/.*flightrec_state:/ /'"), 0);
	CHECK(has("flags = 4, frames_length = 3"));
	CHECK(has("libc.so.6\""));
	CHECK(has("The names of functions are missing: the recorder was ended"));
	CHECK(has("key = \"lost.events\", value = \"5\""));
	CHECK(!strstr(run_output, "victim_leaf"));
	/* With names, nothing of that is left. */
	CHECK_INT(run("stat -c %%s f.out"), 0);
	CHECK_INT(strtoull(run_output, NULL, 10), result.n_bytes);
	CHECK_INT(run("tar tzf f.out | sort | uniq -d"), 0);
	CHECK_STR(run_output, "");
	CHECK_INT(run("gzip -t f.out && rm -rf trace && tar xzf f.out && "
		      "babeltrace2 trace 2>errors >events; grep -c t:n: events"),
		0);
	CHECK_STR(run_output, "300\n");
	CHECK_INT(run("babeltrace2 trace/state | sed 's/.*flightrec_state:/ /'"), 0);
	CHECK(has("func = \"victim_leaf\""));
	CHECK(!strstr(run_output, "names of functions are missing"));
	blackbox_file_close(&file);
}

/* From here on no file may grow beyond what the trace without names takes. */
static void fill_disk(void *user)
{
	struct stat st;
	struct rlimit limit;

	CHECK_INT(stat(run_path(user), &st), 0);
	limit = (struct rlimit){ .rlim_cur = (rlim_t)st.st_size, .rlim_max = RLIM_INFINITY };
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void no_room_for_names(void)
{
	struct trace_out_request request = { .mode = "run", .end_reason = "stop" };
	const struct rlimit no_limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct trace_out_result result;
	uint64_t begin = now_ns();

	signal(SIGXFSZ, SIG_IGN);
	build();
	build_streams(begin);
	request.ust_dir = run_path("rec");
	request.begin_ns = begin;
	request.end_ns = now_ns();
	request.on_safe = fill_disk;
	request.user = (void *)(uintptr_t) "g.out";
	CHECK_INT(write_trace("g.out", &request, &result), 0);
	setrlimit(RLIMIT_FSIZE, &no_limit);
	CHECK(strstr(result.names, "could not be written") != NULL);
	CHECK_INT(run("stat -c %%s g.out"), 0);
	CHECK_INT(strtoull(run_output, NULL, 10), result.n_bytes);
	CHECK_INT(run("rm -rf trace && tar xzf g.out && "
		      "babeltrace2 trace 2>errors >events; grep -c t:n: events"),
		0);
	CHECK_STR(run_output, "300\n");
	CHECK_INT(run("babeltrace2 trace/state | sed 's/.*flightrec_state:/ /'"), 0);
	CHECK(has("The names of functions are missing"));
	blackbox_file_close(&file);
}

static void *burn(void *arg)
{
	uint64_t until = now_ns() + 60000000;

	while (now_ns() < until)
		continue;
	return arg;
}

static void cpu_inside_the_window(void)
{
	struct trace_out_request request = { .mode = "run", .end_reason = "duration" };
	struct trace_out_result result;
	struct fr_call_total *calls;
	struct cpu_times *begin;
	const char *at;
	long long cpu;

	build();
	burn(NULL);
	begin = cpu_times_take(run_path("rd"));
	request.cpu_begin = begin;
	request.begin_ns = now_ns();
	burn(NULL);
	calls = blackbox_file_at(&file, file.header->off_calls);
	calls[FR_CALL_read].n += 7;
	request.end_ns = now_ns();
	CHECK_INT(write_trace("b.out", &request, &result), 0);
	cpu_times_free(begin);
	read_trace("b.out");
	at = strstr(run_output, "task = 0, cpu = ");
	CHECK(at != NULL);
	cpu = at ? strtoll(at + strlen("task = 0, cpu = "), NULL, 10) : 0;
	/* 60 ms of 120, less what other programs took of the processor. */
	CHECK(cpu > 5000000 && cpu < 100000000);
	CHECK(has("call = ( \"read\" : container = 1 ), n = 7,"));
	blackbox_file_close(&file);
}

static void without_streams(void)
{
	struct trace_out_request request = { .mode = "snapshot", .end_reason = "stop" };
	struct trace_out_result result;

	build();
	request.end_ns = now_ns();
	CHECK_INT(write_trace("c.out", &request, &result), 0);
	read_trace("c.out");
	CHECK(has("func = \"victim_leaf\""));
	/* Wall-clock time, to the day: the clock was worked out here. */
	CHECK_INT(run("babeltrace2 --clock-date --clock-gmt --no-delta trace | head -1 | cut -c 2-11 > day; "
		      "date -u +%%F | cmp - day"),
		0);
	blackbox_file_close(&file);
}

static void killed_process(void)
{
	struct trace_out_request request = { .mode = "snapshot", .end_reason = "exit" };
	struct trace_out_result result;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	build();
	file.header->pid = (uint32_t)pid;
	request.end_ns = now_ns();
	CHECK_INT(write_trace("d.out", &request, &result), 0);
	read_trace("d.out");
	CHECK(has("state = ( \"killed\" : container = 5 )"));
	/* What its thread did when it died. */
	CHECK(has("state = ( \"net\" : container = 11 ), call = ( \"recv\""));
	/* The program's file is still there, with its build-id. */
	CHECK(has("func = \"victim_leaf\""));
	CHECK(!strstr(run_output, "target = "));
	blackbox_file_close(&file);
}

static void unusable_blackboxes(void)
{
	struct trace_out_request request = { .mode = "run", .end_reason = "stop" };
	struct trace_out_result result;
	struct blackbox_file other;

	build();
	run_write("rd/blackbox/00099", "garbage", 7);
	other = blackbox_file_create(run_path("rd/blackbox/00100"), 100);
	other.header->off_slots = UINT64_MAX;
	request.end_ns = now_ns();
	CHECK_INT(write_trace("e.out", &request, &result), 0);
	read_trace("e.out");
	CHECK(has("func = \"victim_leaf\""));
	CHECK(has("The state of process number 100 is missing: it is damaged."));
	blackbox_file_close(&other);
	blackbox_file_close(&file);
}

static void full_target(void)
{
	struct trace_out_request request = { .mode = "run", .end_reason = "stop", .rundir = run_dir };
	struct trace_out_result result;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	CHECK_INT(trace_out_write(fd, &request, &result), -ENOSPC);
	close(fd);
}

int main(void)
{
	run_init("test_trace_out");
	CASE(whole, "streams and state are in one archive that standard tools read in order");
	CASE(safe_before_names, "before names are looked up, the file is a trace without them");
	CASE(no_room_for_names, "a disk that fills up then costs the names only");
	CASE(cpu_inside_the_window, "CPU time and call totals are those of the window");
	CASE(without_streams, "a trace without streams has wall-clock time of its own");
	CASE(killed_process, "a killed process keeps its state and names");
	CASE(unusable_blackboxes, "unusable blackboxes are named in a note");
	CASE(full_target, "a full disk is reported");
	run_fini();
	return CHECK_DONE();
}
