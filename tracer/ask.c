/* SPDX-License-Identifier: MIT */
#include "tracer/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "tracer/internal.h"
#include "tracer/process.h"
#include "tracer/sys.h"
#include "tracer/thread.h"

#define SILENCE_S 120
#define SOCKET_NAME "http.sock"

/* An answer on its way: what has been read and not yet looked at lies at [at, end) of the buffer. */
struct stream {
	int fd;
	size_t at, end;
	char buffer[4096];
};

/* Waits until `fd` is ready. 0 or -errno. */
static int wait_for(int fd, short events)
{
	struct pollfd one = { .fd = fd, .events = events };
	struct timespec limit = { .tv_sec = SILENCE_S };
	long ret;

	do {
		/* The kernel takes what was waited off the limit, so that signals do not prolong it. */
		ret = sys(SYS_ppoll, &one, 1, &limit, NULL, 0);
	} while (ret == -EINTR);
	return ret > 0 ? 0 : ret == 0 ? -ETIMEDOUT : (int)ret;
}

/* Connects to the recorder. A descriptor or -errno. */
static int connect_recorder(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *dir = process_rundir();
	size_t n = strlen(dir);
	long fd, ret;

	if (!fr_on || !n)
		return -ENOTCONN;
	if (n + sizeof("/" SOCKET_NAME) > sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, dir, n);
	memcpy(address.sun_path + n, "/" SOCKET_NAME, sizeof("/" SOCKET_NAME));
	fd = sys(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (int)fd;
	do {
		ret = sys(SYS_connect, fd, &address, sizeof(address));
	} while (ret == -EINTR);
	if (ret == 0 || ret == -EISCONN)
		return (int)fd;
	sys(SYS_close, fd);
	return ret == -ENOENT || ret == -ECONNREFUSED || ret == -ENOTDIR ? -ENOTCONN : (int)ret;
}

static int send_all(int fd, const char *text, size_t n)
{
	while (n) {
		long ret = sys(SYS_sendto, fd, text, n, MSG_NOSIGNAL, NULL, 0);

		if (ret == -EINTR)
			continue;
		if (ret < 0)
			return ret == -EPIPE || ret == -ECONNRESET ? -ENOTCONN : (int)ret;
		text += ret;
		n -= (size_t)ret;
	}
	return 0;
}

/* To the program's descriptor, whatever kind it is. */
static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		long ret = sys(SYS_write, fd, bytes, n);

		if (ret == -EINTR)
			continue;
		if (ret == -EAGAIN) {
			ret = wait_for(fd, POLLOUT);
			if (ret < 0)
				return (int)ret;
			continue;
		}
		if (ret < 0)
			return (int)ret;
		bytes += ret;
		n -= (size_t)ret;
	}
	return 0;
}

/* Reads more. Bytes read, 0 at the end, -errno. What lies in the buffer is moved to its front. */
static int fill(struct stream *stream)
{
	long ret;

	memmove(stream->buffer, stream->buffer + stream->at, stream->end - stream->at);
	stream->end -= stream->at;
	stream->at = 0;
	if (stream->end == sizeof(stream->buffer))
		return -EPROTO; /* a header line of 4 KiB */
	ret = wait_for(stream->fd, POLLIN);
	if (ret < 0)
		return (int)ret;
	do {
		ret = sys(SYS_read, stream->fd, stream->buffer + stream->end,
			sizeof(stream->buffer) - stream->end);
	} while (ret == -EINTR);
	if (ret == -ECONNRESET)
		return -EPROTO;
	if (ret > 0)
		stream->end += (size_t)ret;
	return (int)ret;
}

/* The next line without its end, 0-terminated in the buffer until the next call. NULL: *err_out says why. */
static char *next_line(struct stream *stream, int *err_out)
{
	for (;;) {
		char *from = stream->buffer + stream->at;
		char *end = memchr(from, '\n', stream->end - stream->at);
		int ret;

		if (end) {
			stream->at = (size_t)(end - stream->buffer) + 1;
			if (end > from && end[-1] == '\r')
				end--;
			*end = '\0';
			return from;
		}
		ret = fill(stream);
		if (ret <= 0) {
			*err_out = ret < 0 ? ret : -EPROTO;
			return NULL;
		}
	}
}

/* Where a body goes. */
struct sink {
	int fd; /* -1: into the reply */
	struct ask_reply *reply;
	size_t n_text;
};

static int sink_put(struct sink *sink, const char *bytes, size_t n)
{
	size_t room = sizeof(sink->reply->text) - 1 - sink->n_text;

	if (sink->fd >= 0)
		return write_all(sink->fd, bytes, n);
	n = n < room ? n : room;
	memcpy(sink->reply->text + sink->n_text, bytes, n);
	sink->n_text += n;
	return 0;
}

/* Copies `n` bytes of the body, or all up to the end of the connection where n is UINT64_MAX. */
static int copy(struct stream *stream, uint64_t n, struct sink *sink)
{
	while (n) {
		size_t here = stream->end - stream->at;
		int ret;

		if (!here) {
			ret = fill(stream);
			if (ret <= 0)
				return ret < 0 ? ret : n == UINT64_MAX ? 0 : -EPROTO;
			continue;
		}
		here = here < n ? here : (size_t)n;
		ret = sink_put(sink, stream->buffer + stream->at, here);
		if (ret < 0)
			return ret;
		stream->at += here;
		n -= n == UINT64_MAX ? 0 : here;
	}
	return 0;
}

/* A number at the start of a text; UINT64_MAX when there is none or it is absurd. */
static uint64_t number(const char *text, unsigned base)
{
	uint64_t n = 0;
	const char *at = text;

	for (;; at++) {
		unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0')
				 : (*at | 32) >= 'a' && (*at | 32) <= 'f'
					 ? (unsigned)((*at | 32) - 'a' + 10)
					 : 99;

		if (digit >= base)
			break;
		if (n >> 56)
			return UINT64_MAX;
		n = n * base + digit;
	}
	return at == text ? UINT64_MAX : n;
}

static int copy_chunks(struct stream *stream, struct sink *sink)
{
	for (;;) {
		int err = 0;
		const char *line = next_line(stream, &err);
		uint64_t n = line ? number(line, 16) : 0;

		if (!line)
			return err;
		if (n == UINT64_MAX)
			return -EPROTO;
		if (n == 0)
			return 0;
		err = copy(stream, n, sink);
		/* The line end after the chunk. */
		if (err == 0 && !next_line(stream, &err))
			return err;
		if (err < 0)
			return err;
	}
}

/* What the header of an answer says of its body. */
struct body {
	uint64_t n; /* UINT64_MAX: up to the end of the connection */
	int is_chunked;
};

/* The value of a header line when it is the header `name` (lower case), else NULL. */
static const char *header(const char *line, const char *name)
{
	for (; *name; name++, line++)
		if (*name != (*line >= 'A' && *line <= 'Z' ? *line | 32 : *line))
			return NULL;
	if (*line++ != ':')
		return NULL;
	while (*line == ' ' || *line == '\t')
		line++;
	return line;
}

static int read_head(struct stream *stream, unsigned *status_out, struct body *body_out)
{
	int err = 0;
	char *line;

	do {
		line = next_line(stream, &err);
		if (!line)
			return err;
		if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12)
			return -EPROTO;
		*status_out = (unsigned)number(line + 9, 10);
		*body_out = (struct body){ .n = UINT64_MAX };
		while ((line = next_line(stream, &err)) && *line) {
			const char *value = header(line, "content-length");

			if (value)
				body_out->n = number(value, 10);
			value = header(line, "transfer-encoding");
			if (value && strstr(value, "chunked"))
				body_out->is_chunked = 1;
		}
		if (!line)
			return err;
	} while (*status_out == 100);
	return 0;
}

/* For those who look at the threads: this one waits. 0: it cannot be shown. */
static int show_begin(struct thread_wait *wait, uintptr_t frame)
{
	struct thread_state state = { .state = FR_STATE_NET, .fd = -1 };
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	if (!guard_enter(t, frame))
		return 0;
	state.stack = fr_capture(t, frame, FR_REPEAT_USER);
	state.since_ns = fr_now();
	thread_enter(t, &state, wait);
	guard_leave(t);
	errno = saved_errno;
	return 1;
}

static void show_end(struct thread_wait *wait)
{
	struct fr_thread *t = &fr_self;
	int saved_errno = errno;

	if (guard_enter(t, FR_FRAME())) {
		thread_leave(t, wait);
		guard_leave(t);
	}
	errno = saved_errno;
}

static int converse(
	int connection, const char *method, const char *target, int fd, struct ask_reply *reply_out)
{
	struct sink sink = { .fd = fd, .reply = reply_out };
	struct stream stream = { .fd = connection };
	struct body body = { 0 };
	char request[512];
	int n, ret;

	n = snprintf(request, sizeof(request),
		"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		"Content-Length: 0\r\n\r\n",
		method, target);
	ret = n < 0 || n >= (int)sizeof(request) ? -EINVAL
						 : send_all(stream.fd, request, (size_t)n);
	if (ret == 0)
		ret = read_head(&stream, &reply_out->status, &body);
	if (ret == 0 && reply_out->status != 200)
		sink.fd = -1;
	if (ret == 0)
		ret = body.is_chunked ? copy_chunks(&stream, &sink) : copy(&stream, body.n, &sink);
	return ret;
}

int ask(uintptr_t frame, const char *method, const char *target, int fd,
	struct ask_reply *reply_out)
{
	int connection = connect_recorder(), is_shown, ret;
	struct thread_wait wait;

	memset(reply_out, 0, sizeof(*reply_out));
	if (connection < 0)
		return connection;
	is_shown = show_begin(&wait, frame);
	ret = converse(connection, method, target, fd, reply_out);
	sys(SYS_close, connection);
	if (is_shown)
		show_end(&wait);
	return ret;
}

int ask_error(const struct ask_reply *reply)
{
	switch (reply->status) {
	case 200:
		return 0;
	case 400:
		return -EINVAL;
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
		return -EBUSY;
	case 429:
	case 503:
		return -EAGAIN;
	case 500:
		/* Go's words for what is a conflict. */
		return strstr(reply->text, "already") ? -EBUSY : -EIO;
	default:
		return -EIO;
	}
}
