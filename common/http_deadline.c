/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd closes a connection on which nothing moves, but one byte every few seconds keeps it open for
 * ever: a few hundred of these would lock everybody out. Here each connection has a time by which its next request must
 * be complete. One thread watches; it only shuts the socket down, so that the connection's own thread ends it.
 * A request that is being answered has no limit.
 */
#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "common/http_internal.h"

static void enqueue(struct http_deadline *deadline, struct http_connection *connection)
{
	connection->since_us = g_get_monotonic_time();
	connection->is_waiting = true;
	g_queue_push_tail_link(&deadline->waiting, &connection->link);
}

static void dequeue(struct http_deadline *deadline, struct http_connection *connection)
{
	if (connection->is_waiting)
		g_queue_unlink(&deadline->waiting, &connection->link);
	connection->is_waiting = false;
}

static void *watch(void *arg)
{
	struct http_deadline *deadline = arg;
	int64_t limit_us = (int64_t)deadline->seconds * 1000000;

	pthread_setname_np(pthread_self(), "http-deadline");
	pthread_mutex_lock(&deadline->mutex);
	while (!deadline->is_quitting) {
		struct http_connection *oldest = g_queue_peek_head(&deadline->waiting);
		int64_t now = g_get_monotonic_time();
		int64_t next = oldest ? oldest->since_us + limit_us : now + limit_us;
		struct timespec ts = { .tv_sec = next / 1000000, .tv_nsec = next % 1000000 * 1000 };

		if (oldest && next <= now) {
			/* Not closed yet: http_deadline_close() needs the mutex first. */
			shutdown(oldest->fd, SHUT_RDWR);
			dequeue(deadline, oldest);
			continue;
		}
		/* A connection that comes meanwhile is due later than this. */
		pthread_cond_timedwait(&deadline->changed, &deadline->mutex, &ts);
	}
	pthread_mutex_unlock(&deadline->mutex);
	return NULL;
}

int http_deadline_start(struct http_deadline *deadline, unsigned seconds)
{
	pthread_condattr_t attr;
	int err;

	deadline->seconds = seconds;
	g_queue_init(&deadline->waiting);
	pthread_mutex_init(&deadline->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&deadline->changed, &attr);
	pthread_condattr_destroy(&attr);
	err = pthread_create(&deadline->thread, NULL, watch, deadline);
	deadline->is_running = err == 0;
	return -err;
}

void http_deadline_stop(struct http_deadline *deadline)
{
	if (!deadline->is_running)
		return;
	pthread_mutex_lock(&deadline->mutex);
	deadline->is_quitting = true;
	pthread_cond_signal(&deadline->changed);
	pthread_mutex_unlock(&deadline->mutex);
	pthread_join(deadline->thread, NULL);
	pthread_mutex_destroy(&deadline->mutex);
	pthread_cond_destroy(&deadline->changed);
	deadline->is_running = false;
}

struct http_connection *http_deadline_open(struct http_deadline *deadline, int fd)
{
	struct http_connection *connection = g_new0(struct http_connection, 1);

	connection->fd = fd;
	connection->link.data = connection;
	pthread_mutex_lock(&deadline->mutex);
	enqueue(deadline, connection);
	pthread_mutex_unlock(&deadline->mutex);
	return connection;
}

void http_deadline_met(struct http_deadline *deadline, struct http_connection *connection)
{
	pthread_mutex_lock(&deadline->mutex);
	dequeue(deadline, connection);
	pthread_mutex_unlock(&deadline->mutex);
}

void http_deadline_again(struct http_deadline *deadline, struct http_connection *connection)
{
	pthread_mutex_lock(&deadline->mutex);
	dequeue(deadline, connection);
	enqueue(deadline, connection);
	pthread_mutex_unlock(&deadline->mutex);
}

void http_deadline_close(struct http_deadline *deadline, struct http_connection *connection)
{
	pthread_mutex_lock(&deadline->mutex);
	dequeue(deadline, connection);
	pthread_mutex_unlock(&deadline->mutex);
	g_free(connection);
}
