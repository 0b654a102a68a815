/* SPDX-License-Identifier: MIT */
/*
 * What a program can ask of its recorder, by flightrec.h: known_api DIR writes these files there, and says on stdout what each
 * call returned, `name=value` a line:
 *
 *   cpu.pb        CPU profile, 200 Hz: api_spin for one second of CPU time in each of two threads, labelled job=spin
 *   heap.pb       api_keep: 2,000 blocks of 20,000 bytes, kept; of which api_arena gave 1,000 again to its callers
 *   heap-child.pb of a child, by itself: api_child, 1,000 blocks of 30,000 bytes
 *   sessions.txt  a profile of our own, 5 entries by api_session; .pb the same
 *   threads.txt   every thread's stack
 *   trace.out     a trace with 7 regions "known"
 *   snapshot.out  of the flight recorder
 */
#include <fcntl.h>
#include <pthread.h>
#include <time.h>

#include "cases.h"
#include "tracer/flightrec.h"

#define FUNCTION __attribute__((noinline)) static void

static const char *folder;
static void *volatile kept[4000];
static volatile unsigned long sum;

static const char *path_of(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int open_file(const char *name)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0);
	return fd;
}

static void say(const char *what, long value)
{
	printf("%s=%ld\n", what, value);
}

static void write_profile(const char *file, const char *profile, int debug)
{
	int fd = open_file(file);

	say(file, flightrec_profile_write(profile, fd, debug));
	close(fd);
}

FUNCTION api_spin(void)
{
	struct timespec used;

	do {
		for (int i = 0; i < 1000000; i++)
			sum = sum + (unsigned long)i;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	} while (used.tv_sec < 1);
}

static void *spinner(void *arg)
{
	api_spin();
	return arg;
}

static void cpu(void)
{
	int fd = open_file("cpu.pb"), depth = flightrec_label_push("job", "spin");
	pthread_t thread;

	say("cpu_start", flightrec_cpu_profile_start(fd, 200));
	say("cpu_again", flightrec_cpu_profile_start(fd, 0));
	close(fd);
	MUST(pthread_create(&thread, NULL, spinner, NULL) == 0);
	api_spin();
	MUST(pthread_join(thread, NULL) == 0);
	say("cpu_stop", flightrec_cpu_profile_stop());
	say("cpu_stop_again", flightrec_cpu_profile_stop());
	flightrec_label_pop(depth);
}

FUNCTION api_keep(void)
{
	for (int i = 0; i < 2000; i++)
		MUST((kept[i] = malloc(20000)));
}

FUNCTION api_arena(void)
{
	for (int i = 0; i < 1000; i++)
		flightrec_alloc(kept[i], 20000);
	for (int i = 0; i < 500; i++)
		flightrec_free(kept[i]);
}

FUNCTION api_child(void)
{
	for (int i = 2000; i < 3000; i++)
		MUST((kept[i] = malloc(30000)));
}

static void heap(void)
{
	int fd = open_file("heap.pb");
	pid_t pid;

	api_keep();
	api_arena();
	say("heap", flightrec_heap_profile_write(fd));
	close(fd);
	pid = fork();
	if (pid == 0) {
		api_child();
		fd = open_file("heap-child.pb");
		_exit(flightrec_heap_profile_write(fd) == 0 ? 0 : 1);
	}
	report_child("child", pid);
}

FUNCTION api_session(flightrec_profile_t *profile)
{
	static char keys[6];

	for (int i = 0; i < 6; i++)
		MUST(flightrec_profile_add(profile, &keys[i], 0) == 0);
	flightrec_profile_remove(profile, &keys[2]);
}

static void own_profile(void)
{
	flightrec_profile_t *profile = flightrec_profile_new("api/sessions");

	api_session(profile);
	say("sessions", flightrec_profile_count(profile));
	write_profile("sessions.txt", "api/sessions", 1);
	write_profile("sessions.pb", "api/sessions", 0);
	write_profile("threads.txt", "goroutine", 2);
	write_profile("unknown.pb", "api/unknown", 0);
}

static void rates(void)
{
	say("block_before", flightrec_set_block_rate(5000));
	say("block", flightrec_set_block_rate(1));
	say("mutex_before", flightrec_set_mutex_fraction(3));
	say("mutex", flightrec_set_mutex_fraction(-1));
	say("alloc_before", flightrec_set_alloc_rate(4096));
	say("alloc", flightrec_set_alloc_rate(524288));
}

static void recorder(void)
{
	int fd = open_file("trace.out");

	say("enabled", flightrec_recorder_is_enabled());
	say("trace_start", flightrec_trace_start(fd));
	say("trace_again", flightrec_trace_start(fd));
	say("trace_enabled", flightrec_recorder_is_enabled());
	close(fd);
	for (int i = 0; i < 7; i++)
		flightrec_region_end(flightrec_region_begin(0, "known"));
	say("trace_stop", flightrec_trace_stop());
	say("snapshot", flightrec_recorder_snapshot_file(path_of("snapshot.out")));
	say("run", flightrec_recorder_start(600000));
	say("run_again", flightrec_recorder_start(1000));
	say("run_stop", flightrec_recorder_stop());
	say("run_stop_again", flightrec_recorder_stop());
}

int main(int argc, char **argv)
{
	MUST(argc == 2);
	folder = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	cpu();
	heap();
	own_profile();
	rates();
	recorder();
	return 0;
}
