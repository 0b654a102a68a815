#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The ring when others die: of processes killed within an event, and of LTTng's daemon."""
import os
import re
import signal
import time
from pathlib import Path

from lib import Folder, Recorder, check, done, run, wait_for

RUN = "/debug/trace/recorder/run"
STOP = "/debug/trace/recorder/stop"
SNAPSHOT = "/debug/trace/recorder/snapshot"

# Kills writers at full speed until it is told to stop, then counts in an orderly way.
KILLER = """
while [ ! -e stop ]; do "$1" 2 0 >/dev/null & p=$!; sleep 0.2; kill -9 $p; wait $p 2>/dev/null; done
exec "$1" 2 0 20000
"""


def unpack(folder, trace):
    out = folder.new()
    run(["tar", "xzf", trace, "-C", out])
    return out


def counted(folder):
    """Per thread (process, name) the numbers in order of time, within the window that is claimed."""
    begin = int(dict(receipts(folder))["window.begin_ns"])
    result = run(["babeltrace2", "--clock-cycles", "--no-delta", folder])
    check(result.code == 0, f"babeltrace2 reads {folder}: {result.err[-300:]!r}")
    found = {}
    for when, proc, name, value in re.findall(rb'^\[(\d+)\].* proc = (\d+),.*name = "(w\d+)", value = (\d+)', result.out, re.M):
        if int(when) >= begin:
            found.setdefault((proc, name), []).append(int(value))
    return found


def renewed(folder):
    argv = ["sh", "-c", KILLER, "sh", folder.programs / "ring_writer"]
    options = ["--buffer-size", "2M", "--on-death", "none"]
    with Recorder(folder, argv, options=options) as recorder:
        output = recorder.output
        recorder.json(RUN + "?duration=10m")
        is_renewed = wait_for(lambda: "has been renewed" in recorder.stderr(), 60)
        check(is_renewed, "writers that die within an event block the ring, which is renewed")
        (output / "stop").touch()
        # In the end nobody is killed any more: what blocks the ring now is the last that can.
        time.sleep(8)
        status, body = recorder.get(SNAPSHOT + "?download=1")
        check(status == 200, f"snapshot: {status}")
        (output / "snap").write_bytes(body)
        status, body = recorder.json(STOP, timeout=120)
        check(status == 200, f"stop: {status} {body}")
        whole = unpack(folder, output / "trace.out")
        check((whole / "trace/ust/before-1").is_dir(), "the run has both rings")
        check(any("renewed" in x for _, x in receipts(whole)), "and says why")
        counted(whole)
        numbers = counted(unpack(folder, output / "snap"))
        whole_ones = [x for x in numbers.values() if len(x) > 1000 and x == list(range(x[0], x[0] + len(x)))]
        check(len(whole_ones) >= 2, f"and records again: {[(k, len(v)) for k, v in numbers.items()]}")
        recorder.stop()


def receipts(folder):
    text = run(["babeltrace2", folder / "trace" / "state"]).out.decode()
    return re.findall(r'flightrec_state:receipt: .*key = "([^"]*)", value = "(.*)"', text)


def daemon_of(recorder):
    """The private session daemon."""
    for task in Path(f"/proc/{recorder.process.pid}/task").glob("*/children"):
        for pid in task.read_text().split():
            if "lttng" in Path(f"/proc/{pid}/comm").read_text():
                return int(pid)
    return 0


def daemon_died(folder):
    for number in (signal.SIGKILL, signal.SIGTERM):
        with Recorder(folder, [folder.programs / "ring_writer", "2", "0", "10000"], options=["--on-death", "none"]) as recorder:
            time.sleep(2.5)
            pid = daemon_of(recorder)
            if not check(pid, "there is a daemon"):
                continue
            os.kill(pid, number)
            check(wait_for(lambda: "daemon died" in recorder.stderr(), 20), "its death is said")
            path = recorder.output / "after"
            status, body = recorder.get(SNAPSHOT + "?download=1")
            path.write_bytes(body)
            check(status == 200, f"a snapshot after it: {status}")
            numbers = counted(unpack(folder, path))
            check(len(numbers) == 2 and all(x == list(range(1, len(x) + 1)) and len(x) > 5000 for x in numbers.values()),
                  f"has what the ring held: {[(k, len(v)) for k, v in numbers.items()]}")
            recorder.stop()


def main():
    with Folder() as folder:
        daemon_died(folder)
        renewed(folder)
    done()


main()
