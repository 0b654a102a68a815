#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The recorder is killed: the program runs on untouched, and what was recorded becomes a trace with --recover."""
import os
import re
import signal
import time
from pathlib import Path

from lib import IS_ROOT, Folder, Recorder, check, done, recorded, run, summary, wait_for

# A user of its own, so that no other recorder of this machine tidies up what is killed here.
UID = 61999 if IS_ROOT else os.getuid()

TICKER = """
import os, subprocess, sys, time
print("ready", flush=True)
for i in range(400):
    time.sleep(0.01)
    with open("/proc/self/stat") as f: f.read()
    if i % 100 == 99:
        t = time.monotonic(); subprocess.run(["true"]); print("child", time.monotonic() - t, flush=True)
print("done", flush=True)
time.sleep(60)
"""


def rundirs():
    return sorted(Path("/dev/shm").glob(f"flightrec-{UID}-*"))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def recover(folder, output, *options):
    result = run([folder.bin / "trace-record", "--recover", "--output-dir", output, *options], uid=UID)
    return result, result.err.decode()


def killed(folder):
    recorder = Recorder(folder, ["python3", "-u", "-c", TICKER], uid=UID)
    check(wait_for(lambda: "ready" in recorder.stderr(), 20), "it runs")
    program = recorder.state()["data"]["program"]["pid"]
    time.sleep(2.5)
    os.kill(recorder.process.pid, signal.SIGKILL)
    recorder.process.wait()
    return recorder, program


def lives_on(folder, recorder, program):
    """Its output and its children are as before, without delay."""
    check(wait_for(lambda: "done" in recorder.stderr(), 20), f"the program goes on: {recorder.stderr()}")
    check(is_running(program), "and lives")
    times = [float(x) for x in re.findall(r"child (\S+)", recorder.stderr())]
    check(len(times) == 4 and max(times) < 2, f"its children start without delay: {times}")
    check("flightrec:" not in recorder.stderr(), f"nothing is said in its name: {recorder.stderr()}")


def main():
    with Folder() as folder:
        recorder, program = killed(folder)
        output = folder.new(UID)
        check(len(rundirs()) == 1, f"one runtime folder is left: {rundirs()}")
        daemons = run(["pgrep", "-u", str(UID), "lttng"]).out.split() if IS_ROOT else []
        check(wait_for(lambda: not [x for x in daemons if is_running(int(x))], 10), f"no daemon is: {daemons}")
        # Another recorder of this user says how to have it, and leaves it alone.
        result = recorded(folder, ["true"], uid=UID)
        check(any("--recover" in x for x in result.ours(True)), f"the next start says so: {result.ours(True)}")
        check(len(rundirs()) == 1, "and removes nothing")
        lives_on(folder, recorder, program)
        result, err = recover(folder, output)
        names = [x.name for x in output.iterdir() if x.name.startswith("trace-")]
        check(result.code == 0 and len(names) == 1, f"one trace: {names} {err}")
        check("still runs" in err and names and names[0] in err, f"it is told: {err}")
        check(len(rundirs()) == 1, "the folder of a program that runs stays")
        facts = summary(folder, output / "trace.out")
        check(any(x["pid"] == program for x in facts["processes"]), f"the program is in it: {facts['processes']}")
        check(facts["trace"]["window_ns"] > 1_500_000_000, f"what it did before is there: {facts['trace']}")
        members = run(["tar", "tzf", output / "trace.out"]).out.decode()
        check("profiles/heap.pb.gz" in members and "profiles/cpu.pb.gz" in members, f"with profiles: {members}")
        os.kill(program, signal.SIGKILL)
        check(wait_for(lambda: not is_running(program), 10), "the program ends")
        result, err = recover(folder, output, "--keep", str(rundirs()[0]))
        check(result.code == 0 and "has ended, too" in err and len(rundirs()) == 1, f"--keep: {err}")
        result, err = recover(folder, output)
        check(result.code == 0 and not rundirs(), f"the last one removes it: {err} {rundirs()}")
        result, err = recover(folder, output)
        check(result.code == 0 and "No killed recorder" in err, f"nothing is left: {err}")
        result, err = recover(folder, output, "/tmp")
        check(result.code == 1 and "/tmp" in err, f"a folder that is none: {err}")
        recorder.log.close()
        # Several are bounded, and one of long ago goes.
        for _ in range(4):
            recorder = Recorder(folder, ["sleep", "1"], uid=UID)
            time.sleep(1.2 if not rundirs() else 0.6)
            os.kill(recorder.process.pid, signal.SIGKILL)
            recorder.process.wait()
            recorder.log.close()
        recorded(folder, ["true"], uid=UID)
        check(len(rundirs()) <= 3, f"at most three are kept: {rundirs()}")
        for path in rundirs():
            os.utime(path, (time.time() - 90000,) * 2)
        recorded(folder, ["true"], uid=UID)
        check(not rundirs(), f"old ones go: {rundirs()}")
    done()


main()
