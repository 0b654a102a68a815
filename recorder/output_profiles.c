/* SPDX-License-Identifier: MIT */
#include "recorder/output_profiles.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "common/fs.h"
#include "common/log.h"

/* The heap's file has the view that `go test` chooses: what was allocated first, what still lives beside it. */
static const struct {
	const char *option, *profile;
} table[OUTPUT_N] = {
	[OUTPUT_CPU] = { "--cpuprofile", NULL },
	[OUTPUT_MEM] = { "--memprofile", "allocs" },
	[OUTPUT_BLOCK] = { "--blockprofile", "block" },
	[OUTPUT_MUTEX] = { "--mutexprofile", "mutex" },
};

int output_profiles_open(
	const struct options *options, struct output_profiles *outputs, char **why_out)
{
	const char *const paths[OUTPUT_N] = {
		[OUTPUT_CPU] = options->cpu_profile,
		[OUTPUT_MEM] = options->mem_profile,
		[OUTPUT_BLOCK] = options->block_profile,
		[OUTPUT_MUTEX] = options->mutex_profile,
	};

	for (size_t i = 0; i < OUTPUT_N; i++) {
		int err = 0;

		if (paths[i])
			err = store_file_begin_at(
				table[i].option, paths[i], &outputs->files[i], why_out);
		if (err) {
			output_profiles_discard(outputs);
			return err;
		}
	}
	return 0;
}

static void give_up(struct output_profiles *outputs, size_t i, const char *why)
{
	log_error("%s %s is not written: %s", table[i].option, outputs->files[i].path, why);
	store_file_discard(&outputs->files[i]);
}

void output_profiles_begin(struct output_profiles *outputs, const struct options *options,
	struct profiles *profiles, pid_t pid)
{
	g_autofree char *why = NULL;
	int rc;

	for (size_t i = 0; i < OUTPUT_N && !profiles; i++) {
		if (outputs->files[i].fd >= 0)
			give_up(outputs, i, "the program runs untraced");
	}
	if (!profiles || outputs->files[OUTPUT_CPU].fd < 0)
		return;
	rc = profiles_cpu_begin_program(profiles, pid, options->cpu_hz, &why);
	outputs->is_cpu_on = rc == 0;
	if (rc)
		give_up(outputs, OUTPUT_CPU, why ? why : strerror(rc < 0 ? -rc : EIO));
}

static int take(struct output_profiles *outputs, size_t i, struct profiles *profiles,
	GByteArray **bytes_out, char **why_out)
{
	const struct profiles_query query = { 0 };

	if (i != OUTPUT_CPU)
		return profiles_take(profiles, table[i].profile, &query, bytes_out, why_out);
	outputs->is_cpu_on = false;
	return profiles_cpu_end(profiles, &query, bytes_out, why_out);
}

static void write_one(struct output_profiles *outputs, size_t i, struct profiles *profiles)
{
	struct store_file *file = &outputs->files[i];
	g_autoptr(GByteArray) bytes = NULL;
	g_autofree char *why = NULL, *note = NULL, *path = g_strdup(file->path);
	int rc = take(outputs, i, profiles, &bytes, &why);

	if (rc) {
		give_up(outputs, i, why ? why : strerror(rc < 0 ? -rc : EIO));
		return;
	}
	rc = fs_write_all(file->fd, bytes->data, bytes->len);
	if (rc) {
		give_up(outputs, i, strerror(-rc));
		return;
	}
	rc = store_file_publish(file);
	if (rc)
		log_error("%s %s is not written: %s", table[i].option, path, strerror(-rc));
	note = i == OUTPUT_CPU ? profiles_cpu_note(profiles) : NULL;
	if (note)
		log_say("%s %s: %s", table[i].option, path, note);
}

void output_profiles_write(struct output_profiles *outputs, struct profiles *profiles)
{
	for (size_t i = 0; i < OUTPUT_N; i++) {
		if (outputs->files[i].fd >= 0)
			write_one(outputs, i, profiles);
	}
}

void output_profiles_discard(struct output_profiles *outputs)
{
	for (size_t i = 0; i < OUTPUT_N; i++)
		store_file_discard(&outputs->files[i]);
}
