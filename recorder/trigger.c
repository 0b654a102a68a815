/* SPDX-License-Identifier: MIT */
#include "recorder/trigger.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "common/units.h"
#include "recorder/procfs.h"
#include "recorder/rate_limit.h"
#include "recorder/trigger_poll.h"
#include "recorder/trigger_words.h"

struct triggers {
	struct triggers_settings set;
	struct trigger_poll *poll; /* of the watching thread alone */
	pthread_mutex_t mutex;	   /* guards the rest */
	struct rate_limit limit;
	struct triggers_count counts[FR_TRIGGER_N];
	uint64_t n_before[FR_TRIGGER_N]; /* suppressed since the last that was not */
};

const char *triggers_kind_name(uint32_t kind)
{
	static const char *const names[] = {
#define FR_X(id, name) name,
		FR_TRIGGER_TABLE(FR_X)
#undef FR_X
	};

	return kind < FR_TRIGGER_N ? names[kind] : "unknown";
}

void triggers_arm(const struct options *options, struct fr_control *control)
{
	control->trigger_lock_ns = options->on_lock_ns;
	control->trigger_call_ns = options->on_call_ns;
	memcpy(control->slow, options->slow, sizeof(control->slow));
	control->n_slow = options->n_slow;
}

struct triggers *triggers_new(const struct triggers_settings *settings)
{
	struct triggers *triggers = g_new0(struct triggers, 1);

	triggers->set = *settings;
	triggers->poll = trigger_poll_new(settings->options, settings->rundir);
	triggers->limit.every_ns = settings->options->trigger_rate_ns;
	triggers->limit.burst = 1;
	pthread_mutex_init(&triggers->mutex, NULL);
	return triggers;
}

void triggers_free(struct triggers *triggers)
{
	if (!triggers)
		return;
	trigger_poll_free(triggers->poll);
	pthread_mutex_destroy(&triggers->mutex);
	g_free(triggers);
}

/* " (3 more since the last trace: 2 slow, 1 lock)", and forgets them; NULL: none. Call with `mutex` held. */
static char *take_suppressed(struct triggers *triggers)
{
	g_autoptr(GString) list = g_string_new(NULL);
	uint64_t sum = 0;

	for (uint32_t kind = 0; kind < FR_TRIGGER_N; kind++) {
		uint64_t n = triggers->n_before[kind];

		if (!n)
			continue;
		g_string_append_printf(
			list, "%s%" PRIu64 " %s", sum ? ", " : "", n, triggers_kind_name(kind));
		sum += n;
		triggers->n_before[kind] = 0;
	}
	return sum ? g_strdup_printf(" (%" PRIu64 " more since the last trace: %s)", sum, list->str)
		   : NULL;
}

/* Whether a snapshot is due; counts it either way. */
static bool take_turn(struct triggers *triggers, uint32_t kind, char **before_out)
{
	bool is_due;

	pthread_mutex_lock(&triggers->mutex);
	is_due = rate_limit_take(&triggers->limit, procfs_now());
	if (is_due) {
		triggers->counts[kind].n_fired++;
		*before_out = take_suppressed(triggers);
	} else {
		triggers->counts[kind].n_suppressed++;
		triggers->n_before[kind]++;
	}
	pthread_mutex_unlock(&triggers->mutex);
	return is_due;
}

/* It was due, but too many waited. */
static void give_turn_back(struct triggers *triggers, uint32_t kind)
{
	pthread_mutex_lock(&triggers->mutex);
	triggers->counts[kind].n_fired--;
	triggers->counts[kind].n_suppressed++;
	triggers->n_before[kind]++;
	pthread_mutex_unlock(&triggers->mutex);
}

static void fire(
	void *user, const struct trace_trigger *trigger, const struct watch_process *process)
{
	struct triggers *triggers = user;
	g_autofree char *before = NULL, *words = NULL;
	struct snapshot_order order = { .has_trigger = true, .trigger = *trigger };

	if (!take_turn(triggers, trigger->kind, &before))
		return;
	words = trigger_words(trigger, process);
	order.name = snapshots_trigger_name(trigger->kind, g_get_real_time() / 1000000);
	order.reason = g_strdup_printf("%s%s", words, before ? before : "");
	order.said =
		g_strdup_printf("Trigger %s: %s", triggers_kind_name(trigger->kind), order.reason);
	if (!snapshots_submit(triggers->set.snapshots, &order))
		give_turn_back(triggers, trigger->kind);
}

void triggers_told(struct triggers *triggers, const struct watch_process *process,
	const struct fr_trigger *told)
{
	struct trace_trigger trigger = {
		.kind = told->kind,
		.reason = told->reason,
		.time_ns = told->time_ns,
		.value = told->value,
		.limit = told->limit,
		.obj = told->obj,
		.call = told->call,
		.tid = told->tid,
		.stack = told->stack,
		.proc = process->proc,
	};

	fire(triggers, &trigger, process);
}

void triggers_second(struct triggers *triggers, const GArray *processes)
{
	trigger_poll_look(triggers->poll, processes, fire, triggers);
}

void triggers_signal(struct triggers *triggers, const siginfo_t *info)
{
	g_autofree char *name = process_signal_name(info->si_signo);
	g_autofree char *reason = g_strdup_printf(
		"%s was sent by pid %d of uid %u", name, (int)info->si_pid, (unsigned)info->si_uid);
	struct trace_trigger trigger = {
		.kind = FR_TRIGGER_SIGNAL,
		.reason = reason,
		.time_ns = procfs_now(),
		.value = (uint64_t)info->si_signo,
	};

	fire(triggers, &trigger, NULL);
}

void triggers_counts(struct triggers *triggers, struct triggers_count counts_out[FR_TRIGGER_N])
{
	memset(counts_out, 0, FR_TRIGGER_N * sizeof(*counts_out));
	if (!triggers)
		return;
	pthread_mutex_lock(&triggers->mutex);
	memcpy(counts_out, triggers->counts, sizeof(triggers->counts));
	pthread_mutex_unlock(&triggers->mutex);
}

static void add_duration(json_t *object, const char *key, uint64_t ns)
{
	char text[64];

	units_duration_format((int64_t)ns, text, sizeof(text));
	json_object_set_new(object, key, json_string(text));
}

static json_t *armed_json(const struct options *options)
{
	json_t *armed = json_object();

	json_object_set_new(armed, "asked", json_true());
	if (options->on_signal) {
		g_autofree char *name = process_signal_name((int)options->on_signal);

		json_object_set_new(armed, "signal", json_string(name));
	}
	if (options->n_slow) {
		json_t *slow = json_object();

		for (uint32_t i = 0; i < options->n_slow; i++)
			add_duration(slow, options->slow[i].type, options->slow[i].ns);
		json_object_set_new(armed, "slow", slow);
	}
	if (options->on_lock_ns)
		add_duration(armed, "lock", options->on_lock_ns);
	if (options->on_call_ns)
		add_duration(armed, "call", options->on_call_ns);
	if (options->on_threads)
		json_object_set_new(
			armed, "threads", json_integer((json_int_t)options->on_threads));
	if (options->on_rss_bytes)
		json_object_set_new(armed, "rss", json_integer((json_int_t)options->on_rss_bytes));
	if (options->on_heap_bytes)
		json_object_set_new(
			armed, "heap", json_integer((json_int_t)options->on_heap_bytes));
	json_object_set_new(armed, "deadlock", json_boolean(options->on_deadlock != OPTIONS_NO));
	return armed;
}

json_t *triggers_json(struct triggers *triggers)
{
	struct triggers_count counts[FR_TRIGGER_N];
	struct snapshots_status *status;
	json_t *object, *fired, *suppressed;

	if (!triggers)
		return json_null();
	triggers_counts(triggers, counts);
	status = g_new0(struct snapshots_status, 1);
	snapshots_status(triggers->set.snapshots, status);
	object = json_object();
	fired = json_object();
	suppressed = json_object();
	for (uint32_t kind = 0; kind < FR_TRIGGER_N; kind++) {
		const char *name = triggers_kind_name(kind);

		if (counts[kind].n_fired)
			json_object_set_new(
				fired, name, json_integer((json_int_t)counts[kind].n_fired));
		if (counts[kind].n_suppressed)
			json_object_set_new(suppressed, name,
				json_integer((json_int_t)counts[kind].n_suppressed));
	}
	json_object_set_new(object, "armed", armed_json(triggers->set.options));
	json_object_set_new(object, "fired", fired);
	json_object_set_new(object, "suppressed", suppressed);
	json_object_set_new(object, "written", json_integer((json_int_t)status->n_written));
	json_object_set_new(object, "failed", json_integer((json_int_t)status->n_failed));
	json_object_set_new(object, "last_file",
		status->last_file[0] ? json_string(status->last_file) : json_null());
	g_free(status);
	return object;
}
