/* SPDX-License-Identifier: MIT */
/*
 * leak: what one place allocated in the window and did not free grew in each of its last three quarters, is 1 MiB or more and
 * eight samples or more, and at least half of all that the place allocated: medium. A cache that still fills looks the same.
 */
#include "viewer/allocs.h"
#include "viewer/finding_rule.h"

#define MIN_BYTES 1048576.0
#define MIN_SAMPLES 8
#define N_QUARTERS 4
#define MAX_PLACES 262144

struct growth {
	double bytes,
		kept[N_QUARTERS]; /* allocated; of these not freed, by when they were allocated */
	uint64_t n_kept, row;	  /* row: the last allocation */
	uint32_t stack;
};

struct object {
	double bytes;
	uint32_t place, quarter;
};

struct heap {
	struct findings *findings;
	struct idmap by_site, open; /* (process, address) → object */
	GArray *places, *objects;
};

static void add(struct heap *heap, struct finding_rows *rows, uint64_t row)
{
	struct trace *trace = heap->findings->index->trace;
	uint64_t size = finding_get(rows, row, ALLOC_SIZE), end = finding_get(rows, row, INDEX_END);
	uint32_t stack = (uint32_t)finding_get(rows, row, ALLOC_STACK);
	uint32_t process =
		trace_thread(trace, (uint32_t)finding_get(rows, row, ALLOC_THREAD))->process;
	uint32_t site = stacks_site(&trace->stacks, stack);
	uint32_t i = idmap_get(&heap->by_site, process, site);
	struct object object = {
		.bytes = (double)size * alloc_scale(size, finding_get(rows, row, ALLOC_RATE)),
		.quarter =
			(uint32_t)MIN(end * N_QUARTERS / heap->findings->window_ns, N_QUARTERS - 1),
	};
	struct growth *place;

	if (i == IDMAP_NONE) {
		struct growth first = { .stack = stack };

		if (heap->places->len == MAX_PLACES)
			return;
		i = heap->places->len;
		g_array_append_val(heap->places, first);
		idmap_set(&heap->by_site, process, site, i);
	}
	object.place = i;
	place = &g_array_index(heap->places, struct growth, i);
	place->bytes += object.bytes;
	place->kept[object.quarter] += object.bytes;
	place->n_kept++;
	place->row = row;
	place->stack = stack;
	idmap_set(&heap->open, process, finding_get(rows, row, ALLOC_ADDR), heap->objects->len);
	g_array_append_val(heap->objects, object);
}

static void drop(struct heap *heap, struct finding_rows *rows, uint64_t row)
{
	struct trace *trace = heap->findings->index->trace;
	uint32_t process =
		trace_thread(trace, (uint32_t)finding_get(rows, row, FREE_THREAD))->process;
	uint64_t addr = finding_get(rows, row, FREE_ADDR);
	uint32_t i = idmap_get(&heap->open, process, addr);
	const struct object *object;
	struct growth *place;

	if (i == IDMAP_NONE)
		return;
	idmap_remove(&heap->open, process, addr);
	object = &g_array_index(heap->objects, struct object, i);
	place = &g_array_index(heap->places, struct growth, object->place);
	place->kept[object->quarter] -= object->bytes;
	place->n_kept--;
}

static void tell(struct findings *findings, const struct growth *place)
{
	struct finding finding = finding_new("leak", FINDING_MEDIUM);
	struct finding_rows rows = finding_rows(findings, INDEX_ALLOC);
	double kept = 0, seconds = (double)findings->window_ns / 1e9;
	char grown[FORMAT_SIZE], rate[FORMAT_SIZE], share[FORMAT_SIZE];
	uint32_t functions[4];
	size_t n = finding_functions(findings, place->stack, 3, functions, 4);
	const char *caller =
		n > 1 ? strings_get(findings->index->trace->strings, functions[1]) : "";

	for (int i = 0; i < N_QUARTERS; i++)
		kept += place->kept[i];
	finding.table = INDEX_ALLOC;
	finding.row = place->row;
	finding.thread = (uint32_t)finding_get(&rows, place->row, ALLOC_THREAD);
	finding.time_ns = finding_get(&rows, place->row, INDEX_END);
	finding.stack = place->stack;
	finding.weight = kept;
	finding_add(findings, finding,
		g_strdup_printf("Memory grows: %s%s%s keeps what it allocates",
			finding_function(findings, place->stack), *caller ? ", called by " : "",
			caller),
		g_strdup_printf(
			"What %s allocates grew in every quarter of the window, by about %s in "
			"all (%s a second); %s of what it allocated is still there, by "
			"%" G_GUINT64_FORMAT
			" samples. If that should not be: who frees it, or what limits it?",
			finding_site(findings, place->stack), format_bytes(grown, kept),
			format_bytes(rate, kept / seconds),
			finding_share(share, kept, place->bytes), place->n_kept));
}

static int is_growing(const struct growth *place)
{
	double sum = 0;
	int grows = 1;

	for (int i = 0; i < N_QUARTERS; i++)
		sum += place->kept[i];
	for (int i = 1; i < N_QUARTERS; i++)
		grows &= place->kept[i] >= sum / N_QUARTERS / 4;
	return grows && sum >= MIN_BYTES && place->n_kept >= MIN_SAMPLES && sum * 2 >= place->bytes;
}

void finding_heap(struct findings *findings)
{
	struct finding_rows allocs = finding_rows(findings, INDEX_ALLOC);
	struct finding_rows frees = finding_rows(findings, INDEX_FREE);
	struct heap heap = { .findings = findings,
		.places = g_array_new(FALSE, TRUE, sizeof(struct growth)),
		.objects = g_array_new(FALSE, FALSE, sizeof(struct object)) };
	uint64_t i = 0, k = 0;

	/* In the order of time: an address is used again. */
	while (i < allocs.n || k < frees.n) {
		if (k >= frees.n || (i < allocs.n && finding_get(&allocs, i, INDEX_END) <=
							     finding_get(&frees, k, INDEX_END)))
			add(&heap, &allocs, i++);
		else
			drop(&heap, &frees, k++);
	}
	for (guint n = 0; n < heap.places->len; n++) {
		const struct growth *place = &g_array_index(heap.places, struct growth, n);

		if (is_growing(place))
			tell(findings, place);
	}
	idmap_fini(&heap.by_site);
	idmap_fini(&heap.open);
	g_array_unref(heap.places);
	g_array_unref(heap.objects);
}
