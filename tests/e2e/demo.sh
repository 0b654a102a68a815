#!/bin/sh
# SPDX-License-Identifier: MIT
# scripts/demo on the build that is there: it ends by itself, shows the service's faults, leaves nothing.
set -eu
folder=$(mktemp -d "${TMPDIR:-/tmp}/flightrec-e2e-XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' TERM
began=$(date +%s)
if ! TMPDIR=$folder timeout 120 "$SOURCE_DIR/scripts/demo" --no-build </dev/null >"$folder/log" 2>&1; then
	cat "$folder/log"
	echo "FAILED: scripts/demo"
	exit 1
fi
echo "scripts/demo took $(($(date +%s) - began)) s"
failed=0
for word in fdatasync worker- mutex cache_transfer 'trace-view dump'; do
	if ! grep -q -- "$word" "$folder/log"; then
		echo "FAILED: the demo's output does not show $word"
		failed=1
	fi
done
if pgrep -f "$folder" >"$folder/left"; then
	echo "FAILED: processes stay behind: $(cat "$folder/left")"
	failed=1
fi
[ "$failed" -eq 0 ] || cat "$folder/log"
exit "$failed"
