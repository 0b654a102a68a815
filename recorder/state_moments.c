/* SPDX-License-Identifier: MIT */
#include "recorder/state_moments.h"

#include "recorder/process_state.h"
#include "recorder/state_trace.h"
#include "recorder/trace_out.h"

struct moment {
	uint64_t time_ns;
	const struct process_state *process; /* of a crash; borrowed */
	const struct trace_trigger *trigger; /* or a trigger; borrowed */
};

static gint moment_compare(gconstpointer a, gconstpointer b)
{
	const struct moment *one = a, *other = b;

	if (one->time_ns != other->time_ns)
		return one->time_ns < other->time_ns ? -1 : 1;
	return 0;
}

void state_moments_write(const GPtrArray *processes, const struct trace_trigger *trigger,
	uint64_t end_ns, struct state_trace *trace)
{
	g_autoptr(GArray) moments = g_array_new(FALSE, FALSE, sizeof(struct moment));

	for (guint i = 0; i < processes->len; i++) {
		struct moment moment = { .process = g_ptr_array_index(processes, i) };

		if (!moment.process->crash)
			continue;
		moment.time_ns = moment.process->crash->time_ns;
		g_array_append_val(moments, moment);
	}
	if (trigger) {
		struct moment moment = { .time_ns = trigger->time_ns, .trigger = trigger };

		g_array_append_val(moments, moment);
	}
	g_array_sort(moments, moment_compare);
	for (guint i = 0; i < moments->len; i++) {
		const struct moment *moment = &g_array_index(moments, struct moment, i);

		state_trace_set_time(trace, MIN(moment->time_ns, end_ns));
		if (moment->trigger)
			state_trace_trigger(trace, moment->trigger);
		else
			state_trace_crash(trace, moment->process->proc, moment->process->crash);
	}
}
