#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Every trigger writes a trace that names it; a storm of them writes no more than the limit."""
import re
import signal
from pathlib import Path

from lib import Folder, Recorder, check, done, recorded, run, view, wait_for

KIND = re.compile(r"trace-([a-z]+)-\d{8}T\d{6}Z(?:-\d{3})?\.out")


def files(output):
    """The traces of triggers in a folder, by kind."""
    found = {}
    for path in sorted(output.iterdir()):
        match = KIND.fullmatch(path.name)
        if match:
            found.setdefault(match[1], []).append(path)
    return found


def trigger_of(folder, path):
    """The one trigger event of a trace."""
    unpacked = folder.new()
    text = run(["sh", "-c", f"tar xzf {path} -C {unpacked} && babeltrace2 {unpacked}/trace/state"], timeout=60).out.decode()
    events = [
        {
            name: value.strip('"') if value.startswith('"') else int(value)
            for name, value in re.findall(r'(\w+) = ("(?:[^"\\]|\\.)*"|-?\d+)', line)
        }
        for line in text.splitlines()
        if "flightrec_state:trigger:" in line
    ]
    check(len(events) == 1, f"{path.name} has one trigger: {events}")
    return events[0] if events else {}


def told_by_the_program(folder):
    output = folder.new()
    result = recorded(
        folder,
        [folder.programs / "known_triggers", output / "file"],
        output=output,
        options=["--on-slow", "slow=20ms", "--on-lock", "20ms", "--on-call", "20ms", "--trigger-rate", "0s"],
    )
    check(result.code == 0 and result.out == b"0\n", f"known_triggers: {result.code} {result.out} {result.err}")
    found = files(output)
    counts = {kind: len(paths) for kind, paths in found.items()}
    check(counts == {"slow": 2, "lock": 1, "call": 1, "asked": 1}, f"each fires, and nothing else: {counts} {result.ours()}")
    for kind, paths in found.items():
        event = trigger_of(folder, paths[0])
        check(event.get("kind") == kind, f"{kind}: {event}")
        if kind != "asked":
            check(20_000_000 <= event.get("value", 0) and event["limit"] == 20_000_000, f"{kind}: {event}")
        check(event.get("stack"), f"{kind} has the stack of who fired it: {event}")
    said = [x for x in result.ours() if "Trigger " in x]
    check(len(said) == 5 and any("asked for" in x for x in said), f"each is told: {said}")
    text = view(folder, "summary", found["slow"][0]).out.decode()
    check("slow" in text and "limit 20ms" in text, f"the summary tells why: {text[:600]}")


BIG = """
import threading, time
block = bytearray(200 << 20)
for i in range(20): threading.Thread(target=time.sleep, args=(6,)).start()
time.sleep(4)
"""


def too_much(folder):
    output = folder.new()
    result = recorded(
        folder,
        ["python3", "-c", BIG],
        output=output,
        options=["--on-threads", "15", "--on-rss", "100M", "--on-heap", "100M", "--trigger-rate", "0s"],
    )
    counts = {kind: len(paths) for kind, paths in files(output).items()}
    check(counts == {"threads": 1, "rss": 1, "heap": 1}, f"once each, however long it lasts: {counts} {result.ours()}")


DEADLOCK = """
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
a, b = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
def take(first, second):
    libc.pthread_mutex_lock(first); time.sleep(0.3); libc.pthread_mutex_lock(second)
threading.Thread(target=take, args=(a, b), daemon=True).start()
threading.Thread(target=take, args=(b, a), daemon=True).start()
time.sleep(6)
os._exit(0)
"""


def deadlock(folder):
    output = folder.new()
    result = recorded(folder, ["python3", "-c", DEADLOCK], output=output, options=["--trigger-rate", "0s", "--on-death", "none"])
    found = files(output)
    check(list(found) == ["deadlock"] and len(found["deadlock"]) == 1, f"one deadlock, told once: {found} {result.ours()}")
    if found.get("deadlock"):
        check("waits for thread" in trigger_of(folder, found["deadlock"][0]).get("reason", ""), "who waits for whom")
    output = folder.new()
    recorded(folder, ["python3", "-c", DEADLOCK.replace("sleep(6)", "sleep(3)")], output=output,
             options=["--on-deadlock=no", "--on-death", "none"])
    check(not files(output), "not when it is switched off")


def by_signal(folder):
    """Not passed on, or it would end the program; the second is one too many within a minute."""
    with Recorder(folder, ["sleep", "60"], options=["--on-signal", "USR2"]) as recorder:
        check(wait_for(lambda: recorder.state()["data"]["program"]["pid"], 20), "it runs")
        recorder.process.send_signal(signal.SIGUSR2)
        check(wait_for(lambda: files(recorder.output).get("signal"), 20), f"a trace: {recorder.stderr()}")
        recorder.process.send_signal(signal.SIGUSR2)
        check(
            wait_for(lambda: recorder.state()["data"]["triggers"]["suppressed"].get("signal") == 1, 20),
            f"suppressed: {recorder.state()['data']['triggers']}",
        )
        triggers = recorder.state()["data"]["triggers"]
        check(triggers["fired"] == {"signal": 1} and triggers["armed"]["signal"] == "SIGUSR2", f"{triggers}")
        check(wait_for(lambda: recorder.state()["data"]["triggers"]["last_file"], 20), "the last file is told")
        metrics = recorder.get("/metrics")[1].decode()
        check('flightrec_triggers_total{kind="signal",result="suppressed"} 1' in metrics, "and in the metrics")
        check(len(files(recorder.output)["signal"]) == 1, "one file")
        status, body = recorder.json("/debug/trace/recorder/snapshot?reason=because%20I%20can")
        check(status == 200, f"snapshot with a reason: {body}")
        check(trigger_of(folder, Path(body["data"]["file"])).get("reason") == "because I can", "which it names")


def storms(folder):
    """A hundred thousand within a moment; and five in a row where only two may stay."""
    for mode, options, n in (
        (["storm"], [], 1),
        ([folder.new() / "file"], ["--trigger-rate", "0s", "--trigger-keep", "2"], 2),
    ):
        output = folder.new()
        result = recorded(
            folder,
            [folder.programs / "known_triggers", *mode],
            output=output,
            options=["--on-slow", "slow=20ms", "--on-lock", "20ms", "--on-call", "20ms", *options],
        )
        got = [path.name for paths in files(output).values() for path in paths]
        check(result.code == 0 and len(got) == n, f"{mode}: {n} files stay: {got} {result.ours()}")


def refused(folder):
    for options, words in (
        (["--on-signal", "KILL"], "expected USR1"),
        (["--on-slow", "x=soon"], "NAME=TIME"),
        (["--on-slow", "x=1s"] * 9, "at most 8"),
        (["--on-death", "maybe"], "abnormal, all or none"),
        (["--trigger-keep", "0"], "from 1"),
    ):
        result = recorded(folder, ["true"], options=options)
        check(result.code == 2 and words in result.err.decode(), f"{options}: {result.code} {result.err.decode()[:200]}")


with Folder() as folder:
    told_by_the_program(folder)
    too_much(folder)
    deadlock(folder)
    by_signal(folder)
    storms(folder)
    refused(folder)
done()
