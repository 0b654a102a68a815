#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Profiles of a real program of known waits: by who ended them, and where the time of its threads went."""
import json
import re
from collections import Counter

from lib import Folder, check, check_near, done, recorded, view


def folded(folder, trace, kind):
    """Sums by stack, root first."""
    result = view(folder, "pprof", f"--type={kind}", "--format=folded", trace)
    check(result.code == 0, f"pprof --type={kind}: {result.err.decode()}")
    lines = (x.rsplit(" ", 1) for x in result.out.decode().splitlines())
    return {stack: int(value) for stack, value in lines}


def check_wakers(folder, trace, wants):
    stacks = folded(folder, trace, "waker")
    expected = Counter()
    two = [x for x in wants if x["what"] == "two"]
    for want in wants:
        # Of two that wait for one thread, the first to get the lock lets the second in.
        if want not in two[1:]:
            expected[want["func"]] += int(want["dur_ns"])
    got = Counter()
    for stack, ns in stacks.items():
        known = [x for x in stack.split(";") if x in expected]
        got[known[-1] if known else stack] += ns
    for name, ns in expected.items():
        # Which of the two came first is not known, and they measured a little differently.
        share = 0.05 if two and name == two[0]["func"] else 0.02
        check_near(got[name], ns, share, f"made others wait in {name}")


def check_sums(folder, trace):
    """The states of each thread sum to its presence, and so does the profile of all time."""
    data = json.loads(view(folder, "summary", "--json", trace).out)
    present = 0
    names = {x["name"] for x in data["threads"]}
    check(names == {"known_wakes"}, f"threads of the program and no others: {names}")
    for thread in data["threads"]:
        parts = thread["run_ns"] + thread["runnable_ns"] + sum(thread["blocked"].values())
        check(parts == thread["present_ns"], f"{thread['name']}: {parts} of {thread['present_ns']}")
        present += thread["present_ns"]
    wall = sum(folded(folder, trace, "wall").values())
    check_near(wall, present, 0.001, "all time of all threads")
    if not data["scheduling"]["exact"]:
        return
    blocked = Counter()
    for thread in data["threads"]:
        blocked.update(thread["blocked"])
    # It waits for nothing but locks, descriptors and time.
    outside = blocked["other"]
    check(outside < 0.02 * blocked.total(), f"blocked in no call: {outside} of {blocked}")
    offcpu = sum(folded(folder, trace, "offcpu").values())
    check_near(offcpu, blocked.total(), 0.02, "blocked, by stack and by state")


def main():
    with Folder() as folder:
        trace = folder.new() / "trace.out"
        result = recorded(folder, [folder.programs / "known_wakes"], options=["--trace", trace])
        check(result.code == 0, f"known_wakes ends with 0: {result.code} {result.err!r:.500}")
        lines = result.out.decode().splitlines()
        wants = [dict(re.findall(r"(\w+)=(\S+)", x)) for x in lines if x]
        check_wakers(folder, trace, wants)
        check_sums(folder, trace)
    done()


main()
