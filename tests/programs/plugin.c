/* SPDX-License-Identifier: MIT */
/* A library for dlopen: its constructor makes a thread, allocates, locks; its destructor as well. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int plugin_answer(void);

static __thread char thread_local_data[512];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *routine(void *arg)
{
	pthread_mutex_lock(&lock);
	thread_local_data[0] = 'p';
	free(malloc(1000));
	usleep(1000);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void start_and_join(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, routine, NULL) == 0)
		pthread_join(thread, NULL);
}

__attribute__((constructor)) static void loaded(void)
{
	start_and_join();
	printf("plugin: constructor\n");
}

__attribute__((destructor)) static void unloaded(void)
{
	start_and_join();
	printf("plugin: destructor\n");
}

__attribute__((visibility("default"))) int plugin_answer(void)
{
	free(malloc(100));
	usleep(100);
	return thread_local_data[0] + 42;
}
