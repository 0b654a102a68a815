/* SPDX-License-Identifier: MIT */
/*
 * What a holder did while others waited, from its own lane. A thread is known to hold a lock from the end of its own last wait
 * for it, or the begin of the other's wait, until it lets the other in; so a call counts only for that time, and only when one
 * of the two innermost functions of the place that let go is in the call's stack too: what a thread did before it took the
 * lock is not blamed on it.
 *
 * blocking-under-lock: calls of files, network, sleep, child during that time: high from 5 % of the window, in sum over the
 *   waiters; medium from 1 %, low from 0.2 %.
 * lock-order: one thread waited for B while it held A, another for A while it held B: medium; they may meet.
 */
#include "viewer/finding_lock.h"

#include "viewer/finding_rule.h"

#define HIGH_SHARE 0.05
#define MEDIUM_SHARE 0.01
#define LOW_SHARE 0.002
/* Waits whose holder is looked at, and intervals of a holder for each. */
#define MAX_LOOKS 500000
#define MAX_INTERVALS 64

/* Calls of one kind at one place under one lock. */
struct blocking {
	uint64_t sum_ns, n, max_ns, row; /* row: of INDEX_SYSCALL, the longest */
	uint32_t lock, thread, holder_stack;
};

/* Somebody waited for `to` while holding `from`. */
struct order {
	uint64_t from, to, row, n; /* row: of INDEX_WAIT, for `to` */
	uint32_t process, stack, thread;
};

struct held {
	struct findings *findings;
	const GArray *locks;
	struct idmap by_obj, by_place, by_order;
	GArray *blocking, *orders;
};

static int is_blocking(uint8_t state)
{
	return state == FR_STATE_FILE || state == FR_STATE_NET || state == FR_STATE_POLL ||
	       state == FR_STATE_SLEEP || state == FR_STATE_CHILD;
}

static int is_waiting(uint8_t state)
{
	return state == FR_STATE_MUTEX || state == FR_STATE_RWLOCK || state == FR_STATE_SPIN;
}

/* Whether the call at `stack` was made under what was let go at `holder_stack`, by their functions. */
static int is_inside(const struct findings *findings, uint32_t stack, uint32_t holder_stack)
{
	uint32_t functions[8];
	size_t n = finding_functions(findings, holder_stack, 2, functions, G_N_ELEMENTS(functions));

	for (size_t i = 0; i < n; i++)
		if (finding_is_in(findings, stack, functions[i]))
			return 1;
	return 0;
}

static void add_blocking(struct held *held, uint32_t lock, uint32_t holder, uint32_t holder_stack,
	struct lane_row row, uint64_t ns)
{
	struct finding_rows calls = finding_rows(held->findings, INDEX_SYSCALL);
	struct stacks *stacks = &held->findings->index->trace->stacks;
	struct blocking *blocking;
	uint32_t i;

	if (row.arg >= calls.n)
		return;
	uint64_t a = (uint64_t)lock << 32 | finding_get(&calls, row.arg, CALL_CALL);
	uint64_t b = stacks_site(stacks, row.stack);
	i = idmap_get(&held->by_place, a, b);
	if (i == IDMAP_NONE) {
		struct blocking first = {
			.lock = lock, .thread = holder, .holder_stack = holder_stack, .row = row.arg
		};

		i = held->blocking->len;
		g_array_append_val(held->blocking, first);
		idmap_set(&held->by_place, a, b, i);
	}
	blocking = &g_array_index(held->blocking, struct blocking, i);
	blocking->sum_ns += ns;
	blocking->n++;
	if (ns > blocking->max_ns) {
		blocking->max_ns = ns;
		blocking->row = row.arg;
		blocking->thread = holder;
		blocking->holder_stack = holder_stack;
	}
}

static void add_order(struct held *held, uint32_t process, uint64_t from, struct lane_row row)
{
	struct finding_rows waits = finding_rows(held->findings, INDEX_WAIT);
	uint64_t to = finding_get(&waits, row.arg, WAIT_OBJ);
	/* Two objects and a process; the process of a lock hardly ever differs. */
	uint32_t i = idmap_get(&held->by_order, from ^ (uint64_t)process << 48, to);

	if (i == IDMAP_NONE) {
		struct order first = { .from = from,
			.to = to,
			.row = row.arg,
			.process = process,
			.stack = row.stack,
			.thread = (uint32_t)finding_get(&waits, row.arg, WAIT_THREAD) };

		i = held->orders->len;
		g_array_append_val(held->orders, first);
		idmap_set(&held->by_order, from ^ (uint64_t)process << 48, to, i);
	}
	g_array_index(held->orders, struct order, i).n++;
}

/* One wait: what did its holder do. */
static void look(struct held *held, struct finding_rows *waits, uint64_t row, uint32_t lock)
{
	const struct finding_waits *what = &g_array_index(held->locks, struct finding_waits, lock);
	uint32_t holder = (uint32_t)finding_get(waits, row, WAIT_HOLDER);
	uint32_t holder_stack = (uint32_t)finding_get(waits, row, WAIT_HOLDER_STACK);
	uint64_t end = finding_get(waits, row, INDEX_END);
	uint64_t begin = end - finding_get(waits, row, INDEX_DUR);
	struct finding_rows own = finding_rows(held->findings, INDEX_WAIT);
	const struct series *lane;
	struct lane_row found[MAX_INTERVALS];
	size_t n = 0;

	if (holder == INDEX_NONE || holder == finding_get(waits, row, WAIT_THREAD))
		return;
	lane = index_lane(held->findings->index, LANE_THREAD, holder, 0);
	for (uint64_t i = lane ? lane_find(lane, begin) : 0; lane && i < series_n(lane); i++) {
		struct lane_row at = lane_get(lane, i);

		if (at.start_ns >= end)
			break;
		if (is_waiting(at.state) && at.arg < own.n &&
			finding_get(&own, at.arg, WAIT_OBJ) == what->obj) {
			/* Before, it was not the holder but in line itself. */
			begin = at.start_ns + at.dur_ns;
			n = 0;
		} else if (n < MAX_INTERVALS) {
			found[n++] = at;
		}
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t from = MAX(found[i].start_ns, begin);
		uint64_t to = MIN(found[i].start_ns + found[i].dur_ns, end);

		if (from >= to || !is_inside(held->findings, found[i].stack, holder_stack))
			continue;
		if (is_blocking(found[i].state))
			add_blocking(held, lock, holder, holder_stack, found[i], to - from);
		else if (is_waiting(found[i].state) && found[i].arg < own.n)
			add_order(held, what->process, what->obj, found[i]);
	}
}

static void tell_blocking(struct held *held, const struct blocking *blocking)
{
	struct findings *findings = held->findings;
	struct finding_rows calls = finding_rows(findings, INDEX_SYSCALL);
	const struct finding_waits *lock =
		&g_array_index(held->locks, struct finding_waits, blocking->lock);
	double share = (double)blocking->sum_ns / (double)findings->window_ns;
	struct finding finding =
		finding_new("blocking-under-lock", share >= HIGH_SHARE	   ? FINDING_HIGH
						   : share >= MEDIUM_SHARE ? FINDING_MEDIUM
									   : FINDING_LOW);
	const char *call = event_call_name((uint32_t)finding_get(&calls, blocking->row, CALL_CALL));
	char sum[FORMAT_SIZE], part[FORMAT_SIZE], max[FORMAT_SIZE];
	g_autofree char *thread = finding_thread_name(findings, blocking->thread);

	finding.table = INDEX_SYSCALL;
	finding.row = blocking->row;
	finding.thread = blocking->thread;
	finding.dur_ns = finding_get(&calls, blocking->row, INDEX_DUR);
	finding.time_ns = finding_get(&calls, blocking->row, INDEX_END) - finding.dur_ns;
	finding.stack = (uint32_t)finding_get(&calls, blocking->row, CALL_STACK);
	finding.other_stack = blocking->holder_stack;
	finding.weight = (double)blocking->sum_ns;
	finding_add(findings, finding,
		g_strdup_printf("%s under a lock in %s", call,
			finding_function(findings, blocking->holder_stack)),
		g_strdup_printf(
			"%s at %s is called while %s 0x%" G_GINT64_MODIFIER
			"x is held (let go at %s). Others waited %s for that, in sum (%s of all "
			"waiting for this lock; the longest %s, for %s). Do it before the lock is "
			"taken, or after.",
			call, finding_site(findings, finding.stack), finding_lock_name(lock->kind),
			lock->obj, finding_site(findings, blocking->holder_stack),
			format_ns(sum, blocking->sum_ns),
			finding_share(part, (double)blocking->sum_ns, (double)lock->sum_ns),
			format_ns(max, blocking->max_ns), thread));
}

static void tell_order(struct held *held, const struct order *a, const struct order *b)
{
	struct findings *findings = held->findings;
	struct finding finding = finding_new("lock-order", FINDING_MEDIUM);
	struct finding_rows waits = finding_rows(findings, INDEX_WAIT);

	finding.table = INDEX_WAIT;
	finding.row = a->row;
	finding.thread = a->thread;
	finding.dur_ns = finding_get(&waits, a->row, INDEX_DUR);
	finding.time_ns = finding_get(&waits, a->row, INDEX_END) - finding.dur_ns;
	finding.stack = a->stack;
	finding.other_stack = b->stack;
	finding.weight = (double)(a->n + b->n);
	finding_add(findings, finding,
		g_strdup_printf("Two locks are taken in both orders in %s",
			finding_function(findings, a->stack)),
		g_strdup_printf(
			"Lock 0x%" G_GINT64_MODIFIER "x was waited for while 0x%" G_GINT64_MODIFIER
			"x was held, at %s, and the other way round at %s. When two threads meet "
			"there, both wait for ever: always take the two in one order.",
			a->to, a->from, finding_site(findings, a->stack),
			finding_site(findings, b->stack)));
}

static void tell(struct held *held)
{
	for (guint i = 0; i < held->blocking->len; i++) {
		const struct blocking *blocking =
			&g_array_index(held->blocking, struct blocking, i);

		if ((double)blocking->sum_ns >= LOW_SHARE * (double)held->findings->window_ns)
			tell_blocking(held, blocking);
	}
	for (guint i = 0; i < held->orders->len; i++) {
		const struct order *a = &g_array_index(held->orders, struct order, i);
		uint32_t back =
			idmap_get(&held->by_order, a->to ^ (uint64_t)a->process << 48, a->from);

		if (back != IDMAP_NONE && back > i)
			tell_order(held, a, &g_array_index(held->orders, struct order, back));
	}
}

void finding_held(struct findings *findings, const GArray *locks)
{
	struct held held = { .findings = findings,
		.locks = locks,
		.blocking = g_array_new(FALSE, FALSE, sizeof(struct blocking)),
		.orders = g_array_new(FALSE, FALSE, sizeof(struct order)) };
	struct finding_rows waits = finding_rows(findings, INDEX_WAIT);
	uint64_t n_looks = 0;

	for (guint i = 0; i < locks->len; i++) {
		const struct finding_waits *lock = &g_array_index(locks, struct finding_waits, i);

		idmap_set(&held.by_obj, lock->process, lock->obj, i);
	}
	for (uint64_t row = 0; row < waits.n && locks->len && n_looks < MAX_LOOKS; row++) {
		uint32_t thread = (uint32_t)finding_get(&waits, row, WAIT_THREAD), i;

		if (!finding_is_lock(finding_get(&waits, row, WAIT_KIND)))
			continue;
		i = idmap_get(&held.by_obj, trace_thread(findings->index->trace, thread)->process,
			finding_get(&waits, row, WAIT_OBJ));
		if (i == IDMAP_NONE)
			continue;
		look(&held, &waits, row, i);
		n_looks++;
	}
	tell(&held);
	idmap_fini(&held.by_obj);
	idmap_fini(&held.by_place);
	idmap_fini(&held.by_order);
	g_array_unref(held.blocking);
	g_array_unref(held.orders);
}
