/* SPDX-License-Identifier: MIT */
/*
 * The graph: one ctf.fs source per trace folder, each of its ports (= streams) connected to one sink of
 * our own, which merges them with a binary heap on the clock's value. babeltrace2's stock muxer looks at
 * every stream for every event; the heap stays flat up to hundreds of streams.
 *
 * A stream whose iterator fails is taken out of the heap and described in the report. babeltrace2's own
 * log is off: its error causes are turned into sentences here.
 */
#include "viewer/source.h"

#include <babeltrace2/babeltrace.h>
#include <errno.h>
#include <string.h>

#include "viewer/decode.h"
#include "viewer/packets.h"

struct port {
	char *name;		       /* owned: what a note calls it */
	bt_message_iterator *iterator; /* counted; NULL when the stream is over */
	bt_message_array_const
		messages;   /* borrowed from the iterator; each message counted by us */
	uint64_t n, next;   /* of messages */
	uint64_t n_packets; /* begun so far */
};

struct head {
	uint64_t time_ns;
	uint32_t port;
};

struct reader {
	struct source_report *report; /* borrowed */
	struct decoder *decoder;      /* owned */
	source_event_fn fn;
	void *user;
	struct port *ports; /* owned */
	uint32_t n_ports;
	struct head *heap; /* owned; n_heap used, the earliest event first */
	uint32_t n_heap;
	int is_stopped;
};

void source_report_init(struct source_report *report)
{
	*report = (struct source_report){ .notes = g_ptr_array_new_with_free_func(g_free) };
}

void source_report_fini(struct source_report *report)
{
	if (report->notes)
		g_ptr_array_free(report->notes, TRUE);
	report->notes = NULL;
}

/* Takes babeltrace2's current error; returns its root cause as one line. Owned by the caller. */
static char *take_cause(void)
{
	const bt_error *error = bt_current_thread_take_error();
	char *text = NULL;

	if (error) {
		if (bt_error_get_cause_count(error) > 0)
			text = g_strdup(bt_error_cause_get_message(
				bt_error_borrow_cause_by_index(error, 0)));
		bt_error_release(error);
	}
	if (!text || !*text) {
		g_free(text);
		return g_strdup("babeltrace2 gives no reason");
	}
	g_strdelimit(text, "\n\t", ' ');
	/* "Sentence: name=value, name=value": the values are for babeltrace2's developers. */
	for (char *colon = strstr(text, ": "); colon; colon = strstr(colon + 1, ": ")) {
		size_t name = strspn(colon + 2, "abcdefghijklmnopqrstuvwxyz0123456789-_");
		if (name > 0 && colon[2 + name] == '=') {
			*colon = '\0';
			break;
		}
	}
	g_strchomp(text);
	return text;
}

/* Adds "WHAT: CAUSE" to the notes. */
static void report_failure(struct source_report *report, const char *what)
{
	g_autofree char *cause = take_cause();

	report->n_failed++;
	g_ptr_array_add(report->notes, g_strdup_printf("%s: %s", what, cause));
}

static void port_release_messages(struct port *port)
{
	for (; port->next < port->n; port->next++)
		bt_message_put_ref(port->messages[port->next]);
}

static void port_end(struct port *port)
{
	port_release_messages(port);
	if (port->iterator)
		bt_message_iterator_put_ref(port->iterator);
	port->iterator = NULL;
}

static void port_fail(struct reader *reader, struct port *port)
{
	g_autofree char *what =
		g_strdup_printf("%s cannot be read from its packet %" G_GUINT64_FORMAT " on",
			port->name, port->n_packets ? port->n_packets : 1);

	report_failure(reader->report, what);
	port_end(port);
}

/* Notes the clock of a stream that begins; returns 0 when its events cannot be placed in time. */
static int reader_check_clock(struct reader *reader, const bt_message *message)
{
	const bt_stream *stream = bt_message_stream_beginning_borrow_stream_const(message);
	const bt_clock_class *clock = bt_stream_class_borrow_default_clock_class_const(
		bt_stream_borrow_class_const(stream));
	int64_t seconds;
	uint64_t cycles;

	if (!clock || bt_clock_class_get_frequency(clock) != 1000000000)
		return 0;
	bt_clock_class_get_offset(clock, &seconds, &cycles);
	if (!reader->report->has_clock) {
		reader->report->has_clock = 1;
		reader->report->wall_offset_ns = seconds * 1000000000 + (int64_t)cycles;
	}
	return 1;
}

static void reader_count_lost(struct reader *reader, const bt_message *message)
{
	uint64_t n;

	/* Overwritten streams can announce differences like 2^64 - 5: no count at all is better. */
	if (bt_message_discarded_events_get_count(message, &n) ==
			BT_PROPERTY_AVAILABILITY_AVAILABLE &&
		n < UINT64_C(1) << 48)
		reader->report->n_lost += n;
}

/*
 * Moves to the port's next event, handling what comes between. Returns its time through *time_out and 1;
 * 0 when the stream is over or failed.
 */
static int port_advance(struct reader *reader, struct port *port, uint64_t *time_out)
{
	while (port->iterator) {
		if (port->next == port->n) {
			port->n = port->next = 0;
			bt_message_iterator_next_status status =
				bt_message_iterator_next(port->iterator, &port->messages, &port->n);
			if (status == BT_MESSAGE_ITERATOR_NEXT_STATUS_OK)
				bt_current_thread_clear_error();
			if (status == BT_MESSAGE_ITERATOR_NEXT_STATUS_AGAIN)
				continue;
			if (status == BT_MESSAGE_ITERATOR_NEXT_STATUS_END) {
				port->n = 0;
				port_end(port);
				return 0;
			}
			if (status != BT_MESSAGE_ITERATOR_NEXT_STATUS_OK) {
				port->n = 0;
				port_fail(reader, port);
				return 0;
			}
		}
		const bt_message *message = port->messages[port->next];
		switch (bt_message_get_type(message)) {
		case BT_MESSAGE_TYPE_EVENT:
			*time_out = bt_clock_snapshot_get_value(
				bt_message_event_borrow_default_clock_snapshot_const(message));
			return 1;
		case BT_MESSAGE_TYPE_STREAM_BEGINNING:
			if (!reader_check_clock(reader, message)) {
				g_ptr_array_add(reader->report->notes,
					g_strdup_printf("%s has no clock in nanoseconds, so it was "
							"left out",
						port->name));
				reader->report->n_failed++;
				port_end(port);
				return 0;
			}
			break;
		case BT_MESSAGE_TYPE_PACKET_BEGINNING:
			port->n_packets++;
			break;
		case BT_MESSAGE_TYPE_DISCARDED_EVENTS:
			reader_count_lost(reader, message);
			break;
		default:
			break;
		}
		bt_message_put_ref(message);
		port->next++;
	}
	return 0;
}

static int head_is_before(const struct head *a, const struct head *b)
{
	return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->port < b->port);
}

static void heap_sift_down(struct reader *reader, uint32_t i)
{
	struct head moved = reader->heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;
		if (child >= reader->n_heap)
			break;
		if (child + 1 < reader->n_heap &&
			head_is_before(&reader->heap[child + 1], &reader->heap[child]))
			child++;
		if (!head_is_before(&reader->heap[child], &moved))
			break;
		reader->heap[i] = reader->heap[child];
		i = child;
	}
	reader->heap[i] = moved;
}

static bt_component_class_initialize_method_status sink_initialize(bt_self_component_sink *self,
	bt_self_component_sink_configuration *configuration, const bt_value *params, void *data)
{
	struct reader *reader = data;

	bt_self_component_set_data(bt_self_component_sink_as_self_component(self), reader);
	for (uint32_t i = 0; i < reader->n_ports; i++) {
		char name[16];
		g_snprintf(name, sizeof(name), "in%u", i);
		if (bt_self_component_sink_add_input_port(self, name, NULL, NULL) !=
			BT_SELF_COMPONENT_ADD_PORT_STATUS_OK)
			return BT_COMPONENT_CLASS_INITIALIZE_METHOD_STATUS_ERROR;
	}
	return BT_COMPONENT_CLASS_INITIALIZE_METHOD_STATUS_OK;
}

static bt_component_class_sink_graph_is_configured_method_status sink_configured(
	bt_self_component_sink *self)
{
	struct reader *reader =
		bt_self_component_get_data(bt_self_component_sink_as_self_component(self));

	for (uint32_t i = 0; i < reader->n_ports; i++) {
		struct port *port = &reader->ports[i];
		struct head head = { .port = i };
		if (bt_message_iterator_create_from_sink_component(self,
			    bt_self_component_sink_borrow_input_port_by_index(self, i),
			    &port->iterator) !=
			BT_MESSAGE_ITERATOR_CREATE_FROM_SINK_COMPONENT_STATUS_OK) {
			port->iterator = NULL;
			port_fail(reader, port);
			continue;
		}
		if (port_advance(reader, port, &head.time_ns))
			reader->heap[reader->n_heap++] = head;
	}
	for (uint32_t i = reader->n_heap / 2; i-- > 0;)
		heap_sift_down(reader, i);
	return BT_COMPONENT_CLASS_SINK_GRAPH_IS_CONFIGURED_METHOD_STATUS_OK;
}

static bt_component_class_sink_consume_method_status sink_consume(bt_self_component_sink *self)
{
	struct reader *reader =
		bt_self_component_get_data(bt_self_component_sink_as_self_component(self));
	struct event event;

	while (reader->n_heap > 0 && !reader->is_stopped) {
		struct head *head = &reader->heap[0];
		struct port *port = &reader->ports[head->port];
		const bt_message *message = port->messages[port->next];
		if (decoder_event(reader->decoder, message, &event)) {
			reader->report->n_events++;
			if (reader->fn(reader->user, &event))
				reader->is_stopped = 1;
		} else {
			reader->report->n_foreign++;
		}
		bt_message_put_ref(message);
		port->next++;
		if (!port_advance(reader, port, &head->time_ns))
			*head = reader->heap[--reader->n_heap];
		heap_sift_down(reader, 0);
	}
	return BT_COMPONENT_CLASS_SINK_CONSUME_METHOD_STATUS_END;
}

static bt_component_class_sink *sink_class(void)
{
	bt_component_class_sink *class = bt_component_class_sink_create("merge", sink_consume);

	if (!class)
		return NULL;
	bt_component_class_sink_set_initialize_method(class, sink_initialize);
	bt_component_class_sink_set_graph_is_configured_method(class, sink_configured);
	return class;
}

/* A ctf.fs source that reads `dir`; NULL when it refuses. */
static const bt_component_source *graph_add_source(
	bt_graph *graph, const bt_component_class_source *class, const char *dir, uint32_t index)
{
	const bt_component_source *component = NULL;
	bt_value *params = bt_value_map_create();
	bt_value *inputs = bt_value_array_create();
	char name[32];

	g_snprintf(name, sizeof(name), "source%u", index);
	if (params && inputs &&
		bt_value_array_append_string_element(inputs, dir) ==
			BT_VALUE_ARRAY_APPEND_ELEMENT_STATUS_OK &&
		bt_value_map_insert_entry(params, "inputs", inputs) ==
			BT_VALUE_MAP_INSERT_ENTRY_STATUS_OK &&
		bt_graph_add_source_component(graph, class, name, params, BT_LOGGING_LEVEL_NONE,
			&component) != BT_GRAPH_ADD_COMPONENT_STATUS_OK)
		component = NULL;
	bt_value_put_ref(params);
	bt_value_put_ref(inputs);
	return component;
}

/*
 * Name for a note: that of the stream's file. babeltrace2 names a port by the stream's instance id
 * ("UUID | CLASS | INSTANCE"), or by its path where it has none.
 */
static char *port_name(const bt_component_source *source, uint64_t i, const char *dir)
{
	const bt_port_output *port =
		bt_component_source_borrow_output_port_by_index_const(source, i);
	const char *name = bt_port_get_name(bt_port_output_as_port_const(port));
	const char *slash = strrchr(name, '/'), *bar = strrchr(name, '|');
	g_autofree char *file =
		bar ? packets_find_stream(dir, g_ascii_strtoull(bar + 1, NULL, 10)) : NULL;

	return g_strdup_printf("the stream %s", file ? file : slash ? slash + 1 : name);
}

/* Connects every port of the sources, which read `dirs`, to the sink. Returns 0, or -EIO with babeltrace2's error set. */
static int graph_connect(
	bt_graph *graph, struct reader *reader, GPtrArray *sources, GPtrArray *dirs)
{
	bt_component_class_sink *class = sink_class();
	const bt_component_sink *sink = NULL;
	uint64_t next = 0;
	int ret = -EIO;

	for (guint i = 0; i < sources->len; i++)
		reader->n_ports += bt_component_source_get_output_port_count(sources->pdata[i]);
	if (reader->n_ports == 0) {
		bt_component_class_sink_put_ref(class);
		return 0;
	}
	reader->ports = g_new0(struct port, reader->n_ports);
	reader->heap = g_new0(struct head, reader->n_ports);
	reader->report->n_streams += reader->n_ports;
	if (!class ||
		bt_graph_add_sink_component_with_initialize_method_data(graph, class, "merge", NULL,
			reader, BT_LOGGING_LEVEL_NONE, &sink) != BT_GRAPH_ADD_COMPONENT_STATUS_OK)
		goto out;
	for (guint i = 0; i < sources->len; i++) {
		const bt_component_source *source = sources->pdata[i];
		uint64_t n = bt_component_source_get_output_port_count(source);
		for (uint64_t j = 0; j < n; j++, next++) {
			reader->ports[next].name = port_name(source, j, dirs->pdata[i]);
			if (bt_graph_connect_ports(graph,
				    bt_component_source_borrow_output_port_by_index_const(
					    source, j),
				    bt_component_sink_borrow_input_port_by_index_const(sink, next),
				    NULL) != BT_GRAPH_CONNECT_PORTS_STATUS_OK)
				goto out;
		}
	}
	ret = 0;
out:
	bt_component_class_sink_put_ref(class);
	return ret;
}

/* A trace that babeltrace2 does not even open; its own text names only the temporary folder. */
static void report_bad_trace(struct source_report *report, const char *root, const char *dir)
{
	g_autofree char *cause = take_cause();
	const char *name = g_str_has_prefix(dir, root) ? dir + strlen(root) : dir;
	int is_known = strstr(cause, dir) == NULL;

	while (*name == '/')
		name++;
	report->n_failed++;
	g_ptr_array_add(report->notes,
		g_strdup_printf("%s cannot be read: %s", name,
			is_known ? cause : "its metadata is damaged or not CTF 1.8"));
}

int source_read(const char *root, const char *const *dirs, size_t n_dirs, source_event_fn fn,
	void *user, struct source_report *report)
{
	struct reader reader = { .report = report, .fn = fn, .user = user };
	g_autoptr(GPtrArray) sources = g_ptr_array_new();   /* borrowed from the graph */
	g_autoptr(GPtrArray) read_dirs = g_ptr_array_new(); /* borrowed from dirs; by source */
	const bt_plugin *plugin = NULL;
	const bt_component_class_source *class = NULL;
	bt_graph *graph = NULL;
	int ret = -EIO;

	/* A damaged trace may leave an error behind a call that succeeded; the next call would abort. */
	bt_current_thread_clear_error();
	bt_logging_set_global_level(BT_LOGGING_LEVEL_NONE);
	reader.decoder = decoder_new();
	if (bt_plugin_find("ctf", BT_TRUE, BT_FALSE, BT_TRUE, BT_TRUE, BT_FALSE, &plugin) !=
		BT_PLUGIN_FIND_STATUS_OK) {
		report_failure(report,
			"babeltrace2's plugin for CTF was not found; install the package "
			"libbabeltrace2-0, or point BABELTRACE_PLUGIN_PATH at it");
		goto out;
	}
	class = bt_plugin_borrow_source_component_class_by_name_const(plugin, "fs");
	graph = class ? bt_graph_create(0) : NULL;
	if (!graph) {
		report_failure(report, "babeltrace2 cannot be used");
		goto out;
	}
	for (size_t i = 0; i < n_dirs; i++) {
		const bt_component_source *source = graph_add_source(graph, class, dirs[i], i);
		if (source) {
			bt_current_thread_clear_error();
			g_ptr_array_add(sources, (gpointer)source);
			g_ptr_array_add(read_dirs, (gpointer)dirs[i]);
			continue;
		}
		report_bad_trace(report, root, dirs[i]);
	}
	if (graph_connect(graph, &reader, sources, read_dirs) < 0) {
		report_failure(report, "babeltrace2 cannot connect the streams");
		goto out;
	}
	ret = 0;
	if (reader.n_ports > 0 && bt_graph_run(graph) != BT_GRAPH_RUN_STATUS_OK) {
		report_failure(report, "reading stopped early");
		ret = -EIO;
	}
out:
	for (uint32_t i = 0; i < reader.n_ports && reader.ports; i++) {
		port_end(&reader.ports[i]);
		g_free(reader.ports[i].name);
	}
	g_free(reader.ports);
	g_free(reader.heap);
	bt_current_thread_clear_error();
	if (graph)
		bt_graph_put_ref(graph);
	bt_current_thread_clear_error();
	if (plugin)
		bt_plugin_put_ref(plugin);
	decoder_free(reader.decoder);
	return ret;
}
