/* SPDX-License-Identifier: MIT */
/* Frames of a profile as text, and the memory map. Columns are those of Go's tabwriter. */
#include "viewer/profile_text.h"

#include <string.h>

#include "viewer/profile_tables.h"

#define HEX "0x%" G_GINT64_MODIFIER "x"
#define TAB 8

static const struct profile_tables_location *location_at(const struct profile *profile, uint64_t id)
{
	return &g_array_index(profile->locations, struct profile_tables_location, id - 1);
}

static const char *module_of(
	const struct profile *profile, const struct profile_tables_location *location)
{
	if (!location->mapping)
		return "";
	return strings_get(
		profile->strings, g_array_index(profile->mappings, struct profile_tables_mapping,
					  location->mapping - 1)
					  .filename);
}

/* What a frame's line says, for each line of a location: function and place. */
struct place {
	const char *name, *file;
	int64_t line;
};

/* Line `i` of a location; the module stands for a file that is not known. */
static struct place place_at(
	const struct profile *profile, const struct profile_tables_location *location, uint32_t i)
{
	const struct profile_tables_line *line = &g_array_index(
		profile->lines, struct profile_tables_line, location->first_line + i);
	const struct profile_tables_function *function = &g_array_index(
		profile->functions, struct profile_tables_function, line->function - 1);
	struct place place = { strings_get(profile->strings, function->name),
		strings_get(profile->strings, function->filename), line->line };

	if (!*place.file) {
		place.file = module_of(profile, location);
		place.line = 0;
	}
	if (!*place.file)
		place.file = "??";
	return place;
}

static void pad(GString *out, size_t width, size_t widest)
{
	size_t cell = (widest + 1 + TAB - 1) / TAB * TAB;

	for (size_t n = (cell - width + TAB - 1) / TAB; n; n--)
		g_string_append_c(out, '\t');
}

struct row {
	char *pc, *function, *place; /* owned; function NULL: no name */
};

static void row_clear(void *data)
{
	struct row *row = data;

	g_free(row->pc);
	g_free(row->function);
	g_free(row->place);
}

static GArray *rows_of(const struct profile *profile, const uint64_t *locations, size_t n)
{
	GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct row));

	g_array_set_clear_func(rows, row_clear);
	for (size_t i = 0; i < n; i++) {
		const struct profile_tables_location *location = location_at(profile, locations[i]);
		uint32_t k = 0;
		do {
			struct row row = { .pc = g_strdup_printf(HEX, location->address) };
			if (k < location->n_lines) {
				struct place place = place_at(profile, location, k);
				row.function =
					g_strdup_printf("%s+" HEX, place.name, location->offset);
				row.place = g_strdup_printf(
					"%s:%" G_GINT64_FORMAT, place.file, place.line);
			}
			g_array_append_val(rows, row);
		} while (++k < location->n_lines);
	}
	return rows;
}

void profile_text_frames(
	const struct profile *profile, const uint64_t *locations, size_t n_locations, GString *out)
{
	g_autoptr(GArray) rows = rows_of(profile, locations, n_locations);
	guint end = 0;

	for (guint i = 0; i < rows->len; i++) {
		const struct row *row = &g_array_index(rows, struct row, i);
		size_t pc = 0, function = 0;
		if (!row->function) {
			g_string_append_printf(out, "#\t%s\n", row->pc);
			continue;
		}
		/* A column ends at a line that does not have it. */
		for (end = i; end < rows->len; end++) {
			const struct row *other = &g_array_index(rows, struct row, end);
			if (!other->function)
				break;
			pc = MAX(pc, strlen(other->pc));
			function = MAX(function, (size_t)g_utf8_strlen(other->function, -1));
		}
		for (; i < end; i++) {
			row = &g_array_index(rows, struct row, i);
			g_string_append_printf(out, "#\t%s", row->pc);
			pad(out, strlen(row->pc), pc);
			g_string_append(out, row->function);
			pad(out, (size_t)g_utf8_strlen(row->function, -1), function);
			g_string_append_printf(out, "%s\n", row->place);
		}
		i--;
	}
}

/* C++ names may end in their parameters already. */
static void append_call(GString *out, const char *name)
{
	g_string_append(out, name);
	if (*name && name[strlen(name) - 1] != ')')
		g_string_append(out, "(...)");
}

/* "[MODULE+0xOFFSET]": its place in its file, which is the same in every run. To g_free(). */
static char *nameless(const struct profile *profile, const struct profile_tables_location *location)
{
	const char *module = module_of(profile, location), *name = strrchr(module, '/');
	uint64_t offset = location->address;

	if (location->mapping) {
		const struct profile_tables_mapping *mapping = &g_array_index(
			profile->mappings, struct profile_tables_mapping, location->mapping - 1);
		offset += mapping->file_offset - mapping->start;
	}
	return g_strdup_printf("[%s+" HEX "]", name ? name + 1 : module, offset);
}

static void append_nameless(
	const struct profile *profile, const struct profile_tables_location *location, GString *out)
{
	const char *module = module_of(profile, location);
	g_autofree char *name = nameless(profile, location);

	g_string_append_printf(out, "%s(...)\n\t%s:0 +0x0\n", name, *module ? module : "??");
}

void profile_text_trace(
	const struct profile *profile, const uint64_t *locations, size_t n_locations, GString *out)
{
	for (size_t i = 0; i < n_locations; i++) {
		const struct profile_tables_location *location = location_at(profile, locations[i]);
		if (location->n_lines == 0)
			append_nameless(profile, location, out);
		for (uint32_t k = 0; k < location->n_lines; k++) {
			struct place place = place_at(profile, location, k);
			append_call(out, place.name);
			g_string_append_printf(
				out, "\n\t%s:%" G_GINT64_FORMAT, place.file, place.line);
			/* Inlined: it has no beginning of its own to count from. */
			if (k + 1 == location->n_lines)
				g_string_append_printf(out, " +" HEX, location->offset);
			g_string_append_c(out, '\n');
		}
	}
}

char *profile_text_place(const struct profile *profile, uint64_t id)
{
	const struct profile_tables_location *location = location_at(profile, id);
	struct place place;

	if (!location->n_lines)
		return nameless(profile, location);
	place = place_at(profile, location, 0);
	if (!place.line)
		return g_strdup(place.name);
	return g_strdup_printf("%s (%s:%" G_GINT64_FORMAT ")", place.name, place.file, place.line);
}

void profile_text_created(const struct profile *profile, const uint64_t *locations,
	size_t n_locations, uint32_t creator, GString *out)
{
	const struct profile_tables_location *location = NULL;
	struct place place = { "", "", 0 };
	g_autofree char *name = NULL;

	for (size_t i = 0; i < n_locations; i++) {
		location = location_at(profile, locations[i]);
		place = location->n_lines ? place_at(profile, location, 0) : (struct place){ 0 };
		if (!place.name || !g_str_has_prefix(place.name, "std::"))
			break;
	}
	if (!location)
		return;
	if (!place.name) {
		name = nameless(profile, location);
		place = (struct place){ name, module_of(profile, location), 0 };
	}
	g_string_append_printf(out,
		"created by %s in goroutine %u\n\t%s:%" G_GINT64_FORMAT " +" HEX "\n", place.name,
		creator, *place.file ? place.file : "??", place.line, location->offset);
}

void profile_text_quote(const char *text, GString *out)
{
	g_string_append_c(out, '"');
	for (const char *at = text; *at; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char_validated(at, -1);
		if ((gint32)c < 0) {
			g_string_append_printf(out, "\\x%02x", (uint8_t)*at);
			while (at[1] && ((uint8_t)at[1] & 0xc0) == 0x80)
				g_string_append_printf(out, "\\x%02x", (uint8_t) * ++at);
		} else if (c == '"' || c == '\\') {
			g_string_append_printf(out, "\\%c", (char)c);
		} else if (c == '\n') {
			g_string_append(out, "\\n");
		} else if (c == '\t') {
			g_string_append(out, "\\t");
		} else if (c == '\r') {
			g_string_append(out, "\\r");
		} else if (c < 0x80 && !g_ascii_isprint((char)c)) {
			g_string_append_printf(out, "\\x%02x", c);
		} else if (!g_unichar_isprint(c)) {
			g_string_append_printf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
		} else {
			g_string_append_unichar(out, c);
		}
	}
	g_string_append_c(out, '"');
}

void profile_text_addresses(
	const struct profile *profile, const uint64_t *locations, size_t n_locations, GString *out)
{
	for (size_t i = 0; i < n_locations; i++)
		g_string_append_printf(
			out, " " HEX, location_at(profile, locations[i])->address + 1);
}

void profile_text_map(const struct profile *profile, GString *out)
{
	for (guint i = 0; i < profile->comments->len; i++)
		g_string_append_printf(out, "# %s\n",
			strings_get(profile->strings,
				(uint32_t)g_array_index(profile->comments, int64_t, i)));
	g_string_append(out, "\n--- Memory map: ---\n");
	for (guint i = 0; i < profile->mappings->len; i++) {
		const struct profile_tables_mapping *mapping =
			&g_array_index(profile->mappings, struct profile_tables_mapping, i);
		g_string_append_printf(out,
			"%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x r-xp %08" G_GINT64_MODIFIER
			"x 00:00 0 %s\n",
			mapping->start, mapping->limit, mapping->file_offset,
			strings_get(profile->strings, mapping->filename));
	}
}
