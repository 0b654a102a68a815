/* SPDX-License-Identifier: MIT */
/*
 * A listener's id is made of its address: its port, or its path. So a connect() knows whether it is for a listener of this
 * process, tells who waits there, and leaves a word. An accept() of that listener that finds one asks the
 * kernel whether that is where its peer is: the ports of TCP, of UNIX sockets that the peer is this process and
 * there is no other connection it could be. Elsewhere nothing is asked: one getsockname() per listen(), four more
 * calls per connection to ourselves.
 *
 * All is said before the real connect(): accept() may return before that does, and what it made be read from. What was
 * said of one that failed is taken back.
 *
 * In a program that has forbidden itself system calls (delay_stop()) none of this is done.
 */
#include "tracer/channel_connect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "tracer/call_channel.h"
#include "tracer/channel.h"
#include "tracer/delay.h"
#include "tracer/sys.h"

#define LISTENER_BIT (1u << 28) /* in the id: those of other channels count from 1 */
#define ID_MASK (LISTENER_BIT - 1)

/* id of the channel << 36 | descriptor << 20 | low bits of the listener's id; 0: free. */
#define N_PENDING 64
#define KEY_BITS 20
static uint64_t pending[N_PENDING];
static uint32_t n_pending;

/* Listeners that were ever made here, by the low bits of their ids. */
#define N_KNOWN 4096
static uint64_t known[N_KNOWN / 64];

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static uint32_t hash(const void *data, size_t size, uint32_t seed)
{
	const unsigned char *at = data;
	uint64_t h = seed * 0x9e3779b97f4a7c15ull + 1;

	while (size--)
		h = (h ^ *at++) * 0x100000001b3ull;
	return (uint32_t)(h * 0x9e3779b97f4a7c15ull >> 32);
}

static int is_loopback(const union address *address)
{
	const struct in6_addr *in6 = &address->in6.sin6_addr;

	if (address->any.sa_family == AF_INET)
		return ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

static uint16_t port_of(const union address *address)
{
	return address->any.sa_family == AF_INET ? address->in.sin_port : address->in6.sin6_port;
}

/* The word of a listener there; 0: it is of no family that is followed. A port is the same by all addresses. */
static uint32_t listener_at(const union address *address, socklen_t size)
{
	size_t path = offsetof(struct sockaddr_un, sun_path);
	uint16_t port;
	uint32_t id;

	switch (address->any.sa_family) {
	case AF_INET:
	case AF_INET6:
		port = port_of(address);
		id = hash(&port, sizeof(port), 1);
		break;
	case AF_UNIX:
		if (size <= path)
			return 0;
		size -= (socklen_t)path;
		/* A path ends with a NUL or with its length; an abstract name begins with one. */
		if (address->un.sun_path[0])
			size = (socklen_t)strnlen(address->un.sun_path, size);
		id = hash(address->un.sun_path, size, 2);
		break;
	default:
		return 0;
	}
	return (LISTENER_BIT | (id & ID_MASK)) << 3 | CHANNEL_LISTENER << 1;
}

static uint64_t *known_word(uint32_t listener, uint64_t *bit_out)
{
	uint32_t i = channel_id(listener) % N_KNOWN;

	*bit_out = 1ull << i % 64;
	return &known[i / 64];
}

static uint64_t key_of(uint32_t listener)
{
	return channel_id(listener) & ((1u << KEY_BITS) - 1);
}

void channel_listen(int fd)
{
	union address address = { 0 };
	socklen_t size = sizeof(address);
	uint32_t listener;
	uint64_t bit, *word;

	if (!channel_follows() || delay_is_stopped() ||
		sys(SYS_getsockname, fd, &address, &size) < 0)
		return;
	listener = listener_at(&address, size < sizeof(address) ? size : sizeof(address));
	if (!listener)
		return;
	word = known_word(listener, &bit);
	__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
	__atomic_fetch_or(&channel_n, LISTENER_BIT, __ATOMIC_RELAXED);
	channel_join(fd, listener);
}

static void pending_drop(uint64_t *at, uint64_t seen)
{
	if (__atomic_compare_exchange_n(at, &seen, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&n_pending, 1, __ATOMIC_RELAXED);
}

/* What nobody accepted goes when its place is wanted. */
static void pending_add(uint64_t value)
{
	static uint32_t hand;
	unsigned i;

	for (i = 0; i < N_PENDING; i++) {
		uint64_t unused = 0;

		if (__atomic_compare_exchange_n(
			    &pending[i], &unused, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			__atomic_fetch_add(&n_pending, 1, __ATOMIC_RELAXED);
			return;
		}
	}
	i = __atomic_fetch_add(&hand, 1, __ATOMIC_RELAXED) % N_PENDING;
	__atomic_store_n(&pending[i], value, __ATOMIC_RELAXED);
	fr_count(channels_overflow, 1);
}

/*
 * May 8 bytes be read there? The kernel looks at a set of signals before it finds that -1 is nothing to do with
 * one; memory that is not there is an error of the system call, not of ours.
 */
static int is_readable(const char *at)
{
	return sys(SYS_rt_sigprocmask, -1, at, NULL, sizeof(uint64_t)) == -EINVAL;
}

/* The program's address may be no memory: then connect() fails, and the program must not. */
static int copy_address(union address *to, const struct sockaddr *address, socklen_t size)
{
	const char *at = (const char *)address;

	if (size < sizeof(uint64_t) || size > sizeof(*to) || !is_readable(at) ||
		!is_readable(at + size - sizeof(uint64_t)))
		return 0;
	memcpy(to, at, size);
	return 1;
}

uint64_t channel_connecting(
	struct call *call, const struct sockaddr *address, socklen_t size, uintptr_t frame)
{
	union address to = { 0 };
	uint64_t bit, *word, added;
	uint32_t listener;

	if (likely(!(__atomic_load_n(&channel_n, __ATOMIC_RELAXED) & LISTENER_BIT)) ||
		delay_is_stopped() || !channel_follows() || !copy_address(&to, address, size))
		return 0;
	listener = listener_at(&to, size);
	if (!listener || (to.any.sa_family != AF_UNIX && !is_loopback(&to)))
		return 0;
	word = known_word(listener, &bit);
	/* With a word already: the second call for a connection that was in progress. */
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit) || channel_end(call->fd))
		return 0;
	channel_make_one(call->fd, CHANNEL_PAIR);
	if (!channel_end(call->fd))
		return 0;
	added = (uint64_t)channel_id(channel_end(call->fd)) << 36 | (uint64_t)call->fd << KEY_BITS |
		key_of(listener);
	pending_add(added);
	call_channel_tell(call, channel_data(listener), frame);
	return added;
}

void channel_connected(struct call *call, int64_t result, uint64_t added)
{
	unsigned i;

	/* One that is in progress goes on when the call was interrupted, too. */
	if (likely(!added) || result == 0 || result == -EINPROGRESS || result == -EINTR)
		return;
	for (i = 0; i < N_PENDING; i++)
		if (__atomic_load_n(&pending[i], __ATOMIC_RELAXED) == added)
			pending_drop(&pending[i], added);
	if (channel_id(channel_end(call->fd)) == added >> 36)
		channel_forget(call->fd);
}

static int is_own_peer(int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	return sys(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (uint32_t)peer.pid == fr_blackbox->pid;
}

/* Does the socket `fd` begin where `peer` is? */
static int is_at(int fd, const union address *peer)
{
	union address own = { 0 };
	socklen_t size = sizeof(own);

	return sys(SYS_getsockname, fd, &own, &size) == 0 &&
	       (own.any.sa_family == AF_INET || own.any.sa_family == AF_INET6) &&
	       is_loopback(&own) && port_of(&own) == port_of(peer);
}

void channel_accepted(int listener, int fd)
{
	uint32_t end = channel_end(listener), i, n_found = 0;
	union address peer = { 0 };
	socklen_t size = sizeof(peer);
	uint64_t found = 0;

	if (likely(!__atomic_load_n(&n_pending, __ATOMIC_RELAXED)) || !end ||
		channel_kind(end) != CHANNEL_LISTENER || !channel_follows() || delay_is_stopped() ||
		sys(SYS_getpeername, fd, &peer, &size) < 0)
		return;
	if (peer.any.sa_family == AF_UNIX ? !is_own_peer(fd) : !is_loopback(&peer))
		return;
	for (i = 0; i < N_PENDING; i++) {
		uint64_t seen = __atomic_load_n(&pending[i], __ATOMIC_RELAXED);
		int from = (int)(seen >> KEY_BITS & 0xffff);

		if (!seen || (seen & ((1u << KEY_BITS) - 1)) != key_of(end))
			continue;
		if (channel_id(channel_end(from)) != seen >> 36) {
			pending_drop(&pending[i], seen); /* closed meanwhile */
			continue;
		}
		if (peer.any.sa_family != AF_UNIX && !is_at(from, &peer))
			continue;
		pending_drop(&pending[i], seen);
		found = seen;
		n_found++;
	}
	/* Of several that it may be, none is it. */
	if (n_found == 1)
		channel_join(fd, (uint32_t)(found >> 36) << 3 | CHANNEL_PAIR << 1 | 1);
}
