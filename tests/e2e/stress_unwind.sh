#!/bin/bash
# SPDX-License-Identifier: MIT
# stress_unwind under full events for STRESS_SECONDS (default 6): it ends by itself with 0, every thread got something
# done, the trace can be read, and few stacks are broken although objects are unloaded all the time.
# With STRESS_HZ its threads are sampled at that rate, too.
# What is left out by STRESS_SKIP (default: fork_off) is the stress of others than the stack walk.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
programs=$BUILD_DIR/programs
seconds=${STRESS_SECONDS:-6}

# shellcheck disable=SC2086
timeout -k 5 $((seconds + 120)) "$BUILD_DIR/bin/trace-record" --listen 127.0.0.1:0 --syscall-threshold 0 \
	--lock-threshold 0 --max-trace-size 200M --trace "$dir/trace.out" -- ${STRESS_HZ:+"$programs/control_tool" run "$STRESS_HZ"} "$programs/stress_unwind" "$seconds" \
	"$programs/libstress_plugin_a.so" "$programs/libstress_plugin_b.so" ${STRESS_SKIP:-fork_off} \
	>"$dir/output" 2>"$dir/messages"
status=$?
cat "$dir/output"
if [ $status -ne 0 ]; then
	cat "$dir/messages"
	echo "FAILED: stress_unwind ended with status $status"
	exit 1
fi
mkdir "$dir/ctf"
tar xzf "$dir/trace.out" -C "$dir/ctf" || exit 1
babeltrace2 "$dir/ctf" 2>"$dir/errors" |
	sed -n 's/.*flightrec_state:counter.*name = "\([a-z_]*\)", value = \([0-9]*\).*/\1 \2/p' |
	awk '{ n[$1] += $2 }
		END { all = n["repeat_hits"] + n["repeat_misses"]
		      printf "%d stacks, %d broken, %.1f %% known without a walk\n", all, n["stacks_broken"],
			     100 * n["repeat_hits"] / (all + !all)
		      if (all < 10000 || n["stacks_broken"] > all / 20) { print "FAILED: too few, or too many broken"; exit 1 } }'
