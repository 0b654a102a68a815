#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the steps of the scheduling ladder cost a program for each switch, and us for reading the records.

Usage: BUILD_DIR=… sched_cost.py [ROUNDS]. Steps take turns, so that what else goes on meets all of them; printed is the
median, and how much it is above that of the same program under the recorder with --sched=off. As root for all steps.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

BUILD = Path(os.environ["BUILD_DIR"])
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 9
STEPS = ("off", "schedstat", "switch", "bpf")
# Shorter than the looks after which records above the budget are given up.
SECONDS = 1.5


def measure(step, folder):
    """(ns for a switch, our CPU seconds a second, switches a second)."""
    port = folder / "port"
    port.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            BUILD / "bin/trace-record",
            *("--quiet", "--listen", "127.0.0.1:0", "--port-file", port, "--output-dir", folder),
            *("--events", "sched", f"--sched={step}", "--"),
            BUILD / "bin/bench_switches",
            str(SECONDS),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    while not port.exists():
        time.sleep(0.01)
    url = f"http://127.0.0.1:{int(port.read_text())}/debug/trace/status"
    used = []
    for wait in (0.4, 0.9):
        time.sleep(wait)
        data = json.load(urllib.request.urlopen(url))["data"]["scheduling"]
        used.append((time.monotonic(), data["recorder_cpu_seconds"], data["switches"], data["lost"]))
    out, _ = process.communicate(timeout=30)
    span = used[1][0] - used[0][0]
    return (
        float(out),
        (used[1][1] - used[0][1]) / span,
        (used[1][2] - used[0][2]) / span,
        used[1][3],
    )


def main():
    results = {step: [] for step in STEPS}
    bare = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(ROUNDS):
            bare.append(float(subprocess.check_output([BUILD / "bin/bench_switches", str(SECONDS)])))
            for step in STEPS:
                results[step].append(measure(step, Path(name)))
    print(f"bare          {statistics.median(bare):7.0f} ns a switch")
    for step in STEPS:
        rows = results[step]
        ns = statistics.median(row[0] for row in rows)
        above = statistics.median(row[0] - off[0] for row, off in zip(rows, results["off"]))
        cpu = statistics.median(row[1] for row in rows)
        rate = statistics.median(row[2] for row in rows)
        lost = sum(row[3] for row in rows)
        print(
            f"{step:13} {ns:7.0f} ns a switch, {above:+6.0f} to off;"
            f" read at {rate:8.0f} switches a second with {100 * cpu:.2f} % of a core, {lost} lost"
        )


main()
