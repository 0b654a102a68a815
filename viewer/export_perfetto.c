/* SPDX-License-Identifier: MIT */
#include "viewer/export_walk.h"
#include "viewer/perfetto.h"

/* Uuids of tracks, by what they are of; 0 is none. */
enum { TRACK_OF_PROCESS = 1, TRACK_OF_THREAD, TRACK_OF_REGIONS, TRACK_OF_COUNTER, TRACK_OF_TASKS };

struct exporting {
	const struct export_part *part;
	struct perfetto *perfetto;
	FILE *out;
	struct idmap known; /* (uuid, 0): its track was written */
	uint64_t n_flows;
};

static uint64_t uuid_of(uint32_t what, uint32_t a, uint32_t b)
{
	/* Small, as every event has one. */
	return ((uint64_t)b << 32 | a) << 3 | what;
}

static uint64_t absolute(const struct exporting *exporting, uint64_t at)
{
	return index_time(exporting->part->index, at);
}

/* The track's first use; 0: it is known already. */
static int is_new(struct exporting *exporting, uint64_t uuid)
{
	if (idmap_get(&exporting->known, uuid, 0) != IDMAP_NONE)
		return 0;
	idmap_set(&exporting->known, uuid, 0, 1);
	return 1;
}

static void put_tracks(struct exporting *exporting)
{
	const struct trace *trace = exporting->part->index->trace;

	for (guint i = 0; i < trace->processes->len; i++)
		perfetto_process(exporting->perfetto, uuid_of(TRACK_OF_PROCESS, i, 0),
			trace_process(trace, i)->pid, trace_process_name(trace, i));
	for (guint i = 0; i < trace->threads->len; i++) {
		const struct thread *thread = trace_thread(trace, i);

		if (export_wants(exporting->part, i))
			perfetto_thread(exporting->perfetto, uuid_of(TRACK_OF_THREAD, i, 0),
				uuid_of(TRACK_OF_PROCESS, thread->process, 0),
				trace_process(trace, thread->process)->pid, thread->tid,
				trace_thread_name(trace, i));
	}
}

/* Switches of a CPU become states of the threads on it. */
static void put_switch(struct exporting *exporting, const struct export_item *item)
{
	const struct trace *trace = exporting->part->index->trace;
	enum perfetto_task state = item->what == EXPORT_BEGIN  ? PERFETTO_RUNNING
				   : item->interval.state == 1 ? PERFETTO_RUNNABLE
							       : PERFETTO_SLEEPING;

	if (item->interval.arg >= trace->threads->len ||
		!export_wants(exporting->part, item->interval.arg))
		return;
	perfetto_task_state(exporting->perfetto, absolute(exporting, item->time_ns), item->lane.a,
		trace_thread(trace, item->interval.arg)->tid,
		trace_thread_name(trace, item->interval.arg), state);
}

static void put_interval(struct exporting *exporting, const struct export_item *item)
{
	uint64_t thread = uuid_of(TRACK_OF_THREAD, item->lane.a, 0), uuid = thread;
	uint64_t time_ns = absolute(exporting, item->time_ns);

	if (item->lane.kind == LANE_CPU) {
		put_switch(exporting, item);
		return;
	}
	if (item->lane.kind == LANE_REGION) {
		uuid = uuid_of(TRACK_OF_REGIONS, item->lane.a, 0);
		if (is_new(exporting, uuid))
			perfetto_track(exporting->perfetto, uuid, thread, "regions", 0);
	}
	if (item->what == EXPORT_BEGIN)
		perfetto_begin(exporting->perfetto, uuid, time_ns,
			export_name(exporting->part->index, item), item->interval.stack);
	else
		perfetto_end(exporting->perfetto, uuid, time_ns);
}

static void put_flow(struct exporting *exporting, uint32_t from, uint32_t from_stack, uint32_t to,
	uint64_t end, uint64_t wake)
{
	const struct trace *trace = exporting->part->index->trace;
	uint64_t id = ++exporting->n_flows;

	if (from >= trace->threads->len || to >= trace->threads->len ||
		!export_wants(exporting->part, from))
		return;
	perfetto_instant(exporting->perfetto, uuid_of(TRACK_OF_THREAD, from, 0),
		absolute(exporting, end - MIN(wake, end)), "wakes", from_stack, id, 0);
	perfetto_instant(exporting->perfetto, uuid_of(TRACK_OF_THREAD, to, 0),
		absolute(exporting, end), "woken", STACK_INDEX_NONE, id, 1);
}

static uint64_t at(
	const struct exporting *exporting, const struct export_item *item, unsigned column)
{
	return export_get(exporting->part->index, item->table, item->row, column);
}

static const char *text_at(
	const struct exporting *exporting, const struct export_item *item, unsigned column)
{
	return strings_get(
		exporting->part->index->trace->strings, (uint32_t)at(exporting, item, column));
}

static void put_counter(struct exporting *exporting, const struct export_item *item)
{
	const struct trace *trace = exporting->part->index->trace;
	uint32_t thread = (uint32_t)at(exporting, item, COUNTER_THREAD);
	uint32_t process = trace_thread(trace, thread)->process;
	uint64_t uuid =
		uuid_of(TRACK_OF_COUNTER, (uint32_t)at(exporting, item, COUNTER_NAME), process);

	if (is_new(exporting, uuid))
		perfetto_track(exporting->perfetto, uuid, uuid_of(TRACK_OF_PROCESS, process, 0),
			text_at(exporting, item, COUNTER_NAME), 1);
	perfetto_counter(exporting->perfetto, uuid, absolute(exporting, item->time_ns),
		(int64_t)at(exporting, item, COUNTER_VALUE));
}

/* Tasks overlap as they like: a track each. Both ends are known at the end; readers sort. */
static void put_task(struct exporting *exporting, const struct export_item *item)
{
	const struct trace *trace = exporting->part->index->trace;
	uint32_t thread = (uint32_t)at(exporting, item, TASK_THREAD);
	uint64_t uuid = uuid_of(TRACK_OF_TASKS, (uint32_t)item->row, 0);
	const char *type = text_at(exporting, item, TASK_TYPE);

	if (thread >= trace->threads->len)
		return;
	perfetto_track(exporting->perfetto, uuid,
		uuid_of(TRACK_OF_PROCESS, trace_thread(trace, thread)->process, 0), type, 0);
	perfetto_begin(exporting->perfetto, uuid,
		absolute(exporting, item->time_ns - at(exporting, item, INDEX_DUR)), type,
		(uint32_t)at(exporting, item, TASK_STACK));
	perfetto_end(exporting->perfetto, uuid, absolute(exporting, item->time_ns));
}

static void put_row(struct exporting *exporting, const struct export_item *item)
{
	uint32_t thread = (uint32_t)at(exporting, item, WAIT_THREAD);
	uint64_t uuid = uuid_of(TRACK_OF_THREAD, thread, 0);

	if (!export_wants(exporting->part, thread))
		return;
	switch (item->table) {
	case INDEX_WAIT:
		put_flow(exporting, (uint32_t)at(exporting, item, WAIT_HOLDER),
			(uint32_t)at(exporting, item, WAIT_HOLDER_STACK), thread, item->time_ns,
			at(exporting, item, WAIT_WAKE));
		break;
	case INDEX_WOKEN:
		put_flow(exporting, (uint32_t)at(exporting, item, WOKEN_WAKER),
			(uint32_t)at(exporting, item, WOKEN_WAKER_STACK), thread, item->time_ns,
			at(exporting, item, WOKEN_WAKE));
		break;
	case INDEX_TASK:
		put_task(exporting, item);
		break;
	case INDEX_LOG:
		perfetto_instant(exporting->perfetto, uuid, absolute(exporting, item->time_ns),
			text_at(exporting, item, LOG_MESSAGE),
			(uint32_t)at(exporting, item, LOG_STACK), 0, 0);
		break;
	case INDEX_COUNTER:
		put_counter(exporting, item);
		break;
	default: /* INDEX_SAMPLE */
		perfetto_instant(exporting->perfetto, uuid, absolute(exporting, item->time_ns),
			"CPU sample", (uint32_t)at(exporting, item, SAMPLE_STACK), 0, 0);
	}
}

static int on_item(void *user, const struct export_item *item)
{
	struct exporting *exporting = user;

	if (item->what == EXPORT_ROW)
		put_row(exporting, item);
	else
		put_interval(exporting, item);
	return ferror(exporting->out);
}

void export_perfetto(const struct export_part *part, FILE *out)
{
	struct exporting exporting = { .part = part, .out = out };

	exporting.perfetto = perfetto_new(part->index->trace, out);
	perfetto_clocks(exporting.perfetto);
	put_tracks(&exporting);
	export_walk(part,
		1u << INDEX_WAIT | 1u << INDEX_WOKEN | 1u << INDEX_TASK | 1u << INDEX_LOG |
			1u << INDEX_COUNTER | 1u << INDEX_SAMPLE,
		on_item, &exporting);
	perfetto_free(exporting.perfetto);
	idmap_fini(&exporting.known);
}
