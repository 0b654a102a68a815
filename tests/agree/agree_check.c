/* SPDX-License-Identifier: MIT */
/*
 * agree_check FILE PID: unwinds the samples of a process, which waits for us, by libdw and compares with the
 * walks in the file. Writes one line of totals and one line for each kind of disagreement to AGREE_RESULT (or
 * stdout), fields separated by tabs:
 *
 *   total  PROGRAM  SAMPLES  COMPARABLE  AGREE  FRAMES  GUESSED  DEEP  STOPPED  MEDIAN-NS
 *   kind   PROGRAM  COUNT    TEXT
 *
 * Not comparable are stacks deeper than the copy (DEEP) and those where libdw gives up with an error, all of whose
 * frames are the walk's (STOPPED). The walk writes exact addresses (interrupted pcs, trampolines) plus one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agree.h"
#include "proto/schema.h"
#include "tests/lib/libdw_walk.h"
#include "tracer/unwind.h"

#define MAX_KINDS 64

struct frames {
	uint64_t addr[AGREE_MAX_FRAMES];
	size_t n;
};

struct kind {
	char text[200];
	unsigned n;
};

static pid_t pid;
static Dwfl *dwfl;
static struct kind kinds[MAX_KINDS];
static unsigned n_kinds, n_other;

static const uint8_t *stack_of(const struct agree_sample *sample)
{
	return (const uint8_t *)(sample + 1) + AGREE_MAX_FRAMES * sizeof(uint64_t);
}

/* "function+offset (module)" of a frame. */
static void describe(uint64_t address, char *out, size_t size)
{
	Dwfl_Module *module = dwfl_addrmodule(dwfl, address - 1);
	const char *path =
		module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
	const char *name = module ? dwfl_module_addrname(module, address - 1) : NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;

	snprintf(out, size, "%.80s (%.60s)", name ? name : "?",
		slash  ? slash + 1
		: path ? path
		       : "no module");
}

static void note(const char *what, uint64_t address)
{
	char place[160], text[200];

	describe(address, place, sizeof(place));
	snprintf(text, sizeof(text), "%s %s", what, place);
	for (unsigned i = 0; i < n_kinds; i++)
		if (strcmp(kinds[i].text, text) == 0) {
			kinds[i].n++;
			return;
		}
	if (n_kinds == MAX_KINDS) {
		n_other++;
		return;
	}
	snprintf(kinds[n_kinds].text, sizeof(kinds[0].text), "%s", text);
	kinds[n_kinds++].n = 1;
}

static void print_stacks(const struct agree_sample *sample, const struct frames *reference)
{
	const uint64_t *addr = (const uint64_t *)(sample + 1);
	char place[160];

	fprintf(stderr, "walk: %s, flags %x\n", unwind_end_text((enum unwind_end)sample->end),
		sample->flags);
	for (size_t i = 0; i < sample->n_frames || i < reference->n; i++) {
		uint64_t walked = i < sample->n_frames ? addr[i] : 0;
		uint64_t wanted = i < reference->n ? reference->addr[i] : 0;

		describe(walked ? walked : wanted, place, sizeof(place));
		fprintf(stderr, " %c %3zu %14lx %14lx %s\n", walked == wanted ? ' ' : '*', i,
			walked, wanted, place);
	}
}

enum verdict { AGREE, DISAGREE, NOT_COMPARABLE };

static enum verdict compare(const struct agree_sample *sample, struct frames *reference)
{
	static int n_printed;
	const uint64_t *addr = (const uint64_t *)(sample + 1);
	const struct libdw_copy copy = { sample->registers, stack_of(sample),
		sample->registers[7] - AGREE_RED_ZONE, sample->n_stack };
	bool is_stopped;
	size_t same = 0;

	reference->n = libdw_walk(dwfl, &copy, reference->addr, AGREE_MAX_FRAMES, &is_stopped);
	while (same < sample->n_frames && same < reference->n &&
		(addr[same] == reference->addr[same] || addr[same] == reference->addr[same] + 1))
		same++;
	if (same == sample->n_frames && same == reference->n)
		return AGREE;
	if (is_stopped && same == reference->n && same > 0)
		return NOT_COMPARABLE;
	if (same == 0)
		note("first frame", addr[0]);
	else
		note(same == sample->n_frames  ? "walk shorter, ends at"
			: same == reference->n ? "walk longer, libdw ends at"
					       : "callers differ of",
			addr[same - 1]);
	if (getenv("AGREE_VERBOSE") && n_printed++ < atoi(getenv("AGREE_VERBOSE")))
		print_stacks(sample, reference);
	return DISAGREE;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static const struct agree_header *map_samples(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct agree_header *header;

	if (fd < 0)
		return NULL;
	header = mmap(NULL, AGREE_FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return header == MAP_FAILED || header->magic != AGREE_MAGIC ? NULL : header;
}

static void program_name(char *out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, out, size - 1);
	out[n > 0 ? n - 1 : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

struct totals {
	unsigned n, n_comparable, n_agree, n_guessed, n_deep, n_stopped;
	uint64_t n_frames, *per_frame; /* picoseconds of the walk per frame, of each sample */
};

static void check_samples(const struct agree_header *header, struct totals *t)
{
	static struct frames reference;
	uint64_t at = sizeof(*header);

	while (at + sizeof(struct agree_sample) <= header->used && at < AGREE_FILE_SIZE) {
		const struct agree_sample *sample =
			(const struct agree_sample *)((const uint8_t *)header + at);

		if (sample->size_total == 0 || t->n == header->n_wanted)
			break;
		at += sample->size_total;
		t->per_frame[t->n++] =
			sample->walk_ns * 1000 / (sample->n_frames + !sample->n_frames);
		t->n_frames += sample->n_frames;
		if (sample->is_cut) {
			t->n_deep++;
			continue;
		}
		switch (compare(sample, &reference)) {
		case AGREE:
			t->n_agree++;
			t->n_guessed += (sample->flags & FR_STACK_GUESSED) != 0;
			t->n_comparable++;
			break;
		case DISAGREE:
			t->n_comparable++;
			break;
		default:
			t->n_stopped++;
		}
	}
	qsort(t->per_frame, t->n, sizeof(*t->per_frame), compare_u64);
}

int main(int argc, char **argv)
{
	const char *result = getenv("AGREE_RESULT");
	const struct agree_header *header;
	struct totals t = { 0 };
	char name[32];
	FILE *out;

	if (argc != 3) {
		fprintf(stderr, "usage: agree_check FILE PID\n");
		return 2;
	}
	pid = (pid_t)atoi(argv[2]);
	header = map_samples(argv[1]);
	if (!header) {
		fprintf(stderr, "agree_check: %s is no file of samples\n", argv[1]);
		return 1;
	}
	out = result ? fopen(result, "a") : stdout;
	t.per_frame = calloc(header->n_wanted + 1, sizeof(*t.per_frame));
	dwfl = libdw_open(pid);
	if (!dwfl)
		fprintf(stderr, "agree_check: libdw cannot open process %d: %s\n", (int)pid,
			dwfl_errmsg(-1));
	if (!dwfl || !out || !t.per_frame)
		return 1;
	program_name(name, sizeof(name));
	check_samples(header, &t);
	fprintf(out, "total\t%s\t%u\t%u\t%u\t%lu\t%u\t%u\t%u\t%.1f\n", name, t.n, t.n_comparable,
		t.n_agree, t.n_frames, t.n_guessed, t.n_deep, t.n_stopped,
		t.n ? (double)t.per_frame[t.n / 2] / 1000 : 0);
	for (unsigned i = 0; i < n_kinds; i++)
		fprintf(out, "kind\t%s\t%u\t%s\n", name, kinds[i].n, kinds[i].text);
	if (n_other)
		fprintf(out, "kind\t%s\t%u\tof other kinds\n", name, n_other);
	fclose(out);
	return 0;
}
