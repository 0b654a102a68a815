/* SPDX-License-Identifier: MIT */
/*
 * What naming costs: random addresses in the code of a file, looked up by a batch of their own; the same ones
 * again out of the cache; and as many others, with the tables kept. Prints wall time, CPU time and the
 * memory at its peak.
 *
 *   bench_symbol FILE [ADDRESSES]
 */
#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/symbol.h"
#include "common/symbol_cache.h"
#include "common/symbol_file.h"

#define DEFAULT_ADDRESSES 50000

struct code {
	uint64_t lo, hi;
};

/* Ranges of the sections with code. */
static GArray *code_of(int fd)
{
	GArray *all = g_array_new(FALSE, FALSE, sizeof(struct code));
	Elf *elf = (elf_version(EV_CURRENT), elf_begin(fd, ELF_C_READ_MMAP, NULL));
	Elf_Scn *section = NULL;
	GElf_Shdr shdr;

	while (elf && (section = elf_nextscn(elf, section)) != NULL) {
		struct code code;

		if (!gelf_getshdr(section, &shdr) || !(shdr.sh_flags & SHF_EXECINSTR) ||
			shdr.sh_size < 4096)
			continue;
		code.lo = shdr.sh_addr;
		code.hi = shdr.sh_addr + shdr.sh_size;
		g_array_append_val(all, code);
	}
	elf_end(elf);
	return all;
}

/* `all` is not empty, nor is any of its ranges. */
static uint64_t random_pc(const GArray *all)
{
	uint64_t total = 1, at;
	guint i = 0;

	for (guint k = 0; k < all->len; k++)
		total += g_array_index(all, struct code, k).hi -
			 g_array_index(all, struct code, k).lo;
	at = ((uint64_t)random() << 31 | (uint64_t)random()) % total;
	for (; i + 1 < all->len; i++) {
		const struct code *code = &g_array_index(all, struct code, i);

		if (at < code->hi - code->lo)
			break;
		at -= code->hi - code->lo;
	}
	return g_array_index(all, struct code, i).lo + at;
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static long peak_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* Resolves `pcs` in a new batch and prints a line. */
static void measure(const char *what, const struct symbol_module *module,
	struct symbol_cache *cache, const uint64_t *pcs, size_t n)
{
	struct symbol_options options = { .is_progress = 1, .cache = cache };
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	struct symbol_batch *batch = symbol_batch_new(&options);
	uint32_t index = symbol_batch_add_module(batch, module);
	size_t n_named = 0, n_lines = 0, n_frames = 0;

	for (size_t i = 0; i < n; i++)
		symbol_batch_add(batch, index, pcs[i]);
	symbol_batch_resolve(batch);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	for (size_t i = 0; i < n; i++) {
		size_t n_here;
		const struct symbol_frame *frames =
			symbol_batch_lookup(batch, index, pcs[i], &n_here);

		n_named += *frames[n_here - 1].func != '\0';
		n_lines += frames->line != 0;
		n_frames += n_here;
	}
	printf("%-28s %8.3f s wall %8.3f s CPU  named %5.1f%%  lines %5.1f%%  frames %4.1f  peak "
	       "%ld MiB\n",
		what, wall, cpu, 100.0 * (double)n_named / (double)n,
		100.0 * (double)n_lines / (double)n, (double)n_frames / (double)n,
		peak_kib() >> 10);
	fflush(stdout);
	symbol_batch_free(batch);
}

int main(int argc, char **argv)
{
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : DEFAULT_ADDRESSES;
	struct symbol_module module = { .path = argc > 1 ? realpath(argv[1], NULL) : NULL };
	struct symbol_cache *cache = symbol_cache_new(SYMBOL_CACHE_BYTES);
	struct symbol_cache_stats stats;
	uint8_t build_id[64];
	uint64_t *pcs;
	GArray *code;
	int fd;

	if (!module.path || n == 0 || symbol_file_open(&module, &fd) != 0) {
		fprintf(stderr, "usage: bench_symbol FILE [ADDRESSES]\n");
		return 2;
	}
	module.n_build_id = symbol_build_id_of_fd(fd, build_id, sizeof(build_id));
	module.build_id = module.n_build_id ? build_id : NULL;
	code = code_of(fd);
	if (!code->len) {
		fprintf(stderr, "%s holds no code\n", module.path);
		return 1;
	}
	pcs = g_new0(uint64_t, 2 * n);
	srandom(1);
	for (size_t i = 0; i < 2 * n; i++)
		pcs[i] = random_pc(code);
	printf("%s: %zu addresses, build-id %s; peak before: %ld MiB\n", module.path, n,
		module.n_build_id ? "yes" : "no", peak_kib() >> 10);
	measure("first, with empty cache", &module, cache, pcs, n);
	measure("the same again", &module, cache, pcs, n);
	measure("as many others", &module, cache, pcs + n, n);

	measure("without cache", &module, NULL, pcs, n);
	symbol_cache_stats(cache, &stats);
	printf("cache: names %zu KiB, tables %zu KiB of %u files; found %" G_GUINT64_FORMAT
	       ", not found %" G_GUINT64_FORMAT "\n",
		stats.answer_bytes >> 10, stats.image_bytes >> 10, stats.n_images, stats.n_hits,
		stats.n_misses);
	return 0;
}
