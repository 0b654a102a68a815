/* SPDX-License-Identifier: MIT */
/* Profiles by name: those that are always there, and those that the program makes itself. */
#include <stdio.h>
#include <string.h>

#include "tracer/ask.h"
#include "tracer/blackbox.h"
#include "tracer/custom.h"
#include "tracer/flightrec.h"
#include "tracer/internal.h"
#include "tracer/sys.h"

/* A handle. Its place tells which: one of `built_in` or of `customs`. */
struct flightrec_profile {
	char unused;
};

/* Sorted; where the entries of each are counted. */
enum { BUILT_IN_SLOTS = FR_BUCKET_N_KINDS, BUILT_IN_CREATED };
static const struct {
	const char *name;
	unsigned kind; /* enum fr_bucket_kind or BUILT_IN_* */
} built_in_table[] = {
	{ "allocs", FR_BUCKET_HEAP },
	{ "block", FR_BUCKET_BLOCK },
	{ "goroutine", BUILT_IN_SLOTS },
	{ "heap", FR_BUCKET_HEAP },
	{ "mutex", FR_BUCKET_MUTEX },
	{ "threadcreate", BUILT_IN_CREATED },
};
#define N_BUILT_IN (sizeof(built_in_table) / sizeof(built_in_table[0]))

static struct flightrec_profile built_in[N_BUILT_IN], customs[FR_BB_MAX_CUSTOM];

/* What the recorder serves under /debug/pprof/ besides: no names for a profile of the program. */
static const char *const reserved[] = { "alloc", "cmdline", "cpu", "net", "offcpu", "profile",
	"sched", "symbol", "sync", "syscall", "thread", "trace", "wall" };

/* Those of them that are no profile at one moment. */
static const char *const not_written[] = { "cmdline", "profile", "symbol", "trace" };

static int is_in(const char *const *list, size_t n, const char *name)
{
	while (n--)
		if (strcmp(list[n], name) == 0)
			return 1;
	return 0;
}
#define IS_IN(list, name) is_in(list, sizeof(list) / sizeof((list)[0]), name)

/* The index of a custom profile's handle; -1: built in, or none. */
static int custom_of(const flightrec_profile_t *profile)
{
	return profile >= customs && profile < customs + FR_BB_MAX_CUSTOM ? (int)(profile - customs)
									  : -1;
}

static int built_in_of(const flightrec_profile_t *profile)
{
	return profile >= built_in && profile < built_in + N_BUILT_IN ? (int)(profile - built_in)
								      : -1;
}

static flightrec_profile_t *find_built_in(const char *name)
{
	size_t i;

	for (i = 0; i < N_BUILT_IN; i++)
		if (strcmp(built_in_table[i].name, name) == 0)
			return &built_in[i];
	return NULL;
}

/* Names stand in URLs and in text formats: printable, without blanks, and a path whose parts are no "", "." or "..". */
static int is_name(const char *name)
{
	const char *part = name, *at;

	if (!name || !*name || strlen(name) > CUSTOM_NAME_MAX)
		return 0;
	for (at = name;; at++) {
		if (*at != '\0' && *at != '/') {
			if (*at <= ' ' || *at > '~')
				return 0;
			continue;
		}
		if (at == part ||
			(at - part <= 2 && part[0] == '.' && (at - part == 1 || part[1] == '.')))
			return 0;
		if (*at == '\0')
			return 1;
		part = at + 1;
	}
}

FR_EXPORT flightrec_profile_t *flightrec_profile_new(const char *name)
{
	int index;

	if (!is_name(name)) {
		errno = EINVAL;
		return NULL;
	}
	if (find_built_in(name) || IS_IN(reserved, name))
		index = -EEXIST;
	else
		index = fr_on ? custom_new(name) : -ENOTCONN;
	if (index < 0)
		errno = -index;
	return index < 0 ? NULL : &customs[index];
}

FR_EXPORT flightrec_profile_t *flightrec_profile_lookup(const char *name)
{
	flightrec_profile_t *profile;
	int index;

	if (!name || !fr_on)
		return NULL;
	profile = find_built_in(name);
	if (profile)
		return profile;
	index = custom_find(name);
	return index < 0 ? NULL : &customs[index];
}

FR_EXPORT const char *flightrec_profile_name(const flightrec_profile_t *profile)
{
	int index = built_in_of(profile);

	return index >= 0 ? built_in_table[index].name : custom_name(custom_of(profile));
}

/* The first name after another one, among all. */
FR_EXPORT flightrec_profile_t *flightrec_profile_next(const flightrec_profile_t *profile)
{
	const char *after = profile ? flightrec_profile_name(profile) : "", *best = NULL;
	size_t i;

	if (!fr_on)
		return NULL;
	for (i = 0; i < N_BUILT_IN + FR_BB_MAX_CUSTOM; i++) {
		const char *name = i < N_BUILT_IN ? built_in_table[i].name
						  : custom_name((int)(i - N_BUILT_IN));

		if (strcmp(name, after) > 0 && (!best || strcmp(name, best) < 0) &&
			(i < N_BUILT_IN || custom_find(name) >= 0))
			best = name;
	}
	return best ? flightrec_profile_lookup(best) : NULL;
}

FR_EXPORT int flightrec_profile_add(flightrec_profile_t *profile, const void *key, int skip)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno, index = custom_of(profile), ret;

	if (!fr_on || !profile)
		return -ENOTCONN;
	if (index < 0)
		return -EPERM;
	if (skip < 0)
		return -EINVAL;
	if (!guard_enter(t, FR_FRAME()))
		return -EAGAIN;
	ret = custom_add(index, (uintptr_t)key, fr_capture_skip(t, FR_FRAME(), (unsigned)skip));
	guard_leave(t);
	errno = saved_errno;
	return ret;
}

FR_EXPORT void flightrec_profile_remove(flightrec_profile_t *profile, const void *key)
{
	int index = custom_of(profile);

	if (fr_on && index >= 0)
		custom_remove(index, (uintptr_t)key);
}

static int64_t count_buckets(enum fr_bucket_kind kind)
{
	uint64_t offset = fr_blackbox->off_buckets[kind];
	uint32_t n = fr_bucket_number(kind);
	int64_t count = 0;

	for (; n > 0; n--, offset += sizeof(struct fr_bucket)) {
		const struct fr_bucket *bucket =
			(const struct fr_bucket *)((const char *)fr_blackbox + offset);

		/* What is not there yet was never used. */
		if (blackbox_is_committed(offset, sizeof(*bucket)))
			count +=
				__atomic_load_n(&bucket->tag, __ATOMIC_RELAXED) > FR_BUCKET_WRITING;
	}
	return count;
}

static int64_t count_threads(void)
{
	const struct fr_slot *slot =
		(const struct fr_slot *)((const char *)fr_blackbox + fr_blackbox->off_slots);
	uint32_t n = __atomic_load_n(&fr_blackbox->n_threads, __ATOMIC_RELAXED);
	int64_t count = 0;

	for (; n > 0; n--, slot++)
		count += slot->tid && !__atomic_load_n(&slot->is_exited, __ATOMIC_RELAXED);
	return count;
}

FR_EXPORT int64_t flightrec_profile_count(const flightrec_profile_t *profile)
{
	int index = built_in_of(profile);

	if (!fr_on || !profile)
		return 0;
	if (index < 0)
		return custom_of(profile) < 0 ? 0 : (int64_t)custom_count(custom_of(profile));
	switch (built_in_table[index].kind) {
	case BUILT_IN_SLOTS:
		return count_threads();
	case BUILT_IN_CREATED: /* and the first thread */
		return 1 + (int64_t)__atomic_load_n(
				   &fr_blackbox->counters.threads_created, __ATOMIC_RELAXED);
	default:
		return count_buckets((enum fr_bucket_kind)built_in_table[index].kind);
	}
}

/* Letters, digits and what else stands for itself in a path. */
static int is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~/", c));
}

FR_EXPORT int flightrec_profile_write(const char *name, int fd, int debug)
{
	static const char hex[] = "0123456789abcdef";
	char escaped[3 * CUSTOM_NAME_MAX + 1], target[300], *at = escaped;
	struct ask_reply reply;
	int ret;

	if (!is_name(name) || IS_IN(not_written, name))
		return -EINVAL;
	for (; *name; name++) {
		if (is_plain(*name)) {
			*at++ = *name;
			continue;
		}
		*at++ = '%';
		*at++ = hex[(uint8_t)*name >> 4];
		*at++ = hex[*name & 15];
	}
	*at = '\0';
	snprintf(target, sizeof(target), "/debug/pprof/%s?debug=%d&pid=%ld", escaped,
		debug > 0 ? debug : 0, sys(SYS_getpid));
	ret = ask(FR_FRAME(), "GET", target, fd, &reply);
	return ret < 0 ? ret : ask_error(&reply);
}

FR_EXPORT int flightrec_heap_profile_write(int fd)
{
	return flightrec_profile_write("heap", fd, 0);
}
