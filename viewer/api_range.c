/* SPDX-License-Identifier: MIT */
/* What happened within a range of time: by state, as a flame graph, as a histogram. */
#include "viewer/api.h"

#include <math.h>

#include "proto/schema.h"

#define BARS_PER_DECADE 5
#define N_BARS (BARS_PER_DECADE * 12)
#define MAX_LISTED 1000

/* Adds to ns[] what a lane's rows take of [from, to). */
static void add_states(const struct series *lane, uint64_t from, uint64_t to,
	uint64_t ns[LANE_N_STATES], uint64_t *n_rows)
{
	for (uint64_t row = lane_find(lane, from); row < series_n(lane);) {
		struct series_span span = series_span(lane, row);

		for (uint64_t i = row - span.first; i < span.n; i++, row++) {
			uint64_t start = pool_load(span.columns[LANE_START], 6, i);
			uint64_t end = start + pool_load(span.columns[LANE_DUR], 6, i);

			if (start >= to)
				return;
			ns[span.columns[LANE_STATE][i] % LANE_N_STATES] +=
				MIN(end, to) - MAX(start, from);
			(*n_rows)++;
		}
	}
}

json_t *api_states(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	const struct trace *trace = index->trace;
	g_autofree uint8_t *wanted = api_threads(request);
	json_t *list = json_array();
	uint64_t from, to;

	(void)why_out;
	api_range(request, &from, &to);
	for (guint i = 0; i < trace->threads->len; i++) {
		const struct series *lane = index_lane(index, LANE_THREAD, i, 0);
		const struct thread *thread = trace_thread(trace, i);
		uint64_t ns[LANE_N_STATES] = { 0 }, n_rows = 0, known = 0;
		uint64_t begin = thread->start_ns > index->origin_ns
					 ? thread->start_ns - index->origin_ns
					 : 0;
		uint64_t end = thread->end_ns
				       ? thread->end_ns - MIN(index->origin_ns, thread->end_ns)
				       : to;
		json_t *states;

		begin = MAX(begin, from);
		end = MIN(end, to);
		if (!wanted[i] || begin >= end)
			continue;
		if (lane)
			add_states(lane, begin, end, ns, &n_rows);
		states = json_object();
		for (int k = 0; k < LANE_N_STATES; k++) {
			g_autofree char *key = g_strdup_printf("%d", k);

			known += ns[k];
			if (ns[k])
				json_object_set_new(states, key, json_integer((json_int_t)ns[k]));
		}
		if (end - begin > known) {
			g_autofree char *key = g_strdup_printf("%d", LANE_STATE_GAP);

			json_object_set_new(
				states, key, json_integer((json_int_t)(end - begin - known)));
		}
		json_array_append_new(list, json_pack("{s:i, s:I, s:I, s:o}", "thread", (int)i,
						    "total", (json_int_t)(end - begin), "rows",
						    (json_int_t)n_rows, "states", states));
	}
	return list;
}

/* A node of a flame graph: a function under its caller. */
struct node {
	GHashTable *children; /* owned struct node *, by function's string id; NULL none */
	uint32_t function;
	uint64_t ns, n;
};

static void node_free(void *data)
{
	struct node *node = data;

	if (node->children)
		g_hash_table_unref(node->children);
	g_free(node);
}

static struct node *child_of(struct node *node, uint32_t function)
{
	struct node *child;

	if (!node->children)
		node->children = g_hash_table_new_full(NULL, NULL, NULL, node_free);
	child = g_hash_table_lookup(node->children, GUINT_TO_POINTER(function));
	if (!child) {
		child = g_new0(struct node, 1);
		child->function = function;
		g_hash_table_insert(node->children, GUINT_TO_POINTER(function), child);
	}
	return child;
}

struct flame {
	struct node root;
	GStringChunk *names; /* strings of functions, ids are indices in `texts` */
	GPtrArray *texts;
	GHashTable *ids;
};

static uint32_t name_id(struct flame *flame, const char *name)
{
	void *id = g_hash_table_lookup(flame->ids, name);

	if (!id) {
		char *copy = g_string_chunk_insert(flame->names, name);

		g_ptr_array_add(flame->texts, copy);
		id = GUINT_TO_POINTER(flame->texts->len);
		g_hash_table_insert(flame->ids, copy, id);
	}
	return GPOINTER_TO_UINT(id) - 1;
}

static void flame_add(struct flame *flame, const struct index *index, uint32_t stack_index,
	uint64_t ns, uint64_t n)
{
	const struct stacks *stacks = &index->trace->stacks;
	const struct stack *stack =
		stack_index < stacks->stacks->len ? stacks_get(stacks, stack_index) : NULL;
	struct node *node = &flame->root;

	node->ns += ns;
	node->n += n;
	if (!stack || !stack->n_frames) {
		node = child_of(node, name_id(flame, "[no stack]"));
		node->ns += ns;
		node->n += n;
		return;
	}
	for (uint32_t k = stack->n_frames; k-- > 0;) {
		const struct location *location = stacks_frame(stacks, stack, k);

		for (uint32_t i = MAX(location->n_lines, 1); i-- > 0;) {
			g_autoptr(GString) function = g_string_new(NULL);

			stacks_append_function(stacks, location, i, function);
			node = child_of(node, name_id(flame, function->str));
			node->ns += ns;
			node->n += n;
		}
	}
}

static int compare_nodes(gconstpointer a, gconstpointer b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;

	return (x->ns < y->ns) - (x->ns > y->ns);
}

/* A node as {n: name, v: ns, c: times, k: children}; what is too small to be seen is left out. */
static json_t *node_json(const struct flame *flame, const struct node *node, const char *name,
	uint64_t least_ns, int depth)
{
	json_t *object = json_pack("{s:o, s:I, s:I}", "n", api_text(name), "v",
		(json_int_t)node->ns, "c", (json_int_t)node->n);
	g_autoptr(GPtrArray) children = g_ptr_array_new();
	json_t *list;
	GHashTableIter iter;
	void *child;

	if (!node->children || depth > 500)
		return object;
	g_hash_table_iter_init(&iter, node->children);
	while (g_hash_table_iter_next(&iter, NULL, &child))
		if (((struct node *)child)->ns >= least_ns)
			g_ptr_array_add(children, child);
	g_ptr_array_sort(children, compare_nodes);
	list = json_array();
	for (guint i = 0; i < children->len; i++) {
		const struct node *of = children->pdata[i];

		json_array_append_new(list, node_json(flame, of, flame->texts->pdata[of->function],
						    least_ns, depth + 1));
	}
	json_object_set_new(object, "k", list);
	return object;
}

/* Sums per stack; stacks repeat, so frames are looked at once for each. */
struct stack_sum {
	uint64_t ns, n;
};

static void sum_add(GArray *sums, uint64_t stack, uint64_t ns)
{
	struct stack_sum *sum;

	if (stack > 50000000)
		return;
	if (stack >= sums->len)
		g_array_set_size(sums, (guint)stack + 1);
	sum = &g_array_index(sums, struct stack_sum, stack);
	sum->ns += ns;
	sum->n++;
}

/* What of a table belongs to a flame graph. */
struct flame_source {
	const char *type;
	enum index_table_id table;
	unsigned stack; /* column */
	int value;	/* column; -1: its time within the range */
};

static const struct flame_source flame_sources[] = {
	{ "wait", INDEX_WAIT, WAIT_STACK, -1 },
	{ "holder", INDEX_WAIT, WAIT_HOLDER_STACK, -1 },
	{ "syscall", INDEX_SYSCALL, CALL_STACK, -1 },
	{ "alloc", INDEX_ALLOC, ALLOC_STACK, ALLOC_SIZE },
	{ "cpu", INDEX_SAMPLE, SAMPLE_STACK, SAMPLE_WEIGHT },
	{ "waker", INDEX_WOKEN, WOKEN_WAKER_STACK, -1 },
};

static uint8_t width_of(enum index_table_id table, unsigned column)
{
	return index_tables[table].columns[column].width;
}

static void sum_table(const struct index *index, const struct flame_source *source,
	const uint8_t *wanted, uint64_t from, uint64_t to, GArray *sums)
{
	const struct series *table = index->tables[source->table];
	uint64_t row = from ? series_after(table, INDEX_END, from - 1) : 0;
	unsigned value_width =
		source->value < 0 ? 0 : width_of(source->table, (unsigned)source->value);
	unsigned dur_width = width_of(source->table, INDEX_DUR);

	while (row < series_n(table)) {
		struct series_span span = series_span(table, row);

		for (uint64_t i = row - span.first; i < span.n; i++, row++) {
			uint64_t end = pool_load(span.columns[INDEX_END], 6, i);
			uint64_t start = end - pool_load(span.columns[INDEX_DUR], dur_width, i);
			uint64_t thread = pool_load(span.columns[2], 4, i);
			uint64_t value;

			/* One that is longer than the range ends after it. */
			if (start >= to || thread >= index->trace->threads->len || !wanted[thread])
				continue;
			value = source->value < 0
					? MIN(end, to) - MAX(start, from)
					: pool_load(span.columns[source->value], value_width, i);
			if (source->value >= 0 && end >= to)
				continue;
			sum_add(sums, pool_load(span.columns[source->stack], 4, i), value);
		}
	}
}

/* Off the CPU: all rows of threads' lanes. */
static void sum_lanes(
	const struct index *index, const uint8_t *wanted, uint64_t from, uint64_t to, GArray *sums)
{
	for (guint thread = 0; thread < index->trace->threads->len; thread++) {
		const struct series *lane = index_lane(index, LANE_THREAD, thread, 0);

		if (!lane || !wanted[thread])
			continue;
		for (uint64_t row = lane_find(lane, from); row < series_n(lane); row++) {
			struct lane_row at = lane_get(lane, row);

			if (at.start_ns >= to)
				break;
			if (at.state != LANE_STATE_RUNNABLE)
				sum_add(sums, at.stack,
					MIN(at.start_ns + at.dur_ns, to) - MAX(at.start_ns, from));
		}
	}
}

json_t *api_flame(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	const char *type = request->query(request->user, "type");
	g_autofree uint8_t *wanted = api_threads(request);
	g_autoptr(GArray) sums = g_array_new(FALSE, TRUE, sizeof(struct stack_sum));
	struct flame flame = { .root = { 0 } };
	const struct flame_source *source = NULL;
	uint64_t from, to;
	json_t *tree;

	api_range(request, &from, &to);
	for (size_t i = 0; i < G_N_ELEMENTS(flame_sources); i++)
		if (g_strcmp0(type, flame_sources[i].type) == 0)
			source = &flame_sources[i];
	if (source) {
		sum_table(index, source, wanted, from, to, sums);
	} else if (g_strcmp0(type, "offcpu") == 0) {
		sum_lanes(index, wanted, from, to, sums);
	} else {
		*why_out = "type is one of offcpu, cpu, wait, holder, waker, syscall, alloc";
		return NULL;
	}
	flame.names = g_string_chunk_new(4096);
	flame.texts = g_ptr_array_new();
	flame.ids = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < sums->len; i++) {
		const struct stack_sum *sum = &g_array_index(sums, struct stack_sum, i);

		if (sum->n)
			flame_add(&flame, index, i, sum->ns, sum->n);
	}
	tree = node_json(&flame, &flame.root, "all", flame.root.ns / 5000, 0);
	if (flame.root.children)
		g_hash_table_unref(flame.root.children);
	g_hash_table_unref(flame.ids);
	g_ptr_array_unref(flame.texts);
	g_string_chunk_free(flame.names);
	return tree;
}

/* "TABLE:NAME" of a request: the table, and the value of its name column that rows must have; -1: any. */
struct what {
	enum index_table_id table;
	int column;
	int64_t value;
};

static gboolean parse_what(const struct index *index, const char *text, struct what *out)
{
	g_auto(GStrv) parts = text ? g_strsplit(text, ":", 2) : NULL;
	const char *name = parts && parts[0] ? parts[1] : NULL;
	static const struct {
		const char *table;
		enum index_table_id id;
		int column;
	} tables[] = { { "wait", INDEX_WAIT, WAIT_KIND }, { "syscall", INDEX_SYSCALL, CALL_CALL },
		{ "region", INDEX_REGION, REGION_TYPE }, { "task", INDEX_TASK, TASK_TYPE },
		{ "woken", INDEX_WOKEN, WOKEN_CALL } };

	if (!parts || !parts[0])
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
		if (!g_str_equal(parts[0], tables[i].table))
			continue;
		*out = (struct what){ tables[i].id, tables[i].column, -1 };
		if (!name || !*name)
			return TRUE;
		/* Names become numbers; one that nothing has is met by no row. */
		out->value = INT64_MAX;
		for (uint32_t k = 0; k < 4096; k++) {
			if (out->table == INDEX_WAIT && k < FR_LOCK_N &&
				g_str_equal(event_lock_name(k), name))
				out->value = k;
			if ((out->table == INDEX_SYSCALL || out->table == INDEX_WOKEN) &&
				k < FR_CALL_N && g_str_equal(event_call_name(k), name))
				out->value = k;
		}
		if (out->table == INDEX_REGION || out->table == INDEX_TASK)
			for (uint32_t k = 0; k < strings_n(index->trace->strings); k++)
				if (g_str_equal(strings_get(index->trace->strings, k), name))
					out->value = k;
		return TRUE;
	}
	return FALSE;
}

static int bar_of(uint64_t ns)
{
	double bar = ns ? log10((double)ns) * BARS_PER_DECADE : 0;

	return CLAMP((int)bar, 0, N_BARS - 1);
}

json_t *api_histogram(const struct api_request *request, const char **why_out)
{
	const struct index *index = request->indexed->index;
	g_autofree uint8_t *wanted = api_threads(request);
	int64_t least = api_number(request, "min", 0), most = api_number(request, "max", INT64_MAX);
	uint64_t counts[N_BARS] = { 0 }, from, to, sum = 0, n = 0;
	json_t *bars = json_array(), *rows = json_array();
	const struct series *table;
	struct what what;

	if (!parse_what(index, request->query(request->user, "what"), &what)) {
		json_decref(bars);
		json_decref(rows);
		*why_out = "what is wait, syscall, woken, region or task, and a name after a colon";
		return NULL;
	}
	api_range(request, &from, &to);
	table = index->tables[what.table];
	for (uint64_t row = from ? series_after(table, INDEX_END, from - 1) : 0;
		row < series_n(table); row++) {
		uint64_t end = series_get(table, row, INDEX_END);
		uint64_t dur = series_get(table, row, INDEX_DUR);
		uint64_t thread = series_get(table, row, 2);

		if (end - dur >= to || thread >= index->trace->threads->len || !wanted[thread] ||
			(what.value >= 0 && (int64_t)series_get(table, row,
						    (unsigned)what.column) != what.value))
			continue;
		counts[bar_of(dur)]++;
		if ((int64_t)dur < least || (int64_t)dur >= most)
			continue;
		sum += dur;
		n++;
		if (json_array_size(rows) < MAX_LISTED)
			json_array_append_new(
				rows, json_pack("{s:I, s:I, s:I, s:I}", "row", (json_int_t)row,
					      "start", (json_int_t)(end - dur), "dur",
					      (json_int_t)dur, "thread", (json_int_t)thread));
	}
	for (int i = 0; i < N_BARS; i++)
		json_array_append_new(bars, json_integer((json_int_t)counts[i]));
	return json_pack("{s:o, s:i, s:I, s:I, s:o}", "bars", bars, "per_decade", BARS_PER_DECADE,
		"n", (json_int_t)n, "sum", (json_int_t)sum, "rows", rows);
}
