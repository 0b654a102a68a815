#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""trace-view summary, dump and usage, on a trace made from text."""
import json
import re
import subprocess

from viewer_lib import BIN, STORY, Workspace, check, done


def check_json(space, trace):
    result = space.view("summary", "--json", trace)
    check(result.returncode == 0 and not result.stderr, f"summary --json: {result}")
    data = json.loads(result.stdout)
    check(data["trace"]["command"] == "server --port 80", "command")
    check(data["trace"]["window_ns"] == 10**9, "window")
    check(data["trace"]["begin_wall_ns"] == 1700000001 * 10**9, "wall clock of the beginning")
    threads = {x["name"]: x for x in data["threads"]}
    check(set(threads) == {"worker-1", "worker-2", "stuck"}, f"threads: {set(threads)}")
    # The first wait began 150 ms before the window: only 50 ms count.
    check(threads["worker-1"]["states"]["mutex"] == 150 * 10**6, "time in mutex, clipped")
    check(threads["worker-1"]["cpu_ns"] == 200 * 10**6, "cpu")
    check(threads["worker-2"]["cpu_ns"] is None, "unknown cpu is null")
    check(threads["stuck"]["open_state"] == "mutex", "open state")
    for thread in data["threads"]:
        check(sum(thread["states"].values()) == thread["present_ns"], f"{thread['name']}: states add up")
    locks = {x["address"]: x for x in data["locks"]}
    check(locks["0xcafe0"]["wait_ns"] == 150 * 10**6 and locks["0xcafe0"]["count"] == 2, "lock")
    pair = locks["0xcafe0"]["pairs"][0]
    check(pair["waiter"] == "cache::get(int) (cache.cc:41)", f"waiter: {pair}")
    check(pair["holder"] == "cache::put(int) (cache.cc:81)", f"holder: {pair}")
    check(pair["holder_name"] == "worker-2", f"holder's name: {pair}")
    check(locks["0xdead0"]["open"] == 1 and locks["0xdead0"]["open_ns"] == 5 * 10**8, "open wait")
    calls = {x["call"]: x for x in data["calls"]}
    check(calls["read"]["events"] == 2 and calls["read"]["total"]["count"] == 1000, "both totals")
    check(calls["read"]["errors"] == 1 and calls["read"]["bytes"] == 100, "errors and bytes")
    sites = {x["call"]: x for x in data["call_sites"]}
    check(sites["read"]["target"] == "socket:[77]" and sites["read"]["fd"] == 5, "fd's target")
    check(sites["open"]["target"] == "/etc/none", "path")
    check(sites["read"]["site"] == "read_all() (io.h:5)", f"site: {sites['read']}")
    alloc = data["allocations"]["sites"][0]
    check(alloc["samples"] == 2 and alloc["in_use_samples"] == 1, f"allocations: {alloc}")
    check(alloc["in_use_bytes"] == 529424, f"scaled bytes: {alloc}")
    check(data["tasks"][0]["p50_ns"] == 10**8 and data["tasks"][0]["count"] == 1, "task")
    counters = {"stacks_cut": 4, "syscalls_short": 998}
    check(data["lost"]["events"] == 3 and data["lost"]["counters"] == counters, f"{data['lost']}")
    check(data["lost"]["notes"] == ["The disk was slow."], f"notes: {data['lost']}")


def check_text(space, trace):
    for argv in (["summary", trace], ["summary", "--top=20", trace]):
        result = space.view(*argv)
        text = result.stdout.decode()
        check(result.returncode == 0 and not result.stderr, f"{argv}: {result.stderr}")
        check(max(len(x) for x in text.splitlines()) <= 100, "at most 100 columns")
        for part in (
            "server --port 80",
            "3 events, 0 packets",
            "4 stacks cut at the depth limit",
            "The disk was slow.",
            "mutex 0xcafe0",
            "at cache::get(int) (cache.cc:41)",
            "held by worker-2 (502) at cache::put(int) (cache.cc:81)",
            "1 still waiting at the end",
            "read fd 5=socket:[77] at read_all() (io.h:5)",
        ):
            check(part in text, f"{part!r} is in the summary")


def check_dump(space, trace):
    lines = space.view("dump", trace).stdout.decode().splitlines()
    check(len(lines) == 12, f"12 events, not {len(lines)}")
    want = (
        "0.050000000 flightrec_lock:wait 500/501 worker-1 proc=1 kind=mutex obj=0xcafe0 dur=200000000 "
        "holder=502 holder_stack=cache::put(int)<main ret=0 wake=0 "
        "stack=pthread_mutex_lock<cache::get(int)<main"
    )
    check(lines[0] == want, f"line: {lines[0]}")
    check('message="miss \\"x\\" 1"' in lines[-1], f"quoted: {lines[-1]}")
    times = [float(x.split()[0]) for x in lines]
    check(times == sorted(times), "in order of time")
    waits = space.view("dump", "--event=wait", trace).stdout.decode().splitlines()
    check(len(waits) == 2, "--event without provider")
    calls = space.view("dump", "--event=flightrec_syscall:*", "--tid=502", trace).stdout.decode()
    check(len(calls.splitlines()) == 4, "--event with a glob, and --tid")
    check(space.view("dump", "--tid=501", "--event=recv", trace).returncode == 2, "no such event")


def check_usage(space, trace):
    for argv, code, text in (
        ((), 2, b"Usage:"),
        (("summary",), 2, b"name a trace"),
        (("sumary",), 2, b"neither a command nor a file"),
        (("summary", "--top=x", trace), 2, b"expected a number"),
        (("summary", "--max-size=tiny", trace), 2, b"expected a size"),
        (("pprof", "--type=goroutine", trace), 1, b"unknown pprof type goroutine\n"),
        (("-pprof=nosuch", trace), 1, b"unknown pprof type nosuch\n"),
        (("pprof", "--type=cpu", trace), 1, b"no CPU samples"),
        (("-pprof=sched", trace), 1, b"no records of switches"),
        (("summary", "--from=soon", trace), 2, b"expected seconds"),
        (("dump", "--from=9s", trace), 1, b"covers 1.00 s"),
        (("pprof", trace), 2, b"--type"),
        (("dump", "--nosuch", trace), 2, b"--nosuch"),
    ):
        result = space.view(*argv)
        check(result.returncode == code, f"{argv}: exit code {result.returncode}, not {code}")
        check(text in result.stderr, f"{argv}: says {text}: {result.stderr}")
    for argv in (["--help"], ["summary", "--help"], ["pprof", "--help"], ["dump", "--help"]):
        result = space.view(*argv)
        check(result.returncode == 0 and b"trace.out" in result.stdout, f"{argv}: help has examples")
    check(re.match(rb"trace-view \d", space.view("--version").stdout), "--version")


def check_pipe(space):
    """`| head` ends quietly and leaves nothing, however much more there is."""
    big = space.trace(STORY, "big.out", n_events=200000)
    script = f"{BIN}/trace-view dump {big} | head -n 3; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", script], env=space.env, capture_output=True, timeout=60)
    lines = result.stdout.decode().splitlines()
    check(len(lines) == 4 and lines[3] == "0" and not result.stderr, f"| head: {result}")
    check(not list(space.tmp.iterdir()), "| head: nothing is left")


def main():
    with Workspace() as space:
        trace = space.trace(STORY)
        check_json(space, trace)
        check_text(space, trace)
        check_dump(space, trace)
        check_usage(space, trace)
        check_pipe(space)
        # The folder it was unpacked to is the same trace.
        folder = space.path / "trace.out.d"
        check(space.view("dump", folder).stdout == space.view("dump", trace).stdout, "a folder")
    done()


main()
