/* SPDX-License-Identifier: MIT */
/* Address spaces from made-up records, images of real and of damaged files, and the table of samples. */
#include "recorder/perf_space.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "proto/blackbox.h"
#include "recorder/cpu_perf.h"
#include "recorder/perf_samples.h"
#include "recorder/procfs.h"
#include "temp_dir.h"

#define NO_PID 0x3ffffff0 /* above any pid */

static struct perf_spaces spaces;
static const char *folder; /* of this test's files */

static void map(pid_t pid, uint64_t time_ns, uint64_t start, uint64_t end, uint64_t offset,
	const char *path)
{
	perf_spaces_mmap(
		&spaces, pid, time_ns, &(struct perf_image_place){ pid, start, end, offset, path });
}

/* The mappings as text, "path start-end@offset …" in hex. */
static const char *text_of(pid_t pid)
{
	const struct perf_space *space = perf_spaces_find(&spaces, pid);
	static char text[2000];
	size_t n = 0;

	text[0] = '\0';
	for (guint i = 0; space && i < space->mappings->len; i++) {
		const struct perf_mapping *mapping =
			&g_array_index(space->mappings, struct perf_mapping, i);

		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"%s%s %" PRIx64 "-%" PRIx64 "@%" PRIx64, n ? " " : "", mapping->path,
			mapping->start, mapping->end, mapping->offset);
	}
	return text;
}

static void test_mappings(void)
{
	perf_spaces_init(&spaces);
	map(NO_PID, 10, 0x5000, 0x8000, 0x1000, "/b");
	map(NO_PID, 11, 0x1000, 0x3000, 0, "/a");
	CHECK_STR(text_of(NO_PID), "/a 1000-3000@0 /b 5000-8000@1000");
	map(NO_PID, 12, 0x1000, 0x3000, 0, "/a"); /* again */
	CHECK_STR(text_of(NO_PID), "/a 1000-3000@0 /b 5000-8000@1000");
	map(NO_PID, 13, 0x6000, 0x7000, 0, "/c"); /* into the middle */
	CHECK_STR(text_of(NO_PID),
		"/a 1000-3000@0 /b 5000-6000@1000 /c 6000-7000@0 /b 7000-8000@3000");
	map(NO_PID, 14, 0x2000, 0x7800, 0, "//anon"); /* over ends: code made at run time */
	CHECK_STR(text_of(NO_PID), "/a 1000-2000@0 /b 7800-8000@3800");
	map(NO_PID, 15, 0x0800, 0x9000, 0x9000, "/d"); /* over all */
	CHECK_STR(text_of(NO_PID), "/d 800-9000@9000");
	map(NO_PID, 16, 0x9000, 0x9000, 0, "/empty");
	CHECK_STR(text_of(NO_PID), "/d 800-9000@9000");
	perf_spaces_fini(&spaces);
}

static void test_fork_exec_exit(void)
{
	struct perf_space *parent, *child;

	perf_spaces_init(&spaces);
	map(NO_PID, 10, 0x1000, 0x3000, 0, "/a");
	parent = perf_spaces_find(&spaces, NO_PID);
	perf_spaces_fork(&spaces, NO_PID, NO_PID, 11); /* a thread */
	CHECK(perf_spaces_find(&spaces, NO_PID) == parent);
	perf_spaces_fork(&spaces, NO_PID, NO_PID + 1, 12);
	CHECK_STR(text_of(NO_PID + 1), "/a 1000-3000@0");
	map(NO_PID + 1, 13, 0x4000, 0x5000, 0, "/b");
	CHECK_STR(text_of(NO_PID), "/a 1000-3000@0");
	CHECK_STR(text_of(NO_PID + 1), "/a 1000-3000@0 /b 4000-5000@0");
	child = perf_spaces_find(&spaces, NO_PID + 1);
	CHECK_INT(child->start_ns, 12);

	/* A used space outlives exec() and exit, an unused one does not. */
	CHECK(perf_spaces_use(&spaces, child));
	perf_spaces_exec(&spaces, NO_PID + 1, "other", 14);
	CHECK_STR(text_of(NO_PID + 1), "");
	CHECK_INT(child->mappings->len, 2);
	CHECK_STR(perf_spaces_find(&spaces, NO_PID + 1)->comm, "other");
	CHECK_INT(perf_spaces_find(&spaces, NO_PID + 1)->start_ns, 14);
	perf_spaces_exit(&spaces, NO_PID + 1, false);
	CHECK(!perf_spaces_find(&spaces, NO_PID + 1));
	CHECK_INT(spaces.used->len, 1);
	perf_spaces_get(&spaces, NO_PID, 15)->is_wanted = true;
	perf_spaces_exit(&spaces, NO_PID, false); /* its first thread: others may run */
	CHECK(perf_spaces_find(&spaces, NO_PID) == parent);
	perf_spaces_exit(&spaces, NO_PID, true); /* its pid may be taken by another process */
	CHECK(!perf_spaces_find(&spaces, NO_PID));
	perf_spaces_fork(&spaces, NO_PID + 7, NO_PID + 8, 15); /* of somebody unknown */
	CHECK(!perf_spaces_find(&spaces, NO_PID + 8));
	perf_spaces_fini(&spaces);
}

static void test_own_process(void)
{
	struct perf_space *space;
	struct perf_mapping *mapping;
	GArray *modules;
	guint n_with_id = 0;
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	CHECK(n > 0);
	exe[n > 0 ? n : 0] = '\0';
	perf_spaces_init(&spaces);
	space = perf_spaces_get(&spaces, getpid(), procfs_now());
	mapping = perf_space_find(&spaces, space, (uint64_t)(uintptr_t)test_own_process);
	CHECK(mapping && mapping->image && strcmp(mapping->path, exe) == 0);
	CHECK(mapping && mapping->code == PERF_CODE_PROGRAM);
	mapping = perf_space_find(
		&spaces, space, (uint64_t)(uintptr_t)dlsym(RTLD_NEXT, "gnu_get_libc_version"));
	CHECK(mapping && mapping->image && mapping->code == PERF_CODE_SYSTEM);
	CHECK(!perf_space_find(&spaces, space, 0x1000));
	CHECK_INT(space->start_ns, 0);
	modules = perf_space_modules(&spaces, space);
	CHECK(modules->len >= 3);
	for (guint i = 0; i < modules->len; i++) {
		const struct fr_module *module = &g_array_index(modules, struct fr_module, i);

		CHECK(module->start < module->end);
		n_with_id += module->n_build_id == 20;
		if (strcmp(module->path, "[vdso]") == 0)
			CHECK_INT(module->n_build_id, 20);
	}
	CHECK(n_with_id >= 2);
	CHECK_STR(g_array_index(modules, struct fr_module, 0).path, exe);
	g_array_unref(modules);
	perf_spaces_fini(&spaces);
}

/* A mapping that appears after /proc was read, without a record: found by looking again. */
static void test_read_again(void)
{
	struct perf_space *space;
	void *library, *function;

	perf_spaces_init(&spaces);
	space = perf_spaces_get(&spaces, getpid(), procfs_now());
	library = dlopen("libanl.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		library = dlopen("libBrokenLocale.so.1", RTLD_NOW | RTLD_LOCAL);
	CHECK(library != NULL);
	function = library ? dlsym(library, "_init") : NULL;
	if (!function && library) {
		struct link_map *link = NULL;

		dlinfo(library, RTLD_DI_LINKMAP, &link);
		function = link ? (void *)(link->l_addr + 0x1000) : NULL;
	}
	CHECK(perf_space_find(&spaces, space, (uint64_t)(uintptr_t)function) != NULL);
	CHECK(space->retry_ns > procfs_now());
	/* Not again so soon, whatever is asked. */
	space->read_ns = 1;
	CHECK(!perf_space_find(&spaces, space, 0x2000));
	CHECK_INT(space->read_ns, 1);
	perf_spaces_lost(&spaces);
	CHECK(!perf_space_find(&spaces, space, 0x2000));
	CHECK(space->read_ns > 1);
	if (library)
		dlclose(library);
	perf_spaces_fini(&spaces);
}

static GByteArray *read_file(const char *path)
{
	GByteArray *bytes = g_byte_array_new();
	char *data = NULL;
	gsize n = 0;

	if (g_file_get_contents(path, &data, &n, NULL))
		g_byte_array_append(bytes, (const uint8_t *)data, (guint)n);
	g_free(data);
	return bytes;
}

static unsigned n_starts;

/* Asks for rows all over a file's code. Returns how many there were. */
static unsigned ask_rows(const char *path, uint64_t offset, uint64_t size)
{
	struct perf_images *images = perf_images_new();
	struct perf_image_place place = { NO_PID, 0x10000, 0x10000 + size, offset, path };
	struct perf_image *image;
	unsigned n = 0;
	uint64_t base;

	image = perf_images_open(images, &place, &base);
	for (unsigned i = 0; image && i < 2000; i++) {
		uint64_t address = 0x10000 + (size * i / 2000 & ~15ull) - base;
		struct cfi_fde fde;
		struct cfi_row row;

		n += perf_image_row(images, image, address, &fde, &row) == CFI_OK;
		n_starts += perf_image_is_function_start(images, image, address);
	}
	perf_images_free(images);
	return n;
}

/* Files with bytes changed, and cut files: no read outside (ASan), and an end. */
static void test_damaged_images(void)
{
	g_autofree char *path = g_strdup_printf("%s/image", folder);
	const char *source = "/proc/self/exe";
	GByteArray *bytes = read_file(source);
	const Elf64_Ehdr *header = (const void *)bytes->data;
	uint64_t offset = 0, size = 0;
	unsigned n_whole, n_some = 0;

	CHECK(bytes->len > sizeof(*header));
	for (unsigned i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment =
			(const Elf64_Phdr *)(const void *)(bytes->data + header->e_phoff) + i;

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X)) {
			offset = segment->p_offset;
			size = segment->p_filesz;
		}
	}
	g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL);
	n_whole = ask_rows(path, offset, size);
	CHECK(n_whole > 1500);
	CHECK(n_starts > 10);
	srand(1);
	for (unsigned round = 0; round < 300; round++) {
		g_autofree uint8_t *copy = g_memdup2(bytes->data, bytes->len);
		gssize n = bytes->len;

		for (unsigned i = 0; i < 1u + round % 40; i++) {
			/* A third in the headers, where it hurts most. */
			size_t at = (size_t)rand() % (rand() % 3 ? bytes->len : 1200);

			copy[at] = (uint8_t)rand();
		}
		if (round % 5 == 0)
			n = rand() % n;
		g_file_set_contents(path, (const char *)copy, n, NULL);
		n_some += ask_rows(path, offset, size) > 0;
	}
	CHECK(n_some > 10);
	unlink(path);
	CHECK_INT(ask_rows(path, offset, size), 0); /* gone */
	mkfifo(path, 0600);
	CHECK_INT(ask_rows(path, offset, size), 0); /* a pipe that nobody writes to */
	unlink(path);
	CHECK_INT(ask_rows(folder, offset, size), 0);
	g_byte_array_unref(bytes);
}

/* A library that was deleted after it was mapped: from /proc/PID/map_files or from memory. */
static void test_deleted_image(void)
{
	g_autofree char *path = g_strdup_printf("%s/libcopy.so", folder);
	GByteArray *bytes;
	struct perf_space *space;
	struct perf_mapping *mapping = NULL;
	struct cfi_fde fde;
	struct cfi_row row;
	void *library, *function;

	bytes = read_file(UNWIND_PLUGIN);
	g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL);
	library = dlopen(path, RTLD_NOW);
	CHECK(library != NULL);
	unlink(path);
	function = library ? dlsym(library, "plugin_call") : NULL;
	perf_spaces_init(&spaces);
	space = perf_spaces_get(&spaces, getpid(), procfs_now());
	mapping = perf_space_find(&spaces, space, (uint64_t)(uintptr_t)function);
	CHECK(mapping && g_str_has_suffix(mapping->path, "libcopy.so (deleted)"));
	CHECK(mapping && mapping->image &&
		perf_image_row(spaces.images, mapping->image,
			(uint64_t)(uintptr_t)function - mapping->base, &fde, &row) == CFI_OK);
	perf_spaces_fini(&spaces);
	g_byte_array_unref(bytes);
	if (library)
		dlclose(library);
}

static uint64_t sum, n_different;

static void add_up(void *data, const struct cpu_perf_sample *sample)
{
	sum += sample->count;
	n_different++;
	CHECK_INT(sample->frames[0], sample->tid * 1000);
}

static void test_samples(void)
{
	struct perf_samples *samples = perf_samples_new();
	unsigned n_refused = 0;

	for (unsigned i = 0; i < 3000; i++) {
		uint64_t frames[3] = { (i % 10) * 1000, 2, i % 3 };
		struct cpu_perf_sample sample = { .tid = (pid_t)(i % 10),
			.n = 3,
			.count = 2,
			.frames = frames,
			.tag = i % 2,
			.process = i % 5 };

		CHECK(perf_samples_add(samples, &sample));
	}
	perf_samples_each(samples, add_up, NULL);
	CHECK_INT(sum, 6000);
	CHECK_INT(n_different, 30);
	for (unsigned i = 0; i < PERF_SAMPLES_MAX; i++) {
		uint64_t frame = i;
		struct cpu_perf_sample sample = { .n = 1, .count = 1, .frames = &frame, .tag = 7 };

		n_refused += !perf_samples_add(samples, &sample);
	}
	CHECK_INT(n_refused, 30);
	perf_samples_free(samples);
}

int main(void)
{
	folder = temp_dir_make(NULL, "test_perf_space");
	CASE(test_mappings, "what is mapped over something takes its place");
	CASE(test_fork_exec_exit, "fork copies, exec begins anew, used spaces stay");
	CASE(test_own_process, "a living process is read from /proc, its program first");
	CASE(test_read_again, "a miss reads /proc again, but seldom");
	CASE(test_damaged_images, "damaged, cut and missing files do no harm");
	CASE(test_deleted_image, "a deleted file's tables are found");
	CASE(test_samples, "equal samples are merged, their number is limited");
	return CHECK_DONE();
}
