/* SPDX-License-Identifier: MIT */
/*
 * buggycache: a small HTTP cache with four faults, as a user meets them. It knows nothing of
 * flightrec; run it under trace-record and find them.
 *
 *   /put?key=K&value=V    keeps a value                  nothing is ever evicted
 *   /get?key=K            returns it
 *   /fib?n=N              the N-th Fibonacci number      recursion on the request path
 *   /work?n=N             the same, in the background    workers pile up, asleep
 *   /transfer?key=K&from=hot&to=cold                     two locks in the caller's order: deadlock
 *   /stats                entries, bytes, workers
 */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "cache.h"
#include "worker.h"

#define N_SERVER_THREADS 4
#define MAX_FIB 45 /* about ten seconds of a core */

struct reply {
	unsigned status;
	char *text; /* owned; NULL when memory ran out */
};

__attribute__((format(printf, 2, 3))) static struct reply reply_new(
	unsigned status, const char *format, ...)
{
	struct reply reply = { .status = status };
	va_list args;

	va_start(args, format);
	if (vasprintf(&reply.text, format, args) < 0)
		reply.text = NULL;
	va_end(args);
	return reply;
}

static const char *arg(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

/* The argument `n`, or -1 when it is absent, no number, or too large to wait for. */
static int arg_n(struct MHD_Connection *connection)
{
	const char *text = arg(connection, "n");
	char *end;
	long n;

	if (!text || !*text)
		return -1;
	n = strtol(text, &end, 10);
	return *end || n < 0 || n > MAX_FIB ? -1 : (int)n;
}

static struct reply handle_put(struct MHD_Connection *connection)
{
	const char *key = arg(connection, "key"), *value = arg(connection, "value");

	if (!key || !value)
		return reply_new(400, "put needs ?key= and &value=\n");
	if (!cache_put(key, value))
		return reply_new(503, "out of memory\n");
	return reply_new(200, "ok\n");
}

static struct reply handle_get(struct MHD_Connection *connection)
{
	const char *key = arg(connection, "key");
	char *value = key ? cache_get(key) : NULL;
	struct reply reply;

	if (!key)
		return reply_new(400, "get needs ?key=\n");
	if (!value)
		return reply_new(404, "no such key\n");
	reply = reply_new(200, "%s\n", value);
	free(value);
	return reply;
}

static struct reply handle_fib(struct MHD_Connection *connection)
{
	int n = arg_n(connection);

	if (n < 0)
		return reply_new(400, "fib needs ?n= from 0 to %d\n", MAX_FIB);
	return reply_new(200, "%" PRIu64 "\n", worker_fib((unsigned)n));
}

static struct reply handle_work(struct MHD_Connection *connection)
{
	int n = arg_n(connection), error;
	unsigned job;

	if (n < 0)
		return reply_new(400, "work needs ?n= from 0 to %d\n", MAX_FIB);
	error = worker_submit((unsigned)n, &job);
	if (error)
		return reply_new(503, "no worker: %s\n", strerror(-error));
	return reply_new(202, "job-%u\n", job);
}

static struct reply handle_transfer(struct MHD_Connection *connection)
{
	const char *key = arg(connection, "key");
	const char *from_name = arg(connection, "from"), *to_name = arg(connection, "to");
	enum cache_shelf from = cache_shelf_by_name(from_name ? from_name : "");
	enum cache_shelf to = cache_shelf_by_name(to_name ? to_name : "");

	if (!key || from == CACHE_N_SHELVES || to == CACHE_N_SHELVES || from == to)
		return reply_new(400, "transfer needs ?key=, and &from= and &to= hot or cold\n");
	if (!cache_transfer(key, from, to))
		return reply_new(404, "no such key on that shelf\n");
	return reply_new(200, "ok\n");
}

static struct reply handle_stats(struct MHD_Connection *connection)
{
	size_t n_entries, n_bytes;

	cache_size(&n_entries, &n_bytes);
	return reply_new(
		200, "entries %zu\nbytes %zu\nworkers %u\n", n_entries, n_bytes, worker_count());
}

static const struct route {
	const char *path;
	struct reply (*handle)(struct MHD_Connection *connection);
} routes[] = {
	{ "/put", handle_put },
	{ "/get", handle_get },
	{ "/fib", handle_fib },
	{ "/work", handle_work },
	{ "/transfer", handle_transfer },
	{ "/stats", handle_stats },
};

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *body, size_t *n_body, void **state)
{
	struct reply reply = { .status = 404 };
	struct MHD_Response *response;
	enum MHD_Result result;
	size_t i = 0, n_routes = sizeof(routes) / sizeof(routes[0]);

	*n_body = 0;
	while (i < n_routes && strcmp(routes[i].path, url) != 0)
		i++;
	if (i < n_routes)
		reply = routes[i].handle(connection);
	else
		reply = reply_new(404, "no such page; see the head of main.c\n");
	if (!reply.text)
		return MHD_NO;
	response = MHD_create_response_from_buffer(
		strlen(reply.text), reply.text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(reply.text);
		return MHD_NO;
	}
	result = MHD_queue_response(connection, reply.status, response);
	MHD_destroy_response(response);
	return result;
}

/* Writes the port where a script looks for it; the file appears complete or not at all. */
static int port_file_write(const char *path, unsigned port)
{
	char temporary[PATH_MAX];
	FILE *file;

	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	file = fopen(temporary, "we");
	if (!file)
		return -1;
	fprintf(file, "%u\n", port);
	if (fclose(file) != 0)
		return -1;
	return rename(temporary, path);
}

static int serve(unsigned short port, const char *port_file)
{
	struct MHD_Daemon *server;
	sigset_t stop;
	int signal_number, status = EXIT_SUCCESS;
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	/* Blocked here, so in every thread of the server too: only sigwait() below takes them. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);

	server = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, port, NULL, NULL, answer, NULL,
		MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE, N_SERVER_THREADS,
		MHD_OPTION_END);
	if (!server) {
		fprintf(stderr, "buggycache: cannot listen on 127.0.0.1:%u; try --port 0\n", port);
		return EXIT_FAILURE;
	}
	port = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port;
	printf("buggycache: http://127.0.0.1:%u/\n", port);
	fflush(stdout);
	if (port_file && port_file_write(port_file, port) != 0) {
		perror(port_file);
		status = EXIT_FAILURE;
	} else {
		sigwait(&stop, &signal_number);
	}
	MHD_stop_daemon(server);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "port-file", required_argument, NULL, 'f' },
		{ 0 },
	};
	const char *port_file = NULL;
	char *end = NULL;
	long port = 8080;
	int option, error;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p')
			port = strtol(optarg, &end, 10);
		else if (option == 'f')
			port_file = optarg;
		if (option == '?' || (end && *end) || port < 0 || port > 65535) {
			fprintf(stderr, "usage: buggycache [--port 0..65535] [--port-file FILE]\n");
			return 2;
		}
	}
	error = cache_init();
	if (error) {
		fprintf(stderr, "buggycache: no journal in /tmp: %s\n", strerror(-error));
		return EXIT_FAILURE;
	}
	return serve((unsigned short)port, port_file);
}
