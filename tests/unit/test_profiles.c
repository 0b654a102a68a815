/* SPDX-License-Identifier: MIT */
/* Profiles of processes that only their blackboxes know: every number is written here and read back from the file. */
#include "check.h"
#include "run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>

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
static struct blackbox_file file;

/* Two modules: frames at 0x10000 + n are in the program, at 0x20000 + n in a library; neither file exists. */
static void add_modules(struct blackbox_file *of)
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

static struct blackbox_file create(uint16_t proc, pid_t pid)
{
	g_autofree char *name = g_strdup_printf("blackbox/%05u", proc);
	struct blackbox_file of = blackbox_file_create(run_path(name), proc);

	of.header->pid = (uint32_t)pid;
	add_modules(&of);
	return of;
}

static void begin(pid_t pid)
{
	run("rm -rf blackbox && mkdir blackbox");
	memset(&control, 0, sizeof(control));
	control.alloc_rate = RATE;
	file = create(1, pid);
	profiles_new(run_dir, &control, cache, &profiles);
}

static void end(void)
{
	profiles_free(profiles);
	blackbox_file_close(&file);
}

static uint32_t stack(struct blackbox_file *of, uint64_t leaf)
{
	const uint64_t frames[] = { leaf, 0x10100, 0x10200 };

	return blackbox_file_stack(of, frames, 3, 0);
}

static void add_heap(struct blackbox_file *of, uint32_t i, uint64_t leaf, uint64_t rate, uint64_t n,
	uint64_t bytes, uint64_t n_freed)
{
	struct fr_bucket *bucket = blackbox_file_bucket(of, FR_BUCKET_HEAP, i, stack(of, leaf));

	bucket->key = n ? bytes / n : 0;
	bucket->rate = rate;
	bucket->value[0] = n;
	bucket->value[1] = bytes;
	bucket->value[2] = n_freed;
	bucket->value[3] = n ? n_freed * (bytes / n) : 0;
}

static Profile *take_of(const char *name, pid_t pid)
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

static Profile *take(const char *name)
{
	return take_of(name, 0);
}

static char *take_text(const char *name, int debug)
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

static void drop(Profile *profile)
{
	perftools__profiles__profile__free_unpacked(profile, NULL);
}

/* The sample whose leaf is at this address (of the call); NULL: none. */
static const Sample *sample_at(const Profile *profile, uint64_t address)
{
	for (size_t i = 0; i < profile->n_sample; i++)
		if (profile->location[profile->sample[i]->location_id[0] - 1]->address == address)
			return profile->sample[i];
	return NULL;
}

static int64_t value_at(const Profile *profile, uint64_t address, size_t i)
{
	const Sample *sample = sample_at(profile, address);

	return sample ? sample->value[i] : -1;
}

static const char *label_of(const Profile *profile, const Sample *sample, const char *key)
{
	for (size_t i = 0; sample && i < sample->n_label; i++)
		if (strcmp(profile_text(profile, sample->label[i]->key), key) == 0)
			return profile_text(profile, sample->label[i]->str);
	return NULL;
}

static int64_t number_of(const Profile *profile, const Sample *sample, const char *key)
{
	for (size_t i = 0; sample && i < sample->n_label; i++)
		if (strcmp(profile_text(profile, sample->label[i]->key), key) == 0)
			return sample->label[i]->num;
	return -1;
}

/* The sample of a frame that is no code; NULL: none. */
static const Sample *pseudo(const Profile *profile, const char *name)
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

static void heap_is_scaled_as_in_go(void)
{
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 12, 122880, 0);
	add_heap(&file, 1, 0x20021, RATE, 1, 416, 0);
	add_heap(&file, 2, 0x20031, RATE, 1, 80, 1);
	profile = take("heap");
	CHECK_INT(profile->n_sample, 3);
	CHECK_INT(value_at(profile, 0x20010, 0), 620);
	CHECK_INT(value_at(profile, 0x20010, 1), 6353095);
	CHECK_INT(value_at(profile, 0x20010, 2), 620);
	CHECK_INT(value_at(profile, 0x20010, 3), 6353095);
	CHECK_INT(value_at(profile, 0x20020, 0), 1260);
	CHECK_INT(value_at(profile, 0x20020, 1), 524496);
	CHECK_INT(value_at(profile, 0x20030, 0), 6554);
	CHECK_INT(value_at(profile, 0x20030, 1), 524328);
	CHECK_INT(value_at(profile, 0x20030, 2), 0);
	CHECK_INT(value_at(profile, 0x20030, 3), 0);
	CHECK_INT(number_of(profile, sample_at(profile, 0x20010), "bytes"), 10240);
	CHECK_INT(profile->period, RATE);
	CHECK_INT(profile->default_sample_type, 0);
	CHECK_INT(profile->duration_nanos, 0);
	CHECK_STR(profile_text(profile, profile->sample_type[3]->type), "inuse_space");
	drop(profile);
	profile = take("allocs");
	CHECK_STR(profile_text(profile, profile->default_sample_type), "alloc_space");
	drop(profile);
	end();
}

static void each_bucket_has_its_rate(void)
{
	g_autofree char *text = NULL;
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 12, 122880, 0);
	add_heap(&file, 1, 0x20011, 1, 5, 5 * 10240, 0);
	profile = take("heap");
	CHECK_INT(profile->n_sample, 1);
	CHECK_INT(profile->sample[0]->value[0], 625);
	drop(profile);
	/* The text has one rate: 5 objects in all are less than one sample, but at least one. */
	text = take_text("heap", 1);
	CHECK(strstr(text, "heap profile: 13: 133120 [13: 133121] @ heap/1048576\n") == text);
	end();
}

static void a_label_stays_when_the_mean_moves(void)
{
	struct fr_bucket *bucket;
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 2, 2 * 10000, 0);
	profile = take("heap");
	CHECK_INT(number_of(profile, profile->sample[0], "bytes"), 10000);
	drop(profile);
	bucket = blackbox_file_at(&file, file.header->off_buckets[FR_BUCKET_HEAP]);
	bucket->value[0]++;
	bucket->value[1] += 10200;
	profile = take("heap");
	CHECK_INT(number_of(profile, profile->sample[0], "bytes"), 10000);
	drop(profile);
	end();
}

static void text_is_raw_and_tells_the_pairs_apart(void)
{
	g_autofree char *text = NULL;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 3, 3000, 1);
	add_heap(&file, 1, 0x20021, RATE, 1, 100, 0);
	text = take_text("heap", 1);
	CHECK(strstr(text, "heap profile: 3: 2100 [4: 3100] @ heap/1048576\n"
			   "2: 2000 [3: 3000] @ 0x20011 0x10100 0x10200\n"
			   "#\t0x20010\n") == text);
	CHECK(strstr(text, "\n# runtime.MemStats\n# Alloc = ") != NULL);
	CHECK(strstr(text, "\n--- Memory map: ---\n10000-11000 r-xp 00001000 00:00 0 "
			   "/usr/bin/example\n20000-21000 ") != NULL);
	end();
}

static void the_program_comes_first(void)
{
	Profile *profile;

	begin(DEAD_PID);
	profile = take("heap");
	CHECK_INT(profile->n_sample, 0);
	CHECK_INT(profile->n_mapping, 2);
	CHECK_STR(profile_text(profile, profile->mapping[0]->filename), "/usr/bin/example");
	CHECK_STR(profile_text(profile, profile->mapping[0]->build_id), "ab0c");
	CHECK_INT(profile->mapping[0]->memory_start, 0x10000);
	CHECK_INT(profile->mapping[0]->file_offset, 0x1000);
	CHECK(profile->time_nanos > 0);
	drop(profile);
	end();
}

/* Waits count in parts of 1024. */
static void waits_are_whole(void)
{
	g_autofree char *text = NULL;
	struct fr_bucket *bucket;
	Profile *profile;

	begin(DEAD_PID);
	bucket = blackbox_file_bucket(&file, FR_BUCKET_BLOCK, 0, stack(&file, 0x20011));
	bucket->value[0] = 5 * FR_BUCKET_FRACTION + 900;
	bucket->value[1] = 77000;
	bucket = blackbox_file_bucket(&file, FR_BUCKET_BLOCK, 9, stack(&file, 0x20021));
	bucket->value[0] = 3;
	bucket->value[1] = 5;
	/* The same key a second time is added. */
	bucket = blackbox_file_bucket(&file, FR_BUCKET_BLOCK, 700, stack(&file, 0x20011));
	bucket->value[0] = FR_BUCKET_FRACTION;
	bucket->value[1] = 1000;
	profile = take("block");
	CHECK_INT(profile->n_sample, 2);
	CHECK_INT(value_at(profile, 0x20010, 0), 6);
	CHECK_INT(value_at(profile, 0x20010, 1), 78000);
	CHECK_INT(value_at(profile, 0x20020, 0), 1);
	CHECK_INT(profile->period, 1);
	drop(profile);
	text = take_text("block", 1);
	CHECK(strstr(text, "--- contention:\ncycles/second=1000000000\n"
			   "78000 6 @ 0x20011 0x10100 0x10200\n") == text);
	profile = take("mutex");
	CHECK_INT(profile->n_sample, 0);
	CHECK_STR(profile_text(profile, profile->sample_type[1]->type), "delay");
	drop(profile);
	end();
}

static struct fr_slot *add_thread(uint32_t tid, const char *name, uint32_t state, uint32_t at)
{
	struct fr_slot *slot = blackbox_file_slot(&file, tid);

	slot->state = state;
	slot->stack = at;
	slot->start_ns = 1000 + tid;
	slot->since_ns = state == FR_STATE_RUNNING ? 0 : 5000;
	strcpy(slot->name, name);
	return slot;
}

static void threads_are_where_they_died(void)
{
	g_autofree char *text = NULL, *dump = NULL;
	struct fr_slot *slot;
	const Sample *sample;
	Profile *profile;

	begin(DEAD_PID);
	add_thread(11, "main", FR_STATE_JOIN, stack(&file, 0x20011));
	slot = add_thread(12, "worker", FR_STATE_COND, stack(&file, 0x20021));
	strcpy(slot->labels, "tier=gold,job=7,empty=");
	slot = add_thread(13, "worker", FR_STATE_COND, stack(&file, 0x20021));
	strcpy(slot->labels, "job=7,tier=gold");
	add_thread(14, "busy", FR_STATE_RUNNING, FR_STACK_NONE);
	add_thread(15, "gone", FR_STATE_SLEEP, stack(&file, 0x20031))->is_exited = 1;
	add_thread(16, "full", FR_STATE_SLEEP, FR_STACK_OVERFLOW);
	profile = take("goroutine");
	CHECK_INT(profile->n_sample, 4);
	CHECK_STR(profile_text(profile, profile->sample_type[0]->type), "goroutine");
	sample = sample_at(profile, 0x20020);
	CHECK_INT(sample->value[0], 2);
	CHECK_INT(sample->n_label, 2);
	CHECK_STR(label_of(profile, sample, "tier"), "gold");
	CHECK_STR(label_of(profile, sample, "job"), "7");
	CHECK(pseudo(profile, "[running at the end]") != NULL);
	CHECK(pseudo(profile, "[stack table full]") != NULL);
	drop(profile);
	profile = take("thread");
	CHECK_STR(profile_text(profile, profile->sample_type[0]->type), "thread");
	drop(profile);
	text = take_text("goroutine", 1);
	CHECK(strstr(text, "goroutine profile: total 5\n"
			   "2 @ 0x20021 0x10100 0x10200\n"
			   "# labels: {\"job\":\"7\", \"tier\":\"gold\"}\n") == text);
	CHECK(strstr(text, "\n1 @ 0x3") != NULL);
	dump = take_text("goroutine", 2);
	CHECK(strstr(dump, "# The program has ended") == dump);
	CHECK(strstr(dump, "goroutine 12 [sync.Cond.Wait]:\n# thread \"worker\", labels ") != NULL);
	CHECK_INT(run_count(dump, "goroutine "), 5);
	end();
}

static void custom_profiles_are_found_by_name(void)
{
	struct fr_custom *custom;
	struct fr_custom_entry *entry;
	bool has_delta = true;
	g_autofree char *why = NULL;
	struct profiles_query query = { 0 };
	GByteArray *bytes = NULL;
	Profile *profile;

	begin(DEAD_PID);
	custom = blackbox_file_at(&file, file.header->off_custom);
	custom[3].state = 2;
	strcpy(custom[3].name, "my/conns");
	entry = blackbox_file_at(&file, file.header->off_custom_live);
	entry[100] = (struct fr_custom_entry){ 50, 1, 3, stack(&file, 0x20011) };
	entry[101] = (struct fr_custom_entry){ 51, 2, 3, stack(&file, 0x20011) };
	entry[102] = (struct fr_custom_entry){ 1, 3, 3, stack(&file, 0x20011) };
	entry[5000] = (struct fr_custom_entry){ 52, 4, 7, stack(&file, 0x20021) };
	CHECK(profiles_is_known(profiles, "my/conns", &has_delta));
	CHECK(!has_delta);
	profile = take("my/conns");
	CHECK_STR(profile_text(profile, profile->sample_type[0]->type), "my/conns");
	CHECK_INT(profile->n_sample, 1);
	CHECK_INT(profile->sample[0]->value[0], 2);
	drop(profile);
	CHECK(!profiles_is_known(profiles, "my", NULL));
	CHECK_INT(profiles_take(profiles, "my", &query, &bytes, &why), PROFILES_E_UNKNOWN);
	end();
}

static Profile *delta_end(struct profiles_delta *delta)
{
	g_autofree char *why = NULL;
	GByteArray *bytes = NULL;
	Profile *profile;

	CHECK_INT(profiles_delta_end(delta, &bytes, &why), 0);
	profile = profile_read(bytes);
	g_byte_array_unref(bytes);
	return profile;
}

static void a_delta_is_what_happened_meanwhile(void)
{
	struct profiles_query query = { 0 };
	struct profiles_delta *delta = NULL, *other = NULL;
	struct fr_bucket *bucket;
	g_autofree char *why = NULL;
	Profile *profile;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, 1, 10, 1000, 0);
	add_heap(&file, 1, 0x20021, 1, 10, 1000, 0);
	CHECK_INT(profiles_delta_begin(profiles, "allocs", &query, &delta, &why), 0);
	CHECK_INT(profiles_delta_begin(profiles, "heap", &query, &other, &why), 0);
	bucket = blackbox_file_at(&file, file.header->off_buckets[FR_BUCKET_HEAP]);
	bucket->value[2] = 4;
	bucket->value[3] = 400;
	add_heap(&file, 7, 0x20031, 1, 2, 64, 0);
	profile = delta_end(delta);
	CHECK_INT(profile->n_sample, 2);
	CHECK_INT(value_at(profile, 0x20010, 0), 0);
	CHECK_INT(value_at(profile, 0x20010, 2), -4);
	CHECK_INT(value_at(profile, 0x20010, 3), -400);
	CHECK_INT(value_at(profile, 0x20030, 1), 64);
	CHECK_STR(profile_text(profile, profile->default_sample_type), "alloc_space");
	CHECK(profile->duration_nanos > 0);
	CHECK_INT(profile->n_location, 4);
	drop(profile);
	CHECK_INT(profiles_delta_end(other, NULL, NULL), 0);
	CHECK_INT(
		profiles_delta_begin(profiles, "nosuch", &query, &delta, &why), PROFILES_E_UNKNOWN);
	end();
}

/* Ours lives, the other one is dead: what it had in use went back, what it allocated did happen. */
static void the_dead_hold_no_memory(void)
{
	struct blackbox_file other;
	g_autofree char *why = NULL;
	struct profiles_query query = { .pid = 4 };
	GByteArray *bytes = NULL;
	Profile *profile;
	int64_t sums[4] = { 0 };
	bool has_pids = true;

	begin(getpid());
	other = create(2, DEAD_PID);
	add_heap(&file, 0, 0x20011, 1, 10, 1000, 0);
	add_heap(&other, 0, 0x20011, 1, 20, 2000, 5);
	profile = take("heap");
	for (size_t i = 0; i < profile->n_sample; i++) {
		has_pids = has_pids && number_of(profile, profile->sample[i], "pid") > 0;
		for (size_t k = 0; k < 4; k++)
			sums[k] += profile->sample[i]->value[k];
	}
	CHECK_INT(profile->n_sample, 2);
	CHECK(has_pids);
	CHECK_INT(sums[0], 30);
	CHECK_INT(sums[2], 10);
	drop(profile);
	/* Asked for by its number, it shows what it had. */
	profile = take_of("heap", DEAD_PID);
	CHECK_INT(profile->n_sample, 1);
	CHECK_INT(profile->sample[0]->value[2], 15);
	CHECK_INT(number_of(profile, profile->sample[0], "pid"), -1);
	drop(profile);
	CHECK_INT(profiles_take(profiles, "heap", &query, &bytes, &why), PROFILES_E_NO_PROCESS);
	CHECK(strstr(why, "pid 4") != NULL);
	blackbox_file_close(&other);
	end();
}

/* As the tracer's thread: carries out what it is told, until told to end. */
static atomic_bool is_helper_on;

static void *helper(void *data)
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

static pthread_t helper_start(void)
{
	pthread_t thread;

	atomic_store(&is_helper_on, true);
	file.header->helper_tid = 0x7ffffff1;
	pthread_create(&thread, NULL, helper, NULL);
	return thread;
}

static void helper_stop(pthread_t thread)
{
	atomic_store(&is_helper_on, false);
	pthread_join(thread, NULL);
}

static void add_ticks(uint32_t i, uint64_t leaf, uint64_t label, uint64_t n)
{
	struct fr_bucket *bucket =
		blackbox_file_bucket(&file, FR_BUCKET_CPU, i, stack(&file, leaf));

	bucket->key = label;
	bucket->value[0] += n;
}

static void cpu_is_what_was_counted_meanwhile(void)
{
	struct profiles_query query = { 0 };
	g_autofree char *why = NULL, *busy = NULL;
	struct fr_label_set *labels;
	GByteArray *bytes = NULL;
	pthread_t thread;
	Profile *profile;

	begin(getpid());
	thread = helper_start();
	labels = blackbox_file_at(&file, file.header->off_labels);
	labels[4].hash = 9;
	strcpy(labels[4].text, "job=7");
	add_ticks(0, 0x20011, 0, 100);
	file.header->counters.cpu_lost = 10;
	CHECK_INT(profiles_cpu_begin(profiles, 200, &why), 0);
	CHECK_INT(control.cpu_hz, 200);
	CHECK_INT(profiles_cpu_begin(profiles, 100, &busy), PROFILES_E_BUSY);
	CHECK_STR(busy, "cpu profiling already in use");
	add_ticks(0, 0x20011, 0, 7);
	add_ticks(1, 0x20021, 5, 3);
	file.header->counters.cpu_lost = 12;
	CHECK_INT(profiles_cpu_end(profiles, &query, &bytes, &why), 0);
	CHECK_INT(control.cpu_hz, 0);
	profile = profile_read(bytes);
	g_byte_array_unref(bytes);
	CHECK_INT(profile->n_sample, 3);
	CHECK_INT(value_at(profile, 0x20010, 0), 7);
	CHECK_INT(value_at(profile, 0x20010, 1), 35000000);
	CHECK_STR(label_of(profile, sample_at(profile, 0x20020), "job"), "7");
	CHECK_INT(pseudo(profile, "[lost samples]")->value[0], 2);
	CHECK_INT(profile->period, 5000000);
	CHECK(profile->duration_nanos > 0);
	drop(profile);
	helper_stop(thread);
	end();
}

static void cpu_of_the_dead_is_refused(void)
{
	g_autofree char *why = NULL;

	begin(DEAD_PID);
	CHECK_INT(profiles_cpu_begin(profiles, 100, &why), PROFILES_E_NO_PROCESS);
	end();
}

static void running_threads_are_asked(void)
{
	struct fr_slot *slot;
	g_autofree char *dump = NULL;
	pthread_t thread;
	Profile *profile;

	begin(getpid());
	slot = add_thread((uint32_t)getpid(), "main", FR_STATE_RUNNING, FR_STACK_NONE);
	slot->task = stack(&file, 0x20011); /* where the helper finds it */
	slot = add_thread(7, "waiter", FR_STATE_MUTEX, stack(&file, 0x20021));
	slot->task = stack(&file, 0x20031);
	thread = helper_start();
	profile = take("goroutine");
	/* The helper thread of this test is seen in /proc, and not traced. */
	CHECK(pseudo(profile, "[untraced thread]") != NULL);
	CHECK_INT(value_at(profile, 0x20010, 0), 1);
	CHECK_INT(value_at(profile, 0x20020, 0), 1);
	CHECK(sample_at(profile, 0x20030) == NULL);
	drop(profile);
	dump = take_text("goroutine", 2);
	CHECK(g_str_has_prefix(dump, "goroutine "));
	CHECK(strstr(dump, " [running]:\n") != NULL &&
		strstr(dump, " [running]:\n") < strstr(dump, "\n\n"));
	helper_stop(thread);
	end();
}

static void losses_are_told(void)
{
	g_autofree char *heap = NULL, *threads = NULL;

	begin(DEAD_PID);
	CHECK(profiles_losses(profiles, "heap", 0) == NULL);
	file.header->counters.live_overflow = 3;
	file.header->counters.threads_overflow = 2;
	heap = profiles_losses(profiles, "heap", 0);
	CHECK_STR(heap, "3 objects whose free is not followed");
	threads = profiles_losses(profiles, "goroutine", 0);
	CHECK_STR(threads, "2 threads without a slot");
	end();
}

static void the_index_counts(void)
{
	g_autoptr(GArray) list = NULL;

	begin(DEAD_PID);
	add_heap(&file, 0, 0x20011, RATE, 12, 122880, 12);
	add_heap(&file, 1, 0x20011, RATE, 1, 16, 1);
	add_thread(11, "main", FR_STATE_JOIN, stack(&file, 0x20011));
	list = profiles_list(profiles, 0);
	for (guint i = 0; i < list->len; i++) {
		const struct profiles_entry *entry = &g_array_index(list, struct profiles_entry, i);

		if (strcmp(entry->name, "heap") == 0)
			CHECK_INT(entry->count, 2);
		if (strcmp(entry->name, "goroutine") == 0)
			CHECK_INT(entry->count, 1);
		CHECK(i == 0 || strcmp(entry[-1].name, entry->name) < 0);
	}
	CHECK_INT(list->len, 7);
	end();
}

int main(void)
{
	run_init("test_profiles");
	cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
	CASE(heap_is_scaled_as_in_go, "heap pairs are scaled by Go's rule, each on its own");
	CASE(each_bucket_has_its_rate, "what was sampled at another rate is scaled by that one");
	CASE(a_label_stays_when_the_mean_moves, "label bytes stays the same between snapshots");
	CASE(text_is_raw_and_tells_the_pairs_apart, "heap text is unscaled, with tail and map");
	CASE(the_program_comes_first, "an empty profile has mappings, the program's first");
	CASE(waits_are_whole, "waits are counted in whole numbers, duplicates added");
	CASE(threads_are_where_they_died, "threads of a dead process are shown where they were");
	CASE(custom_profiles_are_found_by_name, "a program's own profile counts what is in it");
	CASE(a_delta_is_what_happened_meanwhile, "a delta subtracts, also below zero");
	CASE(the_dead_hold_no_memory, "beside living processes the dead have nothing in use");
	CASE(cpu_is_what_was_counted_meanwhile,
		"a CPU profile is the ticks between, lost ones too");
	CASE(cpu_of_the_dead_is_refused, "no CPU profile of what does not run");
	CASE(running_threads_are_asked, "a running thread's answer counts, a waiting one's slot");
	CASE(losses_are_told, "what was lost is a sentence");
	CASE(the_index_counts, "the index counts records and threads");
	symbol_cache_free(cache);
	run_fini();
	return CHECK_DONE();
}
