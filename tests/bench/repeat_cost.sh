#!/bin/bash
# SPDX-License-Identifier: MIT
# What a recorded stack costs inside real programs, with the repeated-stack check and without it. BUILD_DIR must be
# built with -DCMAKE_C_FLAGS=-DFR_CAPTURE_COST (tracer/capture_cost.h). ROUNDS (default 1) scales the work.
# Prints, for the process of each program that took the most stacks: their number, how many were known without a walk,
# and ns a stack (median and mean of known ones, of walked ones, and of all); exit 1 when a program failed.
set -u
BUILD=${BUILD_DIR:?is the build directory}
ROUNDS=${ROUNDS:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
export FLIGHTREC_CAPTURE_COST=$dir/cost

# measure NAME CHECK PROGRAM ARG…
measure() {
	local name=$1 check=$2
	shift 2
	rm -f "$dir/cost"
	"$BUILD/bin/trace-record" --listen 127.0.0.1:0 --syscall-threshold 0 --lock-threshold 0 --alloc-rate 4096 \
		--trace "$dir/trace.out" -- "$@" >"$dir/output" 2>"$dir/messages" || failed=1
	if [ ! -s "$dir/cost" ]; then
		echo "$name: no figures: is $BUILD built with -DFR_CAPTURE_COST?"
		failed=1
		return
	fi
	# A pair of lines for each process.
	paste - - <"$dir/cost" | sort -n -k2,2 -k6,6 |
		awk -v name="$name" -v check="$check" '
			$2 + $6 >= best { best = $2 + $6; known = $2; kmed = $3; kmean = $4; walked = $6; wmed = $7; wmean = $8 }
			END { printf "%-9s %-7s %9d %8.2f %% %8s %7s %9s %7s %8.1f\n", name, check, best,
				     100 * known / (best + !best), known ? kmed : "-", known ? kmean : "-", wmed, wmean,
				     (known * kmean + walked * wmean) / (best + !best) }'
}

record() {
	local name=$1
	shift
	measure "$name" "$check" "$@"
}

# shellcheck source=tests/bench/repeat_work.sh
. "$(dirname "$0")/repeat_work.sh"
printf "%-9s %-7s %9s %10s %16s %17s %8s\n" program check stacks known "known: ns, mean" "walked: ns, mean" "all, ns"
check=with
repeat_work
export FLIGHTREC_NO_REPEAT=1
check=without
rm -f "$dir"/work.db*
repeat_work
exit $failed
