/* SPDX-License-Identifier: MIT */
/*
 * Blocks keep to "goroutine ID [STATE]:", two lines a frame and a blank line, since tools that group stacks read that;
 * what Go has no place for stands in a line that begins with '#'.
 */
#include "recorder/dump.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/units.h"
#include "proto/schema.h"
#include "recorder/blackbox_tables.h"
#include "recorder/deadlock.h"
#include "recorder/lock_name.h"
#include "recorder/procfs.h"
#include "recorder/profile_kind.h"
#include "recorder/profile_symbols.h"
#include "viewer/profile_text.h"

#define MAX_BYTES ((size_t)64 << 20)
#define MINUTE_NS UINT64_C(60000000000)

struct block {
	const struct profile_process *process; /* borrowed */
	struct fr_slot slot;
	uint32_t stack;
	const char *pseudo; /* why there is no stack; NULL: there is one */
	bool is_asleep;	    /* in a call that is not followed */
};

struct dump {
	const GPtrArray *processes; /* borrowed */
	uint32_t wanted;
	uint64_t now_ns; /* when the threads were looked at */
	GArray *blocks;	 /* owned: struct block */
	struct profile *profile;
	struct profile_symbols *symbols;
	GArray *locations; /* owned: scratch */
	char *place;	   /* owned: scratch */
	struct lock_names *names;
	GString *out;
};

static bool is_running(const struct block *block)
{
	return block->slot.state == FR_STATE_RUNNING && block->process->is_alive &&
	       !block->is_asleep;
}

static int compare_blocks(const void *a_, const void *b_)
{
	const struct block *a = a_, *b = b_;

	if (is_running(a) != is_running(b))
		return is_running(a) ? -1 : 1;
	if (a->process != b->process)
		return a->process->start_ns < b->process->start_ns ? -1 : 1;
	if (a->slot.start_ns != b->slot.start_ns)
		return a->slot.start_ns < b->slot.start_ns ? -1 : 1;
	return a->slot.tid < b->slot.tid ? -1 : a->slot.tid > b->slot.tid;
}

static void collect(struct dump *dump)
{
	dump->now_ns = procfs_now();
	for (guint i = 0; i < dump->processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(dump->processes, i);
		g_autoptr(GArray) threads = NULL;

		if (!profile_process_is_shown(process, dump->processes))
			continue;
		profile_symbols_add_process(dump->symbols, process);
		threads = profile_process_threads(process);
		for (guint k = 0; k < threads->len; k++) {
			struct block block = { .process = process,
				.slot = g_array_index(threads, struct fr_slot, k) };

			block.stack = profile_thread_stack(
				process, &block.slot, dump->wanted, &block.pseudo);
			block.is_asleep =
				block.pseudo && profile_thread_is_asleep(process, &block.slot);
			if (!block.pseudo)
				profile_symbols_want(dump->symbols, process, block.stack);
			else if (block.slot.start_routine)
				profile_symbols_want_entry(
					dump->symbols, process, block.slot.start_routine);
			profile_symbols_want(dump->symbols, process, block.slot.creator_stack);
			g_array_append_val(dump->blocks, block);
		}
	}
	profile_symbols_resolve(dump->symbols);
	if (dump->blocks->len)
		qsort(dump->blocks->data, dump->blocks->len, sizeof(struct block), compare_blocks);
}

/* What /proc says a descriptor is: a path, "socket:[…]", "pipe:[…]"; NULL unknown; to g_free(). */
static char *fd_target(const struct block *block)
{
	g_autofree char *path =
		g_strdup_printf("/proc/%d/fd/%d", (int)block->process->pid, block->slot.fd);
	char target[4096];
	ssize_t n;

	if (block->slot.fd < 0 || !block->process->is_alive)
		return NULL;
	n = readlink(path, target, sizeof(target) - 1);
	return n > 0 ? g_strndup(target, (size_t)n) : NULL;
}

/* Go's word for what the thread does. */
static const char *state_word(const struct block *block, const char *target)
{
	switch (block->slot.state) {
	case FR_STATE_RUNNING:
		if (block->is_asleep)
			return "syscall";
		return block->process->is_alive ? "running" : "dead";
	case FR_STATE_MUTEX:
	case FR_STATE_SPIN:
		return "sync.Mutex.Lock";
	case FR_STATE_RWLOCK:
		return block->slot.lock == FR_LOCK_RWLOCK_RD + 1 ? "sync.RWMutex.RLock"
								 : "sync.RWMutex.Lock";
	case FR_STATE_COND:
		return "sync.Cond.Wait";
	case FR_STATE_SEM:
		return "semacquire";
	case FR_STATE_BARRIER:
	case FR_STATE_JOIN:
		return "sync.WaitGroup.Wait";
	case FR_STATE_ONCE:
		return "sync.Once.Do";
	case FR_STATE_SLEEP:
		return "sleep";
	case FR_STATE_POLL:
	case FR_STATE_NET:
		return "IO wait";
	case FR_STATE_FILE:
		/* read() and write() wait for others there, too. */
		return target && (g_str_has_prefix(target, "socket:") ||
					 g_str_has_prefix(target, "pipe:"))
			       ? "IO wait"
			       : "syscall";
	default:
		return "syscall";
	}
}

/* How long it has been in its state; 0 unknown. A dead process's clock stopped at its end. */
static uint64_t waited_ns(const struct dump *dump, const struct block *block)
{
	uint64_t now_ns = dump->now_ns;

	if (!block->process->is_alive)
		now_ns = block->process->blackbox->header.end_ns;
	return block->slot.since_ns && now_ns > block->slot.since_ns ? now_ns - block->slot.since_ns
								     : 0;
}

static const char *call_name(uint32_t call)
{
	static const char *const names[FR_CALL_N] = {
#define FR_X(name, class, state) [FR_CALL_##name] = #name,
		FR_CALL_TABLE(FR_X)
#undef FR_X
	};

	return call < FR_CALL_N ? names[call] : "system call";
}

/* The name of a thread that is shown, or "". */
static const char *name_of(const struct dump *dump, uint32_t tid)
{
	for (guint i = 0; i < dump->blocks->len; i++) {
		const struct block *block = &g_array_index(dump->blocks, struct block, i);

		if (block->slot.tid == tid)
			return block->slot.name;
	}
	return "";
}

static bool is_lock(uint32_t state)
{
	return state >= FR_STATE_MUTEX && state <= FR_STATE_ONCE;
}

/* What it waits for and who has it. */
static void write_wait(const struct dump *dump, const struct block *block, const char *target)
{
	const struct fr_slot *slot = &block->slot;
	GString *out = dump->out;
	uint64_t ns = waited_ns(dump, block);
	char duration[64] = "";

	/* Whole microseconds are enough. */
	if (ns)
		units_duration_format((int64_t)(ns / 1000 * 1000), duration, sizeof(duration));
	if (is_lock(slot->state)) {
		g_autofree char *object =
			deadlock_object(dump->names, block->process, slot->state, slot->obj);
		uint32_t holder = deadlock_holder(block->process, slot);

		g_string_append_printf(
			out, "# waits%s%s for %s", *duration ? " " : "", duration, object);
		if (holder)
			g_string_append_printf(out, ", held by thread %u \"%s\"%s", holder,
				name_of(dump, holder), holder == slot->tid ? ": itself" : "");
		g_string_append_c(out, '\n');
		return;
	}
	if (slot->start_ns == 0) {
		g_string_append(
			out, "# not traced: only the kernel's word for its state is known\n");
		return;
	}
	g_string_append_printf(out, "# in %s()", call_name(slot->call));
	if (slot->fd >= 0)
		g_string_append_printf(out, " on fd %d", slot->fd);
	if (target) {
		g_string_append(out, " ");
		profile_text_quote(target, out);
	}
	g_string_append_printf(out, "%s%s\n", *duration ? " for " : "", duration);
}

static void write_creator(const struct dump *dump, const struct block *block)
{
	if (!block->slot.creator)
		return;
	profile_symbols_stack(
		dump->symbols, block->process, block->slot.creator_stack, dump->locations);
	profile_text_created(dump->profile, (const uint64_t *)(const void *)dump->locations->data,
		dump->locations->len, block->slot.creator, dump->out);
}

static void write_frames(const struct dump *dump, const struct block *block)
{
	g_array_set_size(dump->locations, 0);
	if (!block->pseudo) {
		profile_symbols_stack(dump->symbols, block->process, block->stack, dump->locations);
	} else {
		/* What is known at least: where it began. */
		g_string_append(dump->out, is_running(block)
						   ? "\tgoroutine running on other thread; stack "
						     "unavailable\n"
						   : "\tstack unavailable\n");
		if (block->slot.start_routine) {
			uint64_t id = profile_symbols_entry(
				dump->symbols, block->process, block->slot.start_routine);

			g_array_append_val(dump->locations, id);
		}
	}
	profile_text_trace(dump->profile, (const uint64_t *)(const void *)dump->locations->data,
		dump->locations->len, dump->out);
}

/* The kernel's name for where it sleeps. */
static void write_asleep(const struct dump *dump, const struct block *block)
{
	g_autofree char *path = g_strdup_printf(
		"/proc/%d/task/%u/wchan", (int)block->process->pid, block->slot.tid);
	g_autofree char *where = NULL;

	g_string_append(
		dump->out, "# asleep in a call that is not followed, and not disturbed there");
	if (g_file_get_contents(path, &where, NULL, NULL) && g_ascii_isalpha(where[0]))
		g_string_append_printf(dump->out, " (%s)", where);
	g_string_append_c(dump->out, '\n');
}

/* Why a thread that runs has not said where. */
static void write_silent(const struct dump *dump, const struct block *block)
{
	const char *why =
		"# did not say in time where it is: it blocks the tracer's signal, or had no "
		"turn on a CPU\n";

	if (block->slot.start_ns == 0)
		why = "# not traced\n";
	else if (blackbox_cpu_refusal(block->process->blackbox) == FR_CPU_SIGPROF_TAKEN)
		why = "# cannot be asked where it is: the program handles SIGPROF itself\n";
	g_string_append(dump->out, why);
}

static void write_block(const struct dump *dump, const struct block *block, bool has_pid)
{
	const struct fr_slot *slot = &block->slot;
	g_autofree char *target = fd_target(block);
	uint64_t minutes = profile_thread_is_waiting(slot) ? waited_ns(dump, block) / MINUTE_NS : 0;
	GString *out = dump->out;

	g_string_append_printf(out, "goroutine %u [%s", slot->tid, state_word(block, target));
	if (minutes)
		g_string_append_printf(out, ", %" G_GUINT64_FORMAT " minutes", minutes);
	g_string_append_printf(out, "]:\n# thread \"%s\"", slot->name);
	if (has_pid)
		g_string_append_printf(out, " of process %d", (int)block->process->pid);
	if (slot->labels[0]) {
		g_string_append(out, ", labels ");
		profile_text_quote(slot->labels, out);
	}
	g_string_append_c(out, '\n');
	if (profile_thread_is_waiting(slot))
		write_wait(dump, block, target);
	else if (block->is_asleep)
		write_asleep(dump, block);
	else if (block->pseudo && is_running(block))
		write_silent(dump, block);
	write_frames(dump, block);
	write_creator(dump, block);
	g_string_append_c(out, '\n');
}

/*
 * In Go the first block is the one that answers the request, and runs. Here the tracer's own thread in the process has
 * done that: when no thread of the program runs, it is shown as what it is.
 */
static void write_helper(const struct dump *dump)
{
	for (guint i = 0; i < dump->processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(dump->processes, i);
		uint32_t helper = process->blackbox ? process->blackbox->header.helper_tid : 0;

		if (!process->is_alive || !helper)
			continue;
		g_string_append_printf(dump->out,
			"goroutine %u [running]:\n"
			"# flightrec's own thread, which asked the others; all of the program's "
			"wait\n"
			"[flightrec](...)\n\tlibflightrec.so:0 +0x0\n\n",
			helper);
		return;
	}
}

/* The function and line where a thread of a deadlock waits. */
static const char *place_of(void *data, const struct deadlock_wait *wait)
{
	struct dump *dump = data;

	profile_symbols_stack(dump->symbols, wait->process, wait->stack, dump->locations);
	g_free(dump->place);
	dump->place =
		profile_text_place(dump->profile, g_array_index(dump->locations, uint64_t, 0));
	return dump->place;
}

static void write_deadlocks(struct dump *dump)
{
	g_autoptr(GPtrArray) deadlocks = deadlock_find(dump->processes);

	for (guint i = 0; i < deadlocks->len; i++) {
		deadlock_write(
			g_ptr_array_index(deadlocks, i), dump->names, place_of, dump, dump->out);
		g_string_append_c(dump->out, '\n');
	}
}

static bool has_several_pids(const GArray *blocks)
{
	for (guint i = 1; i < blocks->len; i++)
		if (g_array_index(blocks, struct block, i).process !=
			g_array_index(blocks, struct block, 0).process)
			return true;
	return false;
}

void dump_write(
	const GPtrArray *processes, uint32_t wanted, struct symbol_cache *cache, GString *out)
{
	const struct profile_value_type type = { "goroutine", "count" };
	struct dump dump = { .processes = processes, .wanted = wanted, .out = out };
	bool has_pid;

	dump.profile = profile_new(&type, 1, type, 1);
	dump.symbols = profile_symbols_new(dump.profile, cache, processes->len > 1);
	profile_symbols_hide_own(dump.symbols);
	dump.names = lock_names_new();
	dump.blocks = g_array_new(FALSE, FALSE, sizeof(struct block));
	dump.locations = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	collect(&dump);
	has_pid = has_several_pids(dump.blocks);
	write_deadlocks(&dump);
	if (processes->len && !profile_processes_are_alive(processes))
		g_string_append(out, dump.blocks->len
					     ? "# The program has ended: this is where its threads "
					       "were\n\n"
					     : "# The program has ended, and all of its threads "
					       "before it\n");
	else if (dump.blocks->len && !is_running(&g_array_index(dump.blocks, struct block, 0)))
		write_helper(&dump);
	for (guint i = 0; i < dump.blocks->len; i++) {
		if (out->len > MAX_BYTES) {
			g_string_append_printf(out,
				"# %u more threads are not shown: the text is "
				"too long\n",
				dump.blocks->len - i);
			break;
		}
		write_block(&dump, &g_array_index(dump.blocks, struct block, i), has_pid);
	}
	lock_names_free(dump.names);
	g_free(dump.place);
	g_array_unref(dump.locations);
	g_array_unref(dump.blocks);
	profile_symbols_free(dump.symbols);
	profile_free(dump.profile);
}
