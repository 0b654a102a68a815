/* SPDX-License-Identifier: MIT */
/*
 * An exponential distance has no memory: it can be drawn again at any moment without a bias. That is used to follow a
 * changed rate within RECHECK_BYTES, and each record carries the rate under which its distance was drawn.
 */
#include <errno.h>

#include "tracer/alloc.h"
#include "tracer/bucket.h"
#include "tracer/events_alloc.h"

/* The countdown is done in pieces of at most this, to look at the rate in between. */
#define RECHECK_BYTES (1u << 20)
#define MAX_DISTANCE 1e15

#define EXACT_SIZES 128
#define CLASS_BITS 3

/* -ln(u) for u uniform in (0, 1], from 53 random bits; relative error below 1e-4. No libm in a hook. */
static double random_exponential(struct fr_thread *t)
{
	union {
		double d;
		uint64_t u;
	} x;
	double m, log_m, s;
	int exponent;

	x.d = (double)((fr_random(t) >> 11) + 1) * 0x1p-53;
	exponent = (int)(x.u >> 52) - 1023;
	x.u = (x.u & 0xfffffffffffffull) | 1023ull << 52;
	m = x.d; /* [1, 2) */
	s = (m - 1) / (m + 1);
	/* atanh series: ln m = 2 (s + s³/3 + s⁵/5 + s⁷/7 + …), s ≤ 1/3 */
	log_m = 2 * s * (1 + s * s * (1.0 / 3 + s * s * (0.2 + s * s * (1.0 / 7 + s * s / 9))));
	return -(exponent * 0.6931471805599453 + log_m);
}

static uint64_t left_of(const struct fr_thread *t)
{
	return ~t->alloc_passed;
}

static void set_left(struct fr_thread *t, uint64_t n)
{
	t->alloc_passed = ~n;
}

/* The next piece of the distance. */
static void next_piece(struct fr_thread *t)
{
	uint64_t n = t->alloc_rest < RECHECK_BYTES ? t->alloc_rest : RECHECK_BYTES;

	t->alloc_rest -= n;
	set_left(t, n);
}

static void draw(struct fr_thread *t, uint64_t rate)
{
	double bytes;

	t->alloc_rate = rate;
	if (rate <= 1) {
		t->alloc_rest = rate ? 0 : UINT64_MAX;
	} else {
		bytes = random_exponential(t) * (double)rate;
		t->alloc_rest = (uint64_t)(bytes < MAX_DISTANCE ? bytes : MAX_DISTANCE);
	}
	next_piece(t);
}

void alloc_thread_init(struct fr_thread *t)
{
	draw(t, __atomic_load_n(&fr_control->alloc_rate, __ATOMIC_RELAXED));
}

uint64_t alloc_size_class(uint64_t size)
{
	unsigned shift;

	if (size <= EXACT_SIZES)
		return size;
	shift = 63u - (unsigned)__builtin_clzll(size - 1) - CLASS_BITS;
	return (((size - 1) >> shift) + 1) << shift;
}

static void count_freed(uint32_t bucket, uint64_t size)
{
	bucket_add(FR_BUCKET_HEAP, bucket, 2, 1);
	bucket_add(FR_BUCKET_HEAP, bucket, 3, size);
}

/* What cannot be followed counts as freed at once: too little in use is better than a leak that is none. */
static void follow(const struct live_object *object)
{
	if (live_add(object) < 0)
		count_freed(object->bucket, object->size);
}

static void record(struct fr_thread *t, const struct alloc_call *call)
{
	struct fr_event_alloc e = { .kind = (uint8_t)call->kind,
		.addr = call->address,
		.size = call->size,
		.rate = t->alloc_rate };
	struct bucket_key key = { .kind = FR_BUCKET_HEAP,
		.stack = fr_capture(t, call->frame, FR_REPEAT_ALLOC),
		.key = alloc_size_class(call->size),
		.rate = t->alloc_rate };
	struct live_object object = { .address = call->address,
		.size = call->size,
		.time_ns = fr_now(),
		.stack = key.stack,
		.tid = t->tid,
		.bucket = bucket_find(&key) };

	fr_count(allocs, 1);
	bucket_add(FR_BUCKET_HEAP, object.bucket, 0, 1);
	bucket_add(FR_BUCKET_HEAP, object.bucket, 1, call->size);
	follow(&object);
	if (fr_wants(FR_EVENTS_ALLOC)) {
		fr_event_init(&e.common, t, object.stack);
		lttng_ust_tracepoint(flightrec_alloc, sample, &e);
		fr_count_own(t, events, 1);
	}
}

/* Counts `size` bytes down, piece by piece. Returns whether the end of the distance lies in them. */
static int count_down(struct fr_thread *t, uint64_t size)
{
	while (size > left_of(t)) {
		uint64_t rate = __atomic_load_n(&fr_control->alloc_rate, __ATOMIC_RELAXED);

		if (rate != t->alloc_rate) {
			draw(t, rate);
			continue;
		}
		if (!t->alloc_rest)
			return 1;
		/* A large allocation takes the pieces that it covers at once. */
		size -= left_of(t);
		if (size > RECHECK_BYTES) {
			uint64_t n = t->alloc_rest < size ? t->alloc_rest : size;

			t->alloc_rest -= n;
			size -= n;
			set_left(t, 0);
			if (!t->alloc_rest)
				return size > 0;
		}
		next_piece(t);
	}
	set_left(t, left_of(t) - size);
	return 0;
}

void alloc_sample(const struct alloc_call *call)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	t->alloc_passed -= call->size;
	if (!fr_on || t->stage == FR_STAGE_OFF) {
		set_left(t, t->stage == FR_STAGE_OFF ? UINT64_MAX : RECHECK_BYTES);
		return;
	}
	/* A thread that is attached just now draws its first distance: this allocation counts against it. */
	if (!call->address || fr_is_lttng(call->caller) || !guard_enter(t, call->frame))
		return;
	if (count_down(t, call->size)) {
		record(t, call);
		draw(t, t->alloc_rate);
	}
	guard_leave(t);
	errno = saved_errno;
}

int alloc_forget(uint64_t address, struct live_object *object_out)
{
	return fr_on && live_remove(address, object_out);
}

void alloc_freed(const struct live_object *object, uintptr_t frame)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;
	struct fr_event_alloc e = { .addr = object->address, .size = object->size };

	/* Also inside our own work and in handlers: what is in use must stay right. */
	fr_count(frees, 1);
	count_freed(object->bucket, object->size);
	if (!guard_enter(t, frame))
		goto out;
	if (fr_wants(FR_EVENTS_ALLOC)) {
		fr_event_init(&e.common, t, object->stack);
		e.age = fr_now() - object->time_ns;
		lttng_ust_tracepoint(flightrec_alloc, free, &e);
		fr_count_own(t, events, 1);
	}
	guard_leave(t);
out:
	errno = saved_errno;
}

void alloc_remember(const struct live_object *object)
{
	int saved_errno = errno;

	follow(object);
	errno = saved_errno;
}
