/* SPDX-License-Identifier: MIT */
/*
 * The file is read as a stream of YAML events, which know their lines. Keys of nested mappings are joined by
 * dots and looked up in the table of options, so there is nothing to keep in step here.
 */
#include "recorder/config.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <yaml.h>

#include "recorder/options_table.h"

#define MAX_FILE_BYTES (1u << 20)
#define MAX_DEPTH 8

struct config {
	const char *name; /* of the file */
	struct options *options;
	yaml_parser_t parser;
	GHashTable *seen; /* fields that were set: pointer -> key, owned */
	char *why;	  /* owned; the first thing that is wrong; NULL: fine */
};

G_GNUC_PRINTF(3, 4)
static bool fail(struct config *config, const yaml_mark_t *mark, const char *format, ...)
{
	g_autofree char *what = NULL;
	va_list args;

	va_start(args, format);
	what = g_strdup_vprintf(format, args);
	va_end(args);
	if (!config->why)
		config->why = g_strdup_printf("%s:%zu: %s", config->name, mark->line + 1, what);
	return false;
}

/* The next event, to yaml_event_delete(); false after an error. */
static bool next(struct config *config, yaml_event_t *event_out)
{
	if (yaml_parser_parse(&config->parser, event_out))
		return true;
	return fail(config, &config->parser.problem_mark, "this is not YAML: %s",
		config->parser.problem ? config->parser.problem : "unreadable");
}

static const char *scalar(const yaml_event_t *event)
{
	return (const char *)event->data.scalar.value;
}

/* A YAML word for nothing: `key:`, `key: ~`, `key: null`. */
static bool is_null(const yaml_event_t *event)
{
	const char *text = scalar(event);

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (*text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static bool has_nul(const yaml_event_t *event)
{
	return strlen(scalar(event)) != event->data.scalar.length;
}

static bool set(struct config *config, const char *key, const yaml_mark_t *mark, const char *text)
{
	const struct option_row *row = option_find_key(key);
	const char *earlier;
	g_autofree char *why = NULL;

	if (!row)
		return fail(config, mark,
			"unknown key %s; keys are http.address, pprof.enabled, pprof.auth.bearer "
			"and the names of the options that trace-record --help lists",
			key);
	earlier = g_hash_table_lookup(config->seen, GSIZE_TO_POINTER(row->offset));
	if (earlier && strcmp(earlier, key) == 0)
		return fail(config, mark, "%s stands here a second time", key);
	if (earlier)
		return fail(config, mark, "%s and %s are the same setting; leave one of them out",
			key, earlier);
	g_hash_table_insert(config->seen, GSIZE_TO_POINTER(row->offset), g_strdup(key));
	if (config->options->is_given >> (row - option_rows) & 1) {
		/* The command line wins, but nonsense is told all the same. */
		struct options scratch = { 0 };

		why = option_set(row, text, &scratch);
		options_fini(&scratch);
	} else {
		why = option_set(row, text, config->options);
	}
	/* A token does not belong into a message. */
	if (why && row->offset == offsetof(struct options, bearer))
		return fail(config, mark, "%s: %s", key, why);
	return why ? fail(config, mark, "%s: %s: %s", key, text, why) : true;
}

/* A list of words, for the settings that are lists. */
static bool set_list(struct config *config, const char *key, const yaml_mark_t *mark)
{
	const struct option_row *row = option_find_key(key);
	g_autoptr(GString) text = g_string_new(NULL);
	yaml_event_t event;

	if (row && row->kind != OPTION_EVENTS && row->kind != OPTION_SLOW)
		return fail(config, mark, "%s: expected one value, not a list", key);
	for (;;) {
		yaml_event_type_t type;

		if (!next(config, &event))
			return false;
		type = event.type;
		if (type == YAML_SCALAR_EVENT)
			g_string_append_printf(text, "%s%s", text->len ? "," : "", scalar(&event));
		yaml_event_delete(&event);
		if (type == YAML_SEQUENCE_END_EVENT)
			return set(config, key, mark, text->str);
		if (type != YAML_SCALAR_EVENT)
			return fail(config, mark, "%s: expected a list of words", key);
	}
}

static bool read_mapping(struct config *config, const char *prefix, unsigned depth);

/* What stands behind a key. */
static bool read_value(struct config *config, const char *key, unsigned depth)
{
	yaml_event_t event;
	bool is_fine;

	if (!next(config, &event))
		return false;
	switch (event.type) {
	case YAML_SCALAR_EVENT:
		if (is_null(&event))
			is_fine = fail(config, &event.start_mark, "%s has no value", key);
		else if (has_nul(&event))
			is_fine = fail(config, &event.start_mark, "%s: a NUL byte in it", key);
		else
			is_fine = set(config, key, &event.start_mark, scalar(&event));
		break;
	case YAML_SEQUENCE_START_EVENT:
		is_fine = set_list(config, key, &event.start_mark);
		break;
	case YAML_MAPPING_START_EVENT:
		if (option_find_key(key))
			is_fine = fail(config, &event.start_mark,
				"%s: expected one value, not keys below it", key);
		else if (depth == MAX_DEPTH)
			is_fine = fail(config, &event.start_mark, "%s: nested too deeply", key);
		else
			is_fine = read_mapping(config, key, depth + 1);
		break;
	default:
		is_fine = fail(config, &event.start_mark,
			"%s: anchors and aliases are not understood here", key);
		break;
	}
	yaml_event_delete(&event);
	return is_fine;
}

/* Keys and values up to the mapping's end. `prefix` NULL: the outermost one. */
static bool read_mapping(struct config *config, const char *prefix, unsigned depth)
{
	for (;;) {
		g_autofree char *key = NULL;
		yaml_event_t event;
		bool is_end, is_fine;

		if (!next(config, &event))
			return false;
		is_end = event.type == YAML_MAPPING_END_EVENT;
		is_fine = is_end || (event.type == YAML_SCALAR_EVENT && *scalar(&event) != '\0');
		if (!is_fine)
			fail(config, &event.start_mark, "expected a key, which is a word");
		else if (!is_end)
			key = prefix ? g_strdup_printf("%s.%s", prefix, scalar(&event))
				     : g_strdup(scalar(&event));
		yaml_event_delete(&event);
		if (is_end || !is_fine)
			return is_fine;
		if (!read_value(config, key, depth))
			return false;
	}
}

/* The whole stream: one document that is a mapping, or nothing. */
static bool read_stream(struct config *config)
{
	unsigned n_documents = 0;

	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;
		bool is_fine = true;

		if (!next(config, &event))
			return false;
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && ++n_documents > 1)
			is_fine = fail(config, &event.start_mark, "expected one document, not two");
		else if (type == YAML_MAPPING_START_EVENT)
			is_fine = read_mapping(config, NULL, 0);
		else if (type == YAML_SEQUENCE_START_EVENT || type == YAML_ALIAS_EVENT ||
			 (type == YAML_SCALAR_EVENT && !is_null(&event)))
			is_fine = fail(config, &event.start_mark,
				"expected settings, such as `buffer-size: 64M'");
		yaml_event_delete(&event);
		if (!is_fine || type == YAML_STREAM_END_EVENT)
			return is_fine;
	}
}

int config_parse(
	const char *name, const char *text, size_t n, struct options *options, char **why_out)
{
	struct config config = { .name = name, .options = options };

	if (!yaml_parser_initialize(&config.parser))
		return -ENOMEM;
	config.seen = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	yaml_parser_set_input_string(&config.parser, (const unsigned char *)text, n);
	read_stream(&config);
	yaml_parser_delete(&config.parser);
	g_hash_table_unref(config.seen);
	*why_out = config.why;
	return config.why ? -EINVAL : 0;
}

int config_load(const char *path, struct options *options, char **why_out)
{
	g_autofree char *text = NULL;
	gsize n;

	/* A folder is opened, but not read. */
	if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
		*why_out =
			g_strdup_printf("--config %s: expected a file, but that is a folder", path);
		return -EISDIR;
	}
	errno = 0;
	if (!g_file_get_contents(path, &text, &n, NULL)) {
		*why_out = g_strdup_printf(
			"--config %s: cannot be read: %s", path, strerror(errno ? errno : EIO));
		return -EIO;
	}
	if (n > MAX_FILE_BYTES) {
		*why_out = g_strdup_printf("--config %s: larger than 1 MiB, so no settings", path);
		return -EFBIG;
	}
	return config_parse(path, text, n, options, why_out);
}
