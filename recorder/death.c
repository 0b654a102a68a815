/* SPDX-License-Identifier: MIT */
#include "recorder/death.h"

#include <glib.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "proto/schema.h"
#include "recorder/blackbox_tables.h"
#include "recorder/procfs.h"
#include "recorder/rate_limit.h"

/* Ends of processes in the same moment as the program's are told within this time. */
#define SETTLE_MS 200
/* A server may lose several workers at once; after that it is one in --trigger-rate. */
#define CHILDREN_BURST 3

struct deaths {
	struct deaths_settings set;
	struct rate_limit children;
};

/* Shells of Debian and Alpine always end by _exit(): with them it says nothing. */
static bool is_direct_exit(const struct death_case *death)
{
	static const char *const shells[] = { "dash", "sh", "ash", "busybox", NULL };

	return death->exit_kind == FR_EXIT_DIRECT && !g_strv_contains(shells, death->process->exe);
}

/* Signals by which somebody ends what works well: a service manager, a user at the terminal, a reader that has enough. */
static bool is_asked_for(uint32_t number)
{
	return number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGPIPE;
}

static bool is_program_death(const struct death_case *death)
{
	const struct process_end *end = death->end;

	switch (end->how) {
	case PROCESS_END_SIGNAL:
		return !is_asked_for(end->signal);
	case PROCESS_END_EXEC:
		return !end->is_traced;
	case PROCESS_END_EXIT:
		return end->code != 0 || is_direct_exit(death);
	default:
		return false;
	}
}

static bool is_child_death(const struct death_case *death)
{
	return death->end->how == PROCESS_END_SIGNAL && !is_asked_for(death->end->signal);
}

bool death_counts(enum options_on_death policy, const struct death_case *death)
{
	if (policy == OPTIONS_DEATH_NONE)
		return false;
	if (death->end->how == PROCESS_END_EXEC && death->end->is_traced)
		return false;
	if (policy == OPTIONS_DEATH_ALL)
		return true;
	return death->process->is_main ? is_program_death(death) : is_child_death(death);
}

static char *reason_name(const struct death_case *death)
{
	const struct process_end *end = death->end;

	switch (end->how) {
	case PROCESS_END_SIGNAL: {
		char *name = process_signal_name((int)end->signal);

		return g_strdelimit(name, " ", '_');
	}
	case PROCESS_END_EXEC:
		return g_strdup("exec");
	case PROCESS_END_EXIT:
		if (!is_direct_exit(death))
			return g_strdup_printf("exit%d", end->code);
		return end->code ? g_strdup_printf("_exit%d", end->code) : g_strdup("_exit");
	default:
		return g_strdup("end");
	}
}

char *death_name(const struct death_case *death)
{
	g_autofree char *reason = reason_name(death);
	g_autofree char *name = g_strdup(death->process->name);

	/* A name of our making: no folder, no option, nothing that a shell or a screen takes amiss. */
	for (char *p = name; *p; p++) {
		if (!g_ascii_isalnum(*p) && !strchr("_.+-", *p))
			*p = '_';
	}
	return g_strdup_printf("trace-%s-%d-%s", name, (int)death->process->pid, reason);
}

/* "segmentation fault at address 0x10", "sent by pid 5"; NULL: the signal's name says it all. */
static char *signal_words(const struct death_case *death)
{
	int number = (int)death->end->signal;
	const char *meaning = process_signal_meaning(number);
	const struct fr_crash *crash = death->crash;
	bool is_fault =
		number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL;

	if (death->end->is_oom)
		return g_strdup("the kernel was out of memory for its cgroup");
	if (!crash || (int)crash->signal != number)
		return meaning ? g_strdup(meaning) : NULL;
	if (crash->code <= 0 && crash->sender_pid != (uint32_t)death->process->pid)
		return g_strdup_printf("%s%ssent by pid %u of uid %u", meaning ? meaning : "",
			meaning ? ", " : "", crash->sender_pid, crash->sender_uid);
	if (crash->is_overflow)
		return g_strdup_printf("stack overflow at address 0x%" PRIx64, crash->addr);
	if (is_fault && crash->code > 0)
		return g_strdup_printf("%s at address 0x%" PRIx64, meaning, crash->addr);
	return meaning ? g_strdup(meaning) : NULL;
}

static void append_how(GString *text, const struct death_case *death)
{
	const struct process_end *end = death->end;
	g_autofree char *name = NULL, *words = NULL;

	switch (end->how) {
	case PROCESS_END_SIGNAL:
		name = process_signal_name((int)end->signal);
		words = signal_words(death);
		g_string_append_printf(text, "was killed by %s", name);
		if (words)
			g_string_append_printf(text, " (%s)", words);
		break;
	case PROCESS_END_EXEC:
		g_string_append(text, "became a program that cannot be traced, by exec()");
		break;
	case PROCESS_END_EXIT:
		if (is_direct_exit(death))
			g_string_append_printf(text, "ended by _exit(%d)", end->code);
		else
			g_string_append_printf(text, "ended with exit status %d", end->code);
		break;
	default:
		g_string_append(text, "has ended, how is unknown on this kernel");
		break;
	}
}

char *death_sentence(const struct death_case *death)
{
	GString *text = g_string_new(NULL);

	g_string_append_printf(
		text, "%s (pid %d) ", death->process->name, (int)death->process->pid);
	append_how(text, death);
	return g_string_free(text, FALSE);
}

struct deaths *deaths_new(const struct deaths_settings *settings)
{
	struct deaths *deaths = g_new0(struct deaths, 1);

	deaths->set = *settings;
	deaths->children.every_ns = settings->rate_ns;
	deaths->children.burst = CHILDREN_BURST;
	return deaths;
}

void deaths_free(struct deaths *deaths)
{
	g_free(deaths);
}

/* Fills in what the process itself wrote about its end. */
static void look_up(const struct deaths *deaths, struct death_case *death, struct fr_crash *crash)
{
	struct blackbox *blackbox;

	if (blackbox_open_proc(deaths->set.rundir, death->process->proc, &blackbox) != 0)
		return;
	death->exit_kind = blackbox->header.exit_kind;
	if (blackbox_crash(blackbox, crash))
		death->crash = crash;
	blackbox_close(blackbox);
}

/* The order for a trace of this death. */
static struct snapshot_order order_of(const struct death_case *death)
{
	struct snapshot_order order = {
		.name = death_name(death),
		.said = death_sentence(death),
		.has_trigger = true,
		.trigger = { .kind = FR_TRIGGER_DEATH,
			.proc = death->process->proc,
			.time_ns = death->end->end_ns,
			.value = death->end->is_oom },
		.profiles_pid = death->process->pid,
	};

	order.death = g_strdup(order.said);
	order.reason = g_strdup(order.said);
	if (death->end->how == PROCESS_END_SIGNAL)
		order.death_signal = (int)death->end->signal;
	if (death->crash) {
		order.trigger.tid = death->crash->tid;
		order.trigger.stack = death->crash->stack;
	}
	return order;
}

void deaths_process_ended(
	struct deaths *deaths, const struct watch_process *process, const struct process_end *end)
{
	struct death_case death = { .process = process, .end = end };
	struct fr_crash *crash = g_new0(struct fr_crash, 1);
	bool is_death;

	look_up(deaths, &death, crash);
	is_death = death_counts(deaths->set.policy, &death);
	if (end->how == PROCESS_END_SIGNAL || end->how == PROCESS_END_UNKNOWN ||
		death.exit_kind == FR_EXIT_DIRECT)
		recording_process_died(deaths->set.recording);
	if (is_death) {
		g_autofree char *sentence = death_sentence(&death);

		recording_note_death(deaths->set.recording, sentence, (int)end->signal);
	}
	if (is_death && (process->is_main || rate_limit_take(&deaths->children, procfs_now()))) {
		struct snapshot_order order = order_of(&death);
		uint64_t n = rate_limit_left_out(&deaths->children);

		if (n) {
			g_autofree char *said = order.death;

			order.death = g_strdup_printf(
				"%s (%" PRIu64 " more since the last trace of a death)", said, n);
		}
		snapshots_submit(deaths->set.snapshots, &order);
	}
	g_free(crash);
}

void deaths_program_ended(struct deaths *deaths, struct watch *watch, int status)
{
	struct watch_process process;
	struct process_end end;
	struct death_case death = { .process = &process, .end = &end };
	struct fr_crash *crash = g_new0(struct fr_crash, 1);

	if (watch_program_ended(watch, status, &process, &end)) {
		look_up(deaths, &death, crash);
		if (death_counts(deaths->set.policy, &death)) {
			struct snapshot_order order = order_of(&death);

			recording_note_death(
				deaths->set.recording, order.death, order.death_signal);
			snapshots_write_now(deaths->set.snapshots, &order);
		}
	}
	g_free(crash);
	/* Those of its children that died with it. */
	watch_settle(watch, SETTLE_MS);
	snapshots_drain(deaths->set.snapshots);
}
