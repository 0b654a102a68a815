/* SPDX-License-Identifier: MIT */
#include "viewer/perfetto.h"

#include "viewer/proto_write.h"

#define SEQUENCE 1
/* BuiltinClock */
#define CLOCK_REALTIME_ID 1
#define CLOCK_MONOTONIC_ID 3

enum { TRACE_PACKET = 1 };
enum {
	PACKET_CLOCK_SNAPSHOT = 6,
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE = 10,
	PACKET_EVENT = 11,
	PACKET_INTERNED = 12,
	PACKET_FLAGS = 13,
	PACKET_CLOCK = 58,
	PACKET_DEFAULTS = 59,
	PACKET_TRACK = 60,
	PACKET_TASK_STATE = 117,
};
enum { FLAG_CLEARED = 1, FLAG_NEEDS = 2 };
enum {
	INTERNED_EVENT_NAMES = 2,
	INTERNED_FUNCTIONS = 5,
	INTERNED_FRAMES = 6,
	INTERNED_STACKS = 7,
	INTERNED_PATHS = 17,
	INTERNED_MAPPINGS = 19,
};
enum { EVENT_TYPE = 9, EVENT_NAME_ID = 10, EVENT_TRACK = 11, EVENT_COUNTER_VALUE = 30 };
enum { EVENT_FLOW = 47, EVENT_FLOW_END = 48, EVENT_CALLSTACK = 56 };
enum { TYPE_BEGIN = 1, TYPE_END, TYPE_INSTANT, TYPE_COUNTER };
enum { TRACK_UUID = 1, TRACK_NAME, TRACK_PROCESS, TRACK_THREAD, TRACK_PARENT, TRACK_COUNTER = 8 };

struct perfetto {
	struct trace *trace;
	FILE *out;
	GByteArray *packet, *event, *interned, *one,
		*small;		       /* kept, so that nothing is allocated per event */
	GHashTable *names, *functions; /* owned text → id */
	struct idmap frames, mappings, stacks;
	uint32_t n_frames;
	int has_begun;
};

struct perfetto *perfetto_new(struct trace *trace, FILE *out)
{
	struct perfetto *perfetto = g_new0(struct perfetto, 1);

	perfetto->trace = trace;
	perfetto->out = out;
	perfetto->packet = g_byte_array_new();
	perfetto->event = g_byte_array_new();
	perfetto->interned = g_byte_array_new();
	perfetto->one = g_byte_array_new();
	perfetto->small = g_byte_array_new();
	perfetto->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	perfetto->functions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return perfetto;
}

void perfetto_free(struct perfetto *perfetto)
{
	g_byte_array_unref(perfetto->packet);
	g_byte_array_unref(perfetto->event);
	g_byte_array_unref(perfetto->interned);
	g_byte_array_unref(perfetto->one);
	g_byte_array_unref(perfetto->small);
	g_hash_table_unref(perfetto->names);
	g_hash_table_unref(perfetto->functions);
	idmap_fini(&perfetto->frames);
	idmap_fini(&perfetto->mappings);
	idmap_fini(&perfetto->stacks);
	g_free(perfetto);
}

static GByteArray *fresh(GByteArray *bytes)
{
	g_byte_array_set_size(bytes, 0);
	return bytes;
}

/* Finishes the packet with what was interned for it, and writes it. */
static void write_packet(struct perfetto *perfetto)
{
	GByteArray *packet = perfetto->packet, *head = fresh(perfetto->one);

	proto_number(packet, PACKET_SEQUENCE, SEQUENCE);
	if (!perfetto->has_begun) {
		/* Defaults of the sequence: every time is CLOCK_MONOTONIC. */
		GByteArray *defaults = fresh(perfetto->small);

		proto_number(defaults, PACKET_CLOCK, CLOCK_MONOTONIC_ID);
		proto_message(packet, PACKET_DEFAULTS, defaults);
	}
	proto_number(
		packet, PACKET_FLAGS, perfetto->has_begun ? FLAG_NEEDS : FLAG_CLEARED | FLAG_NEEDS);
	perfetto->has_begun = 1;
	if (perfetto->interned->len)
		proto_message(packet, PACKET_INTERNED, perfetto->interned);
	proto_varint(head, TRACE_PACKET << 3 | 2);
	proto_varint(head, packet->len);
	fwrite(head->data, 1, head->len, perfetto->out);
	fwrite(packet->data, 1, packet->len, perfetto->out);
	fresh(packet);
	fresh(perfetto->interned);
}

/* Id of a text in one of the tables; what is new goes along with the packet. */
static uint32_t intern(
	struct perfetto *perfetto, GHashTable *table, uint32_t field, const char *text)
{
	uint32_t id = GPOINTER_TO_UINT(g_hash_table_lookup(table, text));
	g_autofree char *valid = NULL;

	if (id)
		return id;
	id = g_hash_table_size(table) + 1;
	g_hash_table_insert(table, g_strdup(text), GUINT_TO_POINTER(id));
	valid = g_utf8_make_valid(text, -1);
	proto_number(fresh(perfetto->small), 1, id);
	proto_text(perfetto->small, 2, valid);
	proto_message(perfetto->interned, field, perfetto->small);
	return id;
}

static uint32_t mapping_of(struct perfetto *perfetto, uint32_t module)
{
	const struct stacks *stacks = &perfetto->trace->stacks;
	const char *path =
		module == MODULE_NONE
			? "[unknown]"
			: strings_get(stacks->strings,
				  g_array_index(stacks->modules, struct module, module).path);
	uint32_t id = idmap_get(&perfetto->mappings, module, 0);

	if (id != IDMAP_NONE)
		return id;
	id = perfetto->mappings.n + 1;
	idmap_set(&perfetto->mappings, module, 0, id);
	g_autofree char *valid = g_utf8_make_valid(path, -1);
	/* The path has the id of its mapping. */
	proto_number(fresh(perfetto->small), 1, id);
	proto_text(perfetto->small, 2, valid);
	proto_message(perfetto->interned, INTERNED_PATHS, perfetto->small);
	proto_number(fresh(perfetto->small), 1, id);
	proto_number(perfetto->small, 7, id);
	proto_message(perfetto->interned, INTERNED_MAPPINGS, perfetto->small);
	return id;
}

static uint32_t frame_of(struct perfetto *perfetto, const struct location *location, uint32_t line)
{
	const struct stacks *stacks = &perfetto->trace->stacks;
	uint64_t address =
		(uint64_t)(location -
			   (const struct location *)(const void *)stacks->locations->data);
	uint32_t id = idmap_get(&perfetto->frames, address, line), function, mapping;
	g_autoptr(GString) name = NULL;

	if (id != IDMAP_NONE)
		return id;
	id = ++perfetto->n_frames;
	idmap_set(&perfetto->frames, address, line, id);
	name = g_string_new(NULL);
	stacks_append_function(stacks, location, line, name);
	function = intern(perfetto, perfetto->functions, INTERNED_FUNCTIONS, name->str);
	mapping = mapping_of(perfetto, location->module);
	proto_number(fresh(perfetto->small), 1, id);
	proto_number(perfetto->small, 2, function);
	proto_number(perfetto->small, 3, mapping);
	proto_number(perfetto->small, 4, location->addr);
	proto_message(perfetto->interned, INTERNED_FRAMES, perfetto->small);
	return id;
}

/* Id of a stack, 0: it has no frames. Frames are written outermost first. */
static uint32_t stack_of(struct perfetto *perfetto, uint32_t index)
{
	const struct stacks *stacks = &perfetto->trace->stacks;
	const struct stack *stack;
	uint32_t id = idmap_get(&perfetto->stacks, index, 0);

	if (index == STACK_INDEX_NONE || index >= stacks->stacks->len)
		return 0;
	if (id != IDMAP_NONE)
		return id;
	stack = stacks_get(stacks, index);
	if (!stack->n_frames)
		return 0;
	id = perfetto->stacks.n + 1;
	idmap_set(&perfetto->stacks, index, 0, id);
	g_autoptr(GByteArray) message = g_byte_array_new();
	proto_number(message, 1, id);
	for (uint32_t k = stack->n_frames; k-- > 0;) {
		const struct location *location = stacks_frame(stacks, stack, k);

		for (uint32_t line = MAX(location->n_lines, 1); line-- > 0;)
			proto_number(message, 2, frame_of(perfetto, location, line));
	}
	proto_message(perfetto->interned, INTERNED_STACKS, message);
	return id;
}

static void add_clock(GByteArray *snapshot, GByteArray *clock, uint32_t id, uint64_t time_ns)
{
	proto_number(fresh(clock), 1, id);
	proto_number(clock, 2, time_ns);
	proto_message(snapshot, 1, clock);
}

void perfetto_clocks(struct perfetto *perfetto)
{
	const struct trace *trace = perfetto->trace;
	GByteArray *snapshot = fresh(perfetto->event);

	add_clock(snapshot, perfetto->small, CLOCK_MONOTONIC_ID, trace->begin_ns);
	if (trace->report.has_clock)
		add_clock(snapshot, perfetto->small, CLOCK_REALTIME_ID,
			(uint64_t)((int64_t)trace->begin_ns + trace->report.wall_offset_ns));
	proto_number(snapshot, 2, CLOCK_MONOTONIC_ID); /* primary_trace_clock */
	proto_message(fresh(perfetto->packet), PACKET_CLOCK_SNAPSHOT, snapshot);
	write_packet(perfetto);
}

static void write_track(struct perfetto *perfetto, GByteArray *track)
{
	proto_message(fresh(perfetto->packet), PACKET_TRACK, track);
	write_packet(perfetto);
}

void perfetto_process(struct perfetto *perfetto, uint64_t uuid, uint32_t pid, const char *name)
{
	g_autofree char *valid = g_utf8_make_valid(name, -1);
	GByteArray *track = fresh(perfetto->event), *process = fresh(perfetto->small);

	proto_number(process, 1, pid);
	proto_text(process, 6, valid);
	proto_number(track, TRACK_UUID, uuid);
	proto_message(track, TRACK_PROCESS, process);
	write_track(perfetto, track);
}

void perfetto_thread(struct perfetto *perfetto, uint64_t uuid, uint64_t parent, uint32_t pid,
	uint32_t tid, const char *name)
{
	g_autofree char *valid = g_utf8_make_valid(name, -1);
	GByteArray *track = fresh(perfetto->event), *thread = fresh(perfetto->small);

	proto_number(thread, 1, pid);
	proto_number(thread, 2, tid);
	proto_text(thread, 5, valid);
	proto_number(track, TRACK_UUID, uuid);
	proto_number(track, TRACK_PARENT, parent);
	proto_message(track, TRACK_THREAD, thread);
	write_track(perfetto, track);
}

void perfetto_track(
	struct perfetto *perfetto, uint64_t uuid, uint64_t parent, const char *name, int is_counter)
{
	g_autofree char *valid = g_utf8_make_valid(name, -1);
	GByteArray *track = fresh(perfetto->event);

	proto_number(track, TRACK_UUID, uuid);
	proto_number(track, TRACK_PARENT, parent);
	proto_text(track, TRACK_NAME, valid);
	if (is_counter)
		proto_message(track, TRACK_COUNTER, fresh(perfetto->small));
	write_track(perfetto, track);
}

static void write_event(struct perfetto *perfetto, uint64_t time_ns)
{
	proto_number(fresh(perfetto->packet), PACKET_TIMESTAMP, time_ns);
	proto_message(perfetto->packet, PACKET_EVENT, perfetto->event);
	write_packet(perfetto);
}

static GByteArray *new_event(struct perfetto *perfetto, uint64_t type, uint64_t uuid)
{
	GByteArray *event = fresh(perfetto->event);

	proto_number(event, EVENT_TYPE, type);
	proto_number(event, EVENT_TRACK, uuid);
	return event;
}

static void put_name(
	struct perfetto *perfetto, GByteArray *event, const char *name, uint32_t stack_index)
{
	uint32_t stack = stack_of(perfetto, stack_index);

	proto_number(event, EVENT_NAME_ID,
		intern(perfetto, perfetto->names, INTERNED_EVENT_NAMES, name));
	if (stack)
		proto_number(event, EVENT_CALLSTACK, stack);
}

void perfetto_begin(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns, const char *name,
	uint32_t stack)
{
	put_name(perfetto, new_event(perfetto, TYPE_BEGIN, uuid), name, stack);
	write_event(perfetto, time_ns);
}

void perfetto_end(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns)
{
	new_event(perfetto, TYPE_END, uuid);
	write_event(perfetto, time_ns);
}

void perfetto_instant(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns, const char *name,
	uint32_t stack, uint64_t flow, int is_flow_end)
{
	GByteArray *event = new_event(perfetto, TYPE_INSTANT, uuid);

	put_name(perfetto, event, name, stack);
	if (flow)
		proto_fixed(event, is_flow_end ? EVENT_FLOW_END : EVENT_FLOW, flow);
	write_event(perfetto, time_ns);
}

void perfetto_counter(struct perfetto *perfetto, uint64_t uuid, uint64_t time_ns, int64_t value)
{
	proto_number(new_event(perfetto, TYPE_COUNTER, uuid), EVENT_COUNTER_VALUE, (uint64_t)value);
	write_event(perfetto, time_ns);
}

void perfetto_task_state(struct perfetto *perfetto, uint64_t time_ns, uint32_t cpu, uint32_t tid,
	const char *comm, enum perfetto_task state)
{
	g_autofree char *valid = g_utf8_make_valid(comm, -1);
	GByteArray *event = fresh(perfetto->event);

	proto_number(event, 1, cpu);
	proto_text(event, 2, valid);
	proto_number(event, 3, tid);
	proto_number(event, 4, state);
	proto_number(fresh(perfetto->packet), PACKET_TIMESTAMP, time_ns);
	proto_message(perfetto->packet, PACKET_TASK_STATE, event);
	write_packet(perfetto);
}
