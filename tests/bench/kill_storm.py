#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""SIGKILL of redis-server at full load, again and again: how soon its trace is there, and what it holds.

Usage: kill_storm.py [N]. Prints a line per kill and the distribution. As a test (FLIGHTREC_TEST set) it does a few, and checks
all but the time.
"""
import os
import re
import signal
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
from lib import Folder, Recorder, check, done, free_port, run, summary, wait_for

IS_TEST = bool(os.environ.get("FLIGHTREC_TEST"))
N = int(sys.argv[1]) if len(sys.argv) > 1 else 3 if IS_TEST else 50
# Events may be read back this long before the kill at the earliest.
MAX_GAP_NS = 10_000_000


def last_event_ns(folder, trace):
    """CLOCK_MONOTONIC of the newest event in the trace, by babeltrace2, and how many it read; the state, which is
    that at the end, left out."""
    unpacked = folder.new()
    with tarfile.open(trace) as archive:
        archive.extractall(unpacked)
    parts = [x for x in (unpacked / "trace").iterdir() if x.name != "state"]
    result = run(["babeltrace2", "--clock-cycles", *parts], timeout=120)
    check(result.code == 0, f"babeltrace2 reads it: {result.err[-300:]!r}")
    stamps = re.findall(rb"^\[0*(\d+)\]", result.out, re.M)
    run(["rm", "-rf", unpacked])
    return (int(stamps[-1]) if stamps else 0), len(stamps)


def one(folder, i):
    port = free_port()
    recorder = Recorder(
        folder,
        ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--io-threads", "2"],
    )
    answers = wait_for(
        lambda: run(["redis-cli", "-p", str(port), "ping"]).out == b"PONG\n", 20
    )
    check(answers, "redis answers")
    load = subprocess.Popen(
        ["redis-benchmark", "-p", str(port), "-q", "-l", "-n", "200000", "-t", "set,get,lpush,lrange_100", "-c", "50"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(1.5)
    pid = recorder.state()["data"]["program"]["pid"]
    name = recorder.output / f"trace-redis-server-{pid}-SIGKILL.out"
    killed_ns = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)
    killed_after_ns = time.monotonic_ns()
    while not name.exists() and time.monotonic_ns() - killed_ns < 20e9:
        time.sleep(0.002)
    ready = (time.monotonic_ns() - killed_ns) / 1e9
    early_ok = run([folder.bin / "trace-view", "summary", "--json", name], timeout=60).code == 0
    load.kill()
    load.wait()
    code = recorder.process.wait(60)
    ended = (time.monotonic_ns() - killed_ns) / 1e9
    recorder.log.close()
    check(early_ok, "what is shown first can be read")
    check(code == 128 + signal.SIGKILL, f"exit code {code}")
    check(os.path.samefile(name, recorder.output / "trace.out"), "trace.out is the same file")
    err = Path(recorder.log.name).read_text()
    check("was killed by SIGKILL" in err and str(name) in err, f"one line says so: {err!r}")
    facts = summary(folder, name)
    newest, n = last_event_ns(folder, name)
    gap = (killed_after_ns - newest) / 1e6
    check(newest and killed_after_ns - newest < MAX_GAP_NS, f"ends {gap:.1f} ms before the kill")
    lost = facts["lost"]["events"] if isinstance(facts.get("lost"), dict) else facts.get("lost_events")
    size = name.stat().st_size
    run(["rm", "-rf", recorder.output])
    print(f"{i}: ready {ready:.3f} s, all {ended:.3f} s, gap {gap:.2f} ms, {n} events, {size >> 10} KiB, lost {lost}", flush=True)
    return ready, gap, ended


def main():
    with Folder() as folder:
        results = [one(folder, i) for i in range(N)]
    for title, values in zip(("ready s", "gap ms", "recorder gone s"), zip(*results)):
        values = sorted(values)
        print(f"{title}: median {statistics.median(values):.3f}, 90 % {values[int(len(values) * 0.9)]:.3f}, max {values[-1]:.3f}")
    if not IS_TEST:
        check(max(r[0] for r in results) <= 1, "every trace is there within a second")
    done()


main()
