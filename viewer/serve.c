/* SPDX-License-Identifier: MIT */
/*
 * Requests of other web pages are refused (HTTP_GUARDED): what a trace holds is nobody else's. The page loads nothing from
 * anywhere else, and its policy says so.
 */
#include "viewer/serve.h"

#include <errno.h>
#include <string.h>

#include "common/http.h"
#include "viewer/api.h"
#include "viewer/page.h"
#include "viewer/serve_pprof.h"

#define POLICY                                                                                  \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src " \
	"'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#define MAX_CONNECTIONS 64
#define IDLE_SECONDS 300

struct serve {
	struct http_server *server;
	const struct indexed *indexed;
	const char *path;
};

static const struct {
	const char *path;
	json_t *(*answer)(const struct api_request *request, const char **why_out);
} calls[] = {
	{ "/api/trace", api_trace },
	{ "/api/rows", api_rows },
	{ "/api/at", api_at },
	{ "/api/stack", api_stack },
	{ "/api/states", api_states },
	{ "/api/flame", api_flame },
	{ "/api/histogram", api_histogram },
	{ "/api/marks", api_marks },
	{ "/api/counter", api_counter },
};

static const char *query(void *user, const char *key)
{
	return http_request_query(user, key);
}

static void reply_error(struct http_request *request, unsigned status, const char *sentence)
{
	g_autofree char *text = g_strdup_printf("%s\n", sentence);

	http_reply(request, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* Takes over `answer`. */
static void reply_json(struct http_request *request, json_t *answer, const char *why)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	json_decref(answer);
	http_reply_header(request, "Cache-Control", "no-store");
	if (text)
		http_reply(request, 200, "application/json", text, strlen(text));
	else
		reply_error(request, 400, why ? why : "there is no answer");
	free(text);
}

static void on_api(struct http_request *request, void *user)
{
	const struct serve *serve = user;
	struct api_request asked = { serve->indexed, query, request };
	const char *path = http_request_path(request), *why = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		if (strcmp(path, calls[i].path) == 0) {
			reply_json(request, calls[i].answer(&asked, &why), why);
			return;
		}
	}
	if (strcmp(path, "/api/cells") == 0) {
		GByteArray *cells = api_cells(&asked, &why);

		http_reply_header(request, "Cache-Control", "no-store");
		if (!cells) {
			reply_error(request, 400, why);
			return;
		}
		http_reply(request, 200, "application/octet-stream", cells->data, cells->len);
		g_byte_array_unref(cells);
	} else if (strcmp(path, "/api/summary") == 0) {
		const char *text = serve->indexed->summary;

		http_reply(request, 200, "application/json", text, strlen(text));
	} else if (strcmp(path, "/api/findings") == 0) {
		const char *text = serve->indexed->findings;

		http_reply(request, 200, "application/json", text, strlen(text));
	} else if (strcmp(path, "/api/sql") == 0) {
		size_t n;
		const char *body = http_request_body(request, &n);
		const char *text = n ? body : http_request_query(request, "q");

		reply_json(request, api_sql(serve->indexed, text ? text : "", &why), why);
	} else {
		reply_error(request, 404, "there is no such path");
	}
}

static void on_page(struct http_request *request, void *user)
{
	const struct page_file *file = page_find(http_request_path(request));

	(void)user;
	if (!file) {
		reply_error(request, 404, "there is no such path");
		return;
	}
	http_reply_header(request, "Content-Security-Policy", POLICY);
	http_reply_header(request, "Cache-Control", "no-cache");
	http_reply(request, 200, file->type, file->begin, (size_t)(file->end - file->begin));
}

static void on_pprof(struct http_request *request, void *user)
{
	serve_pprof(request, ((const struct serve *)user)->path);
}

static const struct http_route routes[] = {
	{ "/api/", HTTP_GET | HTTP_POST, HTTP_GUARDED | HTTP_PREFIX, on_api },
	{ "/pprof", HTTP_GET, HTTP_GUARDED, on_pprof },
	{ "/", HTTP_GET | HTTP_HEAD, HTTP_GUARDED | HTTP_PREFIX, on_page },
	{ NULL, 0, 0, NULL },
};

int serve_start(const char *address, const struct indexed *indexed, const char *path,
	struct serve **serve_out, char **why_out)
{
	struct http_server_options options = {
		.routes = routes,
		.max_connections = MAX_CONNECTIONS,
		.idle_seconds = IDLE_SECONDS,
	};
	struct serve *serve = g_new0(struct serve, 1);
	struct stacks *stacks = &indexed->trace->stacks;
	int err;

	/* Names of places are made at their first use, which must not be on two threads at once. */
	for (guint i = 0; i < stacks->stacks->len; i++)
		stacks_site(stacks, i);
	serve->indexed = indexed;
	serve->path = path;
	options.user = serve;
	err = http_listen(address, NULL, &serve->server, why_out);
	if (!err) {
		err = http_server_start(serve->server, &options);
		if (err)
			*why_out = g_strdup_printf("Cannot answer HTTP: %s", strerror(-err));
	}
	if (err) {
		serve_stop(serve);
		return err;
	}
	*serve_out = serve;
	return 0;
}

void serve_stop(struct serve *serve)
{
	if (!serve)
		return;
	http_server_free(serve->server, 200);
	g_free(serve);
}

const char *serve_url(const struct serve *serve)
{
	return http_server_url(serve->server);
}
