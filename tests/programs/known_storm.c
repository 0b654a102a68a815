/* SPDX-License-Identifier: MIT */
/*
 * Work whose result is known, for as long as it is let: four threads that share a lock, allocate, compute,
 * write and read through a pipe. Each round is checked. Ends on SIGTERM with
 *
 *   rounds=N wrong=0
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"

#define N_THREADS 4
#define N_BYTES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t rounds_locked;
static atomic_ulong rounds, wrong;
static atomic_bool is_over;

static uint32_t checksum(const unsigned char *bytes, size_t n)
{
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

static int round_of(int fds[2], unsigned n)
{
	size_t size = N_BYTES + n % 7 * N_BYTES;
	unsigned char *one = malloc(size), *other = calloc(1, size), byte;
	uint32_t want, got;

	MUST(one && other);
	for (size_t i = 0; i < size; i++)
		one[i] = (unsigned char)(i * 31 + n);
	want = checksum(one, size);
	MUST(write(fds[1], &one[n % size], 1) == 1 && read(fds[0], &byte, 1) == 1);
	pthread_mutex_lock(&lock);
	memcpy(other, one, size);
	rounds_locked++;
	pthread_mutex_unlock(&lock);
	got = checksum(other, size);
	free(one);
	other = realloc(other, size * 2);
	MUST(other);
	got = checksum(other, size) == got ? got : ~want;
	free(other);
	return got == want && byte == (unsigned char)(n % size * 31 + n);
}

static void *work(void *arg)
{
	int fds[2];

	MUST(pipe(fds) == 0);
	for (unsigned n = 0; !is_over; n++) {
		wrong += !round_of(fds, n);
		rounds++;
		if (n % 64 == 0)
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	close(fds[0]);
	close(fds[1]);
	return NULL;
}

int main(void)
{
	pthread_t threads[N_THREADS];
	sigset_t stop;
	int signal_number;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	for (int i = 0; i < N_THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, work, NULL) == 0);
	sigwait(&stop, &signal_number);
	is_over = 1;
	for (int i = 0; i < N_THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	wrong += rounds != rounds_locked;
	printf("rounds=%lu wrong=%lu\n", (unsigned long)rounds, (unsigned long)wrong);
	return 0;
}
