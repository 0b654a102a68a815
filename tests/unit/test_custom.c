/* SPDX-License-Identifier: MIT */
/* Profiles that the program makes itself, labels and the profile of thread creations, in a process that is traced. */
#include <pthread.h>
#include <threads.h>

#include "check.h"
#include "flightrec.h"
#include "proto/stack.h"
#include "traced_self.h"

static const struct fr_custom_entry *entry_of(const void *key)
{
	const struct fr_custom_entry *entry =
		traced_at(traced_blackbox, traced_blackbox->off_custom_live);

	for (unsigned i = 0; i < FR_BB_MAX_CUSTOM_LIVE; i++, entry++)
		if (entry->tag > 2 && entry->key == (uintptr_t)key)
			return entry;
	return NULL;
}

static size_t frames_of(uint32_t stack, uint64_t frames[FR_STACK_MAX_FRAMES])
{
	unsigned flags;

	return stack_record_decode(traced_at(traced_blackbox, traced_blackbox->off_stack_arena),
		traced_blackbox->stack_arena_used, stack, frames, FR_STACK_MAX_FRAMES, &flags);
}

static void names_are_checked(void)
{
	static const char *const bad[] = { "", "/", "//", "a b", " ", "a/", "/a", "a//b", ".", "..",
		"a/../b", "a/.", "tab\t", "umlaut\xc3\xa4",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const taken[] = { "heap", "allocs", "block", "mutex", "goroutine",
		"threadcreate", "thread", "profile", "trace", "cmdline", "symbol", "sched" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		CHECK(flightrec_profile_new(bad[i]) == NULL);
		CHECK_INT(errno, EINVAL);
	}
	CHECK(flightrec_profile_new(NULL) == NULL);
	for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		errno = 0;
		CHECK(flightrec_profile_new(taken[i]) == NULL);
		CHECK_INT(errno, EEXIST);
	}
	errno = 77;
	CHECK(flightrec_profile_new("my/custom.prof") != NULL);
	CHECK(flightrec_profile_new("...") != NULL);
	CHECK_INT(errno, 77);
	CHECK(flightrec_profile_new("my/custom.prof") == NULL);
	CHECK_INT(errno, EEXIST);
}

static void entries_come_and_go(void)
{
	flightrec_profile_t *profile = flightrec_profile_new("sessions");
	int a, b;

	CHECK(profile && flightrec_profile_lookup("sessions") == profile);
	CHECK_STR(flightrec_profile_name(profile), "sessions");
	CHECK_INT(flightrec_profile_count(profile), 0);
	errno = 77;
	CHECK_INT(flightrec_profile_add(profile, &a, 0), 0);
	CHECK_INT(flightrec_profile_add(profile, &a, 0), -EEXIST);
	CHECK_INT(flightrec_profile_add(profile, &b, 0), 0);
	CHECK_INT(flightrec_profile_add(profile, NULL, 0), 0); /* a key like any other */
	CHECK_INT(flightrec_profile_add(profile, &b, -1), -EINVAL);
	CHECK_INT(flightrec_profile_count(profile), 3);
	CHECK(entry_of(&a) != NULL);
	flightrec_profile_remove(profile, &a);
	flightrec_profile_remove(profile, &a);
	CHECK(entry_of(&a) == NULL);
	CHECK_INT(flightrec_profile_count(profile), 2);
	CHECK_INT(flightrec_profile_add(profile, &a, 0), 0);
	flightrec_profile_remove(profile, &a);
	flightrec_profile_remove(profile, &b);
	flightrec_profile_remove(profile, NULL);
	CHECK_INT(flightrec_profile_count(profile), 0);
	/* The same key in two profiles is two entries. */
	CHECK_INT(flightrec_profile_add(flightrec_profile_lookup("..."), &a, 0), 0);
	CHECK_INT(flightrec_profile_add(profile, &a, 0), 0);
	flightrec_profile_remove(profile, &a);
	CHECK_INT(flightrec_profile_count(flightrec_profile_lookup("...")), 1);
	CHECK_INT(errno, 77);
}

static void built_in_ones_are_not_changed(void)
{
	flightrec_profile_t *heap = flightrec_profile_lookup("heap");
	int a;

	CHECK_STR(flightrec_profile_name(heap), "heap");
	CHECK_INT(flightrec_profile_add(heap, &a, 0), -EPERM);
	flightrec_profile_remove(heap, &a);
	CHECK_INT(flightrec_profile_add(NULL, &a, 0), -ENOTCONN);
	flightrec_profile_remove(NULL, &a);
	CHECK_INT(flightrec_profile_count(NULL), 0);
	CHECK_STR(flightrec_profile_name(NULL), "");
	CHECK(flightrec_profile_lookup("nosuch") == NULL);
	CHECK(flightrec_profile_lookup("thread") == NULL);
	CHECK_INT(flightrec_profile_count(flightrec_profile_lookup("goroutine")), 1);
}

static void all_are_listed_in_order(void)
{
	flightrec_profile_t *at = NULL;
	const char *before = "";
	unsigned n = 0;

	while ((at = flightrec_profile_next(at))) {
		CHECK(strcmp(flightrec_profile_name(at), before) > 0);
		before = flightrec_profile_name(at);
		n++;
	}
	CHECK_INT(n, 6 + 3);
}

__attribute__((noinline)) static void add_deep(
	flightrec_profile_t *profile, const void *key, int skip, int depth)
{
	if (depth)
		add_deep(profile, key, skip, depth - 1);
	else
		CHECK_INT(flightrec_profile_add(profile, key, skip), 0);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}

static void stacks_can_be_skipped(void)
{
	flightrec_profile_t *profile = flightrec_profile_lookup("sessions");
	uint64_t whole[FR_STACK_MAX_FRAMES], cut[FR_STACK_MAX_FRAMES];
	const struct fr_custom_entry *entry;
	size_t n_whole, n_cut;

	for (int skip = 0; skip < 2; skip++)
		add_deep(profile, &whole[skip], skip * 3, 5);
	entry = entry_of(&whole[0]);
	n_whole = entry ? frames_of(entry->stack, whole) : 0;
	entry = entry_of(&whole[1]);
	n_cut = entry ? frames_of(entry->stack, cut) : 0;
	CHECK(n_whole >= 8);
	CHECK_INT(n_cut, n_whole - 3);
	/* The same frames but for the call in the loop above. */
	CHECK(whole[3] == cut[0] && whole[4] == cut[1]);
	/* Begins with the caller of flightrec_profile_add(). */
	CHECK(whole[0] - (uintptr_t)add_deep < 500);
	CHECK_INT(flightrec_profile_add(profile, &n_cut, 400), 0);
	entry = entry_of(&n_cut);
	CHECK(entry && entry->stack == FR_STACK_NONE);
}

static void *churn(void *arg)
{
	flightrec_profile_t *profile = flightrec_profile_lookup("...");
	char *keys = arg;
	uintptr_t n_wrong = 0;

	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 20; i++)
			n_wrong += flightrec_profile_add(profile, keys + i, 0) != 0;
		for (int i = 0; i < 20; i++)
			n_wrong += flightrec_profile_add(profile, keys + i, 0) != -EEXIST;
		for (int i = 0; i < 20; i++)
			flightrec_profile_remove(profile, keys + i);
	}
	return (void *)n_wrong;
}

static void threads_do_not_disturb_each_other(void)
{
	static char keys[4][20];
	flightrec_profile_t *profile = flightrec_profile_lookup("...");
	int64_t before = flightrec_profile_count(profile);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, keys[i]);
	for (int i = 0; i < 4; i++) {
		void *n_wrong;

		pthread_join(threads[i], &n_wrong);
		CHECK_INT((intptr_t)n_wrong, 0);
	}
	CHECK_INT(flightrec_profile_count(profile), before);
	CHECK_INT(traced_blackbox->counters.custom_overflow, 0);
}

/* All add the same keys at once: never is one there twice. */
static pthread_barrier_t barrier;
static char race_keys[2000];
static unsigned n_won[2000];

static void *race(void *arg)
{
	flightrec_profile_t *profile = arg;

	for (int i = 0; i < 2000; i++) {
		if (i % 50 == 0)
			pthread_barrier_wait(&barrier);
		if (flightrec_profile_add(profile, &race_keys[i], 0) == 0)
			__atomic_fetch_add(&n_won[i], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void a_key_is_never_there_twice(void)
{
	flightrec_profile_t *profile = flightrec_profile_new("race");
	unsigned n_twice = 0, n_there = 0;
	pthread_t threads[4];

	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, race, profile);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2000; i++) {
		n_twice += n_won[i] > 1;
		n_there += n_won[i];
	}
	CHECK_INT(n_twice, 0);
	CHECK_INT(flightrec_profile_count(profile), n_there);
	CHECK(n_there > 1000);
}

static void what_has_no_room_is_refused(void)
{
	flightrec_profile_t *profile = flightrec_profile_new("many");
	unsigned n = 0, n_refused = 0;
	static char keys[20000];
	char name[20];

	for (unsigned i = 0; i < sizeof(keys); i++) {
		int ret = flightrec_profile_add(profile, &keys[i], 0);

		n += ret == 0;
		n_refused += ret == -ENOSPC;
	}
	CHECK_INT(n + n_refused, sizeof(keys));
	CHECK(n > 12000 && n_refused >= sizeof(keys) - FR_BB_MAX_CUSTOM_LIVE);
	CHECK_INT(traced_blackbox->counters.custom_overflow, n_refused);
	CHECK_INT(flightrec_profile_count(profile), n);
	for (unsigned i = 0; i < sizeof(keys); i++)
		flightrec_profile_remove(profile, &keys[i]);
	CHECK_INT(flightrec_profile_count(profile), 0);
	for (unsigned i = 0; i < FR_BB_MAX_CUSTOM; i++) {
		snprintf(name, sizeof(name), "extra%u", i);
		errno = 0;
		if (!flightrec_profile_new(name))
			break;
	}
	CHECK_INT(errno, ENOSPC);
}

static void a_child_has_the_profiles_but_empty(void)
{
	flightrec_profile_t *profile = flightrec_profile_lookup("sessions");
	int64_t before;
	int a, status;
	pid_t pid;

	flightrec_profile_add(profile, &a, 0);
	before = flightrec_profile_count(profile);
	CHECK(before > 0);
	pid = fork();
	if (pid == 0) {
		if (flightrec_profile_count(profile) != 0)
			_exit(1);
		if (flightrec_profile_lookup("sessions") != profile)
			_exit(2);
		if (flightrec_profile_add(profile, &a, 0) != 0)
			_exit(3);
		flightrec_profile_remove(profile, &a);
		_exit(flightrec_profile_count(profile) == 0 ? 0 : 4);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	CHECK_INT(flightrec_profile_count(profile), before);
}

static const struct fr_slot *own_slot(void)
{
	const struct fr_slot *slot = traced_at(traced_blackbox, traced_blackbox->off_slots);

	while (slot->tid != (uint32_t)gettid())
		slot++;
	return slot;
}

static const char *label_text(uint32_t id)
{
	const struct fr_label_set *set = traced_at(traced_blackbox, traced_blackbox->off_labels);

	return id ? set[id - 1].text : "";
}

static int join_labels(void *argument, const char *key, const char *value)
{
	strcat(strcat(strcat(strcat(argument, key), ":"), value), ";");
	return strcmp(key, "stop") == 0 ? 5 : 0;
}

static void *inheritor(void *arg)
{
	char *text = arg;

	flightrec_label_each(join_labels, text);
	strcat(text, label_text(own_slot()->labels_id));
	flightrec_label_clear();
	strcat(text, label_text(own_slot()->labels_id));
	return NULL;
}

static void labels_stand_in_the_slot(void)
{
	int a, b;
	flightrec_labels_t set;
	char value[8], text[200] = "";
	pthread_t thread;

	errno = 77;
	a = flightrec_label_push("route", "/cart");
	CHECK_STR(label_text(own_slot()->labels_id), "route=/cart");
	b = flightrec_label_push("user", "ann=1");
	CHECK_STR(label_text(own_slot()->labels_id), "route=/cart,user=ann\\=1");
	CHECK_INT(flightrec_label_get("user", value, sizeof(value)), 5);
	CHECK_STR(value, "ann=1");
	CHECK_INT(flightrec_label_get("route", value, 4), 5);
	CHECK_STR(value, "/ca");
	CHECK_INT(flightrec_label_get("rout", value, 4), -1);
	pthread_create(&thread, NULL, inheritor, text);
	pthread_join(thread, NULL);
	CHECK_STR(text, "route:/cart;user:ann=1;route=/cart,user=ann\\=1");
	set = flightrec_labels_get();
	CHECK(set != 0);
	flightrec_label_pop(b);
	CHECK_STR(label_text(own_slot()->labels_id), "route=/cart");
	/* Another's set for a while. */
	set = flightrec_labels_set(set);
	CHECK_STR(label_text(own_slot()->labels_id), "route=/cart,user=ann\\=1");
	flightrec_labels_set(set);
	CHECK_STR(own_slot()->labels, "route=/cart");
	flightrec_label_clear();
	CHECK_INT(own_slot()->labels_id, 0);
	CHECK_INT(flightrec_labels_get(), 0);
	flightrec_label_pop(a);
	CHECK_STR(own_slot()->labels, "");
	a = flightrec_label_push("stop", "");
	flightrec_label_push("more", "");
	text[0] = '\0';
	CHECK_INT(flightrec_label_each(join_labels, text), 5);
	flightrec_label_pop(a);
	CHECK_INT(errno, 77);
}

static void labels_in_a_child(void)
{
	int depth = flightrec_label_push("who", "parent"), status;
	flightrec_labels_t set = flightrec_labels_get();
	pid_t pid = fork();

	if (pid == 0) {
		char value[16] = "";

		traced_blackbox = traced_find(getpid());
		if (!traced_blackbox)
			_exit(1);
		if (strcmp(label_text(own_slot()->labels_id), "who=parent") != 0)
			_exit(2);
		/* A set of the parent means nothing here. */
		flightrec_labels_set(set);
		_exit(flightrec_label_get("who", value, sizeof(value)) == -1 ? 0 : 3);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	flightrec_label_pop(depth);
}

static void *nothing(void *arg)
{
	return arg;
}

static int nothing_c11(void *arg)
{
	return (int)(intptr_t)arg;
}

/* Threads created so far by stacks that begin in `from`. */
static uint64_t created_by(void (*from)(void))
{
	const struct fr_bucket *bucket =
		traced_at(traced_blackbox, traced_blackbox->off_buckets[FR_BUCKET_THREAD]);
	uint64_t n = 0, frames[FR_STACK_MAX_FRAMES];

	for (unsigned i = 0; i < fr_bucket_number(FR_BUCKET_THREAD); i++, bucket++)
		if (bucket->tag > FR_BUCKET_WRITING && frames_of(bucket->stack, frames) &&
			frames[0] - (uintptr_t)from < 300)
			n += bucket->value[0];
	return n;
}

__attribute__((noinline)) static void create_seven(void)
{
	for (int i = 0; i < 7; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, nothing, NULL) == 0)
			pthread_join(thread, NULL);
	}
}

__attribute__((noinline)) static void create_two(void)
{
	for (int i = 0; i < 2; i++) {
		thrd_t thread;
		int result = 0;

		CHECK_INT(thrd_create(&thread, nothing_c11, (void *)5), thrd_success);
		CHECK_INT(thrd_join(thread, &result), thrd_success);
		CHECK_INT(result, 5);
	}
}

static void creations_are_counted(void)
{
	uint64_t before = traced_blackbox->counters.threads_created;
	pthread_attr_t impossible;
	pthread_t thread;

	create_seven();
	create_two();
	CHECK_INT(traced_blackbox->counters.threads_created, before + 9);
	CHECK_INT(created_by(create_seven), 7);
	CHECK_INT(created_by(create_two), 2);
	CHECK_INT(flightrec_profile_count(flightrec_profile_lookup("threadcreate")), before + 10);
	pthread_attr_init(&impossible);
	pthread_attr_setstacksize(&impossible, (size_t)1 << 46);
	CHECK(pthread_create(&thread, &impossible, nothing, NULL) != 0);
	CHECK_INT(traced_blackbox->counters.threads_created, before + 9);
}

int main(int argc, char **argv)
{
	static const struct fr_control control = { .stack_depth = 64 };

	(void)argc;
	traced_start(argv, &control);
	CASE(names_are_checked, "names are checked, and are unique");
	CASE(entries_come_and_go, "entries are added once, and removed");
	CASE(built_in_ones_are_not_changed, "profiles that are always there refuse entries");
	CASE(all_are_listed_in_order, "all profiles are listed, sorted by name");
	CASE(stacks_can_be_skipped, "an entry has the stack of its adder, less what is skipped");
	CASE(threads_do_not_disturb_each_other, "threads add and remove at once");
	CASE(a_key_is_never_there_twice, "of threads that add a key at once one wins at most");
	CASE(what_has_no_room_is_refused, "what has no room is refused and counted");
	CASE(a_child_has_the_profiles_but_empty, "a child has the profiles, and nothing in them");
	CASE(labels_stand_in_the_slot,
		"labels reach the slot, a new thread, and what asks for them");
	CASE(labels_in_a_child, "a child keeps its labels under an id of its own");
	CASE(creations_are_counted, "threads are counted by the stack that created them");
	return CHECK_DONE();
}
