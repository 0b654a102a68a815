#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Minutes of full load with a snapshot every ten seconds: no hole in what any of them claims, memory flat.

    BUILD_DIR=build SOURCE_DIR=. tests/bench/ring_soak.py [--minutes 10] [--every 10] [--rate 50000] [--redis]

A program counts in two threads, RATE events a second each; with --redis, redis-server runs under a recorder of its own
beside it, with redis-benchmark as its load. Prints a line per snapshot and a verdict; fails when something is missing.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

os.environ.setdefault("BUILD_DIR", "build")
os.environ.setdefault("SOURCE_DIR", ".")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
from lib import Folder, Recorder, check, done, run, wait_for

EVENT = re.compile(rb'^\[(\d+)\].*name = "(w\d+)", value = (\d+)')
SNAPSHOT = "/debug/trace/recorder/snapshot"
# What caches and arenas may add once all is warm.
MAX_GROWTH_KB = 8 << 10


def tree(pid):
    """The process and its descendants, the traced program apart."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        found.append(parent)
        for task in Path(f"/proc/{parent}/task").glob("*"):
            try:
                todo += map(int, (task / "children").read_text().split())
            except OSError:
                pass
    return found


def private_kb(pid):
    """Memory of one process that is its own, not the ring's."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(x) for x in re.findall(r"^Private_(?:Clean|Dirty): *(\d+)", text, re.M))


def memory(recorder, program):
    """kB of the recorder, and of its daemons."""
    daemons = [x for x in tree(recorder.process.pid)[1:] if "lttng" in Path(f"/proc/{x}/comm").read_text()]
    check(program not in daemons, "the program is no daemon")
    return private_kb(recorder.process.pid), sum(map(private_kb, daemons))


def receipt(folder):
    text = run(["babeltrace2", folder / "trace" / "state"]).out.decode()
    return dict(re.findall(r'flightrec_state:receipt: .*key = "([^"]*)", value = "([^"]*)"', text))


def judge(path, folder):
    """Numbers within the window that a trace claims."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(path) as tar:
        tar.extractall(folder)
    facts = receipt(folder)
    begin, end = int(facts["window.begin_ns"]), int(facts["window.end_ns"])
    last, n, holes = {}, 0, []
    process = subprocess.Popen(["babeltrace2", "--clock-cycles", "--no-delta", str(folder / "trace" / "ust")],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in process.stdout:
        match = EVENT.match(line)
        if not match or not begin <= int(match[1]) <= end:
            continue
        name, value = match[2], int(match[3])
        if name in last and value != last[name] + 1:
            holes.append((name, last[name], value))
        last[name] = value
        n += 1
    check(process.wait() == 0, "babeltrace2 reads it")
    return n, holes, (end - begin) / 1e9, facts


def soak(options, folder, recorder, others):
    program = recorder.state()["data"]["program"]["pid"]
    warm = None
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        time.sleep(options.every)
        began = time.monotonic()
        status, body = recorder.json(SNAPSHOT, timeout=120)
        took = time.monotonic() - began
        if not check(status == 200, f"snapshot: {status} {body}"):
            continue
        for other in others:
            check(other.json(SNAPSHOT, timeout=120)[0] == 200, "snapshot of redis")
        n, holes, window, facts = judge(Path(body["data"]["file"]), folder.path / "judged")
        ours, daemons = memory(recorder, program)
        warm = warm or (ours, daemons)
        print(f"{n:9,} events, {window:6.2f} s, {len(holes)} holes, lost {facts['lost.events']}, snapshot {took:.2f} s, "
              f"recorder {ours:,} kB, daemons {daemons:,} kB", flush=True)
        check(n and not holes, f"no holes: {holes[:3]}")
        check(ours - warm[0] < MAX_GROWTH_KB, f"the recorder's memory is flat: {warm[0]} to {ours} kB")
        check(daemons - warm[1] < MAX_GROWTH_KB, f"the daemons' memory is flat: {warm[1]} to {daemons} kB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--rate", type=int, default=50000)
    parser.add_argument("--buffer-size", default="64M")
    parser.add_argument("--redis", action="store_true")
    options = parser.parse_args()
    with Folder() as folder:
        argv = [folder.programs / "ring_writer", "2", "0", str(options.rate)]
        # The history of the scheduler has a bound of its own, which is reached at once here: what grows then is a leak.
        settings = ["--buffer-size", options.buffer_size, "--sched-buffer", "1M"]
        with Recorder(folder, argv, options=settings) as recorder:
            if not options.redis:
                soak(options, folder, recorder, [])
            else:
                socket = folder.path / "redis.sock"
                server = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder.path)]
                with Recorder(folder, server, options=["--sched-buffer", "1M"]) as redis:
                    check(wait_for(socket.exists, 20), "redis is up")
                    load = subprocess.Popen(["redis-benchmark", "-s", str(socket), "-l", "-q", "-t", "get,set"],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    soak(options, folder, recorder, [redis])
                    load.kill()
                    load.wait()
    done()


if __name__ == "__main__":
    main()
