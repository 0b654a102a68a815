#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Programs of known behaviour: every wait, call and allocation is there, times within 5 %."""
import re
import sys

from lib import Folder, check, check_near, done, dump, recorded

ETIMEDOUT = 110


def record(folder, program, *options):
    """Runs a program in --trace mode. Returns its `expect` lines and the events of its process."""
    trace = folder.new() / "trace.out"
    result = recorded(folder, [folder.programs / program], options=["--trace", trace, *options])
    check(result.code == 0, f"{program} ends with 0: {result.code} {result.err!r}")
    expected = [
        dict(re.findall(r"(\w+)=(\S+)", line))
        for line in result.out.decode().splitlines()
        if line.startswith("expect ")
    ]
    events = dump(folder, trace)
    started = [x for x in events if x["event"] == "flightrec_thread:process"]
    check(started, f"{program}: its process event is there")
    proc = started[0]["proc"] if started else None
    return expected, [x for x in events if x.get("proc") == proc], trace


def test_locks(folder):
    expected, events, _ = record(folder, "known_locks")
    check(len(expected) == 12, f"known_locks expects {len(expected)} things")
    waits = [x for x in events if x["event"] == "flightrec_lock:wait"]
    for want in expected:
        kind, _, timeout = want["kind"].partition("_timeout")
        is_timeout = want["kind"].endswith("_timeout")
        name = f"{want['kind']} {want['obj']}"
        got = [
            x
            for x in waits
            if x["obj"] == int(want["obj"], 16)
            and x["kind"] == kind
            and (x["ret"] == ETIMEDOUT) == is_timeout
        ]
        check(len(got) == int(want["n"]), f"{name}: {len(got)} waits, not {want['n']}: {got}")
        check_near(sum(x["dur"] for x in got), int(want["dur_ns"]), 0.05, f"{name}: ns waited")
        check(all(x["stack"] for x in got), f"{name}: each wait has a stack")
        check(
            all(x["ret"] in (0, ETIMEDOUT) for x in got), f"{name}: results {[x['ret'] for x in got]}"
        )
        if want["holder"] != "0":
            holders = {x["holder"] for x in got}
            check(holders == {int(want["holder"])}, f"{name}: let in by {holders}, not {want['holder']}")


def test_calls(folder):
    expected, events, _ = record(folder, "known_calls")
    check(len(expected) == 27, f"known_calls expects {len(expected)} things")
    calls = [x for x in events if x["event"].startswith("flightrec_syscall:")]
    for want in expected:
        name = want["call"]
        got = [x for x in calls if x["call"] == name]
        check(len(got) == int(want["n"]), f"{name}: {len(got)} calls, not {want['n']}")
        check(all(x["stack"] for x in got), f"{name}: each call has a stack")
        if int(want["bytes"]):
            n_bytes = sum(x["ret"] for x in got)
            check(n_bytes == int(want["bytes"]), f"{name}: {n_bytes} bytes, not {want['bytes']}")
        if int(want["dur_ns"]):
            check_near(sum(x["dur"] for x in got), int(want["dur_ns"]), 0.05, f"{name}: ns inside")


def test_heap(folder):
    _, events, _ = record(folder, "known_heap", "--alloc-rate", "1")
    samples = [x for x in events if x["event"] == "flightrec_alloc:sample"]
    frees = [x for x in events if x["event"] == "flightrec_alloc:free"]

    def sizes(of, low, high):
        return [x["size"] for x in of if low <= x["size"] <= high]

    for name, n_samples, n_frees, low, high in (
        ("leak", 1000, 0, 40000, 40000),
        ("garbage", 2000, 2000, 30000, 30000),
        ("grow", 100, 100, 50001, 50100),
    ):
        check(
            len(sizes(samples, low, high)) == n_samples,
            f"{name}: {len(sizes(samples, low, high))} allocations, not {n_samples}",
        )
        check(
            len(sizes(frees, low, high)) == n_frees,
            f"{name}: {len(sizes(frees, low, high))} frees, not {n_frees}",
        )
    check(
        sorted(sizes(samples, 50001, 50100)) == list(range(50001, 50101)), "grow: each size is there"
    )
    check(
        all(x["kind"] == "calloc" for x in samples if x["size"] == 30000), "garbage came from calloc"
    )

    # Sampled by bytes: 610 samples expected of the leak, standard deviation 4 %.
    _, events, _ = record(folder, "known_heap", "--alloc-rate", "64K")
    got = [x for x in events if x["event"] == "flightrec_alloc:sample" and x["size"] == 40000]
    share = 1 - 2.718281828459045 ** (-40000 / 65536)
    check_near(len(got) / share, 1000, 0.2, "leak: allocations scaled up from samples")


def main():
    tests = {"locks": test_locks, "calls": test_calls, "heap": test_heap}
    with Folder() as folder:
        for name in sys.argv[1:] or tests:
            tests[name](folder)
    done()


main()
