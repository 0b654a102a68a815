/* SPDX-License-Identifier: MIT */
/* trace-view: picks the subcommand, and makes sure that the temporary folder goes when a signal comes. */
#include "viewer/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <argp.h>

const struct command commands[] = {
	{ "summary", "what was recorded, at a glance (text or --json)", cmd_summary },
	{ "pprof", "a pprof profile: --type=sync|block|mutex|waker|wall|cpu|...", cmd_pprof },
	{ "dump", "one event per line, for grep", cmd_dump },
	{ "sql", "the trace as an SQL database", cmd_sql },
	{ "export", "for other tools: --format=perfetto|chrome|csv|sqlite|pprof|folded", cmd_export },
	{ "view", "a web page with timelines (the default)", cmd_view },
	{ NULL, NULL, NULL },
};

/* Visible: libc's argp looks it up by name. */
__attribute__((visibility("default"))) const char *argp_program_version =
	"trace-view " FLIGHTREC_VERSION;

static void print_usage(FILE *out)
{
	fprintf(out, "Usage: trace-view [COMMAND] [OPTION...] TRACE\n"
		     "Shows what trace-record recorded. TRACE is a trace.out, or the folder it was "
		     "unpacked to.\n"
		     "\nCommands:\n");
	for (size_t i = 0; commands[i].name; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].about);
	fprintf(out,
		"\nWithout a command: view. -pprof=TYPE and -http=ADDRESS work as in go tool "
		"trace.\n"
		"trace-view COMMAND --help lists a command's options.\n"
		"Exit status: 0 success, 1 failure, 2 usage.\n"
		"\nExamples:\n"
		"  trace-view trace.out\n"
		"  trace-view -pprof=sync trace.out > sync.pb.gz && go tool pprof -top sync.pb.gz\n"
		"  trace-view dump --event=wait trace.out | grep kind=mutex\n");
}

int cmd_fail(GError *error)
{
	int is_interrupted = g_error_matches(error, VIEW_ERROR, VIEW_ERROR_INTERRUPTED);

	if (!is_interrupted)
		fprintf(stderr, "trace-view: %s\n", error->message);
	g_error_free(error);
	return is_interrupted ? 130 : EXIT_FAILURE;
}

void cmd_print_notes(const struct trace *trace)
{
	for (guint i = 0; i < trace->notes->len; i++)
		fprintf(stderr, "trace-view: %s\n", (const char *)trace->notes->pdata[i]);
}

int cmd_finish_output(FILE *out, const char *name)
{
	errno = 0;
	if (fflush(out) == 0 && !ferror(out))
		return EXIT_SUCCESS;
	if (errno == EPIPE ||
		errno == 0) /* 0: the failure came earlier, at a write to a closed pipe */
		return EXIT_SUCCESS;
	fprintf(stderr, "trace-view: cannot write to %s: %s\n", name, strerror(errno));
	return EXIT_FAILURE;
}

/* The first signal asks; the next one of its kind has its usual effect. */
static void on_signal(int number)
{
	(void)number;
	unpack_interrupt();
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
		struct sigaction old;
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
	/* Writes report a closed pipe instead, so that the folder is removed. */
	signal(SIGPIPE, SIG_IGN);
}

static int run_command(const struct command *command, int argc, char **argv)
{
	g_autofree char *name = g_strdup_printf("trace-view %s", command->name);

	/* argp prints program_invocation_name in its messages. */
	program_invocation_name = name;
	argv[0] = name;
	int status = command->run(argc, argv);
	program_invocation_name = (char *)"trace-view";
	return status;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; commands[i].name; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/*
 * As in `go tool trace`: `-pprof=sync FILE` becomes `pprof --type=sync FILE`, and `-http=:8080 FILE` is an option of
 * `view`. -1: it is neither.
 */
static int run_go_habit(int argc, char **argv)
{
	const char *value = strchr(argv[1], '=');
	int is_pprof =
		g_str_has_prefix(argv[1], "-pprof=") || g_str_has_prefix(argv[1], "--pprof=");
	int is_http = g_str_has_prefix(argv[1], "-http=") || g_str_has_prefix(argv[1], "--http=");
	g_autofree char *option = NULL;
	g_autofree char **words = NULL;

	if (!is_pprof && !is_http)
		return -1;
	option = g_strdup_printf("--%s%s", is_pprof ? "type" : "http", value);
	words = g_new0(char *, (size_t)argc + 2);
	memcpy(words + 1, argv + 1, (size_t)argc * sizeof(*words));
	words[1] = option;
	return run_command(find_command(is_pprof ? "pprof" : "view"), argc, words);
}

int main(int argc, char **argv)
{
	const struct command *command;
	int status;

	argp_err_exit_status = EXIT_USAGE;
	catch_signals();
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	command = find_command(argv[1]);
	if (command)
		return run_command(command, argc - 1, argv + 1);
	status = run_go_habit(argc, argv);
	if (status >= 0)
		return status;
	if (argv[1][0] != '-' && !strpbrk(argv[1], "./") && access(argv[1], F_OK) != 0) {
		fprintf(stderr,
			"trace-view: '%s' is neither a command nor a file; trace-view --help lists "
			"the "
			"commands\n",
			argv[1]);
		return EXIT_USAGE;
	}
	return run_command(find_command("view"), argc, argv);
}
