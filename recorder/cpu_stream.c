/* SPDX-License-Identifier: MIT */
#include "recorder/cpu_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "proto/control.h"
#include "recorder/archive.h"
#include "recorder/blackbox_tables.h"
#include "recorder/process_state.h"

/* clang-format off */
static const struct ctf_class classes[] = {
	{ "flightrec_cpu:sample", (const struct ctf_field[]){
		{ .name = "proc", .type = CTF_U16 },
		{ .name = "tid", .type = CTF_U32 },
		{ .name = "stack", .type = CTF_U32 },
		{ .name = "weight", .type = CTF_U64 },
		{ .name = "labels", .type = CTF_STRING },
		{ .name = NULL } } },
};
/* clang-format on */

struct sample {
	struct fr_cpu_sample sample;
	const struct process_state *process; /* borrowed */
};

static gint sample_compare(gconstpointer a, gconstpointer b)
{
	const struct sample *one = a, *other = b;

	if (one->sample.time_ns != other->sample.time_ns)
		return one->sample.time_ns < other->sample.time_ns ? -1 : 1;
	return 0;
}

/* Those of one process; returns how many are missing. */
static uint64_t collect(
	const struct process_state *process, uint64_t begin_ns, uint64_t end_ns, GArray *samples)
{
	g_autoptr(GArray) own = NULL;
	uint64_t n_missing = blackbox_samples(process->blackbox, begin_ns, &own);

	for (guint i = 0; i < own->len; i++) {
		struct sample sample = { .sample = g_array_index(own, struct fr_cpu_sample, i),
			.process = process };

		if (sample.sample.time_ns <= end_ns)
			g_array_append_val(samples, sample);
	}
	return n_missing;
}

/* Texts of label sets, read once: they never change. */
static const char *label_of(GHashTable *labels, const struct sample *sample)
{
	uint64_t key = (uint64_t)sample->process->proc << 32 | sample->sample.labels_id;
	char text[160], *kept;

	if (!sample->sample.labels_id)
		return NULL;
	kept = g_hash_table_lookup(labels, &key);
	if (!kept) {
		blackbox_label(sample->process->blackbox, sample->sample.labels_id, text);
		kept = g_strdup(text);
		g_hash_table_insert(labels, g_memdup2(&key, sizeof(key)), kept);
	}
	return kept;
}

static void write_samples(struct ctf_writer *writer, const GArray *samples)
{
	g_autoptr(GHashTable) labels =
		g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);

	for (guint i = 0; i < samples->len; i++) {
		const struct sample *sample = &g_array_index(samples, struct sample, i);

		ctf_writer_begin(writer, 0, sample->sample.time_ns);
		ctf_put_u16(writer, sample->process->proc);
		ctf_put_u32(writer, sample->sample.tid);
		ctf_put_u32(writer, sample->sample.stack);
		ctf_put_u64(writer, sample->sample.weight_ns);
		ctf_put_string(writer, label_of(labels, sample));
		ctf_writer_end(writer);
	}
}

int cpu_stream_pack(uint64_t begin_ns, uint64_t end_ns, const struct ctf_clock *clock,
	const GPtrArray *processes, struct archive_out *out, int fd, struct cpu_packed *packed_out)
{
	g_autoptr(GArray) samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
	struct cpu_packed packed = { 0 };
	struct ctf_writer *writer;
	GString *metadata;
	int err;

	for (guint i = 0; i < processes->len; i++)
		packed.n_lost +=
			collect(g_ptr_array_index(processes, i), begin_ns, end_ns, samples);
	packed.n_samples = samples->len;
	*packed_out = packed;
	if (samples->len == 0)
		return 0;
	g_array_sort(samples, sample_compare);
	writer = ctf_writer_new(fd, classes, G_N_ELEMENTS(classes), clock);
	write_samples(writer, samples);
	err = ctf_writer_flush(writer, &packed.n_bytes);
	metadata = ctf_writer_metadata(writer, NULL, 0);
	if (!err)
		err = archive_out_add(out, "trace/cpu/metadata", metadata->str, metadata->len);
	if (!err)
		err = archive_out_add_fd(out, "trace/cpu/samples", fd, packed.n_bytes);
	g_string_free(metadata, TRUE);
	ctf_writer_free(writer);
	*packed_out = packed;
	return err;
}

uint32_t cpu_stream_hz(const char *rundir)
{
	g_autofree char *path = g_build_filename(rundir, "control", NULL);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint32_t hz = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &hz, sizeof(hz), offsetof(struct fr_control, cpu_hz)) != sizeof(hz))
		hz = 0;
	close(fd);
	return hz;
}
