/* SPDX-License-Identifier: MIT */
/*
 * A gigabyte from each of the larger sites, freed by known rules. Next to none of it is touched, so that it
 * takes little memory:
 *
 *   site_small      54,000 blocks of 20,000 bytes, all kept
 *   site_large       1,080 blocks of 1,000,000 bytes, all kept
 *   site_half       54,000 blocks of 40,000 bytes, every second one freed by another thread
 *   site_grown         500 blocks that grow from 100,000 to 500,000 bytes in steps of 100,000, kept
 *   site_gone       36,000 blocks of 30,000 bytes, all freed again
 *   site_aligned     8,000 blocks of 16,384 bytes at pages of their own, all kept
 *
 * Prints, for each, `expect function=site_… alloc_objects=N alloc_space=N inuse_objects=N inuse_space=N`,
 * then `ready`; sleeps until a signal ends it.
 */
#include <pthread.h>
#include <unistd.h>

#include "cases.h"

#define N_MAX 54000

struct kept {
	void *blocks[N_MAX];
};

static struct kept small, large, half, grown, gone, aligned;

#define SITE __attribute__((noinline)) static void

static void expect(const char *name, unsigned long n, unsigned long size, unsigned long n_kept,
	unsigned long size_kept)
{
	printf("expect function=%s alloc_objects=%lu alloc_space=%lu inuse_objects=%lu "
	       "inuse_space=%lu\n",
		name, n, size, n_kept, size_kept);
}

SITE site_small(void)
{
	for (int i = 0; i < 54000; i++)
		MUST((small.blocks[i] = malloc(20000)));
}

SITE site_large(void)
{
	for (int i = 0; i < 1080; i++)
		MUST((large.blocks[i] = calloc(1000, 1000)));
}

SITE site_half(void)
{
	for (int i = 0; i < 54000; i++)
		MUST((half.blocks[i] = malloc(40000)));
}

SITE site_grown(void)
{
	for (size_t size = 100000; size <= 500000; size += 100000) {
		for (int i = 0; i < 500; i++)
			MUST((grown.blocks[i] = realloc(grown.blocks[i], size)));
	}
}

SITE site_gone(void)
{
	for (int i = 0; i < 36000; i++)
		MUST((gone.blocks[i] = malloc(30000)));
}

SITE site_aligned(void)
{
	for (int i = 0; i < 8000; i++)
		MUST(posix_memalign(&aligned.blocks[i], 4096, 16384) == 0);
}

static void *free_some(void *arg)
{
	for (int i = 0; i < 54000; i += 2)
		free(half.blocks[i]);
	for (int i = 0; i < 36000; i++)
		free(gone.blocks[i]);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	site_small();
	site_large();
	site_half();
	site_grown();
	site_gone();
	site_aligned();
	MUST(pthread_create(&thread, NULL, free_some, NULL) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	expect("site_small", 54000, 54000 * 20000ul, 54000, 54000 * 20000ul);
	expect("site_large", 1080, 1080 * 1000000ul, 1080, 1080 * 1000000ul);
	expect("site_half", 54000, 54000 * 40000ul, 27000, 27000 * 40000ul);
	expect("site_grown", 2500, 500 * 1500000ul, 500, 500 * 500000ul);
	expect("site_gone", 36000, 36000 * 30000ul, 0, 0);
	expect("site_aligned", 8000, 8000 * 16384ul, 8000, 8000 * 16384ul);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
