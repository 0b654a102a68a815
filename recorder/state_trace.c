/* SPDX-License-Identifier: MIT */
/* Field lists and the functions that fill them stand in the same order; ctf_writer asserts it. */
#include "recorder/state_trace.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

#include "recorder/trace_out.h"

struct state_trace {
	struct ctf_writer *writer; /* owned */
	uint64_t timestamp;
};

static const char *const state_labels[] = {
#define FR_X(id, name) name,
	FR_STATE_TABLE(FR_X)
#undef FR_X
		NULL,
};

static const char *const call_labels[] = {
#define FR_X(name, class, state) #name,
	FR_CALL_TABLE(FR_X)
#undef FR_X
		NULL,
};

static const char *const process_labels[] = {
	[FR_PROCESS_STARTING] = "starting",
	[FR_PROCESS_RUNNING] = "running",
	[FR_PROCESS_EXITED] = "exited",
	[FR_PROCESS_EXECED] = "execed",
	[FR_PROCESS_OFF] = "off",
	[FR_PROCESS_KILLED] = "killed",
	[FR_PROCESS_KILLED + 1] = NULL,
};

#define PROC                                    \
	{                                       \
		.name = "proc", .type = CTF_U16 \
	}
#define U32(n)                             \
	{                                  \
		.name = n, .type = CTF_U32 \
	}
#define U64(n)                             \
	{                                  \
		.name = n, .type = CTF_U64 \
	}
#define S32(n)                             \
	{                                  \
		.name = n, .type = CTF_S32 \
	}
#define S64(n)                             \
	{                                  \
		.name = n, .type = CTF_S64 \
	}
#define STRING(n)                             \
	{                                     \
		.name = n, .type = CTF_STRING \
	}
#define ENUM(n, l)                                      \
	{                                               \
		.name = n, .type = CTF_U32, .labels = l \
	}
#define FIELDS(...)                  \
	(const struct ctf_field[])   \
	{                            \
		__VA_ARGS__,         \
		{                    \
			.name = NULL \
		}                    \
	}

enum {
	EVENT_ENV,
	EVENT_RECEIPT,
	EVENT_PROCESS,
	EVENT_MODULE,
	EVENT_THREAD,
	EVENT_COUNTER,
	EVENT_CALL_TOTAL,
	EVENT_FD,
	EVENT_LIVE,
	EVENT_STACK,
	EVENT_SYMBOL,
	EVENT_CRASH,
	EVENT_TRIGGER,
	EVENT_N,
};

/* clang-format off */
static const struct ctf_class classes[] = {
	[EVENT_ENV] = { "flightrec_state:env", FIELDS(STRING("key"), STRING("value")) },
	[EVENT_RECEIPT] = { "flightrec_state:receipt", FIELDS(STRING("key"), STRING("value")) },
	[EVENT_PROCESS] = { "flightrec_state:process",
		FIELDS(PROC, U32("pid"), U32("ppid"), U32("parent_proc"), U32("uid"), U64("start"),
			U64("end"), ENUM("state", process_labels), STRING("exe"), STRING("command"),
			U32("exit_kind"), S32("exit_code"), U32("signal"), U32("is_oom")) },
	[EVENT_MODULE] = { "flightrec_state:module",
		FIELDS(PROC, U64("base"), U64("start"), U64("end"), U64("file_offset"), U64("load"),
			U64("unload"), STRING("build_id"), STRING("path")) },
	[EVENT_THREAD] = { "flightrec_state:thread",
		FIELDS(PROC, U32("tid"), U32("creator"), U32("creator_stack"), U64("start_routine"),
			U64("start"), U64("end"), STRING("name"), STRING("labels"),
			ENUM("state", state_labels), ENUM("call", call_labels), U64("since"), U64("obj"),
			S32("fd"), U32("holder"), U32("stack"), U64("task"), S64("cpu"),
			S64("delay"), S64("slices"), S64("voluntary"), S64("involuntary")) },
	[EVENT_COUNTER] = { "flightrec_state:counter", FIELDS(PROC, STRING("name"), U64("value")) },
	[EVENT_CALL_TOTAL] = { "flightrec_state:call_total",
		FIELDS(PROC, ENUM("call", call_labels), U64("n"), U64("n_short"), U64("dur"),
			U64("short"), U64("bytes")) },
	[EVENT_FD] = { "flightrec_state:fd", FIELDS(PROC, S32("fd"), STRING("target")) },
	[EVENT_LIVE] = { "flightrec_state:live",
		FIELDS(PROC, U64("addr"), U64("size"), U64("time"), U32("stack"), U32("tid")) },
	[EVENT_STACK] = { "flightrec_state:stack",
		FIELDS(PROC, U32("id"), U32("flags"), { .name = "frames", .type = CTF_U64_SEQUENCE }) },
	[EVENT_SYMBOL] = { "flightrec_state:symbol",
		FIELDS(PROC, U64("addr"), U32("depth"), STRING("func"), STRING("system_name"),
			STRING("file"), U32("line"), U32("func_line")) },
	[EVENT_CRASH] = { "flightrec_state:crash",
		FIELDS(PROC, U32("tid"), U32("stack"), U32("signal"), S32("code"), U64("addr"), U64("pc"),
			U64("sp"), U32("sender_pid"), U32("sender_uid"), U32("is_overflow"),
			STRING("registers"), STRING("code_bytes"), STRING("stack_bytes")) },
	[EVENT_TRIGGER] = { "flightrec_state:trigger",
		FIELDS(PROC, U32("tid"), U32("stack"), STRING("kind"), STRING("reason"), U64("value"),
			U64("limit"), U64("obj"), U32("call")) },
};
/* clang-format on */

struct state_trace *state_trace_new(int fd, const struct ctf_clock *clock)
{
	struct state_trace *trace = g_new0(struct state_trace, 1);

	trace->writer = ctf_writer_new(fd, classes, EVENT_N, clock);
	return trace;
}

void state_trace_free(struct state_trace *trace)
{
	if (!trace)
		return;
	ctf_writer_free(trace->writer);
	g_free(trace);
}

void state_trace_set_time(struct state_trace *trace, uint64_t timestamp)
{
	trace->timestamp = timestamp;
}

static struct ctf_writer *begin(struct state_trace *trace, size_t class)
{
	ctf_writer_begin(trace->writer, class, trace->timestamp);
	return trace->writer;
}

static void put_pair(struct state_trace *trace, size_t class, const char *key, const char *value)
{
	struct ctf_writer *w = begin(trace, class);

	ctf_put_string(w, key);
	ctf_put_string(w, value);
	ctf_writer_end(w);
}

void state_trace_env(struct state_trace *trace, const char *key, const char *value)
{
	put_pair(trace, EVENT_ENV, key, value);
}

void state_trace_receipt(struct state_trace *trace, const char *key, const char *value)
{
	put_pair(trace, EVENT_RECEIPT, key, value);
}

void state_trace_process(struct state_trace *trace, const struct state_process *process)
{
	struct ctf_writer *w = begin(trace, EVENT_PROCESS);

	ctf_put_u16(w, process->proc);
	ctf_put_u32(w, process->pid);
	ctf_put_u32(w, process->ppid);
	ctf_put_u32(w, process->parent_proc);
	ctf_put_u32(w, process->uid);
	ctf_put_u64(w, process->start_ns);
	ctf_put_u64(w, process->end_ns);
	ctf_put_u32(w, process->state);
	ctf_put_string(w, process->exe);
	ctf_put_string(w, process->command);
	ctf_put_u32(w, process->exit_kind);
	ctf_put_s32(w, process->exit_code);
	ctf_put_u32(w, process->signal);
	ctf_put_u32(w, process->is_oom);
	ctf_writer_end(w);
}

void state_trace_module(struct state_trace *trace, uint16_t proc, const struct fr_module *module)
{
	struct ctf_writer *w = begin(trace, EVENT_MODULE);
	char hex[2 * sizeof(module->build_id) + 1] = "";

	for (size_t i = 0; i < module->n_build_id; i++)
		g_snprintf(hex + 2 * i, 3, "%02x", module->build_id[i]);
	ctf_put_u16(w, proc);
	ctf_put_u64(w, module->base);
	ctf_put_u64(w, module->start);
	ctf_put_u64(w, module->end);
	ctf_put_u64(w, module->file_offset);
	ctf_put_u64(w, module->load_ns);
	ctf_put_u64(w, module->unload_ns);
	ctf_put_string(w, hex);
	ctf_put_string(w, module->path);
	ctf_writer_end(w);
}

void state_trace_thread(struct state_trace *trace, uint16_t proc, const struct fr_slot *slot,
	const struct thread_times *times)
{
	struct ctf_writer *w = begin(trace, EVENT_THREAD);

	ctf_put_u16(w, proc);
	ctf_put_u32(w, slot->tid);
	ctf_put_u32(w, slot->creator);
	ctf_put_u32(w, slot->creator_stack);
	ctf_put_u64(w, slot->start_routine);
	ctf_put_u64(w, slot->start_ns);
	ctf_put_u64(w, slot->end_ns);
	ctf_put_string(w, slot->name);
	ctf_put_string(w, slot->labels);
	ctf_put_u32(w, slot->state);
	ctf_put_u32(w, slot->call);
	ctf_put_u64(w, slot->since_ns);
	ctf_put_u64(w, slot->obj);
	ctf_put_s32(w, slot->fd);
	ctf_put_u32(w, slot->holder);
	ctf_put_u32(w, slot->stack);
	ctf_put_u64(w, slot->task);
	ctf_put_s64(w, times->cpu_ns);
	ctf_put_s64(w, times->delay_ns);
	ctf_put_s64(w, times->slices);
	ctf_put_s64(w, times->voluntary);
	ctf_put_s64(w, times->involuntary);
	ctf_writer_end(w);
}

void state_trace_counter(struct state_trace *trace, uint16_t proc, const char *name, uint64_t value)
{
	struct ctf_writer *w = begin(trace, EVENT_COUNTER);

	ctf_put_u16(w, proc);
	ctf_put_string(w, name);
	ctf_put_u64(w, value);
	ctf_writer_end(w);
}

void state_trace_call_total(
	struct state_trace *trace, uint16_t proc, uint32_t call, const struct fr_call_total *total)
{
	struct ctf_writer *w = begin(trace, EVENT_CALL_TOTAL);

	ctf_put_u16(w, proc);
	ctf_put_u32(w, call);
	ctf_put_u64(w, total->n);
	ctf_put_u64(w, total->n_short);
	ctf_put_u64(w, total->dur_ns);
	ctf_put_u64(w, total->short_ns);
	ctf_put_u64(w, total->bytes);
	ctf_writer_end(w);
}

void state_trace_fd(struct state_trace *trace, uint16_t proc, int32_t fd, const char *target)
{
	struct ctf_writer *w = begin(trace, EVENT_FD);

	ctf_put_u16(w, proc);
	ctf_put_s32(w, fd);
	ctf_put_string(w, target);
	ctf_writer_end(w);
}

void state_trace_live(struct state_trace *trace, uint16_t proc, const struct fr_live *live)
{
	struct ctf_writer *w = begin(trace, EVENT_LIVE);

	ctf_put_u16(w, proc);
	ctf_put_u64(w, live->addr);
	ctf_put_u64(w, live->size);
	ctf_put_u64(w, live->time_ns);
	ctf_put_u32(w, live->stack);
	ctf_put_u32(w, live->tid);
	ctf_writer_end(w);
}

void state_trace_stack(struct state_trace *trace, uint16_t proc, uint32_t id, uint32_t flags,
	const uint64_t *frames, size_t n_frames)
{
	struct ctf_writer *w = begin(trace, EVENT_STACK);

	ctf_put_u16(w, proc);
	ctf_put_u32(w, id);
	ctf_put_u32(w, flags);
	ctf_put_sequence(w, frames, n_frames);
	ctf_writer_end(w);
}

/* In the order of fr_crash.regs. */
static const char *const register_names[] = {
#ifdef __x86_64__
	"r8",
	"r9",
	"r10",
	"r11",
	"r12",
	"r13",
	"r14",
	"r15",
	"rdi",
	"rsi",
	"rbp",
	"rbx",
	"rdx",
	"rax",
	"rcx",
	"rsp",
	"rip",
	"eflags",
	"csgsfs",
	"err",
	"trapno",
	"oldmask",
	"cr2",
#else
	"x0",
	"x1",
	"x2",
	"x3",
	"x4",
	"x5",
	"x6",
	"x7",
	"x8",
	"x9",
	"x10",
	"x11",
	"x12",
	"x13",
	"x14",
	"x15",
	"x16",
	"x17",
	"x18",
	"x19",
	"x20",
	"x21",
	"x22",
	"x23",
	"x24",
	"x25",
	"x26",
	"x27",
	"x28",
	"x29",
	"x30",
	"sp",
	"pc",
	"pstate",
#endif
};

static char *registers_text(const struct fr_crash *crash)
{
	GString *text = g_string_new("");

	for (uint32_t i = 0; i < crash->n_regs && i < G_N_ELEMENTS(register_names); i++)
		g_string_append_printf(
			text, "%s%s=%" PRIx64, i ? " " : "", register_names[i], crash->regs[i]);
	return g_string_free(text, FALSE);
}

/* As the kernel prints code: the byte at the pc in angle brackets. */
static char *code_text(const struct fr_crash *crash)
{
	GString *text = g_string_new("");

	for (uint32_t i = 0; i < crash->n_code; i++)
		g_string_append_printf(text,
			crash->code_start + i == crash->pc ? "%s<%02x>" : "%s%02x", i ? " " : "",
			crash->code_bytes[i]);
	return g_string_free(text, FALSE);
}

void state_trace_crash(struct state_trace *trace, uint16_t proc, const struct fr_crash *crash)
{
	g_autofree char *registers = registers_text(crash), *code = code_text(crash);
	g_autofree char *stack = g_malloc(2 * FR_CRASH_STACK_BYTES + 1);
	struct ctf_writer *w = begin(trace, EVENT_CRASH);

	stack[0] = '\0';
	for (uint32_t i = 0; i < crash->n_stack_bytes; i++)
		g_snprintf(stack + (size_t)2 * i, 3, "%02x", crash->stack_bytes[i]);
	ctf_put_u16(w, proc);
	ctf_put_u32(w, crash->tid);
	ctf_put_u32(w, crash->stack);
	ctf_put_u32(w, crash->signal);
	ctf_put_s32(w, crash->code);
	ctf_put_u64(w, crash->addr);
	ctf_put_u64(w, crash->pc);
	ctf_put_u64(w, crash->sp);
	ctf_put_u32(w, crash->sender_pid);
	ctf_put_u32(w, crash->sender_uid);
	ctf_put_u32(w, crash->is_overflow);
	ctf_put_string(w, registers);
	ctf_put_string(w, code);
	ctf_put_string(w, stack);
	ctf_writer_end(w);
}

static const char *trigger_name(uint32_t kind)
{
	static const char *const names[FR_TRIGGER_N] = {
#define FR_X(id, name) name,
		FR_TRIGGER_TABLE(FR_X)
#undef FR_X
	};

	return kind < FR_TRIGGER_N ? names[kind] : NULL;
}

void state_trace_trigger(struct state_trace *trace, const struct trace_trigger *trigger)
{
	struct ctf_writer *w = begin(trace, EVENT_TRIGGER);

	ctf_put_u16(w, trigger->proc);
	ctf_put_u32(w, trigger->tid);
	ctf_put_u32(w, trigger->stack);
	ctf_put_string(w, trigger_name(trigger->kind));
	ctf_put_string(w, trigger->reason);
	ctf_put_u64(w, trigger->value);
	ctf_put_u64(w, trigger->limit);
	ctf_put_u64(w, trigger->obj);
	ctf_put_u32(w, trigger->call);
	ctf_writer_end(w);
}

void state_trace_symbol(struct state_trace *trace, uint16_t proc, uint64_t addr, uint32_t depth,
	const struct symbol_frame *frame)
{
	struct ctf_writer *w = begin(trace, EVENT_SYMBOL);

	ctf_put_u16(w, proc);
	ctf_put_u64(w, addr);
	ctf_put_u32(w, depth);
	ctf_put_string(w, frame->func);
	ctf_put_string(w, frame->system_name);
	ctf_put_string(w, frame->file);
	ctf_put_u32(w, frame->line);
	ctf_put_u32(w, frame->func_line);
	ctf_writer_end(w);
}

GString *state_trace_metadata(struct state_trace *trace)
{
	struct utsname name = { .nodename = "" };
	struct ctf_env env[] = {
		{ "domain", "flightrec" },
		{ "tracer_name", "flightrec" },
		{ "tracer_version", FLIGHTREC_VERSION },
		{ "hostname", name.nodename },
	};

	uname(&name);
	return ctf_writer_metadata(trace->writer, env, G_N_ELEMENTS(env));
}

int state_trace_flush(struct state_trace *trace, uint64_t *n_bytes_out)
{
	return ctf_writer_flush(trace->writer, n_bytes_out);
}
