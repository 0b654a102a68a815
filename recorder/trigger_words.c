/* SPDX-License-Identifier: MIT */
#include "recorder/trigger_words.h"

#include <glib.h>
#include <inttypes.h>

#include "common/units.h"
#include "proto/schema.h"

static const char *lock_name(uint32_t lock)
{
	static const char *const names[] = {
#define FR_X(id, name, state) name,
		FR_LOCK_TABLE(FR_X)
#undef FR_X
	};

	return lock < FR_LOCK_N ? names[lock] : "lock";
}

static const char *call_name(uint32_t call)
{
	static const char *const names[] = {
#define FR_X(name, class, state) #name,
		FR_CALL_TABLE(FR_X)
#undef FR_X
	};

	return call < FR_CALL_N ? names[call] : "a call";
}

/* "WHAT took 312ms (limit 250ms)" */
static void append_time(GString *text, const char *what, const struct trace_trigger *trigger)
{
	char value[64], limit[64];
	uint64_t unit = trigger->value >= 1000000 ? 100000 : 1;

	units_duration_format(
		(int64_t)MIN(trigger->value / unit * unit, INT64_MAX), value, sizeof(value));
	units_duration_format((int64_t)MIN(trigger->limit, INT64_MAX), limit, sizeof(limit));
	g_string_append_printf(text, "%s took %s (limit %s)", what, value, limit);
}

static void append_size(GString *text, const char *what, const struct trace_trigger *trigger)
{
	char value[32], limit[32];

	units_size_format(trigger->value, value, sizeof(value));
	units_size_format(trigger->limit, limit, sizeof(limit));
	g_string_append_printf(text, "%s %s (limit %s)", what, value, limit);
}

char *trigger_words(const struct trace_trigger *trigger, const struct watch_process *process)
{
	const char *reason = trigger->reason ? trigger->reason : "";
	GString *text = g_string_new(NULL);
	g_autofree char *what = NULL;

	switch (trigger->kind) {
	case FR_TRIGGER_SLOW:
		what = g_strdup_printf("%s %s", trigger->obj ? "task" : "region",
			*reason ? reason : "without type");
		append_time(text, what, trigger);
		break;
	case FR_TRIGGER_LOCK:
		what = g_strdup_printf(
			"a wait for %s 0x%" PRIx64, lock_name(trigger->call), trigger->obj);
		append_time(text, what, trigger);
		break;
	case FR_TRIGGER_CALL:
		what = g_strdup_printf("%s()", call_name(trigger->call));
		append_time(text, what, trigger);
		break;
	case FR_TRIGGER_THREADS:
		g_string_append_printf(text, "%" PRIu64 " threads (limit %" PRIu64 ")",
			trigger->value, trigger->limit);
		break;
	case FR_TRIGGER_RSS:
		append_size(text, "resident memory of", trigger);
		break;
	case FR_TRIGGER_HEAP:
		append_size(text, "live heap of", trigger);
		break;
	case FR_TRIGGER_ASKED:
		/* "server (pid 12) asked for it: queue full" */
		if (process)
			g_string_append_printf(
				text, "%s (pid %d) asked for it", process->name, (int)process->pid);
		g_string_append_printf(text, "%s%s", process && *reason ? ": " : "", reason);
		return g_string_free(text, FALSE);
	default:
		g_string_append(text, reason);
		break;
	}
	if (process)
		g_string_append_printf(text, " in %s (pid %d)", process->name, (int)process->pid);
	return g_string_free(text, FALSE);
}
