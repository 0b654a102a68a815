/* SPDX-License-Identifier: MIT */
/*
 * trace_fixture DIR N_STREAMS [N_EVENTS]: text events on stdin become DIR/trace, as recorded. Events of one tid go to
 * one stream. FIXTURE_SCHEMA=1 in the environment: as before schema 2. With N_EVENTS that many calls, waits and allocations follow, of 64 threads and 2000 stacks: for speed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ctf_fixture.h"
#include "event_text.h"
#include "proto/schema.h"

static void add_many(struct ctf_fixture *fixture, unsigned n_streams, uint64_t n_events)
{
	uint64_t time_ns = 1800000000, seed = 42;

	for (uint64_t i = 0; i < n_events; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		uint32_t random = (uint32_t)(seed >> 33);
		struct event event = { .time_ns = time_ns += 300,
			.proc = 1,
			.tid = 1000 + random % 64,
			.stack = 16 + random / 64 % 2000 };
		if (random % 10 < 7) {
			event.kind = EVENT_CALL;
			event.call.call = FR_CALL_read + random / 1024 % 8;
			event.call.fd = random % 16;
			event.call.ret = random % 4096;
			event.call.dur = 200 + random % 4096;
		} else if (random % 10 < 9) {
			event.kind = EVENT_WAIT;
			event.wait.kind = random / 16 % FR_LOCK_N;
			/* A lock is waited for at a few places and held by a few threads. */
			uint32_t lock = random / 512 % 100;
			event.stack = 16 + lock * 16 + random / 7 % 4;
			event.wait.obj = 0x10000 + lock * 64;
			event.wait.dur = random % 100000;
			event.wait.holder = 1000 + (lock + random / 77 % 3) % 64;
			event.wait.holder_stack = 16 + lock * 16 + 8 + random / 128 % 2;
		} else {
			event.kind = EVENT_SAMPLE;
			event.sample.addr = (seed >> 20) & ~15ull;
			event.sample.size = 16 << random % 10;
			event.sample.rate = 524288;
		}
		ctf_fixture_add(fixture, (unsigned)(i % n_streams), &event);
	}
}

int main(int argc, char **argv)
{
	const char *schema = getenv("FIXTURE_SCHEMA");
	char *line = NULL;
	size_t size = 0;

	if (argc < 3)
		return fprintf(stderr, "usage: trace_fixture DIR N_STREAMS [N_EVENTS] < EVENTS\n"),
		       2;
	unsigned n_streams = (unsigned)atoi(argv[2]);
	struct ctf_fixture *fixture = ctf_fixture_new(
		argv[1], n_streams, 65536, schema ? atoi(schema) : FR_SCHEMA_VERSION);
	while (getline(&line, &size, stdin) > 0) {
		struct event_text text;
		if (!event_text_parse(line, &text))
			continue;
		ctf_fixture_add(fixture, text.event.tid % n_streams, &text.event);
		event_text_fini(&text);
	}
	free(line);
	if (argc > 3)
		add_many(fixture, n_streams, strtoull(argv[3], NULL, 10));
	ctf_fixture_close(fixture);
	return 0;
}
