/* SPDX-License-Identifier: MIT */
/*
 * Asking the recorder, against a recorder of the test's own: a thread that answers each connection with the next
 * answer of a list, in pieces, and keeps what was asked.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "check.h"
#include "flightrec.h"
#include "traced_self.h"

static int listener = -1;
static char asked[600];		 /* first line of the last request, and its headers */
static const char *answer;	 /* to the next request; NULL: hang up */
static size_t n_piece = 1 << 20; /* bytes per write */

static void write_pieces(int fd, const char *text)
{
	size_t n = strlen(text);

	while (n) {
		size_t piece = n < n_piece ? n : n_piece;

		if (send(fd, text, piece, MSG_NOSIGNAL) != (ssize_t)piece)
			return;
		text += piece;
		n -= piece;
		if (n)
			usleep(100);
	}
}

static void *serve(void *arg)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		size_t n = 0;

		if (fd < 0)
			return arg;
		memset(asked, 0, sizeof(asked));
		while (!strstr(asked, "\r\n\r\n") && n < sizeof(asked) - 1) {
			ssize_t got = read(fd, asked + n, sizeof(asked) - 1 - n);

			if (got <= 0)
				break;
			n += (size_t)got;
		}
		if (answer)
			write_pieces(fd, answer);
		close(fd);
	}
}

static int is_asked(const char *line)
{
	size_t n = strlen(line);

	if (strncmp(asked, line, n) == 0 && asked[n] == ' ' && strstr(asked, "Host: localhost\r\n"))
		return 1;
	printf("# asked %.80s\n", asked);
	return 0;
}

static void begin_serving(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/http.sock", traced_dir) >=
		(int)sizeof(address.sun_path)) {
		printf("Bail out! too long for the name of a socket: %s\n", traced_dir);
		exit(1);
	}
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener, 10) < 0 || pthread_create(&thread, NULL, serve, NULL) != 0)
		abort();
}

/* What was written to the pipe's other end since. */
static int pipe_fds[2];

static const char *written(void)
{
	static char text[70000];
	int saved_errno = errno;
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	errno = saved_errno;
	return text;
}

static void without_a_recorder(void)
{
	errno = 77;
	CHECK_INT(flightrec_heap_profile_write(pipe_fds[1]), -ENOTCONN);
	CHECK_INT(flightrec_set_block_rate(5), -ENOTCONN);
	CHECK_INT(flightrec_set_mutex_fraction(-1), 3);
	CHECK_INT(errno, 77);
}

static void profiles_are_copied(void)
{
	char want[100];

	answer = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nX: y\r\n\r\nhello\nworldNOT THIS";
	errno = 77;
	CHECK_INT(flightrec_profile_write("heap", pipe_fds[1], 0), 0);
	CHECK_STR(written(), "hello\nworld");
	snprintf(want, sizeof(want), "GET /debug/pprof/heap?debug=0&pid=%d", (int)getpid());
	CHECK(is_asked(want));
	answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nb;x=y\r\n "
		 "wide\nworld\r\n0\r\n\r\n";
	CHECK_INT(flightrec_profile_write("my/own&one", pipe_fds[1], 2), 0);
	CHECK_STR(written(), "hello wide\nworld");
	snprintf(
		want, sizeof(want), "GET /debug/pprof/my/own%%26one?debug=2&pid=%d", (int)getpid());
	CHECK(is_asked(want));
	answer = "HTTP/1.0 200 OK\n\nup to the end";
	CHECK_INT(flightrec_profile_write("goroutine", pipe_fds[1], -3), 0);
	CHECK_STR(written(), "up to the end");
	answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	CHECK_INT(flightrec_profile_write("block", pipe_fds[1], 0), 0);
	CHECK_STR(written(), "");
	CHECK_INT(errno, 77);
}

static void on_signal(int number)
{
	(void)number;
}

/* In pieces of one byte, while a timer interrupts every call. */
static void storms_do_not_matter(void)
{
	struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGALRM, &action, NULL);
	n_piece = 1;
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 20; i++) {
		answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "10\r\n0123456789abcdef\r\n3\r\nxyz\r\n0\r\n\r\n";
		CHECK_INT(flightrec_profile_write("mutex", pipe_fds[1], 1), 0);
		CHECK_STR(written(), "0123456789abcdefxyz");
	}
	setitimer(ITIMER_REAL, &never, NULL);
	n_piece = 1 << 20;
}

static void errors_have_numbers(void)
{
	static const struct {
		const char *answer;
		int want;
	} cases[] = {
		{ "HTTP/1.1 404 Not Found\r\nContent-Length: 16\r\n\r\nUnknown profile\n",
			-ENOENT },
		{ "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", -EINVAL },
		{ "HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", -EACCES },
		{ "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}", -EBUSY },
		{ "HTTP/1.1 429 Many\r\nContent-Length: 0\r\n\r\n", -EAGAIN },
		{ "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", -EAGAIN },
		{ "HTTP/1.1 500 Oh\r\n\r\nCould not enable CPU profiling: cpu profiling already in "
		  "use\n",
			-EBUSY },
		{ "HTTP/1.1 500 Oh\r\n\r\nno\n", -EIO },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", -EPROTO },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -EPROTO },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", -EPROTO },
		{ "SSH-2.0-OpenSSH_9.2\r\n\r\n", -EPROTO },
		{ "HTTP/1.1 200", -EPROTO },
		{ "", -EPROTO },
	};
	static char endless[6000];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer = cases[i].answer;
		CHECK_INT(flightrec_profile_write("heap", pipe_fds[1], 0), cases[i].want);
		written();
	}
	memset(endless, 'x', sizeof(endless) - 1);
	memcpy(endless, "HTTP/1.1 200 OK\r\n", 17);
	answer = endless;
	CHECK_INT(flightrec_profile_write("heap", pipe_fds[1], 0), -EPROTO);
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	CHECK_INT(flightrec_profile_write("heap", 9999, 0), -EBADF);
	CHECK_INT(flightrec_profile_write("", 1, 0), -EINVAL);
	CHECK_INT(flightrec_profile_write("profile", 1, 0), -EINVAL);
	CHECK_INT(flightrec_profile_write("a b", 1, 0), -EINVAL);
	CHECK_INT(flightrec_profile_write(NULL, 1, 0), -EINVAL);
}

static void *drain(void *arg)
{
	char text[1000];
	size_t *sum = arg;
	ssize_t n;

	while ((n = read(pipe_fds[0], text, sizeof(text))) > 0) {
		*sum += (size_t)n;
		usleep(100);
		if (*sum >= 300000)
			break;
	}
	return NULL;
}

/* A pipe that does not block and is full again and again. */
static void slow_descriptors_get_all(void)
{
	static char large[300200];
	pthread_t thread;
	size_t sum = 0;

	strcpy(large, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
	memset(large + strlen(large), 'x', 300000);
	answer = large;
	fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
	pthread_create(&thread, NULL, drain, &sum);
	CHECK_INT(flightrec_heap_profile_write(pipe_fds[1]), 0);
	pthread_join(thread, NULL);
	CHECK_INT(sum, 300000);
	fcntl(pipe_fds[1], F_SETFL, 0);
}

static void rates_are_set(void)
{
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	CHECK_INT(flightrec_set_block_rate(10000), 1);
	CHECK(is_asked("POST /debug/flightrec/rates?block_ns=10000"));
	CHECK_INT(flightrec_set_block_rate(-1), 1);
	CHECK(is_asked("POST /debug/flightrec/rates?block_ns=0"));
	CHECK_INT(flightrec_set_mutex_fraction(7), 3);
	CHECK(is_asked("POST /debug/flightrec/rates?mutex_fraction=7"));
	CHECK_INT(flightrec_set_alloc_rate(1), 524288);
	CHECK(is_asked("POST /debug/flightrec/rates?alloc_rate=1"));
	answer = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
	CHECK_INT(flightrec_set_alloc_rate(1ll << 62), -EINVAL);
}

static void cpu_profiles_have_one_owner(void)
{
	char want[100];
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	answer = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
	CHECK_INT(flightrec_cpu_profile_start(fds[1], 0), -EBUSY);
	CHECK(is_asked("POST /debug/flightrec/cpu/start"));
	CHECK_INT(flightrec_cpu_profile_stop(), 0); /* none was started */
	CHECK_INT(flightrec_cpu_profile_start(9999, 0), -EBADF);
	CHECK_INT(flightrec_cpu_profile_start(fds[1], -1), -EINVAL);
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	CHECK_INT(flightrec_cpu_profile_start(fds[1], 250), 0);
	CHECK(is_asked("POST /debug/flightrec/cpu/start?hz=250"));
	CHECK_INT(flightrec_cpu_profile_start(fds[1], 250), -EBUSY);
	/* The program's own descriptor may go, and its number be used for something else. */
	dup2(pipe_fds[1], fds[1]);
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nprofile";
	CHECK_INT(flightrec_cpu_profile_stop(), 0);
	snprintf(want, sizeof(want), "POST /debug/flightrec/cpu/stop?pid=%d", (int)getpid());
	CHECK(is_asked(want));
	close(fds[1]);
	memset(want, 0, sizeof(want));
	CHECK_INT(read(fds[0], want, sizeof(want) - 1), 7);
	CHECK_STR(want, "profile");
	CHECK_INT(read(fds[0], want, 1), 0); /* the copy is closed, too */
	close(fds[0]);
	CHECK_INT(flightrec_cpu_profile_stop(), 0);
}

static void traces_too(void)
{
	int status;
	pid_t pid;

	answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	CHECK_INT(flightrec_trace_start(pipe_fds[1]), 0);
	CHECK(is_asked("POST /debug/flightrec/trace/start"));
	/* A child does not end what its parent began. */
	pid = fork();
	if (pid == 0)
		_exit(flightrec_trace_stop() == 0 && is_asked("POST /debug/flightrec/trace/start")
				? 0
				: 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntrace";
	CHECK_INT(flightrec_trace_stop(), 0);
	CHECK(is_asked("POST /debug/flightrec/trace/stop"));
	CHECK_STR(written(), "trace");
}

static void the_recorder_obeys(void)
{
	char path[sizeof(traced_dir) + 40], text[20] = "";
	FILE *file;

	answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	CHECK_INT(flightrec_recorder_start(1500), 0);
	CHECK(is_asked("GET /debug/trace/recorder/run?duration=1500ms"));
	CHECK_INT(flightrec_recorder_start(0), -EINVAL);
	CHECK_INT(flightrec_recorder_stop(), 0);
	CHECK(is_asked("GET /debug/trace/recorder/stop"));
	CHECK_INT(flightrec_recorder_is_enabled(), 0);
	traced_control->is_run = 1;
	CHECK_INT(flightrec_recorder_is_enabled(), 1);
	traced_control->is_run = 0;
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntrace";
	CHECK_INT(flightrec_recorder_snapshot(pipe_fds[1]), 0);
	CHECK(is_asked("GET /debug/trace/recorder/snapshot?download=1"));
	CHECK_STR(written(), "trace");
	snprintf(path, sizeof(path), "%s/mine.out", traced_dir);
	CHECK_INT(flightrec_recorder_snapshot_file(path), 0);
	file = fopen(path, "r");
	CHECK(file && fgets(text, sizeof(text), file));
	CHECK_STR(text, "trace");
	/* A failure leaves what was there, and nothing else. */
	answer = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
	CHECK_INT(flightrec_recorder_snapshot_file(path), -EBUSY);
	CHECK_INT(access(path, R_OK), 0);
	snprintf(path, sizeof(path), "ls %s/*.tmp 2>/dev/null", traced_dir);
	CHECK(system(path) != 0);
	CHECK_INT(flightrec_recorder_snapshot_file("/nonexistent/file"), -ENOENT);
	CHECK_INT(flightrec_recorder_snapshot_file(NULL), -EINVAL);
	if (file)
		fclose(file);
}

int main(int argc, char **argv)
{
	static const struct fr_control control = {
		.stack_depth = 64, .block_rate_ns = 1, .mutex_fraction = 3, .alloc_rate = 524288
	};

	(void)argc;
	traced_start(argv, &control);
	if (pipe(pipe_fds) < 0)
		return 1;
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	CASE(without_a_recorder, "without a recorder that listens, errors say so");
	begin_serving();
	CASE(profiles_are_copied, "a profile is copied, however its length is said");
	CASE(storms_do_not_matter, "signals and bytes that come one by one do not matter");
	CASE(errors_have_numbers, "refusals and broken answers have numbers");
	fcntl(pipe_fds[0], F_SETFL, 0);
	CASE(slow_descriptors_get_all, "a slow descriptor gets all");
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	CASE(rates_are_set, "rates are set, and the ones before returned");
	CASE(cpu_profiles_have_one_owner, "a CPU profile is written where it was to be");
	CASE(traces_too, "a trace, too; not by a child");
	CASE(the_recorder_obeys, "the flight recorder runs, stops and is copied");
	return CHECK_DONE();
}
