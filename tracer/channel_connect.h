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
 * connect() returned `result` (0 or -errno), the kernel has read the address. `call` was begun for it. Tells those who wait
 * for the listener.
 */
void channel_connected(struct call *call, int64_t result, const struct sockaddr *address,
	socklen_t size, uintptr_t frame);

/* accept() made `fd` of `listener`. */
void channel_accepted(int listener, int fd);
