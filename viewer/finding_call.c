/* SPDX-License-Identifier: MIT */
/*
 * fsync-on-request: fsync and its like inside of a task's region, or on a thread that also accepts, receives or sends: high
 *   when a fifth of the window goes into it, medium from 1 % or 100 ms at once, low from three.
 * tiny-calls: at one place, reads or writes of files that move at most 128 bytes on average, or lseeks and stats, 2000 a
 *   second or more: medium from 20000 a second, else low. Sockets come in what sizes others like: not they. Calls too
 *   short for an event are known as totals only, without their place: low from 50000 a second.
 * failing-calls: at one place at least half of the calls fail, 1000 a second or more, EAGAIN and the like: low.
 */
#include <errno.h>
#include <string.h>

#include "viewer/finding_rule.h"

#define HIGH_SHARE 0.20
#define MEDIUM_SHARE 0.01
#define MEDIUM_NS 100000000u
#define TINY_BYTES 128
#define TINY_RATE 2000
#define TINY_MEDIUM_RATE 20000
#define SHORT_RATE 50000
#define FAIL_RATE 1000
#define MAX_PLACES 262144
/* Network calls that make a thread one that serves. */
#define SERVING_CALLS 10

/* Calls of one kind with one stack. */
struct place {
	uint64_t n, ns, bytes, n_errors, n_again;
	uint64_t max_ns, row; /* the longest */
	uint64_t n_request, request_ns;
	uint32_t call, stack, thread;
	int32_t error; /* the last */
};

struct calls_seen {
	struct findings *findings;
	struct idmap by_place;
	GArray *places;	  /* struct place */
	uint32_t *n_net;  /* by thread: calls of sockets */
	uint32_t *n_poll; /* of poll and its kind */
};

static int is_sync(uint64_t call)
{
	return call == FR_CALL_fsync || call == FR_CALL_fdatasync || call == FR_CALL_sync ||
	       call == FR_CALL_syncfs || call == FR_CALL_sync_file_range || call == FR_CALL_msync;
}

/* poll and its kind are of the same class, but used for much else. */
static int is_socket(uint64_t call)
{
	return event_call_class((uint32_t)call) == FR_CALL_NET &&
	       event_call_state((uint32_t)call) == FR_STATE_NET;
}

static int is_in_region(const struct findings *findings, uint32_t thread, uint64_t time_ns)
{
	const struct series *lane = index_lane(findings->index, LANE_REGION, thread, 0);
	uint64_t row = lane ? lane_find(lane, time_ns) : 0;

	return lane && row < series_n(lane) && lane_get(lane, row).start_ns <= time_ns;
}

static struct place *place_of(struct calls_seen *seen, uint64_t call, uint64_t stack)
{
	uint32_t i = idmap_get(&seen->by_place, call, stack);

	if (i == IDMAP_NONE) {
		struct place first = { .call = (uint32_t)call, .stack = (uint32_t)stack };

		if (seen->places->len == MAX_PLACES)
			return NULL;
		i = seen->places->len;
		g_array_append_val(seen->places, first);
		idmap_set(&seen->by_place, call, stack, i);
	}
	return &g_array_index(seen->places, struct place, i);
}

static void count(struct calls_seen *seen, struct finding_rows *rows, uint64_t row)
{
	uint64_t call = finding_get(rows, row, CALL_CALL);
	uint64_t dur = finding_get(rows, row, INDEX_DUR);
	int64_t ret = (int64_t)finding_get(rows, row, CALL_RET);
	uint32_t thread = (uint32_t)finding_get(rows, row, CALL_THREAD);
	struct place *place = place_of(seen, call, finding_get(rows, row, CALL_STACK));

	if (is_socket(call))
		seen->n_net[thread]++;
	else if (event_call_state((uint32_t)call) == FR_STATE_POLL)
		seen->n_poll[thread]++;
	if (!place)
		return;
	place->n++;
	place->ns += dur;
	if (ret < 0) {
		place->n_errors++;
		place->error = (int32_t)-ret;
		place->n_again += ret == -EAGAIN;
	} else if (event_call_moves_bytes((uint32_t)call)) {
		place->bytes += (uint64_t)ret;
	}
	if (dur >= place->max_ns) {
		place->max_ns = dur;
		place->row = row;
		place->thread = thread;
	}
}

/* Of the syncs, those on the way of a request: threads that serve are known only now. */
static void count_requests(struct calls_seen *seen, struct finding_rows *rows)
{
	for (uint64_t row = 0; row < rows->n; row++) {
		uint64_t call = finding_get(rows, row, CALL_CALL), dur, end;
		struct place *place;
		uint32_t thread;

		if (!is_sync(call))
			continue;
		thread = (uint32_t)finding_get(rows, row, CALL_THREAD);
		dur = finding_get(rows, row, INDEX_DUR);
		end = finding_get(rows, row, INDEX_END);
		if (seen->n_net[thread] < SERVING_CALLS &&
			!is_in_region(seen->findings, thread, end - dur))
			continue;
		place = place_of(seen, call, finding_get(rows, row, CALL_STACK));
		if (place) {
			place->n_request++;
			place->request_ns += dur;
		}
	}
}

static struct finding point(
	struct findings *findings, const char *rule, int severity, const struct place *place)
{
	struct finding finding = finding_new(rule, (enum finding_severity)severity);
	struct finding_rows rows = finding_rows(findings, INDEX_SYSCALL);

	finding.table = INDEX_SYSCALL;
	finding.row = place->row;
	finding.thread = place->thread;
	finding.dur_ns = place->max_ns;
	finding.time_ns = finding_get(&rows, place->row, INDEX_END) - place->max_ns;
	finding.stack = place->stack;
	finding.weight = (double)place->ns;
	return finding;
}

static void tell_sync(struct findings *findings, const struct place *place)
{
	double share = (double)place->request_ns / (double)findings->window_ns;
	char sum[FORMAT_SIZE], max[FORMAT_SIZE], part[FORMAT_SIZE];
	g_autofree char *thread = finding_thread_name(findings, place->thread);
	const char *call = event_call_name(place->call);
	int severity = share >= HIGH_SHARE				     ? FINDING_HIGH
		       : share >= MEDIUM_SHARE || place->max_ns >= MEDIUM_NS ? FINDING_MEDIUM
									     : FINDING_LOW;

	if (place->n_request < 3 && severity == FINDING_LOW)
		return;
	finding_add(findings, point(findings, "fsync-on-request", severity, place),
		g_strdup_printf("Requests wait for the disk: %s in %s", call,
			finding_function(findings, place->stack)),
		g_strdup_printf(
			"%s at %s was called %" G_GUINT64_FORMAT
			" times by threads that serve requests, such as %s, for %s in sum (%s of "
			"the window; the longest %s). Gather several into one, or do it in a "
			"thread of its own.",
			call, finding_site(findings, place->stack), place->n_request, thread,
			format_ns(sum, place->request_ns), finding_share(part, share, 1),
			format_ns(max, place->max_ns)));
}

static int can_be_tiny(uint32_t call)
{
	switch (call) {
	case FR_CALL_read:
	case FR_CALL_write:
	case FR_CALL_pread64:
	case FR_CALL_pwrite64:
	case FR_CALL_readv:
	case FR_CALL_writev:
	case FR_CALL_lseek:
	case FR_CALL_stat:
	case FR_CALL_lstat:
	case FR_CALL_fstat:
	case FR_CALL_fstatat:
		return 1;
	default:
		return 0;
	}
}

/* Whether the descriptor of a row is a file; where that is not known, a thread that polls is taken to serve sockets. */
static int is_of_file(const struct calls_seen *seen, const struct place *place)
{
	const struct trace *trace = seen->findings->index->trace;
	struct finding_rows rows = finding_rows(seen->findings, INDEX_SYSCALL);
	uint32_t process = trace_thread(trace, place->thread)->process;
	uint32_t target = idmap_get(&trace->fds, trace_process(trace, process)->proc,
		(uint32_t)finding_get(&rows, place->row, CALL_FD));

	if (target == IDMAP_NONE)
		return seen->n_poll[place->thread] == 0;
	return strings_get(trace->strings, target)[0] == '/';
}

static void tell_tiny(struct findings *findings, const struct place *place, double rate)
{
	char sum[FORMAT_SIZE], bytes[FORMAT_SIZE];
	const char *call = event_call_name(place->call);

	finding_add(findings,
		point(findings, "tiny-calls",
			rate >= TINY_MEDIUM_RATE ? FINDING_MEDIUM : FINDING_LOW, place),
		g_strdup_printf("Many small calls of %s in %s", call,
			finding_function(findings, place->stack)),
		g_strdup_printf(
			"%s at %s is called %.0f times a second for %s each: %" G_GUINT64_FORMAT
			" calls, %s in sum. A buffer would save most of them.",
			call, finding_site(findings, place->stack), rate,
			event_call_moves_bytes(place->call)
				? format_bytes(bytes, (double)place->bytes / (double)place->n)
				: "a little",
			place->n, format_ns(sum, place->ns)));
}

static void tell_failing(struct findings *findings, const struct place *place, double rate)
{
	char share[FORMAT_SIZE];
	const char *call = event_call_name(place->call);

	finding_add(findings, point(findings, "failing-calls", FINDING_LOW, place),
		g_strdup_printf("%s fails again and again in %s", call,
			finding_function(findings, place->stack)),
		g_strdup_printf("%s of the calls of %s at %s fail, %.0f times a second, with %s.%s",
			finding_share(share, (double)place->n_errors, (double)place->n), call,
			finding_site(findings, place->stack), rate, g_strerror(place->error),
			place->n_again * 2 > place->n_errors
				? " It asks before there is something: wait with poll or epoll."
				: ""));
}

/* Calls too short for an event of their own. */
static void tell_short(struct findings *findings)
{
	const struct trace *trace = findings->index->trace;
	double seconds = (double)findings->window_ns / 1e9;

	for (guint i = 0; i < trace->totals->len; i++) {
		const struct call_total *total =
			&g_array_index(trace->totals, struct call_total, i);
		double rate = (double)total->n_short / seconds;
		struct finding finding = finding_new("tiny-calls", FINDING_LOW);
		char sum[FORMAT_SIZE];

		if (rate < SHORT_RATE)
			continue;
		finding.weight = (double)total->short_ns;
		finding_add(findings, finding,
			g_strdup_printf(
				"Very many short calls of %s", event_call_name(total->call)),
			g_strdup_printf("%s calls %s %.0f times a second, each too short for an "
					"event of its own: %s in sum. Where from, a profile tells "
					"(trace-view pprof --type=cpu), or a run without a "
					"threshold.",
				trace_process_name(trace, total->process),
				event_call_name(total->call), rate,
				format_ns(sum, total->short_ns)));
	}
}

void finding_call(struct findings *findings)
{
	struct finding_rows rows = finding_rows(findings, INDEX_SYSCALL);
	struct calls_seen seen = { .findings = findings,
		.places = g_array_new(FALSE, FALSE, sizeof(struct place)),
		.n_net = g_new0(uint32_t, (gsize)findings->index->trace->threads->len + 1),
		.n_poll = g_new0(uint32_t, (gsize)findings->index->trace->threads->len + 1) };
	double seconds = (double)findings->window_ns / 1e9;

	for (uint64_t row = 0; row < rows.n; row++)
		count(&seen, &rows, row);
	count_requests(&seen, &rows);
	for (guint i = 0; i < seen.places->len; i++) {
		const struct place *place = &g_array_index(seen.places, struct place, i);
		double rate = (double)place->n / seconds;
		double fail_rate = (double)place->n_errors / seconds;

		if (place->n_request)
			tell_sync(findings, place);
		if (place->n >= TINY_RATE && rate >= TINY_RATE && can_be_tiny(place->call) &&
			place->bytes <= TINY_BYTES * place->n && place->n_errors * 2 < place->n &&
			is_of_file(&seen, place))
			tell_tiny(findings, place, rate);
		if (place->n_errors >= FAIL_RATE && fail_rate >= FAIL_RATE &&
			place->n_errors * 2 >= place->n)
			tell_failing(findings, place, fail_rate);
	}
	tell_short(findings);
	idmap_fini(&seen.by_place);
	g_array_unref(seen.places);
	g_free(seen.n_net);
	g_free(seen.n_poll);
}
