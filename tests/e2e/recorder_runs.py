#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Runs, snapshots, traces in the response, --trace: windows, files, who ends what."""
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time

from lib import IS_ROOT, NOBODY, Folder, Recorder, check, done, recorded, run, wait_for

RUN = "/debug/trace/recorder/run"
STOP = "/debug/trace/recorder/stop"
SNAPSHOT = "/debug/trace/recorder/snapshot"
TRACE = "/debug/pprof/trace"

# Ten calls a second that are long enough for the flight recorder as well.
TICKER = ["perl", "-e", '$| = 1; print "ready\n"; select(undef, undef, undef, 0.1) while 1']
SLEEPS = ["perl", "-e", "select(undef, undef, undef, 0.02) for 1..23"]


def receipt(path):
    """Receipt of a trace.out, read by babeltrace2."""
    folder = path.parent / (path.name + ".d")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tarfile.open(path) as tar:
        tar.extractall(folder)
    text = run(["babeltrace2", folder]).out.decode()
    pairs = re.findall(r'flightrec_state:receipt: .*key = "([^"]*)", value = "([^"]*)"', text)
    return dict(pairs), text


def count(text, event):
    return len(re.findall(event, text))


def last(recorder):
    return recorder.state()["data"]["last"]


def run_to_its_end(recorder):
    status, body = recorder.json(RUN + "?duration=1s")
    data = body["data"]
    check(status == 200 and data["id"] >= 1 and data["file"].endswith("/trace.out"), f"run: {body}")
    check(data["duration"] == "1s" and data["ends_at"].endswith("Z"), f"run: {data}")
    status, body = recorder.json(RUN + "?duration=1s")
    check((status, body["errorCode"]) == (409, "FLIGHT_RECORDER_RUNNING"), f"second run: {status} {body}")
    trace = recorder.output / "trace.out"
    check(wait_for(lambda: last(recorder), 20), "the run ends by itself")
    info = last(recorder)
    check(info["end_reason"] == "duration" and info["error"] == "", f"last: {info}")
    check(info["bytes"] == trace.stat().st_size, f"bytes: {info['bytes']}, file {trace.stat().st_size}")
    facts, text = receipt(trace)
    check(facts.get("mode") == "run" and facts.get("end_reason") == "duration", f"receipt: {facts}")
    check(facts.get("window.asked_ns") == "1000000000", f"receipt: {facts}")
    window = int(facts["window.end_ns"]) - int(facts["window.begin_ns"])
    check(0.99e9 < window < 1.2e9, f"window of a 1 s run: {window}")
    ticks = count(text, 'flightrec_syscall:call: .*"select"')
    check(9 <= ticks <= 11, f"calls of ten 0.1 s sleeps: {ticks}")


def all_at_once(recorder):
    """A run, a trace in a response and a snapshot: each has its own window of the same events."""
    recorder.json(RUN + "?duration=10m")
    status, body = recorder.get(SNAPSHOT + "?download=1")
    check(status == 200 and body[:2] == b"\x1f\x8b", f"a snapshot during a run: {status}")
    status, body = recorder.get(TRACE + "?seconds=1")
    check(status == 200 and body[:2] == b"\x1f\x8b", f"a trace during a run: {status}")
    path = recorder.output / "inside"
    path.write_bytes(body)
    facts, text = receipt(path)
    check(facts.get("window.asked_ns") == "1000000000", f"trace during a run: {facts}")
    inside = set(re.findall(r"^\[([0-9:.]+)\].*flightrec_syscall:call: .*\"select\"", text, re.M))
    recorder.json(STOP)
    facts, text = receipt(recorder.output / "trace.out")
    all_of_it = re.findall(r"^\[([0-9:.]+)\].*flightrec_syscall:call: .*\"select\"", text, re.M)
    check(facts.get("end_reason") == "stop" and facts.get("lost.packets") == "0", f"receipt: {facts}")
    check(len(all_of_it) == len(set(all_of_it)), "no event is recorded twice")
    check(len(inside) >= 8 and inside <= set(all_of_it), f"the run has what the trace has: {inside}")


def stop_early(recorder):
    begin = time.monotonic()
    recorder.json(RUN + "?duration=30m")
    time.sleep(0.5)
    status, body = recorder.json(STOP)
    data = body["data"]
    check(status == 200 and data["end_reason"] == "stop" and data["bytes"] > 0, f"stop: {status} {body}")
    check(os.path.getsize(data["file"]) == data["bytes"], "stop answers when the file is complete")
    check(time.monotonic() - begin < 10, "stop takes no half hour")
    status, body = recorder.json(STOP)
    check((status, body["errorCode"]) == (409, "FLIGHT_RECORDER_NOT_RUNNING"), f"second stop: {status} {body}")


def stale_timer(recorder):
    """The timer of a stopped run never ends the next one."""
    recorder.json(RUN + "?duration=1s")
    recorder.json(STOP)
    first = last(recorder)["id"]
    _, body = recorder.json(RUN + "?duration=30s")
    check(body["data"]["id"] == first + 1, f"every run has a number of its own: {body}")
    time.sleep(1.5)
    state = recorder.state()["data"]
    check(state["state"] == "recording" and state["current"]["id"] == first + 1, f"still on after 1.5 s: {state}")
    recorder.json(STOP)


def snapshots(recorder):
    time.sleep(0.5)
    status, body = recorder.json(SNAPSHOT)
    check(status == 200 and body["data"]["kind"] == "snapshot", f"snapshot: {status} {body}")
    facts, text = receipt(recorder.output / "trace.out")
    check(facts.get("mode") == "snapshot", f"snapshot's receipt: {facts}")
    check(count(text, "flightrec_syscall:call") >= 4, "the flight recorder holds calls from before")
    status, body = recorder.get(SNAPSHOT + "?download=1")
    check(status == 200 and body[:2] == b"\x1f\x8b", f"download: {status}, {len(body)} bytes")
    path = recorder.output / "downloaded"
    path.write_bytes(body)
    facts, text = receipt(path)
    check(count(text, "flightrec_syscall:call") >= 4, "a second snapshot holds them too")
    results = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                 f"http://127.0.0.1:{recorder.port}{SNAPSHOT}"], stdout=subprocess.PIPE) for _ in range(4)]
    codes = [p.communicate()[0].decode() for p in results]
    check(set(codes) == {"200"}, f"four snapshots at once are written one after the other: {codes}")


def pprof_trace(recorder):
    connection = http.client.HTTPConnection("127.0.0.1", recorder.port, timeout=30)
    begin = time.monotonic()
    connection.request("GET", TRACE + "?seconds=0.5")
    answer = connection.getresponse()
    body = answer.read()
    took = time.monotonic() - begin
    check(answer.status == 200 and 0.5 <= took < 5, f"trace: {answer.status} after {took:.2f} s")
    check(answer.getheader("Content-Type") == "application/octet-stream", "trace: type")
    check(answer.getheader("Content-Disposition") == 'attachment; filename="trace"', "trace: file name")
    check(answer.getheader("X-Content-Type-Options") == "nosniff" and not answer.getheader("Content-Encoding"), "trace: headers")
    path = recorder.output / "from-response"
    path.write_bytes(body)
    facts, _ = receipt(path)
    check(facts.get("window.asked_ns") == "500000000", f"trace: {facts}")
    for text, asked in (("", 1), ("?seconds=abc", 1), ("?seconds=-3", 1), ("?seconds=NaN", 1), ("?seconds=0", 1)):
        begin = time.monotonic()
        status, _ = recorder.get(TRACE + text)
        took = time.monotonic() - begin
        check(status == 200 and asked <= took < asked + 4, f"trace{text}: {status} after {took:.2f} s, want {asked}")


def disconnect(recorder):
    """A client that goes away frees the trace at once."""
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", recorder.port)) as s:
            s.sendall(f"GET {TRACE}?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            check(wait_for(lambda: recorder.state()["data"]["state"] == "recording", 10), "the trace is on")
            status, body = recorder.get(TRACE + "?seconds=1")
            check(status == 500 and b"already enabled" in body, f"second trace: {status} {body!r}")
        begin = time.monotonic()
        status, _ = recorder.get(TRACE + "?seconds=0.1")
        check(status == 200, f"a trace right after the disconnect: {status}")
        check(time.monotonic() - begin < 5, "and without a wait")
    leftovers = [p.name for p in recorder.output.iterdir() if p.name.startswith(".")]
    check(not leftovers, f"nothing is left in the output folder: {leftovers}")


def retention(recorder):
    for _ in range(12):
        recorder.json(SNAPSHOT)
    kept = sorted(p.name for p in recorder.output.glob("trace-*.out"))
    check(len(kept) == 10, f"ten older traces are kept: {kept}")
    check(all(re.fullmatch(r"trace-\d{8}T\d{6}Z(-\d{3})?\.out", x) for x in kept), f"their names carry the time: {kept}")


def exit_ends_a_run(folder):
    with Recorder(folder, ["sleep", "2"]) as recorder:
        recorder.json(RUN + "?duration=20m")
        check(recorder.process.wait(30) == 0, "exit code of the program")
        facts, _ = receipt(recorder.output / "trace.out")
        check(facts.get("end_reason") == "exit", f"a run ends with the program: {facts}")


def stop_waits_for_exit(folder):
    """A stop and the program's end at the same moment: both are answered."""
    with Recorder(folder, TICKER) as recorder:
        recorder.json(RUN + "?duration=20m")
        client = subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{recorder.port}{STOP}"], stdout=subprocess.PIPE)
        recorder.process.send_signal(signal.SIGTERM)
        out = client.communicate(timeout=30)[0]
        check(b'"bytes"' in out or out == b"", f"stop during the end: {out!r}")
        check(recorder.process.wait(30) == 128 + signal.SIGTERM, "exit code")
        check((recorder.output / "trace.out").exists(), "the file is there")


def whole_run(folder, uid):
    output = folder.new(uid)
    path = output / "whole.out"
    result = recorded(folder, SLEEPS, options=["--trace", path], uid=uid, output=output)
    check(result.code == 0, f"uid {uid}: --trace: {result.code} {result.err!r}")
    facts, text = receipt(path)
    check(facts.get("mode") == "trace" and facts.get("end_reason") == "exit", f"uid {uid}: {facts}")
    check(facts.get("lost.events") == "0", f"uid {uid}: nothing lost: {facts}")
    sleeps = count(text, 'flightrec_syscall:call: .*"select"')
    check(sleeps == 23, f"uid {uid}: all 23 sleeps are in it: {sleeps}")
    check(sorted(p.name for p in output.iterdir()) == ["whole.out", "whole.out.d"], "no other file is left")


def no_capabilities(folder):
    """Root that may not change its uid, as in a container without capabilities: the shared daemon is used."""
    place = "/var/run/lttng"
    had_place = os.path.isdir(place)
    output = folder.new()
    result = run(["setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-all", folder.bin / "trace-record", "--listen",
                  "127.0.0.1:0", "--output-dir", output, "--trace", output / "t.out", "--", *SLEEPS])
    check(result.code == 0, f"without capabilities: {result.code} {result.err!r}")
    check(any("CAP_SETUID" in line for line in result.ours()), f"it is said: {result.ours()}")
    facts, text = receipt(output / "t.out")
    check(any("CAP_SETUID" in v for v in facts.values()), f"and noted: {facts}")
    # Programs of other recorders on this machine may be in it as well, as the note says.
    procs = re.findall(r'flightrec_syscall:call: .* proc = (\d+),.*"select"', text)
    check(any(procs.count(x) == 23 for x in set(procs)), f"without capabilities: all 23 sleeps are in it: {procs}")
    if not had_place and os.path.isdir(place):
        os.rmdir(place)  # lttng-sessiond leaves it, empty


def trace_refusals(folder):
    for path, word in ((folder.path, "folder"), (folder.path / "no" / "t.out", "t.out")):
        result = recorded(folder, ["touch", folder.path / "started"], options=["--trace", path])
        check(result.code == 1 and len(result.ours()) == 1 and word in result.ours()[0], f"--trace {path}: {result.err!r}")
    check(not (folder.path / "started").exists(), "nothing was started")
    with Recorder(folder, ["sleep", "1000"], options=["--trace", folder.path / "t.out"]) as recorder:
        status, body = recorder.json(STOP)
        check((status, body["errorCode"]) == (409, "FLIGHT_RECORDER_NOT_RUNNING"), f"--trace is not stopped: {body}")
        for path in (SNAPSHOT, RUN + "?duration=10m"):
            status, body = recorder.json(path)
            check(status == 200, f"{path} during --trace: {status} {body}")
        status, body = recorder.get(TRACE + "?seconds=0.2")
        check(status == 200 and body[:2] == b"\x1f\x8b", f"trace during --trace and a run: {status}")
        kinds = sorted(x["kind"] for x in recorder.state()["data"]["windows"])
        check(kinds == ["run", "trace"], f"both are on: {kinds}")
        recorder.stop()
    check((folder.path / "t.out").exists(), "killed by a signal: the trace is written")


def main():
    with Folder() as folder:
        for uid in (None, NOBODY) if IS_ROOT else (None,):
            with Recorder(folder, TICKER, uid=uid) as recorder:
                check(wait_for(lambda: "ready" in recorder.stderr(), 20), "the program runs")
                run_to_its_end(recorder)
                all_at_once(recorder)
                stop_early(recorder)
                stale_timer(recorder)
                snapshots(recorder)
                pprof_trace(recorder)
                disconnect(recorder)
                retention(recorder)
                check(recorder.stop() == 128 + signal.SIGTERM, "exit code")
                # Lines on what other recorders have left apart.
                lines = [x for x in recorder.stderr().splitlines() if "--recover" not in x]
                check(len(lines) == 2, f"uid {uid}: the address and what the program says: {lines}")
            whole_run(folder, uid)
        exit_ends_a_run(folder)
        stop_waits_for_exit(folder)
        trace_refusals(folder)
        if IS_ROOT:
            no_capabilities(folder)
    done()


main()
