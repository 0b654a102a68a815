#!/bin/bash
# SPDX-License-Identifier: MIT
# Hit rates of the repeated-stack check in real programs, each hit compared with a fresh walk: a difference
# kills the program. BUILD_DIR must be built with -DCMAKE_C_FLAGS=-DFR_REPEAT_VERIFY; any other build shows hit
# rates only. ROUNDS (default 1) scales the work. Prints one line per program; exit 1 when one died.
set -u
BUILD=${BUILD_DIR:?is the build directory}
ROUNDS=${ROUNDS:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# report NAME EXIT-STATUS: adds up the counters of all processes in the trace.
report() {
	mkdir "$dir/ctf" && tar xzf "$dir/trace.out" -C "$dir/ctf"
	babeltrace2 "$dir/ctf" 2>"$dir/errors" |
		sed -n 's/.*flightrec_state:counter.*name = "\(repeat_[a-z]*\)", value = \([0-9]*\).*/\1 \2/p' |
		awk -v name="$1" -v status="$2" '{ n[$1] += $2 }
			END { hits = n["repeat_hits"]; all = hits + n["repeat_misses"]
			      if (!all) { print name ": no counters in the trace"; exit 1 }
			      printf "%-10s %9d captures  %9d hits  %6.2f %%  exit %d\n", name, all, hits,
				     100 * hits / all, status }' || failed=1
	[ "$2" -eq 0 ] || failed=1
	rm -rf "$dir/ctf" "$dir/trace.out"
}

# record NAME PROGRAM ARG…
record() {
	local name=$1
	shift
	"$BUILD/bin/trace-record" --listen 127.0.0.1:0 --syscall-threshold 0 --lock-threshold 0 --alloc-rate 4096 \
		--trace "$dir/trace.out" -- "$@" >"$dir/output" 2>"$dir/messages"
	report "$name" $?
}

# shellcheck source=tests/bench/repeat_work.sh
. "$(dirname "$0")/repeat_work.sh"
repeat_work
exit $failed
