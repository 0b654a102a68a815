#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is recorded of the scheduler against what the kernel itself counted, at one step of the ladder.

Usage: scheduling.py bpf | caps | switch | nobody | refused. Threads are looked at while none of them runs, before and after they
worked, so that numbers can be compared exactly.
"""
import collections
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

from lib import IS_ROOT, NOBODY, SOURCE, Folder, Recorder, check, check_near, done, wait_for

HOW = sys.argv[1]
STEP = {"bpf": "bpf", "caps": "bpf", "switch": "switch", "nobody": "switch", "refused": "schedstat"}[HOW]
# From the wake-up to the queue, which run_delay does not see, and the scheduler's own work: see the README.
WAKE_NS, SWITCH_NS = 15_000, 11_000
# An event is stamped when it is written, a little after its duration was measured.
STAMP_NS = 20_000
NUMBER = {"x86_64": "298", "aarch64": "241"}[platform.machine()]  # of perf_event_open
Times = collections.namedtuple("Times", "cpu delay slices voluntary involuntary")


class Wrapped:
    """A folder whose trace-record runs under another command."""

    def __init__(self, folder, uid, *command):
        self.programs = folder.programs
        self.new = lambda _=None: folder.new(uid)
        self.bin = folder.new()
        script = self.bin / "trace-record"
        words = " ".join(str(x) for x in command)
        script.write_text(f'#!/bin/sh\nexec {words} {folder.bin}/trace-record "$@"\n')
        script.chmod(0o755)


def refused(folder, uid):
    """Under a filter that refuses perf events, as in containers."""
    copy = folder.new() / "deny_syscall.py"
    copy.write_bytes((SOURCE / "tests/e2e/deny_syscall.py").read_bytes())
    copy.chmod(0o755)
    return Wrapped(folder, uid, "/usr/bin/python3", copy, NUMBER, 1)


def capable(folder):
    """An ordinary user who has just the two capabilities that BPF needs."""
    caps = "+bpf,+perfmon"
    who = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return Wrapped(folder, NOBODY, "setpriv", *who, "--inh-caps", caps, "--ambient-caps", caps)


def kernel_times(pid):
    """What the kernel has counted, by thread."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.endswith("-ust") or "flightrec" in name:
            continue
        cpu, delay, slices = map(int, (task / "schedstat").read_text().split())
        status = (task / "status").read_text()
        switches = [int(x) for x in re.findall(r"voluntary_ctxt_switches:\s*(\d+)", status)]
        times[int(task.name)] = Times(cpu, delay, slices, *switches)
    return times


def settled_times(pids):
    """The same, once nothing changes any more; and when that was."""
    def look():
        return {tid: times for pid in pids for tid, times in kernel_times(pid).items()}

    times = look()
    for _ in range(50):
        time.sleep(0.2)
        before, times = times, look()
        if before == times:
            return times, time.time_ns() - 100_000_000
    check(False, "the threads come to rest")
    return times, time.time_ns()


class Event(dict):
    pass


def read_trace(trace, into):
    """Events of a trace, as babeltrace2 tells them: stamp in ns, name, fields."""
    subprocess.run(["tar", "xzf", trace, "-C", into], check=True)
    text = subprocess.run(
        ["babeltrace2", "--clock-seconds", "--no-delta", "--fields=trace,trace:hostname", into / "trace"],
        capture_output=True,
        check=True,
    ).stdout.decode("utf-8", "replace")
    pattern = re.compile(r"^\[(\d+)\.(\d{9})\][^:]*?(flightrec_\w+:\w+):(.*)$")
    events = []
    for line in text.splitlines():
        found = pattern.match(line)
        if not found:
            continue
        seconds, ns, name, rest = found.groups()
        event = Event(re.findall(r'(\w+) = \(? ?("(?:[^"\\]|\\.)*"|-?\w+)', rest))
        event["at"], event["name_"] = int(seconds) * 10**9 + int(ns), name
        events.append(event)
    return events


class Thread:
    """One thread's records, summed up."""

    def __init__(self):
        self.n_in = self.n_out = self.n_preempted = self.n_woken = 0
        self.run = self.queued = self.waited = 0
        self.ran_at = self.out_at = self.woken_at = None
        self.outs, self.wakers = [], collections.Counter()
        self.is_preempted = False
        self.longest = self.since = 0

    def feed(self, event):
        at = event["at"]
        self.longest = max(self.longest, at - (self.since or at))
        self.since = at
        kind = event["name_"].split(":")[1]
        if kind == "switch_in":
            self.n_in += 1
            self.ran_at = at
            if self.out_at is not None and self.is_preempted:
                self.queued += at - self.out_at
            elif self.woken_at is not None:
                self.waited += at - self.woken_at
            self.out_at = self.woken_at = None
        elif kind == "switch_out":
            self.is_preempted = event["is_preempted"] == "1"
            self.n_preempted += self.is_preempted
            self.n_out += not self.is_preempted
            if self.ran_at is not None:
                self.run += at - self.ran_at
            self.ran_at, self.out_at = None, at
            self.outs.append(at)
        else:
            self.n_woken += 1
            self.woken_at = self.woken_at or at
            self.wakers[event["waker_comm"].strip('"')] += 1


def check_thread(name, thread, used):
    """Counts are exact, times within what the kernel's own clocks differ by."""
    # Some kernels leave out a few switch-ins where they call BPF programs; the receipt says so.
    n_missing = used.slices // 16 if STEP == "bpf" else 0
    check(
        used.slices - n_missing <= thread.n_in <= used.slices,
        f"{name}: {thread.n_in} switch-ins, {used.slices} slices",
    )
    check(
        thread.n_out == used.voluntary,
        f"{name}: {thread.n_out} switch-outs to wait, the kernel counts {used.voluntary}",
    )
    check(
        thread.n_preempted == used.involuntary,
        f"{name}: {thread.n_preempted} preemptions, the kernel counts {used.involuntary}",
    )
    slack = used.cpu // 100 + SWITCH_NS * used.slices
    # A missing switch-in takes a slice, or a wait before it, out of the sums.
    slack += (used.slices - thread.n_in) * thread.longest
    check(
        abs(thread.run - used.cpu) <= slack,
        f"{name}: ran {thread.run:,} ns by records, {used.cpu:,} by the kernel",
    )
    queued = thread.queued + thread.waited
    if STEP == "bpf":
        slack = used.delay // 100 + WAKE_NS * used.slices
        slack += (used.slices - thread.n_in) * thread.longest
        check(
            abs(queued - used.delay) <= slack,
            f"{name}: ready for {queued:,} ns by records, {used.delay:,} by the kernel",
        )
    else:
        # Without wake-ups only the time after preemptions is known, as a part of all.
        check(
            thread.queued <= used.delay + used.delay // 100 + WAKE_NS * used.slices,
            f"{name}: ready after preemptions for {thread.queued:,} ns, in all {used.delay:,}",
        )


def check_sleeps(events, threads):
    """A sleep's switch-out lies inside the call: the clocks are the same."""
    n = n_inside = 0
    for event in events:
        if event["name_"] != "flightrec_syscall:call" or '"nanosleep"' not in event["call"]:
            continue
        end, tid = event["at"], int(event["tid"])
        begin = end - int(event["dur"])
        n += 1
        n_inside += any(begin - STAMP_NS <= out <= end for out in threads[tid].outs)
    check(n >= 300, f"{n} sleeps of 300 are in the trace")
    # A sleep that is over before it began never leaves the CPU.
    check(n - n_inside <= n // 100, f"{n_inside} of {n} sleeps have their switch-out inside")


def check_state(events, used):
    """The state at the end tells the same totals."""
    seen = {int(e["tid"]): e for e in events if e["name_"] == "flightrec_state:thread"}
    for tid, times in used.items():
        if not check(tid in seen, f"thread {tid} is in the state"):
            continue
        event = seen[tid]
        for field in ("slices", "voluntary", "involuntary"):
            got, want = int(event[field]), getattr(times, field)
            # The first and the last look are at the run's ends, not the work's.
            check(0 <= got - want <= 30, f"{event['name']}: {field} {got}, worked for {want}")
        for field in ("cpu", "delay"):
            got, want = int(event[field]), getattr(times, field)
            more = {"cpu": 2_000_000, "delay": 100_000_000}[field]
            check(
                -want // 100 <= got - want <= want // 100 + more,
                f"{event['name']}: {field} {got:,}, worked for {want:,}",
            )


def check_delays(events):
    """Where no records are had, long waits tell what the scheduler did."""
    delays = [e for e in events if e["name_"] == "flightrec_sched:delay"]
    if delays:  # written by the tracer
        check(all(int(e["cpu"]) >= 0 for e in delays), "delays tell CPU time")
    print(f"{len(delays)} delays", flush=True)


def receipt(events):
    return {
        e["key"].strip('"'): e["value"].strip('"')
        for e in events
        if e["name_"] == "flightrec_state:receipt"
    }


def compare(recorder, trace, before, after, begin, end):
    used = {
        tid: Times(*(b - a for a, b in zip(before[tid], after[tid])))
        for tid in after
        if tid in before
    }
    events = read_trace(trace, recorder.folder.new())
    said = receipt(events)
    print({k: v for k, v in said.items() if k.startswith("scheduling")}, flush=True)
    check(said["scheduling.step"] == STEP, f"the step is {said['scheduling.step']}")
    threads = collections.defaultdict(Thread)
    for event in events:
        if event["name_"].startswith("flightrec_kernel:") and begin <= event["at"] <= end:
            threads[int(event["tid"])].feed(event)
    names = {
        int(e["tid"]): e["name"].strip('"') for e in events if e["name_"] == "flightrec_state:thread"
    }
    workers = {t: u for t, u in used.items() if u.slices > 50 or u.cpu > 100_000_000}
    check(len(workers) == 8, f"{len(workers)} of 8 threads have worked")
    check_state(events, workers)
    if STEP == "schedstat":
        check(not threads, "there are no records")
        check_delays(events)
        return
    check(said["scheduling.lost"] == "0", f"lost: {said['scheduling.lost']}")
    check_near(
        int(said["scheduling.records"]),
        int(said["scheduling.slices"]),
        0.03 if STEP == "bpf" else 0.002,
        "records against slices",
    )
    for tid, times in workers.items():
        check_thread(names.get(tid, str(tid)), threads[tid], times)
    check_sleeps(events, threads)
    procs = {e["proc"] for e in events if e["name_"] == "flightrec_kernel:switch_in"}
    check(len(procs) == 2 and "0" not in procs, f"records are of the two processes: {procs}")
    if STEP == "bpf":
        wakers = sum((t.wakers for t in threads.values()), collections.Counter())
        check(wakers["python3"] >= 1, f"we are named as the waker: {wakers}")
        check(wakers["ping"] > 1000 and wakers["pong"] > 1000, f"so are threads: {wakers}")


def check_metrics(recorder, pid):
    """The sums over the threads, which rest now."""
    time.sleep(1.2)
    times = kernel_times(pid).values()
    text = recorder.get("/metrics")[1].decode()
    for name, want in (
        ("flightrec_sched_switches_total", sum(t.slices for t in times)),
        ("flightrec_run_queue_seconds_total", sum(t.delay for t in times) / 1e9),
    ):
        found = re.search(rf'^{name}{{pid="{pid}"}} (\S+)$', text, re.M)
        # The tracer's threads are in it, and few things they have done.
        if check(found, f"{name} is there"):
            check_near(float(found[1]), want, 0.1, name)
    check(f'flightrec_sched_step{{step="{STEP}"}} 1' in text, "so is the step")


def work(ask, answer):
    ask.write("go\n")
    ask.flush()
    check(answer.readline() == "done\n", "the threads have worked")


def main():
    options, uid = [], None
    if HOW in ("nobody", "refused") and IS_ROOT:
        uid = NOBODY
    if HOW == "switch":
        options = ["--sched=switch"]
    if HOW in ("bpf", "caps", "switch") and not IS_ROOT:
        print("this needs root")
        sys.exit(77)
    with Folder() as folder:
        pipes = folder.new(uid)
        for name in ("ask", "answer"):
            os.mkfifo(pipes / name)
            (pipes / name).chmod(0o666)
        program = [folder.programs / "known_switches", pipes / "ask", pipes / "answer"]
        place = {"refused": lambda: refused(folder, uid), "caps": lambda: capable(folder)}.get(
            HOW, lambda: folder
        )()
        with Recorder(place, program, options=options, uid=uid) as recorder:
            ask, answer = open(pipes / "ask", "w"), open(pipes / "answer")
            child = int(answer.readline())
            scheduling = recorder.state()["data"]["scheduling"]
            print(scheduling, flush=True)
            check(scheduling["step"] == STEP, f"status says {scheduling}")
            if HOW == "refused":
                check("--cap-add PERFMON" in scheduling["text"], f"the remedy: {scheduling['text']}")
            if HOW == "nobody":
                check("setcap cap_bpf" in scheduling["text"], f"the remedy: {scheduling['text']}")
            pid = recorder.state()["data"]["program"]["pid"]
            trace = recorder.output / "trace.out"
            status, body = recorder.get("/debug/trace/recorder/run?duration=60s")
            check(status == 200, f"run: {body}")
            before, begin = settled_times((pid, child))
            work(ask, answer)
            after, end = settled_times((pid, child))
            recorder.get("/debug/trace/recorder/stop")
            check(wait_for(trace.exists, 30), "the trace is there")
            compare(recorder, trace, before, after, begin, end)
            check_metrics(recorder, pid)
            ask.close()
            check(recorder.process.wait(30) == 0, "the program ends with 0")
    done()


main()
