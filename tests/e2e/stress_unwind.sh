#!/bin/bash
# SPDX-License-Identifier: MIT
# stress_unwind.sh [walk|exit]: programs that are hard on the stack walk, under full events; they end by themselves with 0.
#
# walk: stress_unwind for STRESS_SECONDS (default 6): every thread got something done, the trace can be read, and few
#   stacks are broken although objects are unloaded all the time. With STRESS_HZ its threads are sampled at that rate, too.
#   What is left out by STRESS_SKIP (default: fork_off) is the stress of others than the stack walk.
# exit: threads that end while signal handlers trace: none hangs, in STRESS_SECONDS (default 4).
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
programs=$BUILD_DIR/programs

# record SECONDS OPTION… -- PROGRAM ARG…: into $dir/trace.out; ends the test when that fails or takes longer.
record() {
	local status
	timeout -k 5 "$1" "$BUILD_DIR/bin/trace-record" --listen 127.0.0.1:0 --syscall-threshold 0 \
		--trace "$dir/trace.out" "${@:2}" >"$dir/output" 2>"$dir/messages"
	status=$?
	cat "$dir/output"
	if [ $status -ne 0 ]; then
		cat "$dir/messages"
		echo "FAILED: status $status of trace-record ${*:2}"
		exit 1
	fi
}

stress_walk() {
	local seconds=${STRESS_SECONDS:-6}
	# shellcheck disable=SC2086
	record $((seconds + 120)) --lock-threshold 0 --max-trace-size 200M -- \
		${STRESS_HZ:+"$programs/control_tool" run "$STRESS_HZ"} "$programs/stress_unwind" "$seconds" \
		"$programs/libstress_plugin_a.so" "$programs/libstress_plugin_b.so" ${STRESS_SKIP:-fork_off}
	mkdir "$dir/ctf"
	tar xzf "$dir/trace.out" -C "$dir/ctf" || exit 1
	babeltrace2 "$dir/ctf" 2>"$dir/errors" |
		sed -n 's/.*flightrec_state:counter.*name = "\([a-z_]*\)", value = \([0-9]*\).*/\1 \2/p' |
		awk '{ n[$1] += $2 }
			END { all = n["repeat_hits"] + n["repeat_misses"]
			      printf "%d stacks, %d broken, %.1f %% known without a walk\n", all, n["stacks_broken"],
				     100 * n["repeat_hits"] / (all + !all)
			      if (all < 10000 || n["stacks_broken"] > all / 20) { print "FAILED: too few, or too many broken"; exit 1 } }'
}

stress_exit() {
	local seconds=${STRESS_SECONDS:-4}
	record $((seconds + 60)) --max-trace-size 50M -- "$programs/stress_unwind_exit" "$seconds"
}

"stress_${1:-walk}"
