/* SPDX-License-Identifier: MIT */
/*
 * One lock guards everything and is held only while answers are copied; files are read outside of it. An image
 * is taken out while it is used: who needs the same one meanwhile opens another.
 */
#include "common/symbol_cache_use.h"

#include <string.h>
#include <sys/stat.h>

#include "common/symbol_answers.h"
#include "common/symbol_image.h"

/* Each keeps up to three descriptors. */
#define MAX_IMAGES 64
/* Programs that load a new build of a plugin all day: then begin anew. */
#define MAX_MODULES 10000

struct known_module {
	uint32_t number;
	gboolean is_network; /* the network was asked too, if need be */
};

struct kept_image {
	uint32_t module;
	size_t n_bytes;
	struct symbol_image *image; /* owned */
};

struct symbol_cache {
	GMutex lock;	     /* guards all below */
	GHashTable *modules; /* owned: identity (GBytes) → struct known_module, both owned */
	uint32_t n_modules;  /* numbers given so far */
	struct symbol_answers *answers; /* owned */
	GQueue images;			/* of struct kept_image, owned; last used first */
	size_t image_bytes, max_image_bytes;
	uint64_t n_hits, n_misses;
};

static void known_free(void *data)
{
	g_free(data);
}

struct symbol_cache *symbol_cache_new(size_t max_bytes)
{
	struct symbol_cache *cache = g_new0(struct symbol_cache, 1);

	g_mutex_init(&cache->lock);
	cache->modules = g_hash_table_new_full(
		g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, known_free);
	cache->answers = symbol_answers_new(max_bytes / 2);
	cache->max_image_bytes = max_bytes / 2;
	g_queue_init(&cache->images);
	return cache;
}

/* Takes an image off the list and returns it. */
static struct symbol_image *unlink_image(struct symbol_cache *cache, GList *link)
{
	struct kept_image *kept = link->data;
	struct symbol_image *image = kept->image;

	cache->image_bytes -= kept->n_bytes;
	g_queue_delete_link(&cache->images, link);
	g_free(kept);
	return image;
}

void symbol_cache_free(struct symbol_cache *cache)
{
	if (!cache)
		return;
	while (cache->images.tail)
		symbol_image_free(unlink_image(cache, cache->images.tail));
	symbol_answers_free(cache->answers);
	g_hash_table_unref(cache->modules);
	g_mutex_clear(&cache->lock);
	g_free(cache);
}

/* What tells the module's file from all others; NULL when nothing does. */
static GBytes *identity(const struct symbol_module *module, int fd)
{
	struct {
		uint64_t device, inode, size;
		int64_t changed_s, changed_ns, modified_s, modified_ns;
		uint64_t is_file; /* longer than any build-id, too */
	} file = { .is_file = 1 };
	struct stat st;

	if (module->n_build_id)
		return g_bytes_new(module->build_id, module->n_build_id);
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	file.device = st.st_dev;
	file.inode = st.st_ino;
	file.size = (uint64_t)st.st_size;
	file.changed_s = st.st_ctim.tv_sec;
	file.changed_ns = st.st_ctim.tv_nsec;
	file.modified_s = st.st_mtim.tv_sec;
	file.modified_ns = st.st_mtim.tv_nsec;
	return g_bytes_new(&file, sizeof(file));
}

uint32_t symbol_cache_module(
	struct symbol_cache *cache, const struct symbol_module *module, int fd, gboolean is_network)
{
	GBytes *key = cache ? identity(module, fd) : NULL;
	struct known_module *known;
	uint32_t number;

	if (!key)
		return 0;
	g_mutex_lock(&cache->lock);
	if (g_hash_table_size(cache->modules) >= MAX_MODULES)
		g_hash_table_remove_all(cache->modules);
	known = g_hash_table_lookup(cache->modules, key);
	if (!known || (is_network && !known->is_network)) {
		known = g_new(struct known_module, 1);
		known->number = ++cache->n_modules;
		known->is_network = is_network;
		g_hash_table_replace(cache->modules, g_bytes_ref(key), known);
	}
	number = known->number;
	g_mutex_unlock(&cache->lock);
	g_bytes_unref(key);
	return number;
}

static void query_set_answer(
	struct symbol_query *query, struct symbol_batch *batch, const struct symbol_answer *answer)
{
	query->is_known = TRUE;
	query->n_frames = answer->n_frames;
	if (!answer->n_frames)
		return;
	query->frames = symbol_batch_frames(batch, answer->n_frames);
	for (size_t i = 0; i < answer->n_frames; i++) {
		struct symbol_frame *frame = &query->frames[i];

		*frame = answer->frames[i];
		frame->func = symbol_batch_intern(batch, frame->func);
		frame->system_name = symbol_batch_intern(batch, frame->system_name);
		frame->file = symbol_batch_intern(batch, frame->file);
	}
}

size_t symbol_cache_answer(struct symbol_cache *cache, uint32_t module, struct symbol_batch *batch,
	struct symbol_query *queries, size_t n, gboolean *has_names)
{
	size_t n_known = 0;

	if (!cache || !module)
		return 0;
	g_mutex_lock(&cache->lock);
	for (size_t i = 0; i < n; i++) {
		const struct symbol_answer *answer =
			symbol_answers_find(cache->answers, module, queries[i].addr);

		if (!answer)
			continue;
		query_set_answer(&queries[i], batch, answer);
		*has_names |= answer->has_names;
		n_known++;
	}
	cache->n_hits += n_known;
	cache->n_misses += n - n_known;
	g_mutex_unlock(&cache->lock);
	return n_known;
}

void symbol_cache_learn(struct symbol_cache *cache, uint32_t module,
	const struct symbol_query *queries, size_t n, gboolean has_names)
{
	if (!cache || !module)
		return;
	g_mutex_lock(&cache->lock);
	for (size_t i = 0; i < n; i++) {
		struct symbol_answer answer = {
			.addr = queries[i].addr,
			.module = module,
			.n_frames = queries[i].n_frames,
			.has_names = has_names != 0,
			.frames = queries[i].frames,
		};

		symbol_answers_add(cache->answers, &answer);
	}
	g_mutex_unlock(&cache->lock);
}

/* Called with the lock held. */
static GList *find_image(struct symbol_cache *cache, uint32_t module)
{
	for (GList *link = cache->images.head; link; link = link->next) {
		const struct kept_image *kept = link->data;

		if (kept->module == module)
			return link;
	}
	return NULL;
}

struct symbol_image *symbol_cache_take_image(struct symbol_cache *cache, uint32_t module)
{
	struct symbol_image *image = NULL;
	GList *link;

	if (!cache || !module)
		return NULL;
	g_mutex_lock(&cache->lock);
	link = find_image(cache, module);
	if (link)
		image = unlink_image(cache, link);
	g_mutex_unlock(&cache->lock);
	return image;
}

void symbol_cache_give_image(
	struct symbol_cache *cache, uint32_t module, struct symbol_image *image)
{
	g_autoptr(GPtrArray) dropped =
		g_ptr_array_new_with_free_func((GDestroyNotify)symbol_image_free);
	struct kept_image *kept;

	if (!cache || !module) {
		symbol_image_free(image);
		return;
	}
	kept = g_new(struct kept_image, 1);
	kept->module = module;
	kept->image = image;
	kept->n_bytes = symbol_image_rest(image);
	g_mutex_lock(&cache->lock);
	if (find_image(cache, module)) {
		g_ptr_array_add(dropped, image);
		g_free(kept);
	} else {
		g_queue_push_head(&cache->images, kept);
		cache->image_bytes += kept->n_bytes;
	}
	while (cache->images.tail &&
		(cache->image_bytes > cache->max_image_bytes || cache->images.length > MAX_IMAGES))
		g_ptr_array_add(dropped, unlink_image(cache, cache->images.tail));
	g_mutex_unlock(&cache->lock);
}

void symbol_cache_stats(struct symbol_cache *cache, struct symbol_cache_stats *stats_out)
{
	g_mutex_lock(&cache->lock);
	*stats_out = (struct symbol_cache_stats){
		.n_hits = cache->n_hits,
		.n_misses = cache->n_misses,
		.answer_bytes = symbol_answers_bytes(cache->answers),
		.image_bytes = cache->image_bytes,
		.n_images = cache->images.length,
	};
	g_mutex_unlock(&cache->lock);
}
