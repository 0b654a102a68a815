/* SPDX-License-Identifier: MIT */
/* trace-view TRACE: the web page. */
#include <argp.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "viewer/cmd.h"
#include "viewer/index_store.h"
#include "viewer/serve.h"

#define KEY_CACHE 256
#define KEY_NO_BROWSER 257

struct arguments {
	struct cmd_input input;
	const char *http, *cache;
	int is_quiet_browser;
};

static const struct argp_option options[] = {
	{ "http", 'l', "ADDRESS", 0, "Listen there (default 127.0.0.1:0, a free port)", 0 },
	{ "cache", KEY_CACHE, "DIR", 0,
		"Keep the index of the trace there (default: the user's cache; \"\": nowhere)", 0 },
	{ "no-browser", KEY_NO_BROWSER, NULL, 0, "Print the address, open no browser", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->input;
		return 0;
	case 'l':
		arguments->http = arg;
		return 0;
	case KEY_CACHE:
		arguments->cache = arg;
		return 0;
	case KEY_NO_BROWSER:
		arguments->is_quiet_browser = 1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "TRACE",
	.doc = "Serves a page with timelines of the trace on a loopback port, and opens a browser "
	       "when "
	       "there is a display. Ends with Ctrl-C.",
	.children = (const struct argp_child[]){ { &cmd_input_argp, 0, NULL, 0 }, { 0 } },
};

/* A browser is a convenience: nothing is said when there is none. */
static void open_browser(const char *url)
{
	pid_t pid;

	if (!getenv("DISPLAY") && !getenv("WAYLAND_DISPLAY"))
		return;
	pid = fork();
	if (pid == 0) {
		/* Twice, so that nobody waits for it. */
		if (fork() == 0) {
			sigset_t none;

			sigemptyset(&none);
			sigprocmask(SIG_SETMASK, &none, NULL);
			execlp("xdg-open", "xdg-open", url, (char *)NULL);
		}
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void on_progress(void *user, double share)
{
	(void)user;
	fprintf(stderr, "\rtrace-view: reading %3d %%", (int)(share * 100));
	fflush(stderr);
}

/* Blocks what ends us, so that the threads of the server leave it to sigwait(). */
static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

static int serve(const struct arguments *arguments, const struct indexed *indexed)
{
	struct serve *server;
	char *why = NULL;
	sigset_t set;
	int number;

	block_signals(&set);
	if (serve_start(arguments->http, indexed, arguments->input.file, &server, &why) != 0) {
		fprintf(stderr, "trace-view: %s\n", why);
		g_free(why);
		return EXIT_FAILURE;
	}
	fprintf(stderr, "trace-view: Trace viewer is listening on %s\n", serve_url(server));
	if (!arguments->is_quiet_browser)
		open_browser(serve_url(server));
	sigwait(&set, &number);
	serve_stop(server);
	return EXIT_SUCCESS;
}

int cmd_view(int argc, char **argv)
{
	struct arguments arguments = { .input = CMD_INPUT_INIT, .http = "127.0.0.1:0" };
	struct index_options opening = { 0 };
	struct indexed indexed;
	GError *error = NULL;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	opening.cache = arguments.cache;
	opening.max_size = arguments.input.max_size;
	if (isatty(STDERR_FILENO))
		opening.on_progress = on_progress;
	if (!indexed_open(arguments.input.file, &opening, &indexed, &error)) {
		if (opening.on_progress)
			fputc('\n', stderr);
		return cmd_fail(error);
	}
	if (opening.on_progress)
		fprintf(stderr, "\r%*s\r", 40, "");
	cmd_print_notes(indexed.trace);
	status = serve(&arguments, &indexed);
	indexed_close(&indexed);
	return status;
}
