/* SPDX-License-Identifier: MIT */
#include "recorder/death_profiles.h"

#include <glib.h>

#include "recorder/archive.h"
#include "recorder/profiles.h"

int death_profiles_add(void *user, struct archive_out *out)
{
	static const char *const names[] = { "heap", "block", "mutex", "goroutine",
		"threadcreate" };
	const struct death_profiles *death = user;
	const struct profiles_query query = { .pid = death->pid };
	int err = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(names) && !err; i++) {
		g_autoptr(GByteArray) bytes = NULL;
		g_autofree char *why = NULL,
				*member = g_strdup_printf("profiles/%s.pb.gz", names[i]);

		if (profiles_take(death->profiles, names[i], &query, &bytes, &why) == 0)
			err = archive_out_add(out, member, bytes->data, bytes->len);
	}
	return err;
}
