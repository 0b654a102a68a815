/* SPDX-License-Identifier: MIT */
#include "recorder/death_profiles.h"

#include <glib.h>

#include "recorder/archive.h"
#include "recorder/profiles.h"

/* Of what the CPU profile is: the samples that are always taken. */
#define CPU_NS 60000000000ull

static int add(struct archive_out *out, const char *name, const GByteArray *bytes)
{
	g_autofree char *member = g_strdup_printf("profiles/%s.pb.gz", name);

	return archive_out_add(out, member, bytes->data, bytes->len);
}

/* The CPU time of its last minute. */
static int add_cpu(const struct death_profiles *death, struct archive_out *out)
{
	const struct profiles_query query = { .pid = death->pid };
	struct profiles_past past = {
		.hz = death->cpu_hz,
		.window = { .asked_ns = CPU_NS, .end_ns = death->end_ns },
	};
	g_autoptr(GByteArray) bytes = NULL;
	g_autofree char *why = NULL;
	int err = 0;

	if (!death->cpu_hz)
		return 0;
	if (profiles_cpu_past(death->profiles, &query, &past, &bytes, &why) == 0)
		err = add(out, "cpu", bytes);
	g_free(past.note);
	return err;
}

int death_profiles_add(void *user, struct archive_out *out)
{
	static const char *const names[] = { "heap", "block", "mutex", "goroutine",
		"threadcreate" };
	const struct death_profiles *death = user;
	const struct profiles_query query = { .pid = death->pid };
	int err = add_cpu(death, out);

	for (size_t i = 0; i < G_N_ELEMENTS(names) && !err; i++) {
		g_autoptr(GByteArray) bytes = NULL;
		g_autofree char *why = NULL;

		if (profiles_take(death->profiles, names[i], &query, &bytes, &why) == 0)
			err = add(out, names[i], bytes);
	}
	return err;
}
