/* SPDX-License-Identifier: MIT */
/* What archive.c writes is read back by tar. */
#include "check.h"
#include "run.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "recorder/archive.h"

#define BIG (37u << 20)

static int open_target(void)
{
	return open(run_path("out.tgz"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* A file of `n` bytes that do not compress to nothing. */
static int big_file(size_t n)
{
	FILE *file = fopen(run_path("big"), "we");
	uint32_t x = 1;

	for (size_t i = 0; i < n / 4; i++) {
		x = x * 1664525 + 1013904223;
		fwrite(&x, 4, 1, file);
	}
	fclose(file);
	return open(run_path("big"), O_RDONLY | O_CLOEXEC);
}

static void round_trip(void)
{
	int fd = open_target(), big = big_file(BIG);
	struct archive_out *out = archive_out_new(fd, 1700000000);
	uint64_t n_bytes;

	CHECK_INT(archive_out_add(out, "trace/a/metadata", "hello\n", 6), 0);
	CHECK_INT(archive_out_add_fd(out, "trace/a/big", big, BIG), 0);
	CHECK_INT(archive_out_flush(out), 0);
	CHECK_INT(archive_out_add(out, "trace/empty", NULL, 0), 0);
	CHECK_INT(archive_out_finish(out, &n_bytes), 0);
	archive_out_free(out);
	close(fd);
	close(big);
	CHECK_INT(run("tar tzf out.tgz"), 0);
	CHECK_STR(run_output, "trace/a/metadata\ntrace/a/big\ntrace/empty\n");
	CHECK_INT(run("gzip -t out.tgz && stat -c %%s out.tgz"), 0);
	CHECK_INT(strtoull(run_output, NULL, 10), n_bytes);
	CHECK_INT(run("tar xzf out.tgz && cmp trace/a/big big && cat trace/a/metadata"), 0);
	CHECK_STR(run_output, "hello\n");
	CHECK_INT(run("stat -c '%%s %%a %%Y' trace/empty"), 0);
	CHECK_STR(run_output, "0 644 1700000000\n");
}

static void part_of_a_file(void)
{
	int fd = open_target(), big = big_file(100000);
	struct archive_out *out = archive_out_new(fd, 0);

	CHECK_INT(archive_out_add_fd(out, "part", big, 12345), 0);
	CHECK_INT(archive_out_finish(out, NULL), 0);
	archive_out_free(out);
	close(fd);
	close(big);
	CHECK_INT(run("tar xzf out.tgz && cmp -n 12345 part big && stat -c %%s part"), 0);
	CHECK_STR(run_output, "12345\n");
}

static void file_that_shrank(void)
{
	int fd = open_target(), big = big_file(1000);
	struct archive_out *out = archive_out_new(fd, 0);

	CHECK_INT(archive_out_add_fd(out, "part", big, 2000), -EIO);
	CHECK_INT(archive_out_finish(out, NULL), -EIO);
	archive_out_free(out);
	close(fd);
	close(big);
}

static void flushed_part_is_readable(void)
{
	int fd = open_target(), big = big_file(1 << 20);
	struct archive_out *out = archive_out_new(fd, 0);

	archive_out_add_fd(out, "streams", big, 1 << 20);
	CHECK_INT(archive_out_flush(out), 0);
	/* The recorder dies here. */
	archive_out_free(out);
	close(fd);
	close(big);
	CHECK_INT(run("tar xzf out.tgz 2>/dev/null; cmp streams big"), 0);
}

static void two_parts(void)
{
	int fd = open_target(), big = big_file(200000);
	struct archive_out *out = archive_out_new(fd, 0);
	uint64_t head = 0, tail = 0;

	archive_out_add_fd(out, "streams", big, 100001);
	CHECK_INT(archive_out_pause(out, &head), 0);
	archive_out_free(out);
	CHECK_INT(lseek(fd, 0, SEEK_CUR), head);
	/* Good for all members so far, even if nothing comes. */
	CHECK_INT(run("gzip -t out.tgz && tar xzf out.tgz && cmp -n 100001 streams big"), 0);
	out = archive_out_new(fd, 0);
	CHECK_INT(archive_out_add(out, "state", "more\n", 5), 0);
	CHECK_INT(archive_out_finish(out, &tail), 0);
	archive_out_free(out);
	CHECK_INT(lseek(fd, 0, SEEK_CUR), head + tail);
	close(fd);
	close(big);
	CHECK_INT(run("rm -f streams; gzip -t out.tgz && tar xzf out.tgz && cmp -n 100001 streams big && cat "
		      "state"),
		0);
	CHECK_STR(run_output, "more\n");
	CHECK_INT(run("python3 -c 'import tarfile; print(*tarfile.open(\"out.tgz\")"
		      ".getnames(), sep=\"\\n\")'"),
		0);
	CHECK_STR(run_output, "streams\nstate\n");
}

static void full_disk(void)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC), big = big_file(1 << 20);
	struct archive_out *out = archive_out_new(fd, 0);

	CHECK_INT(archive_out_add_fd(out, "x", big, 1 << 20), -ENOSPC);
	CHECK_INT(archive_out_finish(out, NULL), -ENOSPC);
	archive_out_free(out);
	close(fd);
	close(big);
}

static void *drain(void *arg)
{
	char buffer[1000];
	FILE *file = fopen(run_path("piped.tgz"), "we");
	ssize_t n;

	while ((n = read(*(int *)arg, buffer, sizeof(buffer))) > 0)
		fwrite(buffer, 1, (size_t)n, file);
	fclose(file);
	return NULL;
}

static void pipe_target(void)
{
	int ends[2], big = big_file(3000000);
	struct archive_out *out;
	pthread_t thread;

	CHECK_INT(pipe(ends), 0);
	pthread_create(&thread, NULL, drain, &ends[0]);
	out = archive_out_new(ends[1], 0);
	CHECK_INT(archive_out_add_fd(out, "x", big, 3000000), 0);
	CHECK_INT(archive_out_finish(out, NULL), 0);
	archive_out_free(out);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(big);
	CHECK_INT(run("tar xzf piped.tgz && cmp x big"), 0);
}

static void reader_gone(void)
{
	int ends[2], big = big_file(3000000);
	struct archive_out *out;

	CHECK_INT(pipe(ends), 0);
	close(ends[0]);
	out = archive_out_new(ends[1], 0);
	CHECK_INT(archive_out_add_fd(out, "x", big, 3000000), -EPIPE);
	archive_out_free(out);
	close(ends[1]);
	close(big);
}

int main(void)
{
	run_init("test_archive");
	signal(SIGPIPE, SIG_IGN);
	CASE(round_trip, "tar reads members back as they were, in order");
	CASE(part_of_a_file, "only the bytes asked for of a file are taken");
	CASE(file_that_shrank, "a file shorter than promised is an error, not a bad archive");
	CASE(flushed_part_is_readable, "after a flush the members so far can be read");
	CASE(two_parts, "an archive goes on where another was paused");
	CASE(full_disk, "a full disk is reported as such");
	CASE(pipe_target, "a pipe is as good as a file");
	CASE(reader_gone, "a reader that went away is reported");
	run_fini();
	return CHECK_DONE();
}
