#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Scheduling, CPU samples, deaths and triggers, on traces made from text; the window and the filters."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from viewer_lib import BIN, STORY, Workspace, check, done

sys.path.insert(0, str(Path(os.environ["SOURCE_DIR"]) / "tests/lib"))
from pprof import rules  # noqa: E402

# Thread 501 waits 200 ms for a lock (180 blocked, 20 queued), is preempted for 5 ms, and the program dies.
SCHED = """
0 0 state:receipt key=scheduling.step value=bpf
0 0 state:receipt key=scheduling value="Every switch and waker, by BPF."
0 0 state:receipt key=scheduling.slices value=4
0 0 state:receipt key=scheduling.records value=3
0 0 state:receipt key=scheduling.lost value=1
0 0 state:receipt key=samples.hz value=20
0 0 state:receipt key=death value="server (pid 500) was killed by SIGSEGV"
0 0 state:receipt key=death.signal value=11
0 0 state:receipt key=trigger value="A wait for a lock took 150 ms."
1990ms 501 state:crash signal=11 code=1 addr=0x10 pc=0x401100 sp=0x7ffd0 registers="rip=401100 rsp=7ffd0" stack=21
1300ms 501 state:trigger kind=lock reason=mutex value=150000000 limit=5000000 stack=20
870ms 501 switch_out cpu=0
1030ms 501 wakeup cpu=0 waker_pid=500 waker_tid=502 waker_comm=server
1045ms 501 switch_in cpu=1
1400ms 501 switch_out cpu=1 is_preempted=1
1405ms 501 switch_in cpu=0
1420ms 77 switch_in proc=0 cpu=0
1500ms 501 cpu:sample stack=20 weight=50ms labels=route=/a\\\\,b
1550ms 501 cpu:sample stack=21 weight=50ms
"""


def check_summary(space, trace):
    result = space.view("summary", trace)
    text = result.stdout.decode()
    check(result.returncode == 0 and not result.stderr, f"summary: {result}")
    check(max(len(x) for x in text.splitlines()) <= 100, f"at most 100 columns: {text}")
    for part in (
        "bpf: Every switch and waker, by BPF.",
        "3 of 4 times on a processor are recorded (75 %), 1 records lost",
        "server (pid 500) was killed by SIGSEGV",
        "SIGSEGV, code 1, address 0x10, pc 0x401100",
        "501 worker-1 of pid 500, 10.0 ms before the end",
        "#0 cache::put(int) (/src/cache.cc:81)",
        "rip=401100 rsp=7ffd0",
        "Who made others wait",
        "mutex by worker-2 (502)",
        "at cache::put(int) (cache.cc:81) < main",
        "CPU time by place, from 2 samples at 20 Hz",
        "50.0%",
    ):
        check(part in text, f"{part!r} is in the summary: {text}")
    alive = "".join(x + "\n" for x in (STORY + SCHED).splitlines() if "=death" not in x)
    text = space.view("summary", space.trace(alive, "alive.out")).stdout.decode()
    for part in ("A wait for a lock took 150 ms.", "lock mutex: 150 ms, limit 5.00 ms"):
        check(part in text, f"{part!r} is in the summary: {text}")
    data = json.loads(space.view("summary", "--json", trace).stdout)
    check(data["scheduling"]["missing"] == 1 and data["scheduling"]["exact"], f"{data['scheduling']}")
    threads = {x["name"]: x for x in data["threads"]}
    worker = threads["worker-1"]
    check(worker["sched"] == "exact" and worker["blocked"]["mutex"] == 30 * 10**6, f"{worker}")
    check(worker["runnable_ns"] == 20 * 10**6 and worker["involuntary"] == 1, f"{worker}")
    for x in data["threads"]:
        parts = x["run_ns"] + x["runnable_ns"] + sum(x["blocked"].values())
        check(parts == x["present_ns"], f"{x['name']}: {parts} of {x['present_ns']}")
    check(worker["cpus"] == 2 and worker["migrations"] == 1, f"{worker}")
    check(data["wakers"][0]["tid"] == 502 and data["wakers"][0]["count"] == 2, f"{data['wakers']}")
    check(data["wakers"][0]["stack"][0] == "cache::put(int)", f"{data['wakers']}")
    check(data["death"]["signal"] == 11, f"{data['death']}")
    check(data["crashes"][0]["address"] == 16, f"{data['crashes']}")
    check(data["triggers"]["moments"][0]["kind"] == "lock", f"{data['triggers']}")
    check(data["cpu"]["samples"] == 2 and data["cpu"]["hz"] == 20, f"{data['cpu']}")


def folded(space, trace, kind, *argv):
    result = space.view("pprof", f"--type={kind}", "--format=folded", *argv, trace)
    check(result.returncode == 0, f"{kind} {argv}: {result.stderr}")
    lines = (x.rsplit(" ", 1) for x in result.stdout.decode().splitlines())
    return {stack.split(";")[-1]: int(value) for stack, value in lines}


def check_profiles(space, trace):
    for kind in ("sched", "offcpu", "wall", "cpu", "waker", "lock", "mutex", "block", "heap", "allocs"):
        path = space.path / f"{kind}.pb.gz"
        result = space.view("pprof", f"--type={kind}", "-o", path, trace)
        check(result.returncode == 0 and not result.stderr, f"pprof --type={kind}: {result.stderr}")
        # The story's time is its own; it ends with what is in use, of which nothing is cut here.
        verdict = rules.judge(
            path.read_bytes(), rules.Context(kind, hz=20, since=1700000000, until=1700000060)
        )
        check(not verdict.faults, f"{kind} keeps the rules: {verdict}")
        top = space.run(["go", "tool", "pprof", "-top", path])
        check(top.returncode == 0 and b"File: server" in top.stdout, f"{kind}: {top}")
    tags = space.run(["go", "tool", "pprof", "-tags", space.path / "cpu.pb.gz"]).stdout.decode()
    check("/a,b" in tags and "route" in tags, f"labels: {tags}")
    text = space.view("pprof", "--type=mutex", "--format=text", trace).stdout
    check(
        text == space.view("pprof", "--type=mutex", "--text", trace).stdout and b"cycles/second" in text, text
    )


def check_window(space, trace):
    check(folded(space, trace, "block") == {"pthread_mutex_lock": 150 * 10**6}, "all")
    first = {"pthread_mutex_lock": 50 * 10**6}
    check(folded(space, trace, "block", "--to=100ms") == first, "the first wait, by duration")
    check(folded(space, trace, "block", "--to=-900ms") == first, "from the end")
    wall = ("--from=2023-11-14T22:13:21Z", "--to=2023-11-14T22:13:21.1Z")
    check(folded(space, trace, "block", *wall) == first, "by the clock on the wall")
    part = folded(space, trace, "block", "--from=0.2", "--to=250ms")
    check(part == {"pthread_mutex_lock": 50 * 10**6}, f"a part of the second: {part}")
    check(folded(space, trace, "sched", "--from=-600ms") == {"[preempted]": 5 * 10**6}, "the last 600 ms")
    wall = folded(space, trace, "wall", "--from=400ms", "--to=500ms", "--thread=worker-1")
    check(sum(wall.values()) == 100 * 10**6, f"a thread's time: {wall}")
    data = json.loads(space.view("summary", "--json", "--from=300ms", "--to=350ms", trace).stdout)
    check(data["trace"]["window_ns"] == 50 * 10**6, "summary of a part")
    dump = space.view("dump", "--from=390ms", "--to=407ms", "--event=flightrec_kernel:*", trace).stdout
    check(len(dump.splitlines()) == 2 and b"is_preempted=1" in dump, f"dump of a part: {dump}")


def check_filters(space, trace):
    for argv in (("--thread=worker-*",), ("--thread=501",), ("--pid=500",)):
        check(folded(space, trace, "block", *argv) == {"pthread_mutex_lock": 150 * 10**6}, f"{argv}")
    for argv in (("--thread=worker-2",), ("--pid=501",), ("--task=request",), ("--region=x",)):
        check(not folded(space, trace, "block", *argv), f"{argv}")
    check(folded(space, trace, "cpu", "--label=route=/a,b") == {"pthread_mutex_lock": 50 * 10**6}, "label")


def check_older(space):
    """Traces of schema 1 have no scheduling, and are read as before."""
    space.env["FIXTURE_SCHEMA"] = "1"
    trace = space.trace(STORY + SCHED, "older.out")
    del space.env["FIXTURE_SCHEMA"]
    data = json.loads(space.view("summary", "--json", trace).stdout)
    check({x["sched"] for x in data["threads"]} == {"unknown"}, "nothing is known")
    check({x["delay_ns"] for x in data["threads"]} == {None}, "nor its totals")
    check(data["processes"][0]["exit_code"] is None, "nor how it ended")
    result = space.view("pprof", "--type=sched", trace)
    check(result.returncode == 1 and b"Every switch and waker" in result.stderr, f"a sentence: {result}")
    result = space.view("pprof", "--type=offcpu", "--format=folded", trace)
    check(result.returncode == 0 and b"count whole" in result.stderr, f"offcpu says so: {result}")


def check_rings(space):
    """A ring that was replaced leaves two traces of lttng's; profiles may lie beside the trace."""
    folder = space.path / "rings"
    later = "1900ms 501 wait stack=20 kind=mutex obj=0xcafe0 dur=1ms\n"
    for name, text in (("", STORY), ("second", STORY.split("1050ms 501")[0] + later)):
        argv = [BIN / "trace_fixture", folder / name, "1"]
        subprocess.run([str(x) for x in argv], input=text.encode(), check=True)
    (folder / "second/trace/ust/uid/0/64-bit").rename(folder / "trace/ust/uid/0/64-bit.2")
    shutil.rmtree(folder / "second")
    (folder / "profiles").mkdir()
    (folder / "profiles/heap.pb.gz").write_bytes(b"not ours")
    trace = space.path / "rings.out"
    subprocess.run(["tar", "czf", trace, "-C", folder, "profiles", "trace"], check=True)
    for source in (trace, folder):
        data = json.loads(space.view("summary", "--json", source).stdout)
        locks = {x["address"]: x for x in data["locks"]}
        check(locks["0xcafe0"]["wait_ns"] == 151 * 10**6, f"both rings: {locks}")
        check(data["lost"]["notes"] == ["The disk was slow."], f"no complaint: {data['lost']}")


def main():
    if not shutil.which("go"):
        print("skipped: go is not installed (golang-go)")
        sys.exit(77)
    with Workspace() as space:
        trace = space.trace(STORY + SCHED)
        check_summary(space, trace)
        check_profiles(space, trace)
        check_window(space, trace)
        check_filters(space, trace)
        check_older(space)
        check_rings(space)
    done()


main()
