#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Who made whom wait: known waits on every kind of lock and channel, against what the waiters measured. And how long a
thread that was let go had to wait for a CPU, against what the kernel counted."""
import re
import sys

from lib import Folder, check, check_near, done, parse_event, recorded, view


def dump(folder, trace):
    """The events, each with the thread it is of."""
    result = view(folder, "dump", trace)
    check(result.code == 0, f"trace-view dump: {result.err.decode()}")
    events = []
    for line in result.out.decode("utf-8", "replace").splitlines():
        thread = re.match(r"\S+ \S+ \d+/(\d+) ", line)
        if thread:
            events.append(dict(parse_event(line), tid=int(thread[1])))
    return events


def matching(events, want):
    """The events that may be the wait of an `expect` line."""
    waiter, call = int(want["waiter"]), want["call"]
    if call != "-":
        return [
            x
            for x in events
            if x["event"] == "flightrec_sched:woken" and x["tid"] == waiter and x["call"] == call
        ]
    kind = "mutex" if want["what"] == "two" else want["what"]
    return [
        x
        for x in events
        if x["event"] == "flightrec_lock:wait" and x["tid"] == waiter and x["kind"] == kind
    ]


def test_one(events, want):
    name = " ".join(f"{k}={v}" for k, v in want.items())
    is_channel = want["call"] != "-"
    waker, stack = ("waker", "waker_stack") if is_channel else ("holder", "holder_stack")
    # The first thread waits more than once: for each of those, by whom.
    got = [x for x in matching(events, want) if x[waker] == int(want["waker"])]
    if want["what"] == "two":
        # One was let in by the holder, the other one by the first: whose unlock is in known_mutex_wait.
        return
    if not check(len(got) >= 1, f"{name}: nobody like that let it go: {matching(events, want)}"):
        return
    event = got[0]
    check(len(got) == 1 or want["what"] == "full", f"{name}: once, not {len(got)} times: {got}")
    check(
        any(re.search(rf"(^|<){want['func']}(<|$)", str(x[stack])) for x in got),
        f"{name}: the stack {[x[stack] for x in got]}",
    )
    if want["what"] != "full":
        check_near(event["dur"], int(want["dur_ns"]), 0.02, f"{name}: ns waited")
        check(0 < event["wake"] < event["dur"] / 2, f"{name}: let go {event['wake']} ns before the end")


def test_two(events, wants):
    """B and C wait for A: by the unlock of A, and then by each other's."""
    holder = {int(x["waker"]) for x in wants}
    waits = [x for want in wants for x in matching(events, want)]
    check(len(waits) == 2, f"B and C each waited once: {waits}")
    by_holder = [x for x in waits if x["holder"] in holder]
    check(by_holder, f"A's unlock is named: {waits}")
    for event in by_holder:
        check("known_mutex_go<known_holder" in event["holder_stack"], f"from A's unlock: {event}")
    for want, event in zip(wants, waits):
        check_near(event["dur"], int(want["dur_ns"]), 0.02, "B and C: ns waited")


def test_wakes(folder):
    trace = folder.new() / "trace.out"
    result = recorded(folder, [folder.programs / "known_wakes"], options=["--trace", trace])
    check(result.code == 0, f"known_wakes ends with 0: {result.code} {result.err!r:.500}")
    wants = [
        dict(re.findall(r"(\w+)=(\S+)", x)) for x in result.out.decode().splitlines() if x
    ]
    check(len(wants) in (53, 56), f"known_wakes expects {len(wants)} waits")
    events = dump(folder, trace)
    for want in wants:
        test_one(events, want)
    test_two(events, [x for x in wants if x["what"] == "two"])
    # Each channel has its number: the waits at one descriptor pair have the same, no two pairs do.
    pipe = [x for x in events if x["event"] == "flightrec_sched:woken" and x["call"] == "read"]
    check(
        all(x["obj"] for x in pipe) and len({x["obj"] for x in pipe}) == len(pipe),
        f"channels have numbers: {[x['obj'] for x in pipe]}",
    )
    # Nothing else was claimed but what happened.
    woken = [x for x in events if x["event"] == "flightrec_sched:woken"]
    waiters = {int(x["waiter"]) for x in wants if x["call"] != "-"}
    check(
        all(x["tid"] in waiters for x in woken if x["call"] != "read" or x["dur"] > 1e6),
        f"only those that waited were woken: {[x for x in woken if x['tid'] not in waiters]}",
    )


def test_delays(folder):
    trace = folder.new() / "trace.out"
    result = recorded(folder, [folder.programs / "known_delays"], options=["--trace", trace])
    out = result.out.decode()
    check(result.code == 0 and out.endswith("alive\n"), f"known_delays: {result.code} {result.err!r:.500}")
    want = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", out)}
    events = [x for x in dump(folder, trace) if x["event"] == "flightrec_sched:delay"]
    got = [x for x in events if x["tid"] == want.get("tid")]
    if not check(len(got) > 100, f"an event for most of 200 sleeps of 2 ms, not {len(got)}"):
        return
    for field in ("delay", "cpu", "voluntary", "involuntary"):
        total = sum(x[field] for x in got)
        # What happened after the last event is not in them.
        slack = 8e6 if field in ("delay", "cpu") else 3
        check(
            want[field] * 0.98 - slack <= total <= want[field] * 1.02 + slack,
            f"{field}: {total}, the kernel counts {want[field]}",
        )
    check(all(x["dur"] >= 50000 for x in got), f"only of long waits: {[x['dur'] for x in got][:9]}")
    # The clock and the file are read one after the other; a turn on the CPU may lie between.
    check(
        all(x["delay"] <= x["interval"] + 2e7 for x in got),
        f"no longer ready than the interval is: {[(x['delay'], x['interval']) for x in got][:9]}",
    )


def main():
    tests = {"wakes": test_wakes, "delays": test_delays}
    with Folder() as folder:
        for name in sys.argv[1:] or tests:
            tests[name](folder)
    done()


main()
