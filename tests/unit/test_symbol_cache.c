/* SPDX-License-Identifier: MIT */
/*
 * Whether something came out of the cache is seen by taking the file away: names that are still right were not
 * read from it.
 */
#include "check.h"
#include "run.h"

#include <fcntl.h>
#include <pthread.h>

#include "common/symbol.h"
#include "common/symbol_answers.h"
#include "common/symbol_cache.h"
#include "common/symbol_file.h"
#include "common/symbol_image.h"
#include "common/symbol_span.h"

static const char source[] = "static volatile int sink;\n"
			     "__attribute__((noinline)) void first(void) { sink++; }\n"
			     "__attribute__((noinline)) void second(void) { sink--; }\n"
			     "int main(void) { first(); second(); return sink; }\n";

/* A program and where its functions are. */
struct target {
	char path[512];
	uint8_t build_id[64];
	size_t n_build_id;
	uint64_t first, second;
	struct symbol_module module;
};

static uint64_t addr_of(const struct symbol_image *image, const char *name)
{
	const GArray *spans = symbol_image_symbols((struct symbol_image *)(uintptr_t)image);

	for (guint i = 0; i < spans->len; i++)
		if (strcmp(g_array_index(spans, struct symbol_span, i).name, name) == 0)
			return g_array_index(spans, struct symbol_span, i).lo;
	return 0;
}

static void target_build(struct target *target, const char *name, const char *options)
{
	struct symbol_image *image;
	int fd;

	memset(target, 0, sizeof(*target));
	run_write("s.c", source, strlen(source));
	CHECK_INT(run("%s -O1 %s s.c -o %s", TEST_CC, options, name), 0);
	snprintf(target->path, sizeof(target->path), "%s", run_path(name));
	target->module.path = target->path;
	CHECK_INT(symbol_file_open(&target->module, &fd), 0);
	target->n_build_id = symbol_build_id_of_fd(fd, target->build_id, sizeof(target->build_id));
	target->module.build_id = target->n_build_id ? target->build_id : NULL;
	target->module.n_build_id = target->n_build_id;
	CHECK_INT(symbol_image_open(&target->module, fd, &image), 0);
	target->first = addr_of(image, "first");
	target->second = addr_of(image, "second");
	CHECK(target->first && target->second);
	symbol_image_free(image);
}

/* The name and line at `pc` by a batch of its own; "?" unknown. To g_free(). */
static char *name_at(struct symbol_cache *cache, const struct symbol_module *module, uint64_t pc)
{
	struct symbol_options options = { .cache = cache };
	struct symbol_batch *batch = symbol_batch_new(&options);
	uint32_t index = symbol_batch_add_module(batch, module);
	const struct symbol_frame *frames;
	size_t n;
	char *text;

	symbol_batch_add(batch, index, pc);
	symbol_batch_resolve(batch);
	frames = symbol_batch_lookup(batch, index, pc, &n);
	text = *frames->func ? g_strdup_printf("%s:%u", frames->func, frames->line) : g_strdup("?");
	symbol_batch_free(batch);
	return text;
}

static void check_name(struct symbol_cache *cache, const struct symbol_module *module, uint64_t pc,
	const char *want)
{
	char *got = name_at(cache, module, pc);

	CHECK_STR(got, want);
	g_free(got);
}

static void known_addresses(void)
{
	struct symbol_cache *cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
	struct symbol_cache_stats stats;
	struct target target;

	target_build(&target, "known", "-g -Wl,--build-id");
	check_name(cache, &target.module, target.first, "first:2");
	/* Where it is mapped makes no difference. */
	target.module.base = 0x7f0000000000;
	CHECK_INT(run("mv known elsewhere"), 0);
	check_name(cache, &target.module, target.first + target.module.base, "first:2");
	check_name(NULL, &target.module, target.first + target.module.base, "?");
	symbol_cache_stats(cache, &stats);
	CHECK_INT(stats.n_hits, 1);
	CHECK_INT(stats.n_misses, 1);
	CHECK_INT(stats.n_images, 1);
	CHECK(stats.answer_bytes > 0 && stats.image_bytes > 0);
	/* A new address, from the file that is held open. */
	check_name(cache, &target.module, target.second + target.module.base, "second:3");
	symbol_cache_free(cache);
}

static void unknown_addresses(void)
{
	struct symbol_cache *cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
	struct symbol_cache_stats stats;
	struct target target;

	target_build(&target, "unknown", "-Wl,--build-id");
	check_name(cache, &target.module, 0x10, "?");
	check_name(cache, &target.module, 0x10, "?");
	symbol_cache_stats(cache, &stats);
	CHECK_INT(stats.n_hits, 1);
	symbol_cache_free(cache);
}

/* A file that was not there is looked for again. */
static void missing_then_there(void)
{
	struct symbol_cache *cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
	struct target target;

	target_build(&target, "late", "-g -Wl,--build-id");
	CHECK_INT(run("mv late hidden"), 0);
	check_name(cache, &target.module, target.first, "?");
	CHECK_INT(run("mv hidden late"), 0);
	check_name(cache, &target.module, target.first, "first:2");
	symbol_cache_free(cache);
}

static void same_path_other_build(void)
{
	struct symbol_cache *cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
	struct target target;

	target_build(&target, "rebuilt", "-g -Wl,--build-id=none");
	CHECK_INT(target.n_build_id, 0);
	check_name(cache, &target.module, target.first, "first:2");
	check_name(cache, &target.module, target.first, "first:2");
	CHECK_INT(run("sed 's/first/other/g' s.c > o.c && %s -O1 -g -Wl,--build-id=none o.c -o new "
		      "&& "
		      "mv new rebuilt",
			  TEST_CC),
		0);
	check_name(cache, &target.module, target.first, "other:2");
	symbol_cache_free(cache);
}

static void other_options_later(void)
{
	struct symbol_cache *cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
	struct symbol_options options = { .cache = cache, .debuginfod_ns = 1 };
	struct symbol_cache_stats stats;
	struct target target;

	g_unsetenv("DEBUGINFOD_URLS");
	target_build(&target, "options", "-g -Wl,--build-id");
	check_name(cache, &target.module, target.first, "first:2");
	for (int i = 0; i < 2; i++) {
		struct symbol_batch *batch = symbol_batch_new(&options);
		uint32_t index = symbol_batch_add_module(batch, &target.module);

		symbol_batch_add(batch, index, target.first);
		CHECK_INT(symbol_batch_resolve(batch), 0);
		CHECK(strstr(symbol_batch_trouble(batch), "DEBUGINFOD_URLS") != NULL);
		symbol_batch_free(batch);
	}
	/* Found without the network: no answer for who may ask it. The other way round it is. */
	check_name(cache, &target.module, target.first, "first:2");
	symbol_cache_stats(cache, &stats);
	CHECK_INT(stats.n_misses, 2);
	CHECK_INT(stats.n_hits, 2);
	symbol_cache_free(cache);
}

/* One answer with a name of its own, to the number i. */
static void answers_add(struct symbol_answers *answers, unsigned i)
{
	char name[100];
	struct symbol_frame frame = { .func = name, .system_name = name, .file = "/src/file.c" };
	struct symbol_answer answer = {
		.module = 1, .addr = i, .n_frames = 1, .frames = &frame, .has_names = 1
	};

	snprintf(name, sizeof(name), "function_number_%u", i);
	frame.line = i;
	symbol_answers_add(answers, &answer);
}

static void bounded(void)
{
	const size_t max_bytes = 1 << 20;
	struct symbol_answers *answers = symbol_answers_new(max_bytes);
	unsigned n_wrong = 0, n_over = 0, n_left = 0;
	char name[100];

	for (unsigned i = 0; i < 200000; i++) {
		const struct symbol_answer *used;

		answers_add(answers, i);
		n_over += symbol_answers_bytes(answers) > max_bytes;
		/* In use all the time: stays, whatever comes and goes. */
		used = symbol_answers_find(answers, 1, 7);
		n_wrong += i >= 7 && !used;
	}
	CHECK_INT(n_over, 0);
	CHECK_INT(n_wrong, 0);
	for (unsigned i = 0; i < 200000; i++) {
		const struct symbol_answer *answer = symbol_answers_find(answers, 1, i);

		if (!answer)
			continue;
		n_left++;
		snprintf(name, sizeof(name), "function_number_%u", i);
		n_wrong += answer->n_frames != 1 || answer->frames->line != i ||
			   strcmp(answer->frames->func, name) != 0;
	}
	CHECK_INT(n_wrong, 0);
	CHECK(n_left > 2000 && n_left < 20000);
	CHECK(symbol_answers_find(answers, 1, 199999) != NULL);
	CHECK(symbol_answers_find(answers, 2, 199999) == NULL);
	symbol_answers_free(answers);
}

static void images_bounded(void)
{
	/* Room for names, hardly any for tables. */
	struct symbol_cache *cache = symbol_cache_new(300 << 10);
	struct symbol_module module = { .path = "/usr/bin/" };
	struct symbol_cache_stats stats;
	static const char *const paths[] = { "/bin/bash", "/usr/bin/gdb", "/usr/bin/git",
		"/usr/bin/perl", "/usr/bin/python3", "/usr/bin/cmake", "/bin/sh" };

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
		module.path = paths[i];
		g_free(name_at(cache, &module, 0x1234));
		symbol_cache_stats(cache, &stats);
		CHECK(stats.image_bytes <= 150 << 10);
		CHECK(stats.answer_bytes <= 150 << 10);
	}
	symbol_cache_free(cache);
}

struct shared {
	struct symbol_cache *cache;
	const struct target *target;
	unsigned n_wrong;
};

static void *look_up_often(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < 200; i++) {
		int is_second = i & 1;
		char *got = name_at(shared->cache, &shared->target->module,
			is_second ? shared->target->second : shared->target->first);

		if (strcmp(got, is_second ? "second:3" : "first:2") != 0)
			__atomic_add_fetch(&shared->n_wrong, 1, __ATOMIC_RELAXED);
		g_free(got);
	}
	return NULL;
}

static void several_threads(void)
{
	struct target target;
	/* So small that answers and images come and go. */
	struct shared shared = { .cache = symbol_cache_new(4 << 10), .target = &target };
	pthread_t threads[4];

	target_build(&target, "threads", "-g -Wl,--build-id");
	for (size_t i = 0; i < 4; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, look_up_often, &shared), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(shared.n_wrong, 0);
	symbol_cache_free(shared.cache);
}

int main(void)
{
	run_init("test_symbol_cache");
	CASE(known_addresses, "what was named before is named without its file");
	CASE(unknown_addresses, "that an address has no name is known, too");
	CASE(missing_then_there, "a missing file is looked for each time");
	CASE(same_path_other_build, "without build-id a changed file is another module");
	CASE(other_options_later,
		"names found without the network are sought again when it may be used");
	CASE(bounded, "answers stay within their memory, and those in use stay");
	CASE(images_bounded, "tables of symbols stay within their memory");
	CASE(several_threads, "threads share a cache");
	run_fini();
	return CHECK_DONE();
}
