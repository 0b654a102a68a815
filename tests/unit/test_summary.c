/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "fixture_trace.h"
#include "viewer/summary.h"

static struct trace *trace;
static struct summary summary;

static void run(const char *text)
{
	struct trace_pass passes[SUMMARY_N_PASSES];

	trace = trace_new();
	summary_init(&summary, trace);
	summary_passes(&summary, passes);
	fixture_run(trace, text, passes, SUMMARY_N_PASSES);
	summary_finish(&summary);
}

static void end(void)
{
	summary_fini(&summary);
	trace_free(trace);
}

#define HEAD                                                                              \
	"0 0 state:receipt key=window.begin_ns value=1000000000\n"                        \
	"0 0 state:receipt key=window.end_ns value=2000000000\n"                          \
	"0 0 state:process pid=77 start=500ms exe=/opt/app\n"                             \
	"0 0 state:module start=0x1000 end=0x2000 path=/opt/app\n"                        \
	"0 0 state:stack id=20 frames=0x1100\n0 0 state:symbol addr=0x1100 func=waiter\n" \
	"0 0 state:stack id=21 frames=0x1200\n0 0 state:symbol addr=0x1200 func=holder\n" \
	"0 10 state:thread start=500ms name=ten\n0 11 state:thread start=500ms name=eleven\n"

static const struct lock *lock_at(guint rank)
{
	return &g_array_index(
		summary.locks.locks, struct lock, g_array_index(summary.by_lock, uint32_t, rank));
}

static void locks_name_waiter_and_holder(void)
{
	const struct lock_pair *pairs[4];

	run(HEAD "1100ms 10 wait stack=20 kind=mutex obj=0x50 dur=10ms holder=11 holder_stack=21\n"
		 "1200ms 10 wait stack=20 kind=mutex obj=0x50 dur=30ms holder=11 holder_stack=21\n"
		 "1300ms 10 wait stack=20 kind=rwlock_rd obj=0x60 dur=100ms\n"
		 "1500ms 10 wait stack=20 kind=rwlock_wr obj=0x60 dur=1ms ret=110\n");
	CHECK_INT(summary.by_lock->len, 2);
	CHECK_INT(lock_at(0)->obj, 0x60);
	CHECK_INT(lock_at(0)->total.n, 2);
	CHECK_INT(lock_at(0)->n_failed, 1);
	CHECK_INT(lock_at(1)->total.n, 2);
	CHECK_INT(lock_at(1)->total.ns, 40000000);
	CHECK_INT(lock_at(1)->total.max_ns, 30000000);
	CHECK_INT(summary_lock_pairs(&summary, 0, pairs, 4), 1);
	CHECK_STR(strings_get(trace->strings, pairs[0]->waiter_site), "waiter");
	CHECK_STR(strings_get(trace->strings, pairs[0]->holder_site), "holder");
	CHECK_STR(trace_thread_name(trace, pairs[0]->holder), "eleven");
	CHECK_INT(pairs[0]->total.n, 2);
	end();
}

static void the_heaviest_pairs_come_first(void)
{
	const struct lock_pair *pairs[2];

	run(HEAD "1100ms 10 wait stack=20 obj=0x50 dur=1ms holder=11\n"
		 "1200ms 10 wait stack=21 obj=0x50 dur=3ms holder=11\n"
		 "1300ms 11 wait stack=20 obj=0x50 dur=2ms holder=10\n"
		 "1400ms 11 wait stack=21 obj=0x50 dur=9ms holder=10\n");
	CHECK_INT(summary_lock_pairs(&summary, 0, pairs, 2), 2);
	CHECK_INT(pairs[0]->total.ns, 9000000);
	CHECK_INT(pairs[1]->total.ns, 3000000);
	end();
}

static void an_open_wait_is_shown_though_it_has_no_event(void)
{
	run(HEAD "0 12 state:thread start=500ms state=mutex since=1700ms obj=0x99 holder=10\n");
	CHECK_INT(summary.by_lock->len, 1);
	CHECK_INT(lock_at(0)->n_open, 1);
	CHECK_INT(lock_at(0)->open_ns, 300000000);
	CHECK_INT(lock_at(0)->total.n, 0);
	end();
}

static void calls_have_totals_from_events_and_from_counts(void)
{
	run(HEAD "0 0 state:call_total call=read n=100 n_short=97 dur=5ms short=1ms bytes=4000\n"
		 "1100ms 10 call stack=20 call=read fd=3 ret=10 dur=1ms\n"
		 "1200ms 10 call stack=20 call=read fd=3 ret=-11 dur=2ms\n"
		 "1300ms 10 call stack=20 call=read fd=4 ret=7 dur=1ms\n"
		 "1400ms 10 path stack=21 call=open fd=-1 ret=5 dur=3ms path=/etc/a\n"
		 "1500ms 10 path stack=21 call=open fd=-1 ret=6 dur=3ms path=/etc/b\n");
	const struct call_stat *stat = &summary.calls.by_call[FR_CALL_read];
	CHECK_INT(stat->n, 3);
	CHECK_INT(stat->ns, 4000000);
	CHECK_INT(stat->max_ns, 2000000);
	CHECK_INT(stat->bytes, 17);
	CHECK_INT(stat->n_errors, 1);
	CHECK_INT(stat->exact_n, 100);
	CHECK_INT(stat->short_n, 97);
	CHECK_INT(stat->exact_ns, 5000000);
	CHECK_INT(summary.calls.sites->len, 2);
	const struct call_site *site = &g_array_index(summary.calls.sites, struct call_site, 0);
	CHECK_INT(site->fd, CALL_FD_VARIOUS);
	site = &g_array_index(summary.calls.sites, struct call_site, 1);
	CHECK_INT(site->is_path_various, 1);
	CHECK_INT(site->bytes, 0); /* open's result is no number of bytes */
	end();
}

static void allocations_are_scaled_and_in_use_is_what_lives(void)
{
	run(HEAD "0 0 state:live addr=0x100 size=10240 stack=20\n"
		 "0 0 state:live addr=0x900 size=10240 stack=20\n"
		 "1100ms 10 sample stack=20 addr=0x100 size=10240 rate=524288\n"
		 "1200ms 10 sample stack=20 addr=0x200 size=10240 rate=524288\n"
		 "1300ms 10 free stack=20 addr=0x200 size=10240\n"
		 "1400ms 10 sample stack=20 addr=0x300 size=10240 rate=524288\n");
	CHECK_INT(summary.alloc_places->len, 1);
	const struct alloc_place *place =
		&g_array_index(summary.alloc_places, struct alloc_place, 0);
	CHECK_INT(place->n_samples, 3);
	/* 0x100 and, from before the window, 0x900; 0x300 is not among the living. */
	CHECK_INT(place->n_in_use_samples, 2);
	CHECK_INT((int)place->objects, 155); /* 3 * 51.7 */
	CHECK_INT((int)place->in_use_bytes, (int)(2 * 10240 * alloc_scale(10240, 524288)));
	end();
}

static void without_a_list_of_the_living_unfreed_is_in_use(void)
{
	run("1100ms 10 sample addr=0x100 size=100 rate=1\n"
	    "1200ms 10 sample addr=0x200 size=100 rate=1\n"
	    "1300ms 10 free addr=0x200 size=100\n");
	const struct alloc_place *place =
		&g_array_index(summary.alloc_places, struct alloc_place, 0);
	CHECK_INT((int)place->in_use_bytes, 100);
	CHECK_INT((int)place->bytes, 200);
	end();
}

static void tasks_and_regions_have_latencies(void)
{
	run(HEAD "1100ms 10 task_begin task=1 type=job\n1110ms 10 task_begin task=2 type=job\n"
		 "1120ms 10 region_begin type=parse\n1130ms 10 region_begin type=lex\n"
		 "1140ms 10 region_end type=lex dur=10ms\n"
		 "1300ms 11 task_end task=1\n1400ms 11 task_end task=99\n");
	const struct task_type *job = &g_array_index(summary.tasks.tasks, struct task_type, 0);
	CHECK_INT(job->latency.n, 1);
	CHECK_INT(job->latency.max_ns, 200000000);
	CHECK_INT(job->n_open, 1);
	CHECK_INT(job->oldest_ns, 1110000000);
	CHECK_INT(summary.tasks.n_ended_only, 1);
	CHECK_INT(summary.tasks.regions->len, 2);
	const struct task_type *lex = &g_array_index(summary.tasks.regions, struct task_type, 0);
	CHECK_INT(lex->latency.max_ns, 10000000);
	CHECK_INT(lex->n_open, 0);
	CHECK_INT(g_array_index(summary.tasks.regions, struct task_type, 1).n_open, 1);
	end();
}

static void short_calls_are_those_of_the_window(void)
{
	run(HEAD "0 0 state:counter name=syscalls_short value=429311\n"
		 "0 0 state:counter name=stacks_cut value=7\n");
	CHECK_INT(summary_loss(&summary, "syscalls_short"), 429311);
	end();
	run(HEAD "0 0 state:counter name=syscalls_short value=429311\n"
		 "0 0 state:counter name=stacks_cut value=7\n"
		 "0 0 state:call_total call=read n=10 dur=2ms\n");
	CHECK_INT(summary_loss(&summary, "syscalls_short"), 0);
	CHECK_INT(summary_loss(&summary, "stacks_cut"), 7);
	end();
	run(HEAD "0 0 state:counter name=syscalls_short value=429311\n"
		 "0 0 state:call_total call=read n=10 n_short=3 dur=2ms short=1us\n"
		 "0 0 state:call_total call=write n=10 n_short=2 dur=2ms short=1us\n");
	CHECK_INT(summary_loss(&summary, "syscalls_short"), 5);
	end();
}

static void threads_that_the_kernel_alone_names_are_in_no_list(void)
{
	run(HEAD "1100ms 10 switch_in cpu=0\n1200ms 10 switch_out cpu=0\n"
		 "1200ms 99 switch_in cpu=0\n1230ms 99 switch_out cpu=0\n");
	CHECK_INT(summary.by_thread->len, 2);
	CHECK_INT(summary_unfollowed(&summary).n, 1);
	/* It is there from the beginning of the window, off the CPU until it came. */
	CHECK_INT(summary_unfollowed(&summary).run_ns, 30000000);
	end();
}

static void text_fits_100_columns(void)
{
	g_autofree char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	size_t widest = 0;

	run(HEAD
		"0 0 state:env key=command value='app --with a very long command line that goes on "
		"and on and on and on and on and on and on and on until it does not fit any more'\n"
		"0 0 state:receipt key=note.1 value='a sentence for people'\n"
		"0 0 state:receipt key=lost.events value=12\n"
		"0 0 state:counter name=stacks_cut value=3\n"
		"0 0 state:stack id=30 frames=0x1300\n"
		"0 0 state:symbol addr=0x1300 file=/src/a_file_with_a_long_name.cc line=12345 "
		"func='a::name<of, many, template, arguments, that, never, ends, because, it, is, "
		"C, plus, plus, and, so, on>::do_it(int, char const*, unsigned long, void*)'\n"
		"1100ms 10 wait stack=30 kind=mutex obj=0xffffffffffff dur=10ms holder=11 "
		"holder_stack=30\n"
		"1200ms 10 path stack=30 call=open fd=-1 ret=-2 dur=3ms "
		"path=/a/very/long/path/to/some/file/that/is/not/there/at/all/ever\n"
		"1300ms 10 sample stack=30 addr=0x300 size=10240 rate=524288\n"
		"1400ms 10 wait stack=30 kind=cond obj=0xffffffffffff dur=200ms holder=11\n"
		"1500ms 10 wait kind=sem obj=1 dur=10ms\n1510ms 10 wait kind=join obj=1 dur=10ms\n"
		"1520ms 10 wait kind=once obj=1 dur=10ms\n1530ms 10 call call=poll dur=10ms\n"
		"1540ms 10 call call=recv dur=10ms\n1550ms 10 call call=nanosleep dur=10ms\n");
	summary_print_text(&summary, out, 10);
	fclose(out);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		size_t width = (size_t)g_utf8_strlen(*line, -1);
		if (width > 100)
			printf("# %s\n", *line);
		widest = MAX(widest, width);
	}
	CHECK(widest <= 100);
	CHECK(strstr(text, "OTHER") != NULL);
	CHECK(strstr(text, "12 events") != NULL);
	CHECK(strstr(text, "3 stacks cut at the depth limit") != NULL);
	CHECK(strstr(text, "a sentence for people") != NULL);
	CHECK(strstr(text, "eleven (11)") != NULL);
	end();
}

int main(void)
{
	CASE(locks_name_waiter_and_holder, "lock waits add up by lock, with waiter and holder");
	CASE(the_heaviest_pairs_come_first, "the heaviest pairs of a lock come first");
	CASE(an_open_wait_is_shown_though_it_has_no_event, "a wait that never ended is shown");
	CASE(calls_have_totals_from_events_and_from_counts, "both totals of calls are kept apart");
	CASE(allocations_are_scaled_and_in_use_is_what_lives,
		"in use is what the tracer lists alive");
	CASE(without_a_list_of_the_living_unfreed_is_in_use, "without a list, unfreed is in use");
	CASE(tasks_and_regions_have_latencies, "tasks across threads and nested regions are timed");
	CASE(short_calls_are_those_of_the_window, "calls without an event: by the totals");
	CASE(threads_that_the_kernel_alone_names_are_in_no_list, "threads that are not followed");
	CASE(text_fits_100_columns, "no line of the text is wider than 100 columns");
	return CHECK_DONE();
}
