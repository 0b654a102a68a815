/* SPDX-License-Identifier: MIT */
/* A fixture with a mistake must not pass as an empty one: every problem ends the test. */
#include "event_text.h"

#include <stdlib.h>
#include <string.h>

#include "proto/schema.h"

static void fail(const char *line, const char *why, const char *what)
{
	g_printerr("fixture: %s '%s' in: %s\n", why, what, line);
	exit(1);
}

static uint64_t number(const char *line, const char *text)
{
	static const struct {
		const char *suffix;
		uint64_t factor;
	} units[] = { { "", 1 }, { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 },
		{ "s", 1000000000 } };
	char *end;
	int is_negative = *text == '-';
	uint64_t value = g_ascii_strtoull(text + is_negative, &end, 0);

	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (end != text + is_negative && strcmp(end, units[i].suffix) == 0)
			return (is_negative ? -value : value) * units[i].factor;
	fail(line, "no number", text);
	return 0;
}

static uint64_t enumeration(const char *line, enum event_show show, const char *text)
{
	for (uint64_t i = 0; i < 512; i++) {
		const char *name = event_enum_name(show, i);
		if (name && strcmp(name, text) == 0)
			return i;
	}
	return number(line, text);
}

static void set_frames(struct event_text *out, const char *line, const char *value)
{
	g_auto(GStrv) parts = g_strsplit(value, ",", -1);
	guint n = g_strv_length(parts);
	uint64_t *frames = g_new(uint64_t, n + 1);

	for (guint i = 0; i < n; i++)
		frames[i] = number(line, parts[i]);
	g_ptr_array_add(out->owned, frames);
	out->event.def_stack.frames = frames;
	out->event.def_stack.n_frames = n;
}

static void set_field(struct event_text *out, const char *line, const char *key, const char *value)
{
	const struct event_info *info = &event_infos[out->event.kind];

	if (strcmp(key, "proc") == 0) {
		out->event.proc = number(line, value);
		return;
	}
	if (strcmp(key, "stack") == 0) {
		out->event.stack = number(line, value);
		return;
	}
	for (uint32_t i = 0; i < info->n_fields; i++) {
		const struct event_field *field = &info->fields[i];
		char *to = (char *)&out->event + field->offset;
		if (strcmp(field->name, key) != 0)
			continue;
		if (field->type == EVENT_STRING) {
			char *copy = g_strdup(value);
			g_ptr_array_add(out->owned, copy);
			*(const char **)to = copy;
		} else if (field->type == EVENT_FRAMES) {
			set_frames(out, line, value);
		} else if (field->type == EVENT_U64 || field->type == EVENT_S64) {
			*(uint64_t *)to = enumeration(line, field->show, value);
		} else {
			*(uint32_t *)to = (uint32_t)enumeration(line, field->show, value);
		}
		return;
	}
	fail(line, "no such field", key);
}

static enum event_kind kind_of(const char *line, const char *name)
{
	for (int i = 0; i < EVENT_N; i++) {
		const char *full = event_infos[i].name, *colon = strchr(full, ':');
		if (strcmp(full, name) == 0 || strcmp(full + strlen("flightrec_"), name) == 0 ||
			(i < EVENT_FIRST_DEF && strcmp(colon + 1, name) == 0))
			return i;
	}
	fail(line, "no such event", name);
	return EVENT_N;
}

int event_text_parse(const char *line, struct event_text *out)
{
	int n;
	char **words;

	*out = (struct event_text){ 0 };
	while (g_ascii_isspace(*line))
		line++;
	if (!*line || *line == '#')
		return 0;
	g_autoptr(GError) error = NULL;
	if (!g_shell_parse_argv(line, &n, &words, &error))
		fail(line, "cannot split", error->message);
	if (n < 3)
		fail(line, "too few words", line);
	out->owned = g_ptr_array_new_with_free_func(g_free);
	out->event.kind = kind_of(line, words[2]);
	out->event.time_ns = number(line, words[0]);
	out->event.tid = number(line, words[1]);
	out->event.proc = 1;
	const struct event_info *info = &event_infos[out->event.kind];
	for (uint32_t i = 0; i < info->n_fields; i++)
		if (info->fields[i].type == EVENT_STRING)
			*(const char **)((char *)&out->event + info->fields[i].offset) = "";
		else if (info->fields[i].is_unknown_minus) /* all of them are s64 */
			*(int64_t *)((char *)&out->event + info->fields[i].offset) = -1;
	if (out->event.kind == EVENT_CALL)
		out->event.call.path = "";
	for (int i = 3; i < n; i++) {
		char *equals = strchr(words[i], '=');
		if (!equals)
			fail(line, "no field=value", words[i]);
		*equals = '\0';
		set_field(out, line, words[i], equals + 1);
	}
	g_strfreev(words);
	return 1;
}

void event_text_fini(struct event_text *text)
{
	if (text->owned)
		g_ptr_array_free(text->owned, TRUE);
	*text = (struct event_text){ 0 };
}
