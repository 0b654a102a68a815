/* SPDX-License-Identifier: MIT */
/* The page that lists the profiles. Scripts read its table: one row a line, sorted, links relative. */
#include <glib.h>
#include <string.h>

#include "recorder/route_past.h"
#include "recorder/route_pprof.h"

/* What is served besides the named profiles. */
static const struct profiles_entry others[] = {
	{ (char *)"cmdline", "The command line of the program.", 0 },
	{ (char *)"profile",
		"CPU profile. You can specify the duration in the seconds GET parameter. After you "
		"get the profile file, use the go tool pprof command to investigate the profile.",
		0 },
	{ (char *)"symbol",
		"Maps program counters to names: with GET in the query, with POST in the body, "
		"parted by '+'.",
		0 },
	{ (char *)"trace",
		"What happened in the next seconds: locks, system calls, threads. You can specify "
		"the duration in the seconds GET parameter. After you get the trace file, use "
		"trace-view to look at it; go tool trace reads another format.",
		0 },
};

static int compare_entries(const void *a, const void *b)
{
	return strcmp(
		((const struct profiles_entry *)a)->name, ((const struct profiles_entry *)b)->name);
}

static GArray *all_entries(struct profiles *profiles, pid_t pid)
{
	GArray *entries = profiles_list(profiles, pid);

	for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
		struct profiles_entry entry = others[i];

		entry.name = g_strdup(others[i].name);
		g_array_append_val(entries, entry);
	}
	for (const struct past_kind *kind = past_kinds; kind->name; kind++) {
		struct profiles_entry entry = { g_strdup(kind->name), kind->about, 0 };

		if (kind->about && !profiles_is_known(profiles, kind->name, NULL))
			g_array_append_val(entries, entry);
		else
			g_free(entry.name);
	}
	g_array_sort(entries, compare_entries);
	return entries;
}

void route_pprof_index(struct http_request *request, struct routes_context *context)
{
	g_autoptr(GArray) entries = NULL;
	g_autoptr(GString) page = g_string_new(NULL);
	g_autofree char *of_pid = NULL;
	pid_t pid;

	if (!route_pprof_pid(request, context, &pid))
		return;
	entries = all_entries(context->profiles, pid);
	of_pid = pid ? g_strdup_printf("&amp;pid=%d", (int)pid) : g_strdup("");
	g_string_append(page,
		"<html>\n<head>\n<title>/debug/pprof/</title>\n<style>\n"
		".profile-name{display:inline-block;width:8rem}\n"
		"body{font-family:sans-serif}td{padding-right:1em}\n"
		":root{color-scheme:light dark}\n"
		"</style>\n</head>\n<body>\n/debug/pprof/\n<br>\n"
		"<p>Set debug=1 as a query parameter to export in legacy text format, and "
		"seconds=N for what happens in the next N seconds. With seconds=-N, allocs, block, "
		"mutex, profile and those derived from the flight recorder are of the last N "
		"seconds, already past; without it, the latter are of all that it "
		"holds.</p>\n<br>\n"
		"Types of profiles available:\n"
		"<table>\n<thead><td>Count</td><td>Profile</td></thead>\n");
	for (guint i = 0; i < entries->len; i++) {
		const struct profiles_entry *entry =
			&g_array_index(entries, struct profiles_entry, i);
		g_autofree char *link = g_uri_escape_string(entry->name, NULL, FALSE);
		g_autofree char *name = g_markup_escape_text(entry->name, -1);

		g_string_append_printf(page,
			"<tr><td>%" G_GUINT64_FORMAT
			"</td><td><a href='%s?debug=1%s'>%s</a></td></tr>\n",
			entry->count, link, of_pid, name);
	}
	g_string_append_printf(page,
		"</table>\n<a href=\"goroutine?debug=2%s\">full goroutine stack dump</a>"
		" (a goroutine is a thread here)\n<br>\n<p>\nProfile Descriptions:\n<ul>\n",
		of_pid);
	for (guint i = 0; i < entries->len; i++) {
		const struct profiles_entry *entry =
			&g_array_index(entries, struct profiles_entry, i);
		g_autofree char *name = g_markup_escape_text(entry->name, -1);

		g_string_append_printf(page, "<li><div class=profile-name>%s: </div> %s</li>\n",
			name, entry->about);
	}
	g_string_append(page, "</ul>\n</p>\n</body>\n</html>\n");
	http_reply(request, 200, "text/html; charset=utf-8", page->str, page->len);
}
