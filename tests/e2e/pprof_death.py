#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Profiles of programs that have died, and of programs that are many processes."""
import os
import re
import signal
import time

from lib import Folder, Recorder, check, check_near, done, wait_for
from pprof_lib import B, SNAPSHOTS, TEXT, Target, check_error, check_reply, pprof, read_dump, sums

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGSEGV": signal.SIGSEGV}


def start(folder, name, *arguments, options=()):
    program = folder.programs / name
    recorder = Recorder(folder, [program, *arguments], options=options)
    is_ready = wait_for(lambda: "ready" in recorder.stderr(), 20)
    if not check(is_ready, f"{name} starts: {recorder.stderr()[-500:]}"):
        done()
    custom = "my/custom.prof"
    return recorder, Target(recorder.port, program, [program, *arguments], custom)


def pids_of(recorder):
    """{"parent": pid, "1": pid, …} of known_forks."""
    pairs = re.findall(r"(?:worker=)?(parent|\d+) pid=(\d+)", recorder.stderr())
    return {name: int(pid) for name, pid in pairs}


def the_program(recorder):
    """The traced program's process: the recorder's child of that name."""
    status = recorder.json("/healthz")[1]
    return status["pid"] if "pid" in status else status["data"]["pid"]


def addresses(profile):
    """{addresses of a stack: first value}."""
    where = {x.id: x.address for x in profile.location}
    return {tuple(where[x] for x in s.location_id): s.value[0] for s in profile.sample}


def check_death(folder, name):
    recorder, t = start(folder, "known_profiles", options=["--linger", "60s"])
    with recorder:
        before = {x: t.profile(x) for x in (*SNAPSHOTS, t.custom)}
        before_threads = t.text("goroutine").header[0]
        os.kill(the_program(recorder), SIGNALS[name])
        gone = wait_for(lambda: recorder.get("/healthz")[0] != 200, 10)
        check(gone, f"{name}: /healthz tells of the death")
        check(recorder.process.poll() is None, f"{name}: the recorder lingers")
        for kind in (*SNAPSHOTS, t.custom, "thread"):
            profile = t.profile(kind)
            check(profile and profile.sample, f"{name}: {kind} is there after the death")
            if profile and kind in ("threadcreate", "block", "mutex", t.custom):
                same = addresses(profile) == addresses(before[kind])
                check(same, f"{name}: {kind} is that of its last moment")
        out = pprof("-top", "-alloc_space", f"{t.url}/heap", cwd=folder.path)
        check("known_leak" in out, f"{name}: names after the death: {out}")
        text = t.text("goroutine")
        check(
            text.header[0] == before_threads, f"{name}: {text.header} threads of {before_threads}"
        )
        answer = t.get("goroutine?debug=2")
        check_reply(answer, 200, TEXT, None, what=f"{name}: goroutine?debug=2")
        _, blocks = read_dump(answer.body)
        sleepers = [x for x in blocks if "known_sleeper" in x.functions()]
        check(len(sleepers) == 5, f"{name}: five died asleep: {[x.frames[:2] for x in blocks]}")
        states = {x.state for x in sleepers}
        check(all(x.startswith("sync.Cond.Wait") for x in states), f"{name}: {states}")
        answer = t.get("profile?seconds=1")
        check(
            answer.status in (500, 503, 404) and answer.seconds < 1,
            f"{name}: no CPU profile of the dead: " f"{answer.status} after {answer.seconds:.1f} s",
        )
        check(answer.headers.get("x-go-pprof") == "1", f"{name}: in pprof's form: {answer.headers}")
        for path in ("", "cmdline", "symbol"):
            check(t.get(path).status == 200, f"{name}: {path or 'index'} after the death")
        recorder.process.send_signal(signal.SIGTERM)
        code = recorder.process.wait(30)
        check(code == 128 + SIGNALS[name], f"{name}: the recorder ends as the program did: {code}")


def check_linger_ends(folder):
    """The time is over: the recorder ends by itself, with the program's code."""
    began = time.monotonic()
    recorder, t = start(folder, "known_profiles", options=["--linger", "3s"])
    with recorder:
        os.kill(the_program(recorder), signal.SIGKILL)
        time.sleep(1)
        check(t.get("heap").status == 200, "it lingers")
        code = recorder.process.wait(20)
        check(code == 137, f"its exit code: {code}")
        check(time.monotonic() - began >= 3, "not before its time")


def heap_total(profile, value=1):
    return sum(s.value[value] for s in profile.sample)


def check_processes(folder):
    recorder, t = start(folder, "known_forks", options=["--heap-rate", "1"])
    t.rate = 1
    with recorder:
        pids = pids_of(recorder)
        check(set(pids) == {"parent", "1", "2", "3"}, f"processes: {pids}")
        for worker in "123":
            pid = pids[worker]
            profile = t.profile("heap", query=f"?pid={pid}")
            want = int(worker) * 300 * 20000
            found = sums(profile, 3).get("known_worker_leak", 0)
            check(found == want, f"worker {worker}: {found:,} bytes of {want:,}")
            labels = {profile.text(x.key) for s in profile.sample for x in s.label}
            check("pid" not in labels, f"one process needs no label: {labels}")
            text = t.get(f"goroutine?debug=1&pid={pid}").text()
            head = text.split("\n")[0]
            n = int(worker) + 1
            check(head == f"goroutine profile: total {n}", f"worker {worker}: {head}")
            dump = t.get(f"goroutine?debug=2&pid={pid}")
            _, blocks = read_dump(dump.body)
            # Where all wait, the tracer's own thread leads, as who answers.
            blocks = [x for x in blocks if x.functions() != ["[flightrec]"]]
            check(len(blocks) == n, f"worker {worker}: {len(blocks)} threads of {n}")
        together(t, pids, folder)
        for bad in ("1", "999999", "x", "-1", "0x10"):
            answer = t.get(f"heap?pid={bad}")
            check(answer.status in (400, 404), f"pid={bad}: {answer.status} {answer.text()[:100]}")
            check(answer.headers.get("x-go-pprof") == "1", f"pid={bad}: in pprof's form")
        check_error(t, f"{B}/nosuch?pid={pids['1']}", 404, "Unknown profile")
        cpu = t.profile(f"profile?seconds=1&pid={pids['2']}", seconds=1)
        check(cpu is not None, "a CPU profile of one process")
        os.kill(pids["3"], signal.SIGKILL)
        time.sleep(0.5)
        profile = t.profile("heap", query=f"?pid={pids['3']}")
        check(
            profile and heap_total(profile, 3) >= 900 * 20000,
            "a worker that died keeps its profile",
        )
        check(recorder.stop() == 0, "the program ends well")


def together(t, pids, folder):
    """Without ?pid=, all processes are in one profile, told apart by a label."""
    profile = t.profile("heap")
    by_pid = {}
    for s in profile.sample:
        labels = {profile.text(x.key): x.num or profile.text(x.str) for x in s.label}
        pid = int(labels.get("pid", 0))
        by_pid[pid] = by_pid.get(pid, 0) + s.value[3]
    check(set(by_pid) == set(pids.values()), f"labels: {by_pid}, processes {pids}")
    for worker in "123":
        # A child has also what its parent had before the fork.
        check_near(by_pid.get(pids[worker], 0), int(worker) * 6000000, 0.5, f"heap of {worker}")
    out = pprof(
        "-top", "-inuse_space", f"-tagfocus=pid={pids['2']}", f"{t.url}/heap", cwd=folder.path
    )
    check("known_worker_leak" in out, f"-tagfocus: {out}")
    total = t.text("goroutine").header[0]
    check(total == 1 + 2 + 3 + 4, f"threads of all: {total}")


def main():
    with Folder() as folder:
        for name in SIGNALS:
            check_death(folder, name)
        check_linger_ends(folder)
        check_processes(folder)
    done()


main()
