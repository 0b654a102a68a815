/* SPDX-License-Identifier: MIT */
/*
 * Order matters twice. What changes is read first: the program runs on. In the archive the streams come
 * first, then the state trace, whose symbols may take a while. So a file first gets a state trace without
 * names, and is a complete trace that whoever asked may give a name; the state trace with names is made
 * beside it and takes the place of the other in a moment.
 *
 * The state trace is gathered in an unnamed file beside the target, since tar wants a member's size
 * before its content.
 */
#include "recorder/trace_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "recorder/archive.h"
#include "recorder/blackbox_read.h"
#include "recorder/cpu_stream.h"
#include "recorder/process_state.h"
#include "recorder/procfs.h"
#include "recorder/sched.h"
#include "recorder/ring_read.h"
#include "recorder/state_moments.h"
#include "recorder/state_symbols.h"
#include "recorder/state_trace.h"
#include "recorder/trace_env.h"
#include "recorder/ust_streams.h"

struct job {
	const struct trace_out_request *request; /* borrowed */
	GPtrArray *processes;			 /* owns struct process_state, by ascending proc */
	struct ust_streams *streams;		 /* owned */
	GPtrArray *notes;			 /* owned strings, from here */
	struct process_window window;		 /* covered */
	struct cpu_times *times;   /* owned: at its begin; NULL: the request has them */
	struct cpu_times *last;	   /* owned: what was seen last of every thread */
	struct sched_packed sched; /* once packed */
	struct cpu_packed cpu;	   /* likewise */
	uint64_t definitions_ns;   /* stamp of definitions: before any event */
	uint64_t state_ns;	   /* stamp of the state at the end */
	struct ctf_clock clock;
	int64_t mtime;	 /* of the archive's members, seconds */
	char names[512]; /* what kept names from being found; "" nothing */
};

static void note(struct job *job, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void note(struct job *job, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(job->notes, g_strdup_vprintf(format, args));
	va_end(args);
}

static void process_free(void *data)
{
	process_state_free(data);
}

static void take_processes(struct job *job)
{
	GArray *numbers = blackbox_list(job->request->rundir);

	for (guint i = 0; i < numbers->len; i++) {
		uint16_t proc = g_array_index(numbers, uint16_t, i);
		struct blackbox *blackbox;
		int err = blackbox_open_proc(job->request->rundir, proc, &blackbox);

		if (!err) {
			struct process_state *state = process_state_take(blackbox);

			process_end_read(job->request->rundir, proc, &state->end);
			g_ptr_array_add(job->processes, state);
		} else if (err != BLACKBOX_E_MAGIC && err != -ENOENT) {
			note(job, "The state of process number %u is missing: %s.", proc,
				blackbox_error(err));
		}
	}
	g_array_unref(numbers);
}

/* What the trace covers, and the stamps of its state events. */
static void set_window(struct job *job)
{
	const struct ust_summary *streams = ust_streams_summary(job->streams);
	const struct trace_out_request *request = job->request;
	uint64_t begin = request->begin_ns ? request->begin_ns : streams->oldest_ns;
	uint64_t end = request->end_ns ? request->end_ns : streams->newest_ns;

	if (!end)
		end = procfs_now();
	begin = MAX(begin, streams->covered_ns);
	if (request->losses)
		begin = MAX(begin, request->losses->complete_ns);
	job->window.begin_ns = begin && begin < end ? begin : end;
	job->window.end_ns = end;
	if (request->trigger && request->trigger->kind == FR_TRIGGER_DEATH) {
		job->window.death_proc = request->trigger->proc;
		job->window.death_signal = (uint32_t)request->death_signal;
		job->window.is_death_oom = request->trigger->value != 0;
	}
	if (!request->cpu_begin)
		job->times = sched_times_at(request->sched, job->window.begin_ns);
	job->window.cpu_begin = request->cpu_begin ? request->cpu_begin : job->times;
	job->window.cpu_last = job->last = sched_times_at(request->sched, UINT64_MAX);
	job->definitions_ns = job->window.begin_ns;
	if (streams->oldest_ns && streams->oldest_ns < job->definitions_ns)
		job->definitions_ns = streams->oldest_ns;
	job->state_ns = MAX(end, streams->newest_ns);
	if (ust_streams_clock(job->streams, &job->clock) != 0)
		trace_env_clock(&job->clock);
}

/* Drops processes without a part in the window. */
static void drop_outsiders(struct job *job)
{
	struct process_window window = job->window;

	/* Streams may hold events from before the covered window: their processes belong in. */
	window.begin_ns = job->definitions_ns;
	for (guint i = job->processes->len; i > 0; i--)
		if (!process_state_is_inside(g_ptr_array_index(job->processes, i - 1), &window))
			g_ptr_array_remove_index(job->processes, i - 1);
}

static void receipt_number(struct state_trace *trace, const char *key, uint64_t value)
{
	char text[32];

	g_snprintf(text, sizeof(text), "%" PRIu64, value);
	state_trace_receipt(trace, key, text);
}

static void write_notes(struct state_trace *trace, const GPtrArray *notes, unsigned *n)
{
	char key[32];

	for (guint i = 0; i < notes->len; i++) {
		g_snprintf(key, sizeof(key), "note.%u", (*n)++);
		state_trace_receipt(trace, key, g_ptr_array_index(notes, i));
	}
}

static void write_scheduling(const struct job *job, struct state_trace *trace)
{
	g_autofree char *sentence = sched_describe(job->request->sched);

	state_trace_receipt(trace, "scheduling", sentence);
	state_trace_receipt(trace, "scheduling.step", sched_step_name(job->sched.step));
	if (!job->sched.n_bytes)
		return;
	receipt_number(trace, "scheduling.lost", job->sched.n_lost);
	receipt_number(trace, "scheduling.slices", job->sched.n_slices);
	receipt_number(trace, "scheduling.records", job->sched.n_compared);
}

/* What the copy of the ring knows comes first: its streams do not tell what was before or after them. */
static uint64_t lost_events(const struct job *job)
{
	return job->request->losses ? job->request->losses->lost_events
				    : ust_streams_summary(job->streams)->lost_events;
}

static uint64_t lost_packets(const struct job *job)
{
	return job->request->losses ? job->request->losses->lost_packets
				    : ust_streams_summary(job->streams)->lost_packets;
}

static void note_torn(struct job *job)
{
	const struct ring_read_result *losses = job->request->losses;

	if (losses && losses->torn_packets)
		note(job,
			"Threads died or were off the CPU within an event: up to %" PRIu64
			" bytes of events are missing at %" PRIu64 " places.",
			losses->torn_bytes, losses->torn_packets);
}

/* Why there is this trace. */
static void write_occasion(const struct trace_out_request *request, struct state_trace *trace)
{
	if (request->death)
		state_trace_receipt(trace, "death", request->death);
	if (request->death_signal)
		receipt_number(trace, "death.signal", (uint64_t)request->death_signal);
	if (request->trigger && request->trigger->reason)
		state_trace_receipt(trace, "trigger", request->trigger->reason);
}

static void write_receipt(struct job *job, struct state_trace *trace)
{
	const struct ust_summary *streams = ust_streams_summary(job->streams);
	const struct trace_out_request *request = job->request;
	unsigned n = 0;
	char key[32];

	receipt_number(trace, "window.asked_ns", request->asked_ns);
	receipt_number(trace, "window.begin_ns", job->window.begin_ns);
	receipt_number(trace, "window.end_ns", job->window.end_ns);
	state_trace_receipt(trace, "mode", request->mode);
	state_trace_receipt(trace, "end_reason", request->end_reason);
	if (streams->is_unknown) {
		state_trace_receipt(trace, "lost.events", "unknown");
		state_trace_receipt(trace, "lost.packets", "unknown");
	} else {
		receipt_number(trace, "lost.events", lost_events(job));
		receipt_number(trace, "lost.packets", lost_packets(job));
	}
	write_scheduling(job, trace);
	receipt_number(trace, "samples.hz", cpu_stream_hz(request->rundir));
	receipt_number(trace, "samples.lost", job->cpu.n_lost);
	write_occasion(request, trace);
	for (size_t i = 0; request->notes && request->notes[i]; i++) {
		g_snprintf(key, sizeof(key), "note.%u", n++);
		state_trace_receipt(trace, key, request->notes[i]);
	}
	write_notes(trace, ust_streams_notes(job->streams), &n);
	write_notes(trace, job->notes, &n);
}

/* Sentences about what the processes themselves could not keep. */
static void note_process(struct job *job, const struct process_state *state, int n_damaged)
{
	const struct fr_blackbox *header = &state->blackbox->header;

	if (n_damaged < 0)
		note(job, "The stacks of process %u could not be read: %s.", header->pid,
			g_strerror(-n_damaged));
	else if (n_damaged > 0)
		note(job, "%d stacks of process %u are damaged and missing.", n_damaged,
			header->pid);
	if (state->n_torn)
		note(job,
			"%u threads of process %u were caught while they changed state: it is "
			"unknown.",
			state->n_torn, header->pid);
	if (header->state == FR_PROCESS_OFF)
		note(job, "Process %u was not traced: %s.", header->pid,
			header->why[0] ? header->why : "no reason was given");
}

/* Every event of the state trace, but those of symbols unless has_names. */
static void write_state(struct job *job, struct state_trace *trace, bool has_names)
{
	struct symbol_options options = {
		.debuginfod_ns = has_names ? job->request->debuginfod_ns : 0,
		.is_progress = job->request->is_progress,
		.is_hurried = job->request->is_hurried,
		.user = job->request->user,
		.cache = job->request->symbols,
	};
	struct state_symbols *symbols = state_symbols_new(&options);
	struct process_window window = job->window;
	guint n_notes = job->notes->len;

	window.begin_ns = job->definitions_ns;
	state_trace_set_time(trace, job->definitions_ns);
	for (guint i = 0; i < job->processes->len; i++) {
		struct process_state *state = g_ptr_array_index(job->processes, i);
		int n_damaged;

		process_state_write_definitions(state, &window, trace);
		n_damaged = state_symbols_add_process(
			symbols, state, window.begin_ns, window.end_ns, trace);
		note_process(job, state, n_damaged);
	}
	if (has_names)
		state_symbols_write(symbols, trace, job->notes, job->names, sizeof(job->names));
	else if (!job->request->is_nameless)
		note(job, "The names of functions are missing: the recorder was ended while it "
			  "looked "
			  "them up.");
	state_symbols_free(symbols);
	state_moments_write(job->processes, job->request->trigger, job->state_ns, trace);
	state_trace_set_time(trace, job->state_ns);
	for (guint i = 0; i < job->processes->len; i++)
		process_state_write_end(g_ptr_array_index(job->processes, i), &window, trace);
	trace_env_write(trace, job->request, &job->clock);
	write_receipt(job, trace);
	/* Those from here come again with the next attempt. */
	g_ptr_array_set_size(job->notes, (gint)n_notes);
}

/* An unnamed file: in the folder of the target if that is one, else where temporary files go. */
static int open_scratch(int target)
{
	char link[64], path[4096], *folder;
	struct stat st;
	ssize_t n;
	int fd = -1;

	if (fstat(target, &st) == 0 && S_ISREG(st.st_mode)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", target);
		n = readlink(link, path, sizeof(path) - 1);
		if (n > 0) {
			path[n] = '\0';
			folder = g_path_get_dirname(path);
			fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
			g_free(folder);
		}
	}
	if (fd < 0)
		fd = open(g_get_tmp_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = memfd_create("state", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int pack_samples(struct job *job, struct archive_out *out, int target)
{
	int fd = open_scratch(target), err;

	if (fd < 0)
		return fd;
	err = cpu_stream_pack(job->window.begin_ns, job->window.end_ns, &job->clock, job->processes,
		out, fd, &job->cpu);
	close(fd);
	return err;
}

/* The members that are there before anybody looks up a name. */
static int pack_streams(struct job *job, struct archive_out *out, int target)
{
	int err = ust_streams_pack(job->streams, out), fd;

	if (!err)
		err = pack_samples(job, out, target);
	if (err || !job->request->sched)
		return err;
	fd = open_scratch(target);
	if (fd < 0)
		return fd;
	err = sched_pack(job->request->sched, job->window.begin_ns, job->window.end_ns, &job->clock,
		job->processes, out, fd, &job->sched);
	job->window.switches = job->sched.threads;
	close(fd);
	return err;
}

static int pack_state(struct job *job, struct archive_out *out, int target, bool has_names)
{
	struct state_trace *trace;
	GString *metadata;
	uint64_t n_bytes;
	int err, fd = open_scratch(target);

	if (fd < 0)
		return fd;
	trace = state_trace_new(fd, &job->clock);
	write_state(job, trace, has_names);
	err = state_trace_flush(trace, &n_bytes);
	metadata = state_trace_metadata(trace);
	if (!err)
		err = archive_out_add(out, "trace/state/metadata", metadata->str, metadata->len);
	if (!err)
		err = archive_out_add_fd(out, "trace/state/state", fd, n_bytes);
	g_string_free(metadata, TRUE);
	state_trace_free(trace);
	close(fd);
	return err;
}

/* The last members and the end of the archive, at the position of `fd`. */
static int write_end(struct job *job, int fd, int target, bool has_names, uint64_t *n_bytes_out)
{
	struct archive_out *out = archive_out_new(fd, job->mtime);
	int err = pack_state(job, out, target, has_names && !job->request->is_nameless);

	if (!err && has_names && job->request->add_members)
		err = job->request->add_members(job->request->members, out);
	if (!err)
		err = archive_out_finish(out, n_bytes_out);
	archive_out_free(out);
	return err;
}

/* Puts the first n bytes of `from` in place of what `fd` holds from `at` on; all or nothing, but for a crash. */
static int replace_end(int fd, off_t at, int from, uint64_t n)
{
	unsigned char buffer[64 << 10];
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* A disk that fills up is noticed before anything is overwritten. */
	err = -posix_fallocate(fd, at, (off_t)n);
	if (err) {
		if (ftruncate(fd, st.st_size) < 0)
			return -errno;
		return err;
	}
	for (uint64_t done = 0; done < n;) {
		ssize_t got = pread(from, buffer, MIN(sizeof(buffer), n - done), (off_t)done);
		ssize_t put = got > 0 ? pwrite(fd, buffer, (size_t)got, at + (off_t)done) : got;

		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		done += (uint64_t)put;
	}
	return ftruncate(fd, at + (off_t)n) < 0 ? -errno : 0;
}

/* Looks names up and puts them into the trace that ends without, behind `head` bytes from `begin` on. */
static int add_names(struct job *job, int fd, off_t begin, uint64_t head, uint64_t *n_bytes)
{
	int scratch = open_scratch(fd), err;
	uint64_t n;

	if (scratch < 0)
		return scratch;
	err = write_end(job, scratch, fd, true, &n);
	if (!err)
		err = replace_end(fd, begin + (off_t)head, scratch, n);
	close(scratch);
	if (!err)
		*n_bytes = head + n;
	return err;
}

/* Streams, then a state trace without names, then one with them in its place. */
static int write_safely(struct job *job, int fd, uint64_t *n_bytes)
{
	struct archive_out *out = archive_out_new(fd, job->mtime);
	off_t begin = lseek(fd, 0, SEEK_CUR);
	uint64_t head = 0, n = 0;
	int err = pack_streams(job, out, fd);

	if (!err)
		err = archive_out_pause(out, &head);
	archive_out_free(out);
	if (!err)
		err = write_end(job, fd, fd, false, &n);
	if (err)
		return err;
	*n_bytes = head + n;
	job->request->on_safe(job->request->user);
	if (job->request->is_nameless && !job->request->add_members)
		return 0;
	err = add_names(job, fd, begin, head, n_bytes);
	if (err)
		g_snprintf(job->names, sizeof(job->names),
			"The names of functions could not be written to the trace: %s.",
			g_strerror(-err));
	return 0;
}

/* Everything in one go. */
static int write_at_once(struct job *job, int fd, uint64_t *n_bytes)
{
	struct archive_out *out = archive_out_new(fd, job->mtime);
	int err = pack_streams(job, out, fd);

	if (!err)
		err = pack_state(job, out, fd, !job->request->is_nameless);
	if (!err && job->request->add_members)
		err = job->request->add_members(job->request->members, out);
	if (!err)
		err = archive_out_finish(out, n_bytes);
	archive_out_free(out);
	return err;
}

static bool is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

int trace_out_write(
	int fd, const struct trace_out_request *request, struct trace_out_result *result_out)
{
	struct trace_out_result result = { .n_bytes = 0 };
	struct job job = { .request = request, .mtime = time(NULL) };
	const struct ust_summary *streams;
	int err;

	job.notes = g_ptr_array_new_with_free_func(g_free);
	job.processes = g_ptr_array_new_with_free_func(process_free);
	take_processes(&job);
	job.streams = ust_streams_scan(request->ust_dir, strcmp(request->mode, "snapshot") == 0);
	streams = ust_streams_summary(job.streams);
	set_window(&job);
	note_torn(&job);
	drop_outsiders(&job);
	result.begin_ns = job.window.begin_ns;
	result.end_ns = job.window.end_ns;
	result.lost_events = streams->is_unknown ? UINT64_MAX : lost_events(&job);
	result.lost_packets = streams->is_unknown ? UINT64_MAX : lost_packets(&job);

	if (request->on_safe && is_regular(fd))
		err = write_safely(&job, fd, &result.n_bytes);
	else
		err = write_at_once(&job, fd, &result.n_bytes);
	g_strlcpy(result.names, job.names, sizeof(result.names));
	ust_streams_free(job.streams);
	cpu_times_free(job.times);
	cpu_times_free(job.last);
	if (job.sched.threads)
		g_hash_table_unref(job.sched.threads);
	g_ptr_array_unref(job.processes);
	g_ptr_array_unref(job.notes);
	*result_out = result;
	return err;
}
