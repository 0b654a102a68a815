#!/bin/bash
# SPDX-License-Identifier: MIT
# What the handlers of SIGPROF and of fatal signals can reach: themselves, the stack walk, the stack table, the buckets; refers to nothing outside of
# it but an allowlist: no malloc, no stdio, no locks, no loader calls. nm does not see calls through pointers; those are two,
# blackbox_commit() and on_object() of modules.c, and each says in its header that a handler may call it.
set -u -o pipefail
objects=$(ls "$BUILD_DIR"/tracer/CMakeFiles/flightrec.dir/{unwind,stack,sampler_signal,fatal_signal,bucket}*.o) || exit 1
# shellcheck disable=SC2086
defined=$(nm --defined-only $objects | awk 'NF == 3 { print $3 }' | sort -u)
# shellcheck disable=SC2086
used=$(nm -u $objects | awk '$1 == "U" || $1 == "w" { print $2 }' | sort -u)
# clock_gettime() may be called by handlers. The second half is the tracer's own: plain data; sampler_is_ours(), sigprof_*(),
# disposition_is_trampoline(), census_is_single() and helper_dump(), which look at words and make raw system calls; fr_is_lttng_slow(), whose ranges are known once our constructor has run, and blackbox_commit().
allowed="_GLOBAL_OFFSET_TABLE_
__errno_location
_dl_find_object
clock_gettime
memcpy
memset
blackbox_commit
census_is_single
disposition_is_trampoline
fr_blackbox
fr_control
fr_is_lttng_slow
fr_lttng_all
fr_own
fr_self
helper_dump
sampler_is_ours
sigprof_foreign
sigprof_is_trampoline"
n_used=$(echo "$used" | wc -l)
n_objects=$(echo "$objects" | wc -l)
if [ "$n_objects" -lt 5 ] || [ "$n_used" -lt 5 ] || ! echo "$used" | grep -qx _dl_find_object; then
	echo "FAILED: $n_objects objects with $n_used references: the check does not see what it is to check"
	exit 1
fi
forbidden=$(comm -23 <(echo "$used") <(printf '%s\n%s\n' "$defined" "$allowed" | sort -u))
if [ -n "$forbidden" ]; then
	echo "FAILED: signal handlers can reach:" $forbidden
	exit 1
fi
echo "$n_objects objects, $n_used references, none outside the allowlist"
