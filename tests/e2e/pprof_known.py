#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Profiles of programs that say themselves what is true: CPU shares, live bytes, waits, threads.

    pprof_known.py cpu|heap|waits|threads [--seconds N] [--engine signal|perf]

Shares of CPU time must be right within two percent at 30 s (--seconds 30); fewer samples, on a busy
machine too, are given four standard deviations of what chance does to them.
"""
import argparse
import math
import re

from lib import Folder, Recorder, check, check_near, done, wait_for
from pprof_lib import Target, names_of, read_dump, sums


class Known:
    """A program under trace-record that has printed what it expects."""

    def __init__(self, folder, name, *arguments, options=()):
        program = folder.programs / name
        self.recorder = Recorder(folder, [program, *arguments], options=options)
        is_ready = wait_for(lambda: "\nready\n" in self.recorder.stderr(), 60)
        if not check(is_ready, f"{name} gets ready: {self.recorder.stderr()[-500:]}"):
            done()
        self.target = Target(self.recorder.port, program, [program, *arguments], "none")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.recorder.__exit__(*exception)

    def rows(self, word="expect"):
        """[{key: value}] of the lines that begin with `word`."""
        lines = re.findall(rf"^{word} (.*)$", self.recorder.stderr(), re.M)
        return [dict(pair.split("=", 1) for pair in line.split()) for line in lines]


def check_cpu(folder, options):
    engine = ["--cpu-engine", options.engine] if options.engine else []
    with Known(folder, "known_shares", options=engine) as known:
        seconds = options.seconds
        profile = known.target.profile(f"profile?seconds={seconds}", seconds=seconds)
        # The leaf is what is inlined into them, or a look at the clock: they stand above it.
        inside = sums(profile, 1)
        total = sum(s.value[1] for s in profile.sample)
        n = sum(s.value[0] for s in profile.sample)
        used = sum(inside.get(row["function"], 0) for row in known.rows())
        check(used > 0.97 * total, f"{used / total:.1%} of the time is in the known functions")
        print(f"{n} samples, {total / 1e9:.2f} s of CPU in {seconds} s")
        for row in known.rows():
            share = float(row["share"])
            got = inside.get(row["function"], 0) / total
            chance = 4 * math.sqrt(share * (1 - share) / n)
            margin = 0.02 if seconds >= 30 and n >= 2500 else max(0.02, chance)
            print(f"{row['function']}: {got:.4f}, should be {share:.4f} ± {margin:.4f}")
            check(abs(got - share) <= margin, f"{row['function']}: {got:.4f} is not {share:.4f}")
        same = inside.get("spin_outer") == inside.get("spin_rest")
        check(same, "the caller has its callee's time, and none of its own")
        known.recorder.stop()
        measured = sum(int(row["ns"]) for row in known.rows("measured"))
        check(measured > 0, "the program's own clocks agree that it worked")


def check_heap(folder, _options):
    with Known(folder, "known_sites") as known:
        t = known.target
        profile = t.profile("heap")
        by_type = [sums(profile, i) for i in range(4)]
        for row in known.rows():
            name = row["function"]
            for i, kind in enumerate(
                ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
            ):
                got, want = by_type[i].get(name, 0), int(row[kind])
                size = int(row["alloc_space"]) / int(row["alloc_objects"])
                # So many samples are expected; ten percent, or what chance does to fewer of them.
                n = max(want * (size if "objects" in kind else 1) / t.rate, 1)
                margin = max(0.10, 4 / math.sqrt(n))
                print(f"{name} {kind}: {got:,} of {want:,} ({n:.0f} samples, ± {margin:.0%})")
                check_near(got, want, margin, f"{name} {kind}")
        total = sum(int(row["inuse_space"]) for row in known.rows())
        got = sum(s.value[3] for s in profile.sample)
        check_near(got, total, 0.10, "live bytes in all")
        freed = [s for s in profile.sample if "site_gone" in str(names_of(profile, s))]
        check(freed and not any(s.value[3] for s in freed), "what is freed is not in use")
        allocs = t.profile("allocs")
        check(
            [s.value for s in allocs.sample] == [s.value for s in profile.sample], "allocs is heap"
        )


def check_waits(folder, _options):
    with Known(folder, "known_waits") as known:
        for row in known.rows():
            profile = known.target.profile(row["profile"])
            counts, times = sums(profile, 0), sums(profile, 1)
            name, what = row["function"], f"{row['profile']}, {row['function']}"
            check(counts.get(name) == int(row["n"]), f"{what}: {counts.get(name)} of {row['n']}")
            check_near(times.get(name, 0), int(row["ns"]), 0.05, f"{what}: ns")
            print(
                f"{what}: {counts.get(name)} of {row['n']}, {times.get(name, 0):,} ns of {row['ns']}"
            )


def check_threads(folder, _options):
    with Known(folder, "known_threads") as known:
        t, rows = known.target, known.rows()
        profile = t.profile("goroutine")
        counts = sums(profile, 0)
        text = t.text("goroutine")
        _, blocks = read_dump(t.get("goroutine?debug=2").body)
        created = sums(t.profile("threadcreate"), 0)
        alive = 0
        for row in rows:
            name, n = row["function"], int(row["n"])
            alive += n
            check(counts.get(name, 0) == n, f"{name}: {counts.get(name, 0)} of {n} threads")
            mine = [x for x in blocks if name in x.functions()]
            check(len(mine) == n, f"{name}: {len(mine)} of {n} in the dump")
            states = row["state"].replace("_", " ")
            for block in mine:
                ok = re.match(rf"({states})(,|$)", block.state)
                check(ok, f"{name}: state {block.state!r}, not {states}")
                check(
                    block.created_by == row["creator"], f"{name}: created by {block.created_by!r}"
                )
            in_text = [x for x in text.records if any(f[1] == name for f in x.frames)]
            check(sum(x.numbers[0] for x in in_text) == n, f"{name}: in debug=1")
            want = n or 10
            got = created.get(row["creator"], 0)
            check(got == want, f"{row['creator']}: {got} of {want} threads created")
        check(text.header[0] == alive + 1, f"{text.header[0]} threads, {alive} and the first one")
        status, health = known.recorder.json("/healthz")
        health = health.get("data") or health
        n_threads = health.get("threads")
        check(status == 200 and n_threads and n_threads >= alive + 1, f"/healthz: {health}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("cpu", "heap", "waits", "threads"))
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--engine", choices=("signal", "perf"))
    options = parser.parse_args()
    checks = {"cpu": check_cpu, "heap": check_heap, "waits": check_waits, "threads": check_threads}
    with Folder() as folder:
        checks[options.what](folder, options)
    done()


main()
