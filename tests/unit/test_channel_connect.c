/* SPDX-License-Identifier: MIT */
/* Connections of a process to itself, with real sockets: when they are followed, and when not. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "tracer/call_channel.h"
#include "tracer/channel_connect.h"
#include "tracer/delay.h"

/* Of the tracer it needs only these. */
__thread struct fr_thread fr_self __attribute__((tls_model("initial-exec")));
static struct fr_blackbox blackbox;
struct fr_blackbox *fr_blackbox = &blackbox;
int fr_on = 1;
static int is_stopped;
static uintptr_t told;
static unsigned n_told;

int delay_is_stopped(void)
{
	return is_stopped;
}

void call_channel_tell(struct call *call, uintptr_t name, uintptr_t frame)
{
	(void)call;
	(void)frame;
	told = name;
	n_told++;
}

static union {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_un un;
} address;
static socklen_t n_address;
static int listener;

static void begin(int family)
{
	channel_reset();
	n_told = 0;
	memset(&address, 0, sizeof(address));
	address.any.sa_family = (sa_family_t)family;
	n_address = sizeof(address.in);
	if (family == AF_INET)
		address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		n_address = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
			    (socklen_t)snprintf(address.un.sun_path + 1,
				    sizeof(address.un.sun_path) - 1, "channel-%d", (int)getpid());
	listener = socket(family, SOCK_STREAM, 0);
	CHECK(listener >= 0 && bind(listener, &address.any, n_address) == 0);
	CHECK_INT(listen(listener, 5), 0);
	CHECK_INT(getsockname(listener, &address.any, &n_address), 0);
	channel_listen(listener);
	CHECK_INT(channel_kind(channel_end(listener)), CHANNEL_LISTENER);
}

static void end(void)
{
	channel_forget(listener);
	close(listener);
}

/* As the hook does it; *value_out is what it keeps from before the call until after it. */
static int64_t connect_as_hooked(int fd, uint64_t *value_out)
{
	struct call call = { .fd = fd };

	*value_out = channel_connecting(&call, &address.any, n_address, 0);
	return connect(fd, &address.any, n_address) < 0 ? -errno : 0;
}

static void followed(int family)
{
	struct call call = { 0 };
	uint64_t value;
	int client, server;

	begin(family);
	client = call.fd = socket(family, SOCK_STREAM, 0);
	CHECK_INT(connect_as_hooked(client, &value), 0);
	CHECK(value != 0);
	CHECK_INT(n_told, 1);
	CHECK_INT(told, channel_data(channel_end(listener)));
	/* accept() is back before connect() is. */
	server = accept(listener, NULL, NULL);
	channel_accepted(listener, server);
	CHECK(channel_end(server) != 0);
	CHECK_INT(channel_end(server), channel_peer(channel_end(client)));
	channel_connected(&call, 0, value);
	CHECK_INT(channel_end(server), channel_peer(channel_end(client)));
	close(server);
	close(client);
	end();
}

static void both_ends_are_known_before_connect_is_back(void)
{
	followed(AF_INET);
	followed(AF_UNIX);
}

static void a_second_call_is_for_the_same_connection(void)
{
	struct call call = { 0 };
	uint64_t first, second;
	int64_t result;
	uint32_t word;

	begin(AF_INET);
	call.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	result = connect_as_hooked(call.fd, &first);
	channel_connected(&call, result, first);
	word = channel_end(call.fd);
	CHECK(word != 0);
	channel_connected(&call, -EINPROGRESS, first);
	result = connect_as_hooked(call.fd, &second);
	channel_connected(&call, result, second);
	CHECK_INT(second, 0);
	CHECK_INT(channel_end(call.fd), word);
	CHECK_INT(n_told, 1);
	close(call.fd);
	end();
}

static void what_failed_is_taken_back(void)
{
	struct call call = { 0 };
	uint64_t value;
	int64_t result;
	int client, server;

	begin(AF_INET);
	/* A socket of another family cannot connect there. */
	call.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	result = connect_as_hooked(call.fd, &value);
	CHECK(result < 0 && value != 0);
	channel_connected(&call, result, value);
	CHECK_INT(channel_end(call.fd), 0);
	close(call.fd);
	/* A connection that was not seen is not taken for it. */
	client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_INT(connect(client, &address.any, n_address), 0);
	server = accept(listener, NULL, NULL);
	channel_accepted(listener, server);
	CHECK_INT(channel_end(server), 0);
	close(server);
	close(client);
	end();
}

static void bad_addresses_are_the_kernels_to_refuse(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct call call = { .fd = 100 };
	char *end_of_page = pages + page - 8;

	begin(AF_INET);
	CHECK(pages != MAP_FAILED && munmap(pages + page, page) == 0);
	memcpy(end_of_page, &address, 8);
	errno = 77;
	CHECK_INT(channel_connecting(&call, NULL, 16, 0), 0);
	CHECK_INT(channel_connecting(&call, (const void *)8, 16, 0), 0);
	CHECK_INT(channel_connecting(&call, (const void *)end_of_page, 16, 0), 0);
	CHECK_INT(channel_connecting(&call, &address.any, 1, 0), 0);
	CHECK_INT(channel_connecting(&call, &address.any, 1 << 20, 0), 0);
	CHECK_INT(channel_connecting(&call, &address.any, (socklen_t)-1, 0), 0);
	CHECK_INT(channel_end(100), 0);
	CHECK_INT(errno, 77);
	munmap(pages, page);
	end();
}

static void where_system_calls_are_forbidden_none_is_made(void)
{
	uint64_t value;
	int client;

	begin(AF_INET);
	client = socket(AF_INET, SOCK_STREAM, 0);
	is_stopped = 1;
	CHECK_INT(connect_as_hooked(client, &value), 0);
	is_stopped = 0;
	CHECK_INT(value, 0);
	CHECK_INT(n_told, 0);
	CHECK_INT(channel_end(client), 0);
	close(client);
	end();
}

int main(void)
{
	fr_self.stage = FR_STAGE_ON;
	blackbox.pid = (uint32_t)getpid();
	CASE(both_ends_are_known_before_connect_is_back,
		"both ends are known before connect() is back");
	CASE(a_second_call_is_for_the_same_connection, "a second call is for the same connection");
	CASE(what_failed_is_taken_back, "what failed is taken back");
	CASE(bad_addresses_are_the_kernels_to_refuse, "bad addresses are left to the kernel");
	CASE(where_system_calls_are_forbidden_none_is_made,
		"where system calls are forbidden none is made");
	return CHECK_DONE();
}
