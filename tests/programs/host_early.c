/* SPDX-License-Identifier: MIT */
/* Uses malloc, locks, files and threads in constructors and destructors, around main(). */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "cases.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *early_text;

static void *say(void *arg)
{
	pthread_mutex_lock(&lock);
	fputs(arg, stdout);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void speak(char *text)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, say, text) == 0);
	MUST(pthread_join(thread, NULL) == 0);
}

/* 101: the first priority that is not the implementation's. */
__attribute__((constructor(101))) static void before_main(void)
{
	int fd = open("/dev/null", O_WRONLY);

	early_text = malloc(100);
	strcpy(early_text, "allocated before main");
	MUST(write(fd, early_text, 10) == 10);
	close(fd);
	speak("a thread before main\n");
}

__attribute__((destructor(101))) static void after_main(void)
{
	struct timespec ms = { 0, 1000000 };

	speak("a thread after main\n");
	nanosleep(&ms, NULL);
	free(early_text);
	free(malloc(100));
}

static int run_constructor(void)
{
	printf("%s\n", early_text);
	return 0;
}

static int run_malloc_family(void)
{
	volatile size_t too_large = SIZE_MAX / 2;
	void *block = NULL;
	char *text;

	text = realloc(NULL, 10);
	memset(text, 'a', 10);
	text = realloc(text, 1 << 20);
	printf("realloc keeps: %.10s\n", text);
	free(text);
	printf("posix_memalign: %d", posix_memalign(&block, 4096, 100));
	printf(" aligned %d\n", ((uintptr_t)block & 4095) == 0);
	free(block);
	printf("posix_memalign, bad: %d\n", posix_memalign(&block, 3, 100));
	block = aligned_alloc(64, 640);
	printf("aligned_alloc: %d\n", ((uintptr_t)block & 63) == 0);
	free(block);
	block = memalign(256, 10);
	printf("memalign: %d\n", ((uintptr_t)block & 255) == 0);
	free(block);
	block = valloc(10);
	printf("valloc: %d\n", ((uintptr_t)block & 4095) == 0);
	free(block);
	block = reallocarray(NULL, 10, 10);
	printf("reallocarray: %d\n", block != NULL && malloc_usable_size(block) >= 100);
	free(block);
	errno = 0;
	printf("reallocarray, too large: %d", reallocarray(NULL, too_large, 3) == NULL);
	printf(" %s\n", strerror(errno));
	errno = 0;
	printf("calloc, too large: %d", calloc(too_large, 3) == NULL);
	printf(" %s\n", strerror(errno));
	block = calloc(100, 1000);
	printf("calloc is zero: %d\n", ((char *)block)[99999] == 0 && *(char *)block == 0);
	free(block);
	free(NULL);
	printf("malloc(0): %d\n", (block = malloc(0)) != NULL);
	free(block);
	return 0;
}

static const struct test_case cases[] = {
	{ "constructor", run_constructor },
	{ "malloc_family", run_malloc_family },
};

int main(int argc, char **argv)
{
	return cases_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
