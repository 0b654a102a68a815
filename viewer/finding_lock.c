/* SPDX-License-Identifier: MIT */
/*
 * contended-lock: somebody waited for one lock during a share of the window (time in which several wait counts once).
 *   high from 20 %, medium from 5 %, low from 1 %. Condition variables and the like are made to be waited for: not they.
 * convoy: of those waits at least half, and 20, ended with three or more others still in line: medium.
 */
#include "viewer/finding_lock.h"

#include "viewer/finding_rule.h"

#define HIGH_SHARE 0.20
#define MEDIUM_SHARE 0.05
#define CONVOY_WAITS 20
#define CONVOY_BEHIND 3
#define MAX_LOCKS 262144
#define MAX_SHOWN 16
/* Waiters in line that are told apart. */
#define MAX_LINE 64

int finding_is_lock(uint64_t kind)
{
	return kind == FR_LOCK_MUTEX || kind == FR_LOCK_RWLOCK_RD || kind == FR_LOCK_RWLOCK_WR ||
	       kind == FR_LOCK_SPIN;
}

const char *finding_lock_name(uint32_t kind)
{
	return kind == FR_LOCK_RWLOCK_RD || kind == FR_LOCK_RWLOCK_WR ? "rwlock"
								      : event_lock_name(kind);
}

static uint32_t process_of(const struct findings *findings, uint64_t thread)
{
	return trace_thread(findings->index->trace, (uint32_t)thread)->process;
}

/* Rows come in the order of their ends: from the last to the first, time waited by anybody adds up exactly. */
static GArray *gather(struct findings *findings)
{
	struct finding_rows rows = finding_rows(findings, INDEX_WAIT);
	GArray *locks = g_array_new(FALSE, FALSE, sizeof(struct finding_waits));
	struct idmap by_obj = { 0 };

	for (uint64_t row = rows.n; row-- > 0;) {
		uint64_t kind = finding_get(&rows, row, WAIT_KIND);
		uint64_t obj = finding_get(&rows, row, WAIT_OBJ);
		uint64_t end = finding_get(&rows, row, INDEX_END);
		uint64_t dur = finding_get(&rows, row, INDEX_DUR);
		struct finding_waits *lock;
		uint32_t process, i;

		if (!finding_is_lock(kind))
			continue;
		process = process_of(findings, finding_get(&rows, row, WAIT_THREAD));
		i = idmap_get(&by_obj, process, obj);
		if (i == IDMAP_NONE) {
			struct finding_waits first = { .obj = obj,
				.process = process,
				.kind = (uint32_t)kind,
				.covered_ns = UINT64_MAX };

			if (locks->len == MAX_LOCKS)
				continue;
			i = locks->len;
			g_array_append_val(locks, first);
			idmap_set(&by_obj, process, obj, i);
		}
		lock = &g_array_index(locks, struct finding_waits, i);
		lock->n++;
		lock->sum_ns += dur;
		if (dur >= lock->max_ns) {
			lock->max_ns = dur;
			lock->max_row = row;
		}
		if (end - dur < lock->covered_ns) {
			lock->any_ns += MIN(end, lock->covered_ns) - (end - dur);
			lock->covered_ns = end - dur;
		}
	}
	idmap_fini(&by_obj);
	return locks;
}

static int compare_any(gconstpointer a, gconstpointer b)
{
	uint64_t x = ((const struct finding_waits *)a)->any_ns;
	uint64_t y = ((const struct finding_waits *)b)->any_ns;

	return (x < y) - (x > y);
}

/* Who waited where for whom, and how often: the pair that cost most. */
struct place_pair {
	uint64_t sum_ns, max_ns, row;
	uint32_t lock, n;
};

struct pairs {
	struct idmap by_places;
	GArray *all; /* struct place_pair */
};

static void add_pair(struct pairs *pairs, struct findings *findings, struct finding_rows *rows,
	uint64_t row, uint32_t lock)
{
	struct stacks *stacks = &findings->index->trace->stacks;
	uint64_t dur = finding_get(rows, row, INDEX_DUR);
	uint64_t a = (uint64_t)lock << 32 |
		     stacks_site(stacks, (uint32_t)finding_get(rows, row, WAIT_STACK));
	uint64_t b = stacks_site(stacks, (uint32_t)finding_get(rows, row, WAIT_HOLDER_STACK));
	uint32_t i = idmap_get(&pairs->by_places, a, b);
	struct place_pair *pair;

	if (i == IDMAP_NONE) {
		struct place_pair first = { .lock = lock };

		i = pairs->all->len;
		g_array_append_val(pairs->all, first);
		idmap_set(&pairs->by_places, a, b, i);
	}
	pair = &g_array_index(pairs->all, struct place_pair, i);
	pair->n++;
	pair->sum_ns += dur;
	if (dur >= pair->max_ns) {
		pair->max_ns = dur;
		pair->row = row;
	}
}

/* The second look at the locks that matter: pairs, and who was still in line when a wait ended. */
static void look_closer(struct findings *findings, GArray *locks, struct pairs *pairs)
{
	struct finding_rows rows = finding_rows(findings, INDEX_WAIT);
	struct idmap by_obj = { 0 };

	for (guint i = 0; i < locks->len; i++) {
		const struct finding_waits *lock = &g_array_index(locks, struct finding_waits, i);

		idmap_set(&by_obj, lock->process, lock->obj, i);
	}
	uint64_t(*line)[MAX_LINE] = g_malloc0_n(locks->len, sizeof(*line)); /* begins */

	for (uint64_t row = rows.n; row-- > 0 && locks->len;) {
		struct finding_waits *lock;
		uint64_t end, behind = 0;
		uint32_t i;

		if (!finding_is_lock(finding_get(&rows, row, WAIT_KIND)))
			continue;
		i = idmap_get(&by_obj, process_of(findings, finding_get(&rows, row, WAIT_THREAD)),
			finding_get(&rows, row, WAIT_OBJ));
		if (i == IDMAP_NONE)
			continue;
		lock = &g_array_index(locks, struct finding_waits, i);
		end = finding_get(&rows, row, INDEX_END);
		for (uint64_t k = 0; k < MIN(lock->n_looked, MAX_LINE); k++)
			behind += line[i][k] < end;
		line[i][lock->n_looked++ % MAX_LINE] = end - finding_get(&rows, row, INDEX_DUR);
		lock->n_convoy += behind >= CONVOY_BEHIND;
		lock->max_line = MAX(lock->max_line, behind + 1);
		add_pair(pairs, findings, &rows, row, i);
	}
	g_free(line);
	idmap_fini(&by_obj);
}

static void point(struct findings *findings, struct finding *finding, uint64_t row)
{
	struct finding_rows rows = finding_rows(findings, INDEX_WAIT);

	finding->table = INDEX_WAIT;
	finding->row = row;
	finding->thread = (uint32_t)finding_get(&rows, row, WAIT_THREAD);
	finding->dur_ns = finding_get(&rows, row, INDEX_DUR);
	finding->time_ns = finding_get(&rows, row, INDEX_END) - finding->dur_ns;
	finding->stack = (uint32_t)finding_get(&rows, row, WAIT_STACK);
	finding->other_stack = (uint32_t)finding_get(&rows, row, WAIT_HOLDER_STACK);
}

static const struct place_pair *heaviest(const struct pairs *pairs, uint32_t lock)
{
	const struct place_pair *best = NULL;

	for (guint i = 0; i < pairs->all->len; i++) {
		const struct place_pair *pair = &g_array_index(pairs->all, struct place_pair, i);

		if (pair->lock == lock && (!best || pair->sum_ns > best->sum_ns))
			best = pair;
	}
	return best;
}

static void tell_contended(struct findings *findings, const struct finding_waits *lock,
	const struct place_pair *pair, double share)
{
	struct finding finding =
		finding_new("contended-lock", share >= HIGH_SHARE     ? FINDING_HIGH
					      : share >= MEDIUM_SHARE ? FINDING_MEDIUM
								      : FINDING_LOW);
	char any[FORMAT_SIZE], sum[FORMAT_SIZE], max[FORMAT_SIZE], most[FORMAT_SIZE];
	g_autofree char *holder = NULL, *held = NULL;
	struct finding_rows rows = finding_rows(findings, INDEX_WAIT);
	uint32_t by = (uint32_t)finding_get(&rows, pair->row, WAIT_HOLDER);

	point(findings, &finding, pair->row);
	finding.weight = (double)lock->any_ns;
	finding_share(any, (double)lock->any_ns, (double)findings->window_ns);
	format_ns(sum, lock->sum_ns);
	format_ns(max, lock->max_ns);
	if (by != INDEX_NONE && finding.other_stack != STACK_INDEX_NONE) {
		holder = finding_thread_name(findings, by);
		held = g_strdup_printf(" Most of it (%s) at %s, while %s, for one, held it at %s.",
			finding_share(most, (double)pair->sum_ns, (double)lock->sum_ns),
			finding_site(findings, finding.stack), holder,
			finding_site(findings, finding.other_stack));
	} else {
		held = g_strdup_printf(" Most of it (%s) at %s; who held it is not known.",
			finding_share(most, (double)pair->sum_ns, (double)lock->sum_ns),
			finding_site(findings, finding.stack));
	}
	finding_add(findings, finding,
		g_strdup_printf("Threads wait for a %s in %s", finding_lock_name(lock->kind),
			finding_function(findings, finding.stack)),
		g_strdup_printf(
			"Somebody waited for %s 0x%" G_GINT64_MODIFIER
			"x during %s of the window: %" G_GUINT64_FORMAT
			" waits, %s in sum, the longest %s.%s Hold it for less time, or split "
			"what it protects.",
			finding_lock_name(lock->kind), lock->obj, any, lock->n, sum, max, held));
}

static void tell_convoy(struct findings *findings, const struct finding_waits *lock)
{
	struct finding finding = finding_new("convoy", FINDING_MEDIUM);
	char share[FORMAT_SIZE];

	point(findings, &finding, lock->max_row);
	finding.weight = (double)lock->sum_ns;
	finding_add(findings, finding,
		g_strdup_printf("Threads stand in line for one %s in %s",
			finding_lock_name(lock->kind), finding_function(findings, finding.stack)),
		g_strdup_printf(
			"When a wait for %s 0x%" G_GINT64_MODIFIER
			"x ended, three or more others were still in line in %" G_GUINT64_FORMAT
			" of %" G_GUINT64_FORMAT " cases (%s), and up to %" G_GUINT64_FORMAT
			"%s waited at once. Each runs for a moment and queues again: more threads "
			"would not do more work.",
			finding_lock_name(lock->kind), lock->obj, lock->n_convoy, lock->n,
			finding_share(share, (double)lock->n_convoy, (double)lock->n),
			lock->max_line, lock->max_line > MAX_LINE ? " or more" : ""));
}

void finding_lock(struct findings *findings)
{
	GArray *locks = gather(findings);
	struct pairs pairs = { .all = g_array_new(FALSE, FALSE, sizeof(struct place_pair)) };
	guint n = 0;

	g_array_sort(locks, compare_any);
	while (n < MIN(locks->len, MAX_SHOWN) &&
		(double)g_array_index(locks, struct finding_waits, n).any_ns >=
			FINDING_LOCK_SHARE * (double)findings->window_ns)
		n++;
	g_array_set_size(locks, n);
	look_closer(findings, locks, &pairs);
	for (guint i = 0; i < locks->len; i++) {
		const struct finding_waits *lock = &g_array_index(locks, struct finding_waits, i);

		tell_contended(findings, lock, heaviest(&pairs, i),
			(double)lock->any_ns / (double)findings->window_ns);
		if (lock->n_convoy >= CONVOY_WAITS && lock->n_convoy * 2 >= lock->n)
			tell_convoy(findings, lock);
	}
	finding_held(findings, locks);
	idmap_fini(&pairs.by_places);
	g_array_unref(pairs.all);
	g_array_unref(locks);
}
