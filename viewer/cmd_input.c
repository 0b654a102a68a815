/* SPDX-License-Identifier: MIT */
/* The argument that all subcommands have in common: which trace to read. */
#include "viewer/cmd.h"

#include "common/units.h"

#define KEY_MAX_SIZE 256

static const struct argp_option options[] = {
	{ "max-size", KEY_MAX_SIZE, "SIZE", 0, "Refuse traces that unpack to more (default 16G)",
		0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cmd_input *input = state->input;

	switch (key) {
	case KEY_MAX_SIZE:
		if (units_size_parse(arg, &input->max_size) != 0 || !input->max_size)
			argp_error(
				state, "--max-size=%s: expected a size, such as 512M or 20G", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (input->file)
			argp_error(state, "one trace at a time: '%s' is too much", arg);
		input->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!input->file)
			argp_error(state, "name a trace, such as trace.out");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cmd_input_argp = { .options = options, .parser = parse };
