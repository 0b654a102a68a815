/* SPDX-License-Identifier: MIT */
/*
 * A little of everything that profiles show, and the whole of it known:
 *
 *   known_spin      one thread "spinner" of ours, labelled handler=checkout, half of the time on the CPU
 *   known_leak      1,000 blocks of 10,000 bytes, never freed
 *   known_sleeper   five threads "sleeper" that wait for a condition for ever
 *   known_waits     10 waits of 5 ms and more, each of a thread of its own, for a mutex
 *   my/custom.prof  a profile of our own: seven entries, one of them removed again
 *
 * Prints `ready symbol=0x… name=known_leak`, then sleeps until a signal ends it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "cases.h"
#include "tests/lib/clock.h"
#include "tracer/flightrec.h"

#pragma weak flightrec_label_push
#pragma weak flightrec_profile_new
#pragma weak flightrec_profile_add
#pragma weak flightrec_profile_remove

#define N_SLEEPERS 5
#define N_WAITS 10
#define N_ENTRIES 7

static void *volatile kept[1000];
static volatile uint64_t sum;

__attribute__((noinline)) static void known_leak(void)
{
	for (int i = 0; i < 1000; i++)
		MUST((kept[i] = malloc(10000)));
}

__attribute__((noinline)) static void known_spin(uint64_t until_ns)
{
	while (now_ns() < until_ns) {
		for (uint64_t i = 0; i < 10000; i++)
			sum = sum + i * i;
	}
}

static void *spinner(void *arg)
{
	pthread_setname_np(pthread_self(), "spinner");
	if (flightrec_label_push)
		flightrec_label_push("handler", "checkout");
	for (;;) {
		known_spin(now_ns() + 20000000);
		sleep_ms(20);
	}
	return NULL;
}

static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_wake = PTHREAD_COND_INITIALIZER;

static void *known_sleeper(void *arg)
{
	pthread_setname_np(pthread_self(), "sleeper");
	pthread_mutex_lock(&sleep_lock);
	for (;;)
		pthread_cond_wait(&sleep_wake, &sleep_lock);
	return NULL;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int n_started;

static void *known_waiter(void *arg)
{
	atomic_fetch_add(&n_started, 1);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

__attribute__((noinline)) static void known_unlock(void)
{
	pthread_mutex_unlock(&lock);
	__asm__ volatile(""); /* no tail call: this function is to be in the stack */
}

static void known_waits(void)
{
	for (int i = 1; i <= N_WAITS; i++) {
		pthread_t thread;

		pthread_mutex_lock(&lock);
		MUST(pthread_create(&thread, NULL, known_waiter, NULL) == 0);
		while (n_started < i)
			sleep_ms(1);
		sleep_ms(10);
		known_unlock();
		MUST(pthread_join(thread, NULL) == 0);
	}
}

__attribute__((noinline)) static void known_entries(void)
{
	static char keys[N_ENTRIES];
	flightrec_profile_t *profile;

	if (!flightrec_profile_new)
		return;
	profile = flightrec_profile_new("my/custom.prof");
	for (int i = 0; i < N_ENTRIES; i++)
		flightrec_profile_add(profile, &keys[i], 0);
	flightrec_profile_remove(profile, &keys[3]);
}

int main(void)
{
	pthread_t thread;

	known_leak();
	known_entries();
	known_waits();
	for (int i = 0; i < N_SLEEPERS; i++)
		MUST(pthread_create(&thread, NULL, known_sleeper, NULL) == 0);
	MUST(pthread_create(&thread, NULL, spinner, NULL) == 0);
	printf("ready symbol=%p name=known_leak\n", (void *)(uintptr_t)known_leak);
	fflush(stdout);
	for (;;)
		pause();
}
