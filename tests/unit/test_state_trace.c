/* SPDX-License-Identifier: MIT */
/* Each event of the state trace as babeltrace2 shows it. */
#include "check.h"
#include "run.h"

#include <fcntl.h>

#include "recorder/state_trace.h"
#include "recorder/trace_out.h"

static const struct ctf_clock test_clock = { .name = "monotonic", .freq = 1000000000 };

static int has_line(const char *text)
{
	int is_there = run_output && strstr(run_output, text) != NULL;

	if (!is_there)
		printf("# no line with: %s\n# in: %s\n", text, run_output);
	return is_there;
}

static void write_moments(struct state_trace *trace)
{
	const struct fr_crash crash = {
		.state = 2, .signal = 11, .code = -6, .tid = 101, .stack = 17, .sender_pid = 5,
		.sender_uid = 6, .addr = 0x10, .pc = 0x401002, .sp = 0x7000, .n_regs = 2, .n_code = 3,
		.n_stack_bytes = 4, .is_overflow = 1, .regs = { 0xab, 1 }, .code_start = 0x401001,
		.code_bytes = { 0x0f, 0x0b, 0x90 }, .stack_bytes = { 1, 2, 0xff, 4 },
	};
	const struct trace_trigger trigger = {
		.kind = FR_TRIGGER_SLOW, .reason = "checkout", .time_ns = 1800, .value = 9, .limit = 8,
		.obj = 7, .tid = 101, .stack = 17, .proc = 3,
	};

	state_trace_set_time(trace, 1700);
	state_trace_crash(trace, 3, &crash);
	state_trace_set_time(trace, 1800);
	state_trace_trigger(trace, &trigger);
}

static void write_definitions(struct state_trace *trace)
{
	const struct state_process process = {
		.proc = 3, .pid = 100, .ppid = 1, .uid = 1000, .start_ns = 5, .state = FR_PROCESS_KILLED,
		.exe = "/bin/x", .command = "x \"a b\"", .exit_kind = FR_EXIT_DIRECT, .exit_code = -2,
		.signal = 9, .is_oom = 1,
	};
	const uint64_t frames[] = { 0x401001, 0x402002, 0x403003 };
	const struct symbol_frame frame = {
		.func = "box<int>::get", .system_name = "_ZN3boxIiE3getEv", .file = "/src/box.cc",
		.line = 12, .func_line = 10,
	};
	struct fr_module module = {
		.n_build_id = 3, .build_id = { 0x0a, 0xbc, 0xff }, .base = 0x400000, .start = 0x401000,
		.end = 0x402000, .file_offset = 0x1000, .load_ns = 6, .path = "/bin/x",
	};

	state_trace_set_time(trace, 1000);
	state_trace_process(trace, &process);
	state_trace_module(trace, 3, &module);
	state_trace_stack(trace, 3, 17, FR_STACK_CUT, frames, 3);
	state_trace_symbol(trace, 3, 0x401001, 1, &frame);
	write_moments(trace);
}

static void write_end(struct state_trace *trace)
{
	const struct fr_slot slot = {
		.tid = 101, .state = FR_STATE_MUTEX, .call = FR_CALL_epoll_wait, .since_ns = 900,
		.obj = 0xdead, .fd = -1, .holder = 102, .stack = 17, .creator = 100, .creator_stack = 4,
		.start_ns = 50, .start_routine = 0x401001, .task = 8, .name = "worker", .labels = "k=v",
	};
	const struct fr_call_total total = {
		.n = 9, .n_short = 4, .dur_ns = 1000, .short_ns = 30, .bytes = 77,
	};
	const struct fr_live live = {
		.addr = 0x5000, .size = 64, .time_ns = 800, .stack = 17, .tid = 101,
	};
	const struct thread_times times = { 5000, -1, 12, 7, 4 };

	state_trace_set_time(trace, 2000);
	state_trace_thread(trace, 3, &slot, &times);
	state_trace_counter(trace, 3, "syscalls", 12);
	state_trace_call_total(trace, 3, FR_CALL_read, &total);
	state_trace_live(trace, 3, &live);
	state_trace_fd(trace, 3, 2, "/dev/null");
	state_trace_env(trace, "host", "h");
	state_trace_receipt(trace, "mode", "run");
}

static void every_event(void)
{
	int fd = open(run_path("state"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct state_trace *trace = state_trace_new(fd, &test_clock);
	GString *metadata;
	uint64_t n_bytes;

	write_definitions(trace);
	write_end(trace);
	CHECK_INT(state_trace_flush(trace, &n_bytes), 0);
	metadata = state_trace_metadata(trace);
	CHECK_INT(run("rm -rf t; mkdir t; mv state t/state"), 0);
	run_write("t/metadata", metadata->str, metadata->len);
	g_string_free(metadata, TRUE);
	state_trace_free(trace);
	close(fd);
	CHECK_INT(run("babeltrace2 --clock-cycles t | sed 's/\\] .*flightrec_/] flightrec_/'"), 0);
	CHECK_INT(run_count(run_output, "\n"), 13);
	CHECK(has_line("[00000000000000001000] flightrec_state:process: { proc = 3, pid = 100, ppid = 1, "
		       "parent_proc = 0, uid = 1000, start = 5, end = 0, state = ( \"killed\" : "
		       "container = 5 ), exe = \"/bin/x\", command = \"x \\\"a b\\\"\", exit_kind = 2, "
		       "exit_code = -2, signal = 9, is_oom = 1 }\n"));
	CHECK(has_line("flightrec_state:module: { proc = 3, base = 4194304, start = 4198400, end = 4202496, "
		       "file_offset = 4096, load = 6, unload = 0, build_id = \"0abcff\", path = \"/bin/x\" }"));
	CHECK(has_line("flightrec_state:stack: { proc = 3, id = 17, flags = 1, frames_length = 3, frames = "
		       "[ [0] = 0x401001, [1] = 0x402002, [2] = 0x403003 ] }"));
	CHECK(has_line("flightrec_state:symbol: { proc = 3, addr = 4198401, depth = 1, func = "
		       "\"box<int>::get\", system_name = \"_ZN3boxIiE3getEv\", file = \"/src/box.cc\", "
		       "line = 12, func_line = 10 }"));
	CHECK(has_line("[00000000000000002000] flightrec_state:thread: { proc = 3, tid = 101, creator = "
		       "100, creator_stack = 4, start_routine = 4198401, start = 50, end = 0, name = "
		       "\"worker\", labels = \"k=v\", state = ( \"mutex\" : container = 1 ), call = ( "
		       "\"epoll_wait\" : container = "));
	CHECK(has_line("since = 900, obj = 57005, fd = -1, holder = 102, stack = 17, task = 8, "
		       "cpu = 5000, delay = -1, slices = 12, voluntary = 7, involuntary = 4 }"));
	CHECK(has_line("flightrec_state:counter: { proc = 3, name = \"syscalls\", value = 12 }"));
	CHECK(has_line("flightrec_state:call_total: { proc = 3, call = ( \"read\" : container = 1 ), n = 9, "
		       "n_short = 4, dur = 1000, short = 30, bytes = 77 }"));
	CHECK(has_line("flightrec_state:live: { proc = 3, addr = 20480, size = 64, time = 800, stack = 17, "
		       "tid = 101 }"));
	CHECK(has_line("flightrec_state:fd: { proc = 3, fd = 2, target = \"/dev/null\" }"));
#ifdef __x86_64__
	CHECK(has_line("[00000000000000001700] flightrec_state:crash: { proc = 3, tid = 101, stack = 17, "
		       "signal = 11, code = -6, addr = 16, pc = 4198402, sp = 28672, sender_pid = 5, "
		       "sender_uid = 6, is_overflow = 1, registers = \"r8=ab r9=1\", code_bytes = "
		       "\"0f <0b> 90\", stack_bytes = \"0102ff04\" }"));
#endif
	CHECK(has_line("[00000000000000001800] flightrec_state:trigger: { proc = 3, tid = 101, stack = 17, "
		       "kind = \"slow\", reason = \"checkout\", value = 9, limit = 8, obj = 7, call = 0 }"));
	CHECK(has_line("flightrec_state:env: { key = \"host\", value = \"h\" }"));
	CHECK(has_line("flightrec_state:receipt: { key = \"mode\", value = \"run\" }"));
}

int main(void)
{
	run_init("test_state_trace");
	CASE(every_event, "babeltrace2 shows every field of every state event");
	run_fini();
	return CHECK_DONE();
}
