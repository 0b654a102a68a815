#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Programs of known behaviour: every wait, call and allocation is there, times within 5 %."""
import re
import sys

from lib import Folder, check, check_near, done, dump, recorded, summary

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


# Down to the first function: start_thread and clone3, whose names a libc without debug symbols does not tell.
LIBC = r"<libc\.so\.6\+0x[0-9a-f]+"
WHOLE_STACK = re.compile(f"<_start$|<clone3$|{LIBC}{LIBC}$")


def test_locks(folder):
    expected, events, trace = record(folder, "known_locks")
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
            and (kind != "join" or x["stack"].startswith("known_join<"))  # pthread_t is reused
        ]
        check(len(got) == int(want["n"]), f"{name}: {len(got)} waits, not {want['n']}: {got}")
        check_near(sum(x["dur"] for x in got), int(want["dur_ns"]), 0.05, f"{name}: ns waited")
        check(
            all(WHOLE_STACK.search(x["stack"]) for x in got),
            f"{name}: each wait has a whole stack: {[x['stack'] for x in got]}",
        )
        check(
            all(x["ret"] in (0, ETIMEDOUT) for x in got), f"{name}: results {[x['ret'] for x in got]}"
        )
        if want["holder"] != "0":
            holders = {x["holder"] for x in got}
            check(holders == {int(want["holder"])}, f"{name}: let in by {holders}, not {want['holder']}")


    # The one unlock that let the waiter of `held` in is named by its function.
    locks = summary(folder, trace)["locks"]
    held = [x for x in locks if x["address"] == expected[1]["obj"]]
    sites = {pair["holder"] for lock in held for pair in lock["pairs"]}
    check(
        any("known_holder_unlocks" in (x or "") for x in sites),
        f"the summary names the function that let the waiter in: {sites}",
    )


def test_calls(folder):
    expected, events, trace = record(folder, "known_calls")
    check(len(expected) == 26, f"known_calls expects {len(expected)} things")
    calls = [x for x in events if x["event"].startswith("flightrec_syscall:")]
    for want in expected:
        name = want["call"]
        got = [x for x in calls if x["call"] == name]
        check(len(got) == int(want["n"]), f"{name}: {len(got)} calls, not {want['n']}")
        func = want["func"] + "<main<"
        check(
            all(x["stack"].startswith(func) for x in got),
            f"{name}: each comes from {func}: {sorted({x['stack'] for x in got})}",
        )
        if int(want["bytes"]):
            n_bytes = sum(x["ret"] for x in got)
            check(n_bytes == int(want["bytes"]), f"{name}: {n_bytes} bytes, not {want['bytes']}")
        if int(want["dur_ns"]):
            check_near(sum(x["dur"] for x in got), int(want["dur_ns"]), 0.05, f"{name}: ns inside")

    # The tracer's own totals, and the summary's, are the same.
    calls = {x["call"]: x for x in summary(folder, trace)["calls"]}
    for want in expected:
        name = want["call"]
        if name == "syscall":  # the child makes one, too
            continue
        got = calls.get(name, {"events": 0, "total": None})
        counts = (got["events"], (got["total"] or {}).get("count"))
        check(counts == (int(want["n"]),) * 2, f"{name}: events and total: {counts}, not {want['n']}")


def test_heap(folder):
    _, events, trace = record(folder, "known_heap", "--alloc-rate", "1")
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

    sites = {x["site"].split()[0]: x for x in summary(folder, trace)["allocations"]["sites"]}
    leak, garbage = sites.get("known_leak"), sites.get("known_garbage")
    if check(leak and garbage, f"both functions are among {list(sites)}"):
        got = (leak["objects"], leak["bytes"], leak["in_use_objects"], leak["in_use_bytes"])
        check(got == (1000, 40000000) * 2, f"known_leak: {got}")
        got = (garbage["objects"], garbage["bytes"], garbage["in_use_objects"])
        check(got == (2000, 60000000, 0), f"known_garbage: {got}")

    # Sampled by bytes: 610 samples expected of the leak, standard deviation 4 %.
    _, events, _ = record(folder, "known_heap", "--alloc-rate", "64K")
    got = [x for x in events if x["event"] == "flightrec_alloc:sample" and x["size"] == 40000]
    share = 1 - 2.718281828459045 ** (-40000 / 65536)
    check_near(len(got) / share, 1000, 0.2, "leak: allocations scaled up from samples")


def test_user(folder):
    _, events, trace = record(folder, "known_user")
    data = summary(folder, trace)
    tasks = {x["type"]: x for x in data["tasks"]}
    regions = {x["type"]: x for x in data["regions"]}
    for where, name, ms in (
        (tasks, "order", 12),
        (tasks, "sub", 5),
        (regions, "parse", 5),
        (regions, "store", 7),
        (regions, "inner", 3),
    ):
        got = where.get(name, {"count": 0, "p50_ns": 0, "open": 0})
        check(got["count"] == 20 and got["open"] == 0, f"{name}: {got}")
        # Sleeps end up to 0.1 ms late each, on a machine that has nothing better to do.
        check(ms * 1e6 <= got["p50_ns"] <= ms * 1.1e6, f"{name}: median {got['p50_ns']} of {ms} ms")

    def named(event):
        return [x for x in events if x["event"] == f"flightrec_user:{event}"]

    orders = [x["task"] for x in named("task_begin") if x["type"] == "order"]
    check(len(set(orders)) == 20, f"each order has an id of its own: {len(set(orders))}")
    subs = [x["parent"] for x in named("task_begin") if x["type"] == "sub"]
    check(subs == orders, "each sub is the child of its order")
    check(len(named("task_end")) == 40, f"{len(named('task_end'))} ends: only the first counts")
    logs = named("log")
    check([x["task"] for x in logs[::2]] == orders, "logs with task 0 belong to the entered task")
    check(
        [x["message"] for x in logs[1::2]] == [f"order {i} of 20" for i in range(20)],
        f"formatted messages: {logs[1::2][:2]}",
    )
    check([x["value"] for x in named("counter")] == list(range(100)), "counter values, in order")
    labels = [x["labels"] for x in named("label")]
    want = [y for i in range(20) for y in (f"customer={i}", "")]
    check(labels == want, f"labels: {labels[:4]}")
    names = {x["name"] for x in data["threads"]}
    check(names == {"known_user", "packer"}, f"threads: {names}")


def main():
    tests = {"locks": test_locks, "calls": test_calls, "heap": test_heap, "user": test_user}
    with Folder() as folder:
        for name in sys.argv[1:] or tests:
            tests[name](folder)
    done()


main()
