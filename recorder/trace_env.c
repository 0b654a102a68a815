/* SPDX-License-Identifier: MIT */
#include "recorder/trace_env.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "recorder/state_trace.h"
#include "recorder/trace_out.h"

#define NS_PER_S 1000000000ll

static char *boot_id(void)
{
	char *text = NULL;

	if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
		return g_strdup("");
	return g_strstrip(text);
}

void trace_env_clock(struct ctf_clock *clock_out)
{
	struct ctf_clock clock = { .name = "monotonic", .freq = NS_PER_S };
	struct timespec mono, real, mono_after;
	char *uuid = boot_id();
	int64_t ns;

	/* The middle of two readings around the other clock: off by half a switch at worst. */
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono_after);
	ns = (real.tv_sec - mono.tv_sec) * NS_PER_S + (real.tv_nsec - mono.tv_nsec);
	ns -= ((mono_after.tv_sec - mono.tv_sec) * NS_PER_S + mono_after.tv_nsec - mono.tv_nsec) /
	      2;
	clock.offset_s = ns / NS_PER_S;
	clock.offset = ns % NS_PER_S;
	g_strlcpy(clock.uuid, uuid, sizeof(clock.uuid));
	g_free(uuid);
	*clock_out = clock;
}

static void env_os(struct state_trace *trace)
{
	char *name = g_get_os_info(G_OS_INFO_KEY_PRETTY_NAME);

	if (name)
		state_trace_env(trace, "os", name);
	g_free(name);
}

static void env_number(struct state_trace *trace, const char *key, int64_t value)
{
	char text[32];

	g_snprintf(text, sizeof(text), "%" PRId64, value);
	state_trace_env(trace, key, text);
}

void trace_env_write(struct state_trace *trace, const struct trace_out_request *request,
	const struct ctf_clock *clock)
{
	struct utsname name;
	char *text;

	if (uname(&name) == 0) {
		state_trace_env(trace, "host", name.nodename);
		text = g_strdup_printf("%s %s %s", name.sysname, name.release, name.machine);
		state_trace_env(trace, "kernel", text);
		g_free(text);
	}
	env_os(trace);
	env_number(trace, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
	state_trace_env(trace, "version", FLIGHTREC_VERSION);
	env_number(trace, "schema", FR_SCHEMA_VERSION);
	state_trace_env(trace, "clock", clock->name);
	env_number(trace, "clock.offset_ns", clock->offset_s * NS_PER_S + clock->offset);
	text = boot_id();
	state_trace_env(trace, "boot_id", text);
	g_free(text);
	for (size_t i = 0; i < request->n_env; i++)
		state_trace_env(trace, request->env[i].key, request->env[i].value);
}
