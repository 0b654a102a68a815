/* SPDX-License-Identifier: MIT */
/*
 * For tests of recorder/profiles.h: processes that only their blackboxes know, with every number written by the test, and
 * profiles read back from their files. Include in one file of a test, whose main() calls fixture_init() and ends with
 * fixture_end(); a case runs between begin() and end().
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "check.h"
#include "run.h"

#include "blackbox_file.h"
#include "common/symbol_cache.h"
#include "profile_read.h"
#include "recorder/profiles.h"

#define RATE 524288
#define DEAD_PID 0x7ffffff0

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__Sample Sample;

static struct fr_control control;
static struct symbol_cache *cache;
static struct profiles *profiles;
static struct blackbox_file file; /* of the first process */

/* Two modules: frames at 0x10000 + n are in the program, at 0x20000 + n in a library; neither file exists. */
static inline void add_modules(struct blackbox_file *of)
{
	struct fr_module *program = blackbox_file_module(of);
	struct fr_module *library = blackbox_file_module(of);

	*library = (struct fr_module){ .base = 0x20000, .start = 0x20000, .end = 0x21000 };
	strcpy(library->path, "/nowhere/libx.so");
	*program = (struct fr_module){
		.base = 0x10000, .start = 0x10000, .end = 0x11000, .file_offset = 0x1000
	};
	strcpy(program->path, "/usr/bin/example");
	program->n_build_id = 2;
	program->build_id[0] = 0xab;
	program->build_id[1] = 0x0c;
}

/* The blackbox of another process. Close it with blackbox_file_close(). */
static inline struct blackbox_file create(uint16_t proc, pid_t pid)
{
	g_autofree char *name = g_strdup_printf("blackbox/%05u", proc);
	struct blackbox_file of = blackbox_file_create(run_path(name), proc);

	of.header->pid = (uint32_t)pid;
	add_modules(&of);
	return of;
}

/* A new folder with one process. */
static inline void begin(pid_t pid)
{
	run("rm -rf blackbox && mkdir blackbox");
	memset(&control, 0, sizeof(control));
	control.alloc_rate = RATE;
	file = create(1, pid);
	profiles_new(run_dir, &control, cache, &profiles);
}

static inline void end(void)
{
	profiles_free(profiles);
	blackbox_file_close(&file);
}

/* A stack whose leaf returns to `leaf`, in the program's main functions. */
static inline uint32_t stack(struct blackbox_file *of, uint64_t leaf)
{
	const uint64_t frames[] = { leaf, 0x10100, 0x10200 };

	return blackbox_file_stack(of, frames, 3, 0);
}

/* A bucket of heap samples at entry `i`: `n` objects of `bytes` in all, `n_freed` of them gone. */
static inline void add_heap(struct blackbox_file *of, uint32_t i, uint64_t leaf, uint64_t rate,
	uint64_t n, uint64_t bytes, uint64_t n_freed)
{
	struct fr_bucket *bucket = blackbox_file_bucket(of, FR_BUCKET_HEAP, i, stack(of, leaf));

	bucket->key = n ? bytes / n : 0;
	bucket->rate = rate;
	bucket->value[0] = n;
	bucket->value[1] = bytes;
	bucket->value[2] = n_freed;
	bucket->value[3] = n ? n_freed * (bytes / n) : 0;
}

/* A thread in this state, with the stack `at` where it waits. */
static inline struct fr_slot *add_thread(
	uint32_t tid, const char *name, uint32_t state, uint32_t at)
{
	struct fr_slot *slot = blackbox_file_slot(&file, tid);

	slot->state = state;
	slot->stack = at;
	slot->start_ns = 1000 + tid;
	slot->since_ns = state == FR_STATE_RUNNING ? 0 : 5000;
	strcpy(slot->name, name);
	return slot;
}

/* A profile of one process, or of all (0). Free with drop(). NULL: there is none, and a check failed. */
static inline Profile *take_of(const char *name, pid_t pid)
{
	struct profiles_query query = { .pid = pid };
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	Profile *profile;
	int rc = profiles_take(profiles, name, &query, &bytes, &why);

	CHECK_INT(rc, 0);
	if (rc)
		return NULL;
	profile = profile_read(bytes);
	g_byte_array_unref(bytes);
	CHECK(profile != NULL);
	return profile;
}

static inline Profile *take(const char *name)
{
	return take_of(name, 0);
}

/* The text with debug=`debug`. The caller frees it. */
static inline char *take_text(const char *name, int debug)
{
	struct profiles_query query = { .debug = debug };
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	char *text;

	CHECK_INT(profiles_take(profiles, name, &query, &bytes, &why), 0);
	text = g_strndup((const char *)bytes->data, bytes->len);
	g_byte_array_unref(bytes);
	return text;
}

static inline void drop(Profile *profile)
{
	perftools__profiles__profile__free_unpacked(profile, NULL);
}

/* The sample whose leaf is at this address (of the call); NULL: none. */
static inline const Sample *sample_at(const Profile *profile, uint64_t address)
{
	for (size_t i = 0; i < profile->n_sample; i++)
		if (profile->location[profile->sample[i]->location_id[0] - 1]->address == address)
			return profile->sample[i];
	return NULL;
}

static inline int64_t value_at(const Profile *profile, uint64_t address, size_t i)
{
	const Sample *sample = sample_at(profile, address);

	return sample ? sample->value[i] : -1;
}

static inline const char *label_of(const Profile *profile, const Sample *sample, const char *key)
{
	for (size_t i = 0; sample && i < sample->n_label; i++)
		if (strcmp(profile_text(profile, sample->label[i]->key), key) == 0)
			return profile_text(profile, sample->label[i]->str);
	return NULL;
}

static inline int64_t number_of(const Profile *profile, const Sample *sample, const char *key)
{
	for (size_t i = 0; sample && i < sample->n_label; i++)
		if (strcmp(profile_text(profile, sample->label[i]->key), key) == 0)
			return sample->label[i]->num;
	return -1;
}

/* The sample of a frame that is no code; NULL: none. */
static inline const Sample *pseudo(const Profile *profile, const char *name)
{
	for (size_t i = 0; i < profile->n_sample; i++) {
		const Perftools__Profiles__Location *location =
			profile->location[profile->sample[i]->location_id[0] - 1];

		if (location->n_line && location->address && !location->mapping_id &&
			strcmp(profile_text(profile,
				       profile->function[location->line[0]->function_id - 1]->name),
				name) == 0)
			return profile->sample[i];
	}
	return NULL;
}

static atomic_bool is_helper_on;

/* As the tracer's thread: carries out what it is told, until told to end. */
static inline void *helper(void *data)
{
	uint32_t done = 0;

	while (atomic_load(&is_helper_on)) {
		uint32_t seq = __atomic_load_n(&control.command_seq, __ATOMIC_ACQUIRE);
		struct fr_slot *slots = blackbox_file_at(&file, file.header->off_slots);

		for (uint32_t i = 0; seq != done && i < file.header->n_threads; i++) {
			slots[i].dump_stack = (uint32_t)slots[i].task;
			__atomic_store_n(&slots[i].dump_seq, control.dump_seq, __ATOMIC_RELEASE);
		}
		done = seq;
		__atomic_store_n(&file.header->helper_seq, seq, __ATOMIC_RELEASE);
		g_usleep(200);
	}
	return data;
}

/* Until helper_stop(), orders are carried out: a running thread's stack is the one in its `task`. */
static inline pthread_t helper_start(void)
{
	pthread_t thread;

	atomic_store(&is_helper_on, true);
	file.header->helper_tid = 0x7ffffff1;
	pthread_create(&thread, NULL, helper, NULL);
	return thread;
}

static inline void helper_stop(pthread_t thread)
{
	atomic_store(&is_helper_on, false);
	pthread_join(thread, NULL);
}

static inline void fixture_init(const char *name)
{
	run_init(name);
	cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
}

/* The exit status of main(). */
static inline int fixture_end(void)
{
	symbol_cache_free(cache);
	run_fini();
	return CHECK_DONE();
}
