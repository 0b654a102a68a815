/* SPDX-License-Identifier: MIT */
/*
 * Annotations of known number and length, by flightrec.h. Weak: bare, the program does the same
 * without them.
 *
 *   task order      20, each 12 ms: begun by main, ended by a second thread
 *   task sub        20, children of the orders, 5 ms
 *   region parse    20 of 5 ms in main; region store 20 of 7 ms in the second thread, each with a
 *                   region inner of 3 ms inside
 *   logs            40: 20 in category "order", 20 formatted ones in "detail"
 *   counter depth   values 0 to 99
 *   labels          customer=0…19 while an order is parsed
 *   thread          the second one is named "packer"
 */
#include <pthread.h>
#include <semaphore.h>

#include "cases.h"
#include "tests/lib/clock.h"
#include "tracer/flightrec.h"

#pragma weak flightrec_task_begin
#pragma weak flightrec_task_end
#pragma weak flightrec_task_enter
#pragma weak flightrec_region_begin
#pragma weak flightrec_region_end
#pragma weak flightrec_log
#pragma weak flightrec_logf
#pragma weak flightrec_counter
#pragma weak flightrec_label_push
#pragma weak flightrec_label_pop
#pragma weak flightrec_thread_name

static flightrec_task_t order;
static sem_t parsed, stored;

static void *pack(void *arg)
{
	flightrec_thread_name("packer");
	for (int i = 0; i < 20; i++) {
		flightrec_region_t store, inner;

		sem_wait(&parsed);
		store = flightrec_region_begin(order, "store");
		sleep_ms(4);
		inner = flightrec_region_begin(order, "inner");
		sleep_ms(3);
		flightrec_region_end(inner);
		flightrec_region_end(store);
		flightrec_task_end(order);
		flightrec_task_end(order); /* only the first end counts */
		sem_post(&stored);
	}
	return NULL;
}

static void parse(int i)
{
	flightrec_task_t before = flightrec_task_enter(order);
	flightrec_task_t sub = flightrec_task_begin(order, "sub");
	flightrec_region_t region = flightrec_region_begin(0, "parse");
	char customer[16];
	int depth;

	snprintf(customer, sizeof(customer), "%d", i);
	depth = flightrec_label_push("customer", customer);
	flightrec_log(0, "order", "a message");
	flightrec_logf(0, "detail", "order %d of %d", i, 20);
	sleep_ms(5);
	flightrec_label_pop(depth);
	flightrec_region_end(region);
	flightrec_task_end(sub);
	flightrec_task_enter(before);
}

int main(void)
{
	pthread_t thread;

	if (!flightrec_task_begin || !flightrec_task_end || !flightrec_task_enter ||
		!flightrec_region_begin || !flightrec_region_end || !flightrec_log ||
		!flightrec_logf || !flightrec_counter || !flightrec_label_push ||
		!flightrec_label_pop || !flightrec_thread_name) {
		printf("not recorded\n");
		return 3;
	}
	MUST(sem_init(&parsed, 0, 0) == 0 && sem_init(&stored, 0, 0) == 0);
	MUST(pthread_create(&thread, NULL, pack, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		order = flightrec_task_begin(0, "order");
		parse(i);
		sem_post(&parsed);
		sem_wait(&stored);
	}
	for (int i = 0; i < 100; i++)
		flightrec_counter("depth", i);
	pthread_join(thread, NULL);
	return 0;
}
