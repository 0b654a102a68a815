/* SPDX-License-Identifier: MIT */
/*
 * The heap profile of this very process, traced: unbiased at each size, right about what lives, whatever function
 * allocated and whoever freed. Calls are made through volatile pointers, so that the compiler removes none.
 */
#include <malloc.h>
#include <math.h>
#include <pthread.h>

#include "check.h"
#include "flightrec.h"
#include "traced_heap.h"

static void *(*volatile call_malloc)(size_t) = malloc;
static void (*volatile call_free)(void *) = free;
static void *(*volatile call_realloc)(void *, size_t) = realloc;
static void *(*volatile call_reallocarray)(void *, size_t, size_t) = reallocarray;
static void *(*volatile call_calloc)(size_t, size_t) = calloc;

static int is_near(double got, double want, double percent)
{
	if (fabs(got - want) <= want * percent / 100)
		return 1;
	printf("# got %.0f, want %.0f within %.0f%%\n", got, want, percent);
	return 0;
}

static void sums_are_true(void)
{
	/* 20,000 samples or more each: a standard deviation below one percent. */
	static const size_t sizes[] = { 1, 24, 416, 4096, 70000, 300000 };

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t rate = sizes[i] < 1000 ? 512 : 65536;
		uint64_t n = 20000 * (rate > sizes[i] ? rate / sizes[i] : 1);
		struct heap before, after;

		set_rate(rate);
		before = heap_now();
		for (uint64_t j = 0; j < n; j++)
			call_free(call_malloc(sizes[i]));
		after = since(&before);
		CHECK(is_near(after.alloc_n, (double)n, 4));
		CHECK(is_near(after.alloc_bytes, (double)n * (double)sizes[i], 4));
		CHECK_INT(after.raw_live_n, 0);
		CHECK_INT(after.raw_live_bytes, 0);
	}
}

static void a_mixture_is_true(void)
{
	struct heap before, after;
	double bytes = 0;
	uint64_t state = 1;

	set_rate(65536);
	before = heap_now();
	for (unsigned i = 0; i < 1000000; i++) {
		size_t size;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		size = 1 + (state >> 33) % 8192;
		bytes += (double)size;
		call_free(call_malloc(size));
	}
	after = since(&before);
	CHECK(is_near(after.alloc_bytes, bytes, 3));
	CHECK(is_near(after.alloc_n, 1000000, 6));
	/* 8192 sizes of one call site: 128 and 8 for each of 6 doublings. */
	CHECK(after.n_buckets <= 128 + 6 * 8);
	CHECK_INT(traced_blackbox->counters.buckets_overflow, 0);
}

static void rate_one_is_exact(void)
{
	struct heap before, after;
	void *kept[100];

	set_rate(1);
	before = heap_now();
	for (unsigned i = 0; i < 100; i++)
		kept[i] = call_malloc(1000 + i);
	call_free(call_malloc(0)); /* no bytes: no sample */
	after = since(&before);
	CHECK_INT(after.raw_n, 100);
	CHECK_INT(after.raw_live_bytes, 100 * 1000 + 99 * 50);
	for (unsigned i = 0; i < 100; i++)
		call_free(kept[i]);
	after = since(&before);
	CHECK_INT(after.raw_live_n, 0);
	CHECK_INT(after.raw_live_bytes, 0);
}

static void rate_changes_do_not_falsify(void)
{
	static const uint64_t rates[] = { 4096, 1, 100000, 0, 512, 65536 };
	struct heap before, after;
	double want = 0;

	set_rate(4096);
	before = heap_now();
	for (unsigned round = 0; round < 60; round++) {
		uint64_t rate = rates[round % 6];

		set_rate(rate);
		/* What set_rate() itself allocated is recorded under either rate. */
		want += 3 << 20;
		for (unsigned i = 0; rate && i < 10000; i++) {
			call_free(call_malloc(500));
			want += 500;
		}
	}
	after = since(&before);
	/* With rate 0 for a sixth of the time: at most its own three megabytes are missing. */
	CHECK(is_near(after.alloc_bytes, want, 20));
	CHECK_INT(after.raw_live_n, 0);
}

static void off_is_off(void)
{
	struct heap before, after;

	set_rate(0);
	before = heap_now();
	for (unsigned i = 0; i < 100000; i++)
		call_free(call_malloc(10000));
	after = since(&before);
	CHECK_INT(after.raw_n, 0);
	/* Off for good it is not: on again after a megabyte. */
	set_rate(1);
	call_free(call_malloc(5));
	after = since(&before);
	CHECK(after.raw_n >= 1);
}

static void realloc_is_followed(void)
{
	struct heap before, after;
	void *p, *huge;

	set_rate(1);
	before = heap_now();
	p = call_malloc(100);
	p = call_realloc(p, 104);    /* in place */
	p = call_realloc(p, 500000); /* moved */
	after = since(&before);
	CHECK_INT(after.raw_n, 3);
	CHECK_INT(after.raw_live_n, 1);
	CHECK_INT(after.raw_live_bytes, 500000);
	/* A failure changes nothing. */
	huge = call_realloc(p, PTRDIFF_MAX);
	CHECK(huge == NULL);
	CHECK(call_reallocarray(p, SIZE_MAX / 2, 4) == NULL);
	CHECK(call_reallocarray(p, (size_t)1 << 32, (size_t)1 << 32) ==
		NULL); /* the product is 0 */
	after = since(&before);
	CHECK_INT(after.raw_live_n, 1);
	CHECK_INT(after.raw_live_bytes, 500000);
	CHECK(call_realloc(p, 0) == NULL); /* frees, in glibc */
	after = since(&before);
	CHECK_INT(after.raw_live_n, 0);
	CHECK_INT(after.raw_live_bytes, 0);
}

static void failures_are_no_allocations(void)
{
	static const size_t impossible[] = { SIZE_MAX, SIZE_MAX - 100, (size_t)1 << 63,
		((size_t)1 << 63) + ((size_t)1 << 40), PTRDIFF_MAX };
	struct heap before, after;

	set_rate(1);
	before = heap_now();
	for (unsigned i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++)
		CHECK(call_malloc(impossible[i]) == NULL);
	CHECK(call_calloc(SIZE_MAX, SIZE_MAX) == NULL);
	after = since(&before);
	CHECK_INT(after.raw_n, 0);
	/* Nor do they switch sampling off. */
	call_free(call_malloc(5));
	after = since(&before);
	CHECK_INT(after.raw_n, 1);
}

static void every_function_is_seen(void)
{
	void *p[12] = { 0 };
	char *line = NULL;
	size_t size = 0, sum;
	struct heap before, after;
	FILE *file;

	set_rate(1);
	before = heap_now();
	p[0] = call_malloc(1001);
	p[1] = call_calloc(3, 1000);
	p[2] = call_realloc(NULL, 1002);
	p[3] = call_reallocarray(NULL, 5, 1000);
	p[4] = memalign(256, 1003);
	p[5] = aligned_alloc(64, 1024);
	CHECK_INT(posix_memalign(&p[6], 4096, 1004), 0);
	p[7] = valloc(1005);
	p[8] = pvalloc(1006);
	sum = 1001 + 3000 + 1002 + 5000 + 1003 + 1024 + 1004 + 1005 + 1006;
	after = since(&before);
	CHECK_INT(after.raw_live_n, 9);
	CHECK_INT(after.raw_live_bytes, sum);
	/* Inside libc: its calls of malloc come through here, too. */
	p[9] = strdup("a string that is copied");
	CHECK(asprintf((char **)&p[10], "%0500d", 7) == 500);
	after = since(&before);
	CHECK(after.raw_live_n >= 11);
	file = fopen("/proc/self/status", "r");
	CHECK(file && getline(&line, &size, file) > 0);
	after = since(&before);
	CHECK(after.raw_live_n >= 13); /* the stream, its line */
	fclose(file);
	call_free(line);
	for (unsigned i = 0; i < 12; i++)
		call_free(p[i]);
	after = since(&before);
	CHECK_INT(after.raw_live_n, 0);
	CHECK_INT(after.raw_live_bytes, 0);
}

static void *free_all(void *arg)
{
	void **blocks = arg;

	for (unsigned i = 0; i < 1000; i++)
		call_free(blocks[i]);
	return NULL;
}

static void other_threads_free(void)
{
	static void *blocks[1000];
	struct heap before, after;
	pthread_t thread;

	set_rate(1);
	before = heap_now();
	for (unsigned i = 0; i < 1000; i++)
		blocks[i] = call_malloc(100);
	after = since(&before);
	CHECK_INT(after.raw_live_bytes, 100000);
	pthread_create(&thread, NULL, free_all, blocks);
	pthread_join(thread, NULL);
	after = since(&before);
	CHECK(after.raw_live_n <= 4); /* what libc keeps for a thread */
}

static void own_allocators_are_seen(void)
{
	struct heap before, after;
	char *arena = call_malloc(100000);

	set_rate(1);
	before = heap_now();
	flightrec_alloc(arena, 10); /* where the block itself begins, and odd addresses */
	flightrec_alloc(arena + 11, 20);
	flightrec_alloc(arena + 33, 30);
	flightrec_alloc(NULL, 40);
	after = since(&before);
	CHECK_INT(after.raw_n, 3);
	CHECK_INT(after.raw_live_bytes, 60);
	flightrec_free(arena + 11);
	flightrec_free(arena + 12);
	flightrec_free(NULL);
	after = since(&before);
	CHECK_INT(after.raw_live_bytes, 40);
	flightrec_free(arena);
	flightrec_free(arena + 33);
	after = since(&before);
	CHECK_INT(after.raw_live_n, 0);
	CHECK_INT(after.raw_live_bytes, 0);
	call_free(arena);
}

/* More than the table of live objects holds: some are not followed, and count as freed. */
static void a_full_table_is_no_leak(void)
{
	enum { N = 100000 };
	static void *blocks[N];
	struct heap before, after;
	uint64_t n_lost;

	set_rate(1);
	before = heap_now();
	for (unsigned i = 0; i < N; i++)
		blocks[i] = call_malloc(16);
	after = since(&before);
	n_lost = traced_blackbox->counters.live_overflow;
	CHECK_INT(after.raw_n, N);
	CHECK(n_lost >= N - FR_BB_MAX_LIVE);
	CHECK_INT(after.raw_live_n, N - n_lost);
	for (unsigned i = 0; i < N; i++)
		call_free(blocks[i]);
	after = since(&before);
	CHECK_INT(after.raw_live_n, 0);
}

/* A child has its own profile, which begins at the fork: what it inherited is its parent's. */
static void a_child_begins_anew(void)
{
	void *inherited;
	pid_t pid;
	int status;

	set_rate(1);
	inherited = call_malloc(123456);
	pid = fork();
	if (pid == 0) {
		struct heap before, after;

		traced_blackbox = traced_find(getpid());
		if (!traced_blackbox)
			_exit(1);
		before = heap_now();
		call_free(inherited);
		after = since(&before);
		if (after.raw_n || after.raw_live_n)
			_exit(2);
		inherited = call_malloc(777);
		after = since(&before);
		_exit(after.raw_live_bytes == 777 ? 0 : 3);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	call_free(inherited);
}

int main(int argc, char **argv)
{
	static const struct fr_control control = { .alloc_rate = 524288, .stack_depth = 64 };

	(void)argc;
	traced_start(argv, &control);
	CASE(sums_are_true, "estimates are true at sizes far below and above the rate");
	CASE(a_mixture_is_true, "many sizes take few buckets, and their bytes stay true");
	CASE(rate_one_is_exact, "rate 1 records every allocation");
	CASE(rate_changes_do_not_falsify, "the rate may change while the program runs");
	CASE(off_is_off, "rate 0 records nothing, and can be left");
	CASE(realloc_is_followed, "realloc in place, moved, failed and to nothing");
	CASE(failures_are_no_allocations, "allocations that fail are none");
	CASE(every_function_is_seen, "all functions of the family, and libc's own calls");
	CASE(other_threads_free, "an object may be freed by another thread");
	CASE(own_allocators_are_seen, "what the program says of its own allocator");
	CASE(a_full_table_is_no_leak, "objects that cannot be followed count as freed");
	CASE(a_child_begins_anew, "the profile of a child begins at the fork");
	return CHECK_DONE();
}
