#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that switches so often that the flight recorder gives up records of it, but a run has them all the same.

Usage: scheduling_rest.py bpf | switch (as an ordinary user).
"""
import re
import subprocess
import sys
import time

from lib import IS_ROOT, NOBODY, Folder, Recorder, check, check_near, done, wait_for

STEP = sys.argv[1]


def receipt(trace, into):
    subprocess.run(["tar", "xzf", trace, "-C", into], check=True)
    text = subprocess.run(
        ["babeltrace2", into / "trace/state"], capture_output=True, check=True
    ).stdout.decode("utf-8", "replace")
    return dict(re.findall(r'receipt: \{ key = "([^"]*)", value = "([^"]*)"', text))


def sample_spool(scheduling):
    time.sleep(1.5)
    return scheduling()["spool_bytes"]


def main():
    if STEP == "bpf" and not IS_ROOT:
        print("this needs root")
        sys.exit(77)
    uid = NOBODY if STEP == "switch" and IS_ROOT else None
    with Folder() as folder:
        bench = folder.bin / "bench_switches"
        with Recorder(folder, [bench, 120], options=["--events=sched", "--sched-buffer=256K"], uid=uid) as recorder:
            def scheduling():
                return recorder.state()["data"]["scheduling"]

            def is_resting():
                return scheduling()["step"] == "schedstat"

            check(scheduling()["step"] == STEP, f"it begins with {STEP}: {scheduling()}")
            check(wait_for(is_resting, 20), f"records are given up: {scheduling()}")
            check(
                re.search(
                    rf"records of every switch \({STEP}\) would cost [\d.]+ % of a core at \d+ switches",
                    scheduling()["text"],
                ),
                f"it is said why: {scheduling()['text']}",
            )
            n_before = scheduling()["switches"]
            # A snapshot of that time says so too.
            status, body = recorder.get("/debug/trace/recorder/snapshot")
            check(status == 200, f"snapshot: {status} {body[:300]}")
            spooled = []
            trace = recorder.record(2, lambda: spooled.append(sample_spool(scheduling)))
            check(spooled[0] > 100_000, f"the run's records go to disk: {spooled[0]} bytes")
            check(scheduling()["spool_bytes"] == 0, "and are gone after it")
            said = receipt(trace, folder.new())
            print({k: v for k, v in said.items() if k.startswith("scheduling")}, flush=True)
            check(said["scheduling.step"] == STEP, f"the run has {said['scheduling.step']}")
            check(scheduling()["switches"] > n_before + 1000, "records were taken in the run")
            n_slices = int(said["scheduling.slices"])
            # Those that came faster than they could be read are counted.
            n_seen = int(said["scheduling.records"]) + int(said["scheduling.lost"]) // 2
            if said["scheduling.lost"] == "0":
                n_seen = int(said["scheduling.records"])
            check(n_slices > 10_000, f"{n_slices} slices in the run")
            check_near(n_seen, n_slices, 0.05, "records and slices of the run")
            check(wait_for(is_resting, 20), "after the run they are given up again")
            print(scheduling(), flush=True)
            recorder.stop()
    done()


main()
