/* SPDX-License-Identifier: MIT */
#include "recorder/serve.h"

#include <glib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"

/* Enough for a storm of clients; each has a thread. */
#define MAX_CONNECTIONS 512
/* One machine elsewhere does not take all of them. */
#define MAX_PER_ADDRESS 256
/* The program's own calls. */
#define MAX_INSIDE 64
/* Descriptors that everything else needs: ring, blackboxes, traces. */
#define OTHER_DESCRIPTORS 128
#define MIN_CONNECTIONS 16

/* Connections must not eat up the descriptors that recording needs. */
static unsigned fit_connections(void)
{
	struct rlimit limit;
	rlim_t n = MAX_CONNECTIONS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
		rlim_t spare = limit.rlim_cur > OTHER_DESCRIPTORS + MAX_INSIDE
				       ? limit.rlim_cur - OTHER_DESCRIPTORS - MAX_INSIDE
				       : 0;

		/* A request opens a file or two while it is answered. */
		n = MIN(n, spare / 2);
	}
	return (unsigned)MAX(n, MIN_CONNECTIONS);
}

int serve_listen(const struct options *options, const struct access *access,
	struct serve *serve_out, char **why_out)
{
	struct http_listen_options listen = {
		.is_remote_allowed = access->token != NULL,
		.tls = access->tls.cert ? &access->tls : NULL,
	};

	if (!access->is_served)
		return 0;
	return http_listen(options->listen, &listen, &serve_out->outside, why_out);
}

int serve_listen_inside(struct serve *serve, const char *rundir, char **why_out)
{
	g_autofree char *address = g_strdup_printf("unix:%s/" SERVE_SOCKET, rundir);
	/* A program that root started may be anybody by now: access_is_ours() looks at who asks. */
	struct http_listen_options listen = { .unix_mode = geteuid() == 0 ? 0666 : 0600 };

	return http_listen(address, &listen, &serve->inside, why_out);
}

static bool is_peer_allowed(pid_t pid, uid_t uid, void *user)
{
	const struct routes_context *context = user;

	return access_is_ours(pid, uid, context->rundir);
}

int serve_start(struct serve *serve, const struct access *access, struct routes_context *context)
{
	struct http_server_options options;
	int err = 0;

	routes_fill(&options, context);
	if (serve->inside) {
		options.max_connections = MAX_INSIDE;
		options.is_peer_allowed = is_peer_allowed;
		err = http_server_start(serve->inside, &options);
	}
	if (!err && serve->outside) {
		options.max_connections = fit_connections();
		options.max_per_address =
			http_server_is_remote(serve->outside) ? MAX_PER_ADDRESS : 0;
		options.is_peer_allowed = NULL;
		options.bearer = access->token;
		err = http_server_start(serve->outside, &options);
		if (!err && http_server_is_remote(serve->outside) && !access->tls.cert)
			log_say("%s is open to other machines without TLS: tokens and profiles "
				"can be read on the way; --tls-cert and --tls-key protect them",
				http_server_url(serve->outside));
	}
	return err;
}

const char *serve_url(const struct serve *serve)
{
	return serve->outside ? http_server_url(serve->outside) : NULL;
}

void serve_stop(struct serve *serve, unsigned drain_ms)
{
	http_server_free(serve->outside, drain_ms);
	http_server_free(serve->inside, drain_ms);
	serve->outside = serve->inside = NULL;
}
