/* SPDX-License-Identifier: MIT */
/* Derives a profile from text events (event_text.h), whole or filtered, and reads it back. */
#pragma once

#include "check.h"
#include "fixture_trace.h"
#include "profile_values.h"
#include "viewer/derive.h"

static Perftools__Profiles__Profile *back;

static char *why; /* the last derivation was refused */

static inline void derive_part(const char *name, const char *text, const struct filter_wish *wish)
{
	struct trace *trace = trace_new();
	struct filter *filter = filter_new(wish);
	struct derive *derivation = derive_new(derive_find(name), filter);
	struct trace_pass scan = filter_pass(filter), pass = derive_pass(derivation);

	fixture_define(trace, text);
	if (filter_needs_scan(filter))
		fixture_feed(trace, text, &scan, 1);
	filter_ready(filter, trace);
	fixture_feed(trace, text, &pass, 1);
	trace->report.has_clock = 1;
	trace->report.wall_offset_ns = 1000000000000;
	g_free(why);
	why = derive_finish(derivation, trace);
	struct profile *profile = derive_profile(derivation, trace);
	g_autoptr(GByteArray) packed = profile_pack(profile);
	back = profile_read(packed);
	CHECK(back != NULL);
	profile_free(profile);
	derive_free(derivation);
	filter_free(filter);
	trace_free(trace);
}

static inline void derive(const char *name, const char *text)
{
	struct filter_wish wish = { 0 };

	derive_part(name, text, &wish);
}

static inline void end(void)
{
	perftools__profiles__profile__free_unpacked(back, NULL);
}

static inline int64_t value_of(const char *name, size_t i)
{
	return profile_sum(back, name, i);
}

/* A window from 1 s to 2 s, one process, stacks 20 (waiter, called from libz) and 21 (other). */
#define HEAD                                                                     \
	"0 0 state:receipt key=window.begin_ns value=1000000000\n"               \
	"0 0 state:receipt key=window.end_ns value=2000000000\n"                 \
	"0 0 state:process pid=77 start=500ms exe=/opt/app\n"                    \
	"0 0 state:module start=0x500 end=0x600 path=/lib/libz.so build_id=22\n" \
	"0 0 state:module start=0x1000 end=0x2000 path=/opt/app build_id=11\n"   \
	"0 0 state:stack id=20 frames=0x1100,0x510\n"                            \
	"0 0 state:symbol addr=0x1100 func=waiter system_name=_Z6waiterv\n"      \
	"0 0 state:stack id=21 frames=0x1200\n0 0 state:symbol addr=0x1200 func=other\n"
