#!/bin/bash
# SPDX-License-Identifier: MIT
# Threads that end while signal handlers trace: none hangs, in STRESS_SECONDS (default 4).
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
seconds=${STRESS_SECONDS:-4}

timeout -k 5 $((seconds + 60)) "$BUILD_DIR/bin/trace-record" --listen 127.0.0.1:0 --syscall-threshold 0 \
	--max-trace-size 50M --trace "$dir/trace.out" -- "$BUILD_DIR/programs/stress_unwind_exit" "$seconds" \
	>"$dir/output" 2>"$dir/messages"
status=$?
cat "$dir/output"
if [ $status -ne 0 ]; then
	cat "$dir/messages"
	echo "FAILED: stress_unwind_exit ended with status $status"
	exit 1
fi
