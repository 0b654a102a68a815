#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What a program asks of its recorder through flightrec.h (known_api.c): what it is told, and what it is given."""
import errno

from lib import Folder, check, check_near, done, recorded, run, summary
from pprof_lib import pprof, rules, sums

WANTED = {
    "cpu_start": 0,
    "cpu_again": -errno.EBUSY,
    "cpu_stop": 0,
    "cpu_stop_again": 0,
    "heap": 0,
    "sessions": 5,
    "sessions.txt": 0,
    "sessions.pb": 0,
    "threads.txt": 0,
    "unknown.pb": -errno.ENOENT,
    "block_before": 10000,
    "block": 5000,
    "mutex_before": 7,
    "mutex": 3,
    "alloc_before": 524288,
    "alloc": 4096,
    "enabled": 0,
    "trace_start": 0,
    "trace_again": -errno.EBUSY,
    "trace_enabled": 1,
    "trace_stop": 0,
    "snapshot": 0,
    "run": 0,
    "run_again": -errno.EBUSY,
    "run_stop": 0,
    "run_stop_again": -errno.EBUSY,
}


def judged(path, kind, **more):
    """A profile that keeps all rules."""
    verdict = rules.judge(path.read_bytes(), rules.Context(kind, binary="known_api", **more))
    check(not verdict.faults, f"{path.name} keeps the rules: {verdict}")
    return verdict.profile


def check_cpu(files):
    profile = judged(files / "cpu.pb", "cpu", hz=200)
    inside = sums(profile, 1)
    total = sum(sample.value[1] for sample in profile.sample)
    # A second of CPU time in each of two threads, to the tick, and what chance does to it.
    check_near(inside.get("api_spin", 0), 2e9, 0.05, "CPU time of api_spin")
    check(inside.get("spinner", 0) > 0.9e9, "half of it in the second thread")
    labels = {
        (profile.text(label.key), profile.text(label.str))
        for sample in profile.sample
        for label in sample.label
        if label.str
    }
    check(("job", "spin") in labels, f"labels: {labels}")
    check(inside.get("api_spin", 0) > 0.97 * total, "nothing else used the CPU")


def check_heap(files):
    inside = sums(judged(files / "heap.pb", "heap"), 3)
    # 76 and 38 samples: four standard deviations of what chance does to so few.
    check_near(inside.get("api_keep", 0), 40e6, 0.45, "bytes of api_keep")
    check_near(inside.get("api_arena", 0), 10e6, 0.95, "bytes of api_arena, half given back")
    allocated = sums(judged(files / "heap.pb", "heap"), 1)
    check_near(allocated.get("api_arena", 0), 20e6, 0.65, "bytes that api_arena ever gave")
    child = sums(judged(files / "heap-child.pb", "heap"), 3)
    check_near(child.get("api_child", 0), 30e6, 0.55, "bytes of api_child")
    check("api_keep" not in child, "a child's profile begins at the fork")


def check_sessions(files):
    text = (files / "sessions.txt").read_text()
    check(text.startswith("api/sessions profile: total 5\n5 @ 0x"), f"text: {text[:80]}")
    top = pprof("-top", files / "sessions.pb")
    check("Type: api/sessions" in top and "api_session" in top, f"pprof: {top}")
    threads = (files / "threads.txt").read_text()
    check(threads.startswith("goroutine ") and "known_api.c" in threads, f"threads: {threads[:200]}")


def check_recordings(folder, files):
    trace = summary(folder, files / "trace.out")
    regions = {row["type"]: row["count"] for row in trace.get("regions", [])}
    check(regions.get("known") == 7, f"regions in the trace: {regions}")
    summary(folder, files / "snapshot.out")
    check(not list(files.glob("*.tmp")), "nothing is left beside the files")


def main():
    with Folder() as folder:
        files = folder.new()
        rates = ["--block-rate", "10us", "--mutex-fraction", "7"]
        result = recorded(folder, [folder.programs / "known_api", files], options=rates)
        check(result.code == 0, f"known_api: {result.code}, {result.err.decode()[-500:]}")
        lines = [line for line in result.out.decode().splitlines() if "=" in line]
        said = {name: int(value) for name, value in (line.split("=") for line in lines)}
        for name, value in WANTED.items():
            check(said.get(name) == value, f"{name}: {said.get(name)}, should be {value}")
        check(b"child: exit code 0" in result.out, "the child's own profile")
        check_cpu(files)
        check_heap(files)
        check_sessions(files)
        check_recordings(folder, files)
        # Untraced, nobody can be asked, and the program goes on.
        bare = run([folder.programs / "known_api", files], timeout=60)
        check(b"cpu_start=-107" in bare.out, f"bare: {bare.out[:300]}")
    done()


if __name__ == "__main__":
    main()
