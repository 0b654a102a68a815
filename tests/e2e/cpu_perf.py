#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU sampling by perf events, on a program that measures where its own CPU time goes.

Shares are compared with what the program's own thread clocks said, within what chance allows for the number of samples
(4.5 standard deviations), so that a busy machine makes the test blunter, not wrong.
"""
import collections
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from lib import IS_ROOT, NOBODY, SOURCE, Folder, Recorder, as_user, check, done, wait_for

PARANOID = int(Path("/proc/sys/kernel/perf_event_paranoid").read_text())
IS_MACHINE = False  # whole CPUs are sampled
SCOPE = ""  # "t": events per thread, whatever the privilege
CUT, BROKEN = 1, 4  # FR_STACK_*
NUMBER = {"x86_64": "298", "aarch64": "241"}[platform.machine()]  # of perf_event_open


class Program:
    """known_cpu in one of its modes, at work."""

    def __init__(self, folder, mode, uid=None, preload=None):
        environment = dict(os.environ, **({"LD_PRELOAD": preload} if preload else {}))
        self.process = subprocess.Popen(
            as_user([str(folder.programs / "known_cpu"), mode], uid),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.pid = self.process.pid
        check(self.process.stdout.readline() == b"ready\n", f"known_cpu {mode} starts")

    def end(self):
        """What it measured of itself."""
        out, _ = self.process.communicate(timeout=60)
        check(self.process.returncode == 0, f"known_cpu ends with 0: {self.process.returncode}")
        return json.loads(out)


def take(folder, pids, *, hz=250, seconds=3, frames=0, uid=None, code=0, wrap=()):
    command = [
        *wrap,
        str(folder.programs / "cpu_perf_take"),
        f"{hz}{SCOPE}",
        str(seconds),
        str(frames),
    ]
    result = subprocess.run(
        as_user([*command, *(str(pid) for pid in pids)], uid),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    if not check(
        result.returncode == code,
        f"cpu_perf_take ends with {code}: {result.returncode} {result.stdout[-300:]} {result.stderr[-300:]}",
    ):
        done()
    return json.loads(result.stdout) if code == 0 else result.stdout.decode()


def ticks_of(profile):
    """Ticks of samples by the parts that are in their stacks, and of all."""
    ticks = collections.Counter()
    for sample in profile["samples"]:
        for name in set(sample["stack"].split(";")):
            ticks[name] += sample["count"]
    return ticks


def check_shares(profile, measured, names, what):
    ticks = ticks_of(profile)
    of_names = sum(ticks[name] for name in names)
    total = sum(measured[name] for name in names)
    if not check(of_names >= 40, f"{what}: {of_names} ticks are enough to compare"):
        return
    for name in names:
        want, got = measured[name] / total, ticks[name] / of_names
        slack = 4.5 * (want * (1 - want) / of_names) ** 0.5 + 0.02
        check(
            abs(got - want) <= slack,
            f"{what}: {name} has {got:.1%} of {of_names} ticks, its own clock said {want:.1%} (± {slack:.1%})",
        )


def cpu_ns(pid):
    """CPU time of the whole process, ended threads too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000000000 // os.sysconf("SC_CLK_TCK")


MIX = (
    "part_heavy",
    "part_light",
    "part_recursion",
    "part_callback",
    "part_exception",
    "part_signal",
    "part_variable",
)


def test_mix(folder, uid):
    program = Program(folder, "mix", uid)
    before = cpu_ns(program.pid)
    profile = take(folder, [program.pid], seconds=4, uid=uid)
    used = cpu_ns(program.pid) - before
    measured = program.end()
    is_all_seen = profile["is_kernel_seen"]
    check_shares(profile, measured, MIX, "mix")
    check(profile["n_lost"] == 0, f"nothing is lost: {profile['n_lost']}")
    check(is_all_seen == (uid is None and IS_ROOT or PARANOID < 2), "root sees kernel time")
    kernel = ticks_of(profile)["part_kernel"]
    if is_all_seen:
        check_shares(profile, measured, (*MIX, "part_kernel"), "mix with kernel")
        check(profile["unseen_ns"] == 0, "nothing is unseen")
    else:
        check(profile["unseen_ns"] > 0, "kernel time is said to be unseen")
        check(
            any("kernel.perf_event_paranoid" in note for note in profile["notes"]),
            f"a note says so: {profile['notes']}",
        )
        check(kernel * 20 < profile["n_ticks"], f"part_kernel has hardly a tick: {kernel}")
    whole = profile["n_ticks"] * profile["period_ns"] + profile["unseen_ns"]
    check((profile["cpu_ns"] == 0) == IS_MACHINE, f"the kernel's count: {profile['cpu_ns']}")
    check(
        IS_MACHINE or abs(whole - profile["cpu_ns"]) < 0.15 * profile["cpu_ns"] + 100e6,
        f"{whole / 1e9} s in samples, {profile['cpu_ns'] / 1e9} s by the kernel's count",
    )
    # More was used: names are looked up after the profile has ended.
    ticks = profile["n_ticks"] * profile["period_ns"] + profile["unseen_ns"]
    check(ticks <= used * 1.1 + 50e6, f"{ticks / 1e9} s sampled of {used / 1e9} s used")
    for sample in profile["samples"]:
        names = sample["stack"].split(";")
        if "part_handler" in names and "part_signal" not in names:
            # On the alternate stack, of which alone there is a copy: it cannot go on, and says so.
            check(
                sample["flags"] & (BROKEN | CUT),
                f"a stack without its thread's part is marked: {names}",
            )
        elif "part_exception" not in names:
            check(sample["flags"] == 0, f"whole: {sample['flags']} {names}")
            check(names[-1] == "_start" and "main" in names, f"from main on: {names}")
    broken = sum(s["count"] for s in profile["samples"] if s["flags"] & BROKEN)
    check(profile["n_broken"] == broken, "broken stacks are counted")
    depths = collections.Counter()
    for sample in profile["samples"]:
        depths[sample["stack"].split(";").count("part_recursion")] += sample["count"]
    del depths[0]
    # Hardly ever on the way down or up.
    check(depths[61] >= 0.9 * sum(depths.values()) > 5, f"every frame of a recursion: {depths}")
    callbacks = [s["stack"] for s in profile["samples"] if "part_compare" in s["stack"]]
    check(
        callbacks and all("qsort" in x or "msort" in x for x in callbacks), "through libc's qsort"
    )


def test_deep(folder):
    program = Program(folder, "deep")
    profile = take(folder, [program.pid], seconds=1, frames=200)
    program.end()
    check(profile["n_ticks"] > 10, f"samples of a deep stack: {profile['n_ticks']}")
    check(profile["n_cut"] == profile["n_ticks"], "all are cut")
    for sample in profile["samples"]:
        check(sample["n"] == 200 and sample["flags"] == CUT, f"cut at the limit: {sample['n']}")


def test_threads(folder):
    program = Program(folder, "threads")
    before = cpu_ns(program.pid)
    profile = take(folder, [program.pid], hz=1000, seconds=3)
    used = cpu_ns(program.pid) - before
    program.end()
    tids = {s["tid"] for s in profile["samples"]}
    ticks = ticks_of(profile)
    check(len(tids) > 20, f"many threads, all born meanwhile: {len(tids)}")
    check(
        ticks["part_light"] > 0.8 * profile["n_ticks"],
        f"their work: {ticks['part_light']} of {profile['n_ticks']}",
    )
    check({s["pid"] for s in profile["samples"]} == {program.pid}, "all of the one process")
    check(
        profile["n_ticks"] * 1e6 <= used * 1.05 + 20e6,
        f"no sample is counted twice: {profile['n_ticks']} ms sampled, {used / 1e6} ms used",
    )


def test_short_threads(folder):
    """Threads that use 3 ms each, at a period of 10 ms."""
    program = Program(folder, "threads")
    before = cpu_ns(program.pid)
    profile = take(folder, [program.pid], hz=100, seconds=4)
    used = profile["cpu_ns"] or cpu_ns(program.pid) - before
    program.end()
    check(profile["period_ns"] == 10000000, "the period is what was asked for")
    share = profile["n_ticks"] * profile["period_ns"] / used
    check(profile["n_ticks"] > 20 and share > 0.3, f"{share:.0%} of their CPU time is there")
    check(share < 1.35, f"and not more than they used: {share:.0%}")
    if IS_MACHINE:
        check(profile["one_in"] == 1 and share > 0.5, f"CPUs have no short threads: {share:.0%}")
        return
    # With a timer of its own that begins anew, none of them would have a tick.
    check(profile["one_in"] == 8, f"sampled faster: {profile['one_in']}")
    check(any("800 Hz" in x for x in profile["notes"]), f"a note: {profile['notes']}")
    if share < 0.8:
        check(any("in no sample" in x for x in profile["notes"]), f"a note: {profile['notes']}")


def test_bursts(folder):
    """Threads that wake each other after some 30 µs. At 500 Hz samples would come in step with the kernel's
    ticks, which such threads are in step with, too: one part would get twice another's."""
    program = Program(folder, "bursts")
    profile = take(folder, [program.pid], hz=487, seconds=3)
    measured = program.end()
    check_shares(profile, measured, ("part_waking", "part_sleeping", "part_other"), "bursts")


def test_sigprof(folder):
    program = Program(folder, "sigprof")
    profile = take(folder, [program.pid], seconds=2)
    measured = program.end()
    # Its own timer, once every 10 ms of CPU time and the kernel's tick at best.
    check(
        measured["signals"] * 10e6 > 0.4 * measured["part_heavy"], f"its signals came: {measured}"
    )
    check(ticks_of(profile)["part_heavy"] >= 0.95 * profile["n_ticks"] > 10, "and it was sampled")


def test_forks(folder, uid):
    program = Program(folder, "forks", uid)
    profile = take(folder, [program.pid], seconds=4, uid=uid)
    measured = program.end()
    check_shares(profile, measured, ("part_light", "part_heavy"), "children")
    check(len(profile["processes"]) > 3, f"several processes: {len(profile['processes'])}")
    for process in profile["processes"]:
        check(process["program"].endswith("/known_cpu"), f"its program: {process}")
        check(process["is_wanted"] == (process["pid"] == program.pid), f"wanted: {process}")
    broken = profile["n_broken"]
    check(broken <= 0.02 * profile["n_ticks"], f"{broken} broken of {profile['n_ticks']}")


def test_added(folder):
    """A second process that is added at half time; one that has ended; one that does not exist."""
    first, second = Program(folder, "mix"), Program(folder, "mix")
    gone = subprocess.Popen(["true"])
    gone.wait()
    profile = take(folder, [first.pid, gone.pid, f"+{second.pid}"], seconds=3)
    first.end()
    second.end()
    pids = collections.Counter()
    for sample in profile["samples"]:
        pids[sample["pid"]] += sample["count"]
    check(pids[first.pid] > 0 and pids[second.pid] > 0, f"both are sampled: {pids}")
    check(set(pids) == {first.pid, second.pid}, f"and no other: {pids}")
    said = take(folder, [gone.pid], code=3)
    check("process is left" in said or "has ended" in said, f"a process that is gone: {said}")


def test_refusals(folder):
    if not IS_ROOT:
        return
    program = Program(folder, "mix")
    said = take(folder, [program.pid], uid=NOBODY, code=3)
    check(
        "another user" in said and "CAP_PERFMON" in said and "--cpu-engine=signal" in said,
        f"a process of root's, asked for by nobody: {said}",
    )
    # As containers do it: a filter under which the call is not permitted.
    wrap = [sys.executable, str(SOURCE / "tests/e2e/deny_syscall.py"), NUMBER, "1"]
    said = take(folder, [program.pid], code=3, wrap=wrap)
    check("seccomp" in said and "--cap-add" in said, f"refused by a filter: {said}")
    said = take(folder, [program.pid], code=3, wrap=[*wrap[:-1], "38"])
    check("no perf events" in said, f"a kernel without: {said}")
    said = take(folder, [program.pid], code=3, wrap=[*wrap[:-1], "13"])
    check("perf_event_paranoid" in said, f"a kernel that refuses all: {said}")
    said = take(folder, [program.pid], hz=0, code=3)
    check("1 to 1000 Hz" in said, f"a rate of 0: {said}")
    program.end()


def test_few_files(folder, uid):
    """Too few descriptors for threads × CPUs: some threads are sampled, and it is said."""
    program = Program(folder, "threads", uid)
    limit = ["sh", "-c", 'ulimit -n 14 && exec "$@"', "sh"]
    profile = take(folder, [program.pid], uid=uid, wrap=limit, seconds=2)
    program.end()
    check(profile["n_threads_missed"] > 0, "threads were missed")
    check(any("ulimit -Hn" in x for x in profile["notes"]), f"a note: {profile['notes']}")


def test_deleted(folder):
    """A program whose file was replaced since it started."""
    path = folder.new() / "known_cpu"
    path.write_bytes((folder.programs / "known_cpu").read_bytes())
    path.chmod(0o755)
    process = subprocess.Popen([path, "mix"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    path.unlink()
    profile = take(folder, [process.pid], seconds=1)
    process.communicate()
    whole = sum(s["count"] for s in profile["samples"] if not s["flags"])
    check(whole > 0.8 * profile["n_ticks"] > 5, f"{whole} whole of {profile['n_ticks']}")


def pprof(path, *options):
    command = ["go", "tool", "pprof", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout


def end_all_of(program):
    """Ends the processes of this program, which lies in a folder of our own."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(entry / "exe")) == program:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # ended, or not ours to look at
            pass


def test_mixed(folder, uid):
    """One process that keeps SIGPROF beside one that does not: auto samples each in its way, and merges."""
    known_cpu = folder.programs / "known_cpu"
    script = f"sleep 25 | {known_cpu} mix & sleep 25 | {known_cpu} sigprof"
    for engine, said in (
        ("auto", "sampled from outside instead"),
        ("perf", None),
        ("signal", "handles SIGPROF itself"),
    ):
        options = [f"--cpu-engine={engine}", "--cpu-rate=250"]
        with Recorder(folder, ["sh", "-c", script], options=options, uid=uid) as recorder:
            state = recorder.state()
            alive = wait_for(
                lambda: recorder.state()["data"]["program"]["processes_alive"] >= 5, 20
            )
            check(alive, f"all five processes are traced: {state}")
            time.sleep(0.5)
            status, body = recorder.get("/debug/pprof/profile?seconds=4")
            check(status == 200, f"{engine}: {status} {body[:300]}")
            path = recorder.output / "cpu.pb.gz"
            path.write_bytes(body)
            tree = pprof(path, "-traces")
            check(("run_mix" in tree), f"{engine}: the one that takes signals: {tree[-2000:]}")
            is_there = "run_sigprof" in tree
            check(is_there == (engine != "signal"), f"{engine}: the other one: {is_there}")
            check("libflightrec" not in tree, f"{engine}: no frame of the tracer's")
            pids = re.findall(r"\): (\d+)$", pprof(path, "-tags"), re.MULTILINE)
            if engine != "signal":
                check(len(pids) == 2, f"{engine}: two processes have samples: {pids}")
            url = f"http://127.0.0.1:{recorder.port}/debug/pprof/profile?seconds=1"
            with urllib.request.urlopen(url, timeout=60) as answer:
                note = answer.headers.get("X-Flightrec-Note")
            if said:
                check(said in (note or ""), f"{engine}: it is said: {note}")
        end_all_of(known_cpu)


def main():
    global IS_MACHINE, SCOPE
    what = sys.argv[1] if len(sys.argv) > 1 else "root"
    uid = NOBODY if what == "nobody" and IS_ROOT else None
    is_ordinary = uid is not None or not IS_ROOT
    if PARANOID > 2 and is_ordinary:
        print(f"kernel.perf_event_paranoid is {PARANOID}: ordinary users have no perf events")
        sys.exit(77)
    SCOPE = "t" if what == "per_thread" else ""
    IS_MACHINE = not SCOPE and (not is_ordinary or PARANOID <= 0)
    with Folder() as folder:
        if what == "mixed":
            test_mixed(folder, uid)
            done()
        test_mix(folder, uid)
        test_forks(folder, uid)
        if not IS_MACHINE:
            test_few_files(folder, uid)
        if uid is None:
            test_threads(folder)
            test_short_threads(folder)
            test_sigprof(folder)
            test_added(folder)
        if what == "root":
            test_bursts(folder)
            test_deep(folder)
            test_deleted(folder)
            test_refusals(folder)
    done()


if __name__ == "__main__":
    main()
