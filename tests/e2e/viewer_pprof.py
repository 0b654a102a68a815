#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Derived profiles, as Go's own pprof reads them."""
import os
import re
import shutil
import sys
from pathlib import Path

from viewer_lib import BIN, STORY, Workspace, check, done

sys.path.insert(0, str(Path(os.environ["SOURCE_DIR"]) / "tests/lib"))
from pprof import rules  # noqa: E402

STORY_TIME = 1700000000  # its wall clock


def profile(space, trace, kind):
    path = space.path / f"{kind}.pb.gz"
    result = space.view("pprof", f"--type={kind}", "-o", path, trace)
    check(result.returncode == 0 and not result.stderr, f"pprof --type={kind}: {result.stderr}")
    habit = space.view(f"-pprof={kind}", trace)
    check(habit.stdout == path.read_bytes(), f"-pprof={kind} gives the same bytes")
    context = rules.Context(kind, since=STORY_TIME, until=STORY_TIME + 60)
    verdict = rules.judge(habit.stdout, context)
    check(not verdict.faults, f"{kind} keeps the rules: {verdict}")
    return path


def pprof(space, *argv):
    result = space.run(["go", "tool", "pprof", *argv])
    check(result.returncode == 0, f"go tool pprof {argv}: {result.stderr.decode()}")
    return result.stdout.decode()


def check_sync(space, trace):
    path = profile(space, trace, "sync")
    raw = pprof(space, "-raw", path)
    check("PeriodType: trace count" in raw and "Period: 1" in raw, f"period: {raw}")
    check("contentions/count delay/nanoseconds" in raw, f"sample types: {raw}")
    check("Time: 2023-11-14 22:13:21" in raw, f"time of the window: {raw}")
    check("Duration" not in raw, "no duration")
    check(re.search(r"^ +2 +150000000: 1 2 3", raw, re.M), f"two waits, 150 ms in the window: {raw}")
    # [FN][FL][LN][IN]: the program has everything, libc has names only.
    check(re.search(r"1: 0x401000/0x409000/0x1000 /opt/server aa11 \[FN\]\[FL\]\[LN\]\[IN\]", raw), raw)
    check(re.search(r"2: 0x7001000/0x7009000/0x1000 /lib/libc.so.6 bb22 \[FN\]$", raw, re.M), raw)
    check(re.search(r"^ +2: 0x4010ff M=1 cache::get\(int\)", raw, re.M), f"return address - 1: {raw}")
    top = pprof(space, "-top", "-cum", path)
    check("File: server" in top and "Build ID: aa11" in top, f"heading: {top}")
    check("Type: delay" in top and "150ms" in top, f"top: {top}")
    check("cache::get" in top, f"own names: {top}")


def check_calls(space, trace):
    traces = pprof(space, "-traces", profile(space, trace, "syscall"))
    check("41ms" in traces and "read" in traces, f"two reads and an open: {traces}")
    raw = pprof(space, "-raw", space.path / "syscall.pb.gz")
    lines = re.search(r"read_all\(\) /src/io.h:5.*\n +request\(\) /src/main.cc:50", raw)
    check(lines, f"inlined first, then the function: {raw}")
    top = pprof(space, "-top", profile(space, trace, "net"))
    check("25ms" in top, f"one recv: {top}")


def check_alloc(space, trace):
    raw = pprof(space, "-raw", profile(space, trace, "alloc"))
    check("PeriodType: space bytes" in raw and "Period: 524288" in raw, raw)
    types = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes"
    check(types in raw, f"types: {raw}")
    check(re.search(r"^ +103 +1058849 +51 +529424: \d+ \d+ *\n +bytes:\[10240\]", raw, re.M), raw)
    for index in ("alloc_space", "inuse_space", "alloc_objects", "inuse_objects"):
        top = pprof(space, "-top", f"-sample_index={index}", space.path / "alloc.pb.gz")
        check("cache::put" in top, f"{index}: {top}")


def check_many_processes(space):
    text = STORY + """
0 0 state:process proc=2 pid=600 exe=/opt/other command=other
0 0 state:module proc=2 base=0x400000 start=0x401000 end=0x409000 file_offset=0x1000 path=/opt/other build_id=cc33
0 0 state:stack proc=2 id=20 frames=0x401100
0 0 state:symbol proc=2 addr=0x401100 func=other_wait system_name=other_wait
1800ms 601 wait proc=2 stack=20 kind=sem obj=1 dur=40ms
"""
    path = profile(space, space.trace(text, "many.out"), "sync")
    top = pprof(space, "-top", path)
    check("File: server" in top, f"the program with the most comes first: {top}")
    check("other_wait" in top and "40ms" in top and "150ms" in top, f"both, apart: {top}")
    check("pid:[600]" in pprof(space, "-raw", path), "labelled by pid")
    focus = pprof(space, "-top", "-tagfocus=pid=600", path)
    check("other_wait" in focus and "cache::get" not in focus, f"-tagfocus: {focus}")


def check_terminal(space, trace):
    script = f"{BIN}/trace-view pprof --type=sync {trace}"
    result = space.run(["script", "-qec", script, "/dev/null"])
    check(result.returncode == 1 and b"binary" in result.stdout, f"terminal: {result}")
    check(b"\x1f\x8b" not in result.stdout, "nothing binary reaches a terminal")
    full = space.view("pprof", "--type=sync", "-o", "/dev/full", trace)
    check(full.returncode == 1 and b"/dev/full" in full.stderr, f"a full disk: {full}")
    nowhere = space.view("pprof", "--type=sync", "-o", space.path / "no/such/folder", trace)
    check(nowhere.returncode == 1 and nowhere.stderr.startswith(b"trace-view: "), f"{nowhere}")


def main():
    if not shutil.which("go"):
        print("skipped: go is not installed (golang-go)")
        sys.exit(77)
    with Workspace() as space:
        trace = space.trace(STORY)
        check_sync(space, trace)
        check_calls(space, trace)
        check_alloc(space, trace)
        check_many_processes(space)
        check_terminal(space, trace)
        empty = space.trace(STORY.split("1050ms 501")[0], "empty.out")
        for kind in ("sync", "net", "syscall", "alloc"):
            top = pprof(space, "-top", profile(space, empty, kind))
            check("File: server" in top, f"{kind} without samples is a valid profile: {top}")
    done()


main()
