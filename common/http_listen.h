/* SPDX-License-Identifier: MIT */
/* Listening sockets for http.c: parsing of addresses; loopback only, unless more is allowed. */
#pragma once

#include <stdbool.h>

struct http_listen_options;

struct http_socket {
	int fd;		 /* owned; close-on-exec, listening */
	unsigned port;	 /* 0: unix socket */
	char *url;	 /* owned (g_free) */
	char *unix_path; /* owned (g_free); NULL for TCP */
	bool is_remote;	 /* other machines can reach it */
	char *host; /* owned (g_free); as it would stand in a Host header, without port; NULL for unix */
};

/* See http_listen(). On failure the output is untouched and *why_out has a sentence. */
int http_socket_open(const char *address, const struct http_listen_options *options,
	struct http_socket *socket_out, char **why_out);

/* Closes the socket and removes a unix socket's file. */
void http_socket_close(struct http_socket *sock);
