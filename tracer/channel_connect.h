/* SPDX-License-Identifier: MIT */
/*
 * Connections of this process to itself: TCP by a loopback address, UNIX stream sockets. What connect() makes and what
 * accept() returns are made the two ends of a channel where that is certain. Keep errno. Context: hook.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "tracer/call.h"

/* listen() succeeded. */
void channel_listen(int fd);

/*
 * connect() is about to be made: tells those who wait for the listener. `call` was begun for it; the address need
 * not be readable. Returns what channel_connected() wants; 0: the connection is not followed.
 */
uint64_t channel_connecting(
	struct call *call, const struct sockaddr *address, socklen_t size, uintptr_t frame);

/* It returned `result` (0 or -errno). */
void channel_connected(struct call *call, int64_t result, uint64_t added);

/* accept() made `fd` of `listener`. */
void channel_accepted(int listener, int fd);
