/* SPDX-License-Identifier: MIT */
#include "recorder/staging.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/units.h"

#define PREFIX ".flightrec"
#define N_PARENTS 4

static void list_parents(const char *output_dir, const char *parents_out[N_PARENTS])
{
	const char *tmpdir = getenv("TMPDIR");

	parents_out[0] = output_dir;
	parents_out[1] = tmpdir && *tmpdir == '/' ? tmpdir : NULL;
	parents_out[2] = "/var/tmp";
	parents_out[3] = "/tmp";
}

static int try_parent(const char *parent, struct staging *staging_out)
{
	struct staging staging = { 0 };
	int err = owned_dir_create(parent, PREFIX, 0700, &staging.dir);

	if (err)
		return err;
	staging.data = g_strdup_printf("%s/data", staging.dir.path);
	if (mkdir(staging.data, 0700) < 0) {
		err = -errno;
		staging_remove(&staging);
		return err;
	}
	*staging_out = staging;
	return 0;
}

int staging_create(
	const char *output_dir, uint64_t want_bytes, struct staging *staging_out, char **why_out)
{
	const char *parents[N_PARENTS];
	uint64_t most_free = 0;
	char free_text[32], want_text[32];
	int err = -ENOSPC;

	list_parents(output_dir, parents);
	/* The result must fit the output folder wherever the raw data goes. */
	for (size_t i = 0; i < N_PARENTS && fs_free_bytes(output_dir) >= want_bytes; i++) {
		uint64_t free_bytes = parents[i] ? fs_free_bytes(parents[i]) : 0;

		if (free_bytes < want_bytes) {
			most_free = MAX(most_free, free_bytes);
			continue;
		}
		err = try_parent(parents[i], staging_out);
		if (!err)
			return 0;
	}
	units_size_format(err == -ENOSPC ? fs_free_bytes(output_dir) : most_free, free_text,
		sizeof(free_text));
	units_size_format(want_bytes, want_text, sizeof(want_text));
	if (err == -ENOSPC)
		*why_out = g_strdup_printf(
			"The disk of %s is full: %s free, at least %s wanted; free some "
			"space or restart with another --output-dir",
			output_dir, free_text, want_text);
	else
		*why_out = g_strdup_printf(
			"Cannot make a folder for the recording in %s, TMPDIR, /var/tmp "
			"or /tmp: %s",
			output_dir, strerror(-err));
	return err;
}

void staging_remove(struct staging *staging)
{
	owned_dir_remove(&staging->dir);
	g_clear_pointer(&staging->data, g_free);
}

char *staging_keep(struct staging *staging, const char *output_dir)
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32], *path;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	path = g_strdup_printf("%s/trace-%s.raw", output_dir, stamp);
	if (rename(staging->data, path) < 0) {
		g_free(path);
		path = g_strdup(staging->data);
		owned_dir_release(&staging->dir);
	} else {
		owned_dir_remove(&staging->dir);
	}
	g_clear_pointer(&staging->data, g_free);
	return path;
}

void staging_clean(const char *output_dir)
{
	const char *parents[N_PARENTS];

	list_parents(output_dir, parents);
	for (size_t i = 0; i < N_PARENTS; i++) {
		if (parents[i])
			owned_dir_clean(parents[i], PREFIX);
	}
}
