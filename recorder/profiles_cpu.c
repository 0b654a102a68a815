/* SPDX-License-Identifier: MIT */
/*
 * CPU profiles. By signal, the tracer counts ticks into a table that only grows: a profile is that table at the end
 * without what it held at the beginning. By perf, from outside, where a program cannot be sampled so.
 */
#include <errno.h>
#include <string.h>

#include "recorder/blackbox_tables.h"
#include "recorder/cpu_perf.h"
#include "recorder/procfs.h"
#include "recorder/profile_tags.h"
#include "recorder/profiles_internal.h"

#define HZ_DEFAULT 100
#define HZ_MAX 1000

void profiles_cpu_init(struct profiles_cpu *cpu)
{
	g_mutex_init(&cpu->lock);
}

static void forget(struct profiles_cpu *cpu)
{
	profile_rows_free(cpu->before);
	cpu->before = NULL;
}

void profiles_cpu_fini(struct profiles *profiles)
{
	if (profiles->cpu.is_on)
		profiles_cpu_end(profiles, NULL, NULL, NULL);
	g_mutex_clear(&profiles->cpu.lock);
	g_free(profiles->cpu.note);
}

/* One more sentence for whom gets the profile; takes over `text`. */
static void add_note(struct profiles_cpu *cpu, char *text)
{
	g_mutex_lock(&cpu->lock);
	if (cpu->note) {
		char *both = g_strdup_printf("%s; %s", cpu->note, text);

		g_free(cpu->note);
		g_free(text);
		text = both;
	}
	cpu->note = text;
	g_mutex_unlock(&cpu->lock);
}

/* Why a process cannot be sampled by signal, as the end of a sentence. */
static const char *refusal_words(uint32_t refusal)
{
	switch (refusal) {
	case FR_CPU_SIGPROF_TAKEN:
		return "handles SIGPROF itself";
	case FR_CPU_NO_TIMERS:
		return "was given no CPU timers by the kernel";
	default:
		return "has no thread of the tracer's";
	}
}

static uint32_t refusal_of(const struct profile_process *process)
{
	uint32_t refusal = blackbox_cpu_refusal(process->blackbox);

	/* Without a thread of its own the tracer could not even say so. */
	if (refusal == FR_CPU_OK && !blackbox_helper_tid(process->blackbox))
		return FR_CPU_NO_HELPER;
	return refusal;
}

const char *profiles_cpu_refusal(const struct profile_process *process)
{
	uint32_t refusal = blackbox_cpu_refusal(process->blackbox);

	/* Of the dead, only what they said themselves. */
	if (process->is_alive)
		refusal = refusal_of(process);
	return refusal == FR_CPU_OK ? NULL : refusal_words(refusal);
}

/* How many living processes take samples. *who_out: one that does not, or NULL. */
static unsigned count_sampled(const GPtrArray *processes, const struct profile_process **who_out)
{
	unsigned n = 0;

	*who_out = NULL;
	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (!process->is_alive || !process->blackbox)
			continue;
		if (refusal_of(process) == FR_CPU_OK)
			n++;
		else if (!*who_out)
			*who_out = process;
	}
	return n;
}

static int begin_signal(
	struct profiles *profiles, unsigned hz, const GPtrArray *processes, char **why_out)
{
	struct profiles_cpu *cpu = &profiles->cpu;
	const struct profile_process *who;
	unsigned n_sampled;

	cpu->before = profile_rows_new();
	profile_kind_cpu.collect(&profile_kind_cpu, processes, 0, cpu->before);
	cpu->lost_before = profile_cpu_lost(processes);
	cpu->failed_before = profile_cpu_timers_failed(processes);
	cpu->begin_real_ns = profiles_now_real();
	cpu->begin_ns = procfs_now();
	orders_cpu(profiles->orders, hz, processes);
	n_sampled = count_sampled(processes, &who);
	/* Before the program is started: what comes sees the rate. */
	n_sampled += processes->len == 0;
	if (who)
		*why_out = g_strdup_printf("process %d (%s) cannot be sampled by signal: it %s",
			(int)who->pid, who->exe, refusal_words(refusal_of(who)));
	if (n_sampled) {
		cpu->hz = hz;
		return 0;
	}
	orders_cpu(profiles->orders, 0, processes);
	forget(cpu);
	return PROFILES_E_REFUSED;
}

static int begin_perf_pids(
	struct profiles *profiles, unsigned hz, const pid_t *pids, size_t n, char **why_out)
{
	struct profiles_cpu *cpu = &profiles->cpu;
	struct profile_tags *tags = profile_tags_new(profiles->rundir);
	struct cpu_perf_options options = { .hz = hz, .tag = profile_tags_get, .tag_data = tags };
	int rc;

	cpu->begin_real_ns = profiles_now_real();
	cpu->begin_ns = procfs_now();
	rc = cpu_perf_begin(pids, n, &options, &cpu->perf, why_out);
	if (rc) {
		profile_tags_free(tags);
		return PROFILES_E_REFUSED;
	}
	cpu->perf_tags = tags;
	cpu->hz = 0;
	return 0;
}

static int begin_perf(
	struct profiles *profiles, unsigned hz, const GPtrArray *processes, char **why_out)
{
	g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(pid_t));

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (process->is_alive)
			g_array_append_val(pids, process->pid);
	}
	return begin_perf_pids(
		profiles, hz, (const pid_t *)(const void *)pids->data, pids->len, why_out);
}

/*
 * Besides those that take samples by signal, perf samples those that cannot. Where it cannot either, the note says
 * both.
 */
static void begin_beside(
	struct profiles *profiles, unsigned hz, const GPtrArray *processes, char *why_signal)
{
	struct profiles_cpu *cpu = &profiles->cpu;
	g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
	g_autofree char *why_perf = NULL, *why = why_signal;
	uint64_t begin_ns = cpu->begin_ns;
	int64_t begin_real_ns = cpu->begin_real_ns;

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (process->is_alive && process->blackbox && refusal_of(process) != FR_CPU_OK)
			g_array_append_val(pids, process->pid);
	}
	if (pids->len == 0)
		return;
	begin_perf_pids(
		profiles, hz, (const pid_t *)(const void *)pids->data, pids->len, &why_perf);
	add_note(cpu, g_strdup_printf(
			      "%s; %s", why, why_perf ? why_perf : "sampled from outside instead"));
	cpu->hz = hz;
	cpu->begin_ns = begin_ns;
	cpu->begin_real_ns = begin_real_ns;
}

/* Picks the engine. */
static int begin_any(
	struct profiles *profiles, unsigned hz, const GPtrArray *processes, char **why_out)
{
	g_autofree char *why_signal = NULL, *why_perf = NULL;
	int rc;

	if (processes->len && !profile_processes_are_alive(processes)) {
		*why_out = g_strdup("nothing that is traced runs any more");
		return PROFILES_E_NO_PROCESS;
	}
	if (profiles->engine != PROFILES_ENGINE_PERF) {
		rc = begin_signal(profiles, hz, processes, &why_signal);
		if (rc == 0) {
			if (why_signal && profiles->engine == PROFILES_ENGINE_AUTO)
				begin_beside(profiles, hz, processes, g_steal_pointer(&why_signal));
			else if (why_signal) /* Some are missing: the profile says so. */
				add_note(&profiles->cpu, g_steal_pointer(&why_signal));
			return 0;
		}
		if (profiles->engine == PROFILES_ENGINE_SIGNAL) {
			*why_out = g_strdup_printf(
				"%s; --cpu-engine=perf samples it from outside", why_signal);
			return rc;
		}
	}
	rc = begin_perf(profiles, hz, processes, &why_perf);
	if (rc)
		*why_out = why_signal ? g_strdup_printf("%s; %s", why_signal, why_perf)
				      : g_steal_pointer(&why_perf);
	else if (why_signal)
		add_note(&profiles->cpu,
			g_strdup_printf("%s; sampled from outside instead", why_signal));
	return rc;
}

/* Takes the one slot; profiles_cpu_end() or a failed begin gives it back. */
static int claim(struct profiles *profiles, char **why_out)
{
	struct profiles_cpu *cpu;
	int rc;

	if (!profiles) {
		*why_out = g_strdup("nothing is traced");
		return PROFILES_E_NO_PROCESS;
	}
	cpu = &profiles->cpu;
	g_mutex_lock(&cpu->lock);
	rc = cpu->is_on ? PROFILES_E_BUSY : 0;
	cpu->is_on = true;
	if (!rc)
		g_clear_pointer(&cpu->note, g_free);
	g_mutex_unlock(&cpu->lock);
	if (rc)
		*why_out = g_strdup("cpu profiling already in use");
	return rc;
}

static void unclaim(struct profiles_cpu *cpu)
{
	g_mutex_lock(&cpu->lock);
	cpu->is_on = false;
	g_mutex_unlock(&cpu->lock);
}

int profiles_cpu_begin(struct profiles *profiles, unsigned hz, char **why_out)
{
	g_autoptr(GPtrArray) processes = NULL;
	int rc = claim(profiles, why_out);

	if (rc)
		return rc;
	rc = profiles_open(profiles, 0, &processes, why_out);
	if (!rc)
		rc = begin_any(profiles, hz ? MIN(hz, HZ_MAX) : HZ_DEFAULT, processes, why_out);
	if (rc)
		unclaim(&profiles->cpu);
	return rc;
}

int profiles_cpu_begin_program(struct profiles *profiles, pid_t pid, unsigned hz, char **why_out)
{
	g_autoptr(GPtrArray) nobody = g_ptr_array_new();
	struct profiles_cpu *cpu;
	int rc = claim(profiles, why_out);

	if (rc)
		return rc;
	cpu = &profiles->cpu;
	hz = hz ? MIN(hz, HZ_MAX) : HZ_DEFAULT;
	if (profiles->engine == PROFILES_ENGINE_PERF) {
		rc = begin_perf_pids(profiles, hz, &pid, 1, why_out);
		if (rc)
			unclaim(cpu);
		return rc;
	}
	/* Who starts while samples are wanted takes them: there is nobody to wait for. */
	cpu->before = profile_rows_new();
	cpu->lost_before = 0;
	cpu->begin_real_ns = profiles_now_real();
	cpu->begin_ns = procfs_now();
	cpu->hz = hz;
	orders_cpu(profiles->orders, hz, nobody);
	return 0;
}

/*
 * What has to be said beside the samples of the signals: who took none, or stopped to. A program may take SIGPROF at any
 * time; the dead tell, too.
 */
static void note_signal(struct profiles_cpu *cpu, const GPtrArray *processes)
{
	uint64_t n_failed = profile_cpu_timers_failed(processes);

	for (guint i = 0; i < processes->len && !cpu->note; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);
		uint32_t refusal =
			process->blackbox ? blackbox_cpu_refusal(process->blackbox) : FR_CPU_OK;

		if (refusal == FR_CPU_OK || refusal == FR_CPU_NO_HELPER)
			continue;
		add_note(
			cpu, g_strdup_printf("process %d (%s) was not sampled all the time: it %s; "
					     "--cpu-engine=perf samples it from outside",
				     (int)process->pid, process->exe, refusal_words(refusal)));
	}
	if (n_failed > cpu->failed_before)
		add_note(cpu, g_strdup_printf("%" G_GUINT64_FORMAT
					      " times a thread got no CPU timer from the kernel: "
					      "its time is missing",
				      n_failed - cpu->failed_before));
}

/* Adds what the signals counted. */
static void collect_signal(
	struct profiles *profiles, const GPtrArray *processes, struct profile_rows *rows)
{
	struct profiles_cpu *cpu = &profiles->cpu;
	const struct profile_process *main_process = profile_main_process(processes);
	uint64_t n_lost = profile_cpu_lost(processes);

	profile_kind_cpu.collect(&profile_kind_cpu, processes, 0, rows);
	profile_rows_subtract(rows, cpu->before);
	if (main_process && n_lost > cpu->lost_before) {
		struct profile_row key = { .process = main_process->id,
			.pseudo = "[lost samples]" };

		profile_rows_get(rows, &key)->values[0] += (int64_t)(n_lost - cpu->lost_before);
	}
}

/* Ids of those that take no samples now; to be asked while samples are wanted. */
static GHashTable *find_refusing(const GPtrArray *processes)
{
	GHashTable *refusing = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < processes->len; i++) {
		const struct profile_process *process = g_ptr_array_index(processes, i);

		if (!process->blackbox || refusal_of(process) != FR_CPU_OK)
			g_hash_table_add(refusing, GUINT_TO_POINTER(process->id));
	}
	return refusing;
}

static const struct profile_process *with_pid(const GPtrArray *processes, pid_t pid)
{
	for (guint i = processes->len; i > 0; i--) {
		const struct profile_process *process = g_ptr_array_index(processes, i - 1);

		if (process->pid == pid)
			return process;
	}
	return NULL;
}

/*
 * Whose samples go into the profile: of the traced ones those that took samples by signal; of those that perf saw,
 * which are children of the wanted ones too, all that did not. A GPtrArray that borrows.
 */
static GPtrArray *choose_processes(
	const GPtrArray *traced, GHashTable *refusing, const GPtrArray *seen, bool has_signal)
{
	GPtrArray *chosen = g_ptr_array_new();

	for (guint i = 0; has_signal && i < traced->len; i++) {
		struct profile_process *process = g_ptr_array_index(traced, i);

		if (!g_hash_table_contains(refusing, GUINT_TO_POINTER(process->id)) ||
			!with_pid(seen, process->pid))
			g_ptr_array_add(chosen, process);
	}
	for (guint i = 0; i < seen->len; i++) {
		struct profile_process *process = g_ptr_array_index(seen, i);
		const struct profile_process *of = with_pid(traced, process->pid);

		if (!has_signal || !of || g_hash_table_contains(refusing, GUINT_TO_POINTER(of->id)))
			g_ptr_array_add(chosen, process);
	}
	return chosen;
}

/* `some` are those that were asked for, `result` is what perf saw or NULL. */
static GByteArray *end_any(struct profiles *profiles, const struct cpu_perf_result *result,
	const GPtrArray *all, GHashTable *refusing, const GPtrArray *some, pid_t pid,
	struct profile_build *build)
{
	struct profile_rows *rows = profile_rows_new();
	bool has_signal = profiles->cpu.hz != 0;
	g_autoptr(GPtrArray) seen =
		result ? profile_cpu_perf_processes(result, all) : g_ptr_array_new();
	g_autoptr(GPtrArray) chosen = NULL;
	GByteArray *bytes;

	if (has_signal)
		collect_signal(profiles, some, rows);
	if (result)
		profile_cpu_perf_collect(result, seen, all, rows);
	for (guint i = seen->len; pid && i > 0; i--)
		if (((struct profile_process *)g_ptr_array_index(seen, i - 1))->pid != pid)
			g_ptr_array_remove_index(seen, i - 1);
	chosen = choose_processes(pid ? some : all, refusing, seen, has_signal);
	build->processes = chosen;
	build->rows = rows;
	build->period = result ? result->period_ns : 1000000000u / MAX(profiles->cpu.hz, 1u);
	bytes = profiles_pack(profiles, build);
	profile_rows_free(rows);
	return bytes;
}

static void note_perf(struct profiles_cpu *cpu, const struct cpu_perf_result *result)
{
	g_autofree char *notes = result->notes ? g_strjoinv("; ", result->notes) : NULL;

	if (notes && *notes)
		add_note(cpu, g_steal_pointer(&notes));
}

int profiles_cpu_end(struct profiles *profiles, const struct profiles_query *query,
	GByteArray **bytes_out, char **why_out)
{
	struct profiles_cpu *cpu = &profiles->cpu;
	struct cpu_perf_result *result = NULL;
	g_autoptr(GPtrArray) all = profile_processes_open(profiles->rundir, 0), some = NULL;
	struct profile_build build = { .kind = &profile_kind_cpu, .cache = profiles->cache };
	g_autoptr(GHashTable) refusing = find_refusing(all);
	int rc = 0;

	if (cpu->perf) {
		result = cpu_perf_end(cpu->perf, bytes_out == NULL);
		cpu->perf = NULL;
	}
	if (cpu->hz)
		orders_cpu(profiles->orders, 0, all);
	build.time_ns = cpu->begin_real_ns;
	build.duration_ns = (int64_t)(procfs_now() - cpu->begin_ns);
	if (bytes_out)
		rc = profiles_open(profiles, query->pid, &some, why_out);
	if (bytes_out && !rc) {
		if (result)
			note_perf(cpu, result);
		if (cpu->hz)
			note_signal(cpu, some);
		*bytes_out = end_any(profiles, result, all, refusing, some, query->pid, &build);
	}
	cpu_perf_result_free(result);
	profile_tags_free(cpu->perf_tags);
	cpu->perf_tags = NULL;
	forget(cpu);
	unclaim(cpu);
	return rc;
}

char *profiles_cpu_note(struct profiles *profiles)
{
	char *note;

	if (!profiles)
		return NULL;
	g_mutex_lock(&profiles->cpu.lock);
	note = g_strdup(profiles->cpu.note);
	g_mutex_unlock(&profiles->cpu.lock);
	return note;
}
