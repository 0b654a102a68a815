#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Profiles of what is already past, and those that are derived from the flight recorder."""
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from lib import SOURCE, Folder, Recorder, check, check_near, done, free_port, wait_for
from pprof_lib import OCTETS, TEXT, Background, Target, check_reply, pprof, sums

DERIVED = ("sync", "syscall", "net", "lock", "waker", "wall")
BY_SWITCHES = ("sched", "offcpu")
PAST = ("allocs", "block", "mutex")
HEADERS = {"x-flightrec-window", "x-flightrec-note", "x-flightrec-lost", "x-flightrec-scheduling"}
# Of the sampled profiles' rules, those that the past keeps differently: it has a comment, and
# samples of a faster profile that ran meanwhile keep their time.
SKIP = frozenset({"remark", "cpu-value"})


def window_of(answer):
    """{"asked", "covered": seconds, "begin", "end": text} of the header."""
    pairs = re.findall(r"(\w+)=([^,]+)", answer.headers.get("x-flightrec-window", ""))
    return dict(pairs)


def seconds_of(text):
    """A Go duration of ours, such as 1m2.5s or 350ms."""
    units = {"ms": 0.001, "us": 1e-6, "s": 1, "m": 60, "h": 3600}
    return sum(float(n) * units[u] for n, u in re.findall(r"([\d.]+)(ms|us|h|m|s)", text))


def profile_of(t, answer, kind, **more):
    before, t.skip = t.skip, t.skip | SKIP
    try:
        return t.judge(answer.body, kind, is_delta=kind != "cpu", **more)
    finally:
        t.skip = before


def check_past(t, name, query, seconds, shown=None):
    """One profile whose window was fully recorded: its headers and times."""
    answer = t.get(name + query)
    what = name + query
    shown = shown or (f"{name}-past" if name in (*PAST, "profile") else name)
    check_reply(
        answer, 200, OCTETS, f'attachment; filename="{shown}"', what=what, extra=HEADERS
    )
    if answer.status != 200:
        return None
    window = window_of(answer)
    check(window.get("asked") == f"{seconds}s", f"{what}: {window}")
    covered = seconds_of(window.get("covered", ""))
    check(abs(covered - seconds) < 1, f"{what}: covers {covered} s")
    return answer


def start_buggycache(folder, *options):
    port = free_port()
    program = folder.path / "buggycache"
    if not program.exists():
        shutil.copy(folder.path / "examples/buggycache", program)
    recorder = Recorder(folder, [program, "--port", port], options=options)

    def is_up():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    if not check(wait_for(is_up, 20), f"buggycache starts: {recorder.stderr()}"):
        done()
    return recorder, Target(recorder.port, program, [program], "none"), port


def load(port, seconds):
    argv = [sys.executable, SOURCE / "examples/load", "--seconds", str(seconds), str(port)]
    result = subprocess.run([str(x) for x in argv], capture_output=True, timeout=90, check=False)
    check(result.returncode == 0, f"the load runs: {result.stderr.decode()[-300:]}")


def agreement(t, port):
    """Load within both windows: live profiles of the next seconds say what past ones then do."""
    began = time.monotonic()
    live = {x: Background(t.get, f"{x}?seconds=6") for x in ("mutex", "allocs", "block", "profile")}
    time.sleep(1)
    load(port, 3)
    live = {name: background.result() for name, background in live.items()}
    ago = int(time.monotonic() - began) + 1
    past = {x: t.get(f"{x}?seconds=-{ago}") for x in live}
    got = {}
    for name in live:
        kind = "cpu" if name == "profile" else name
        bodies = [x[name].body for x in (live, past)]
        check(all(x[name].status == 200 for x in (live, past)), f"{name}: both are there")
        hz = {"hz": 19} if kind == "cpu" else {}
        got[name] = (
            t.judge(bodies[0], kind, is_delta=kind != "cpu"),
            profile_of(t, past[name], kind, **hz),
        )
    for name, index in (("mutex", 1), ("mutex", 0), ("allocs", 1), ("profile", 1)):
        then, now = (sum(s.value[index] for s in x.sample) for x in got[name])
        print(f"{name}, value {index}: live {then:,}, past {now:,}", flush=True)
        check(then > 0, f"{name}: something happened")
        check_near(now, then, 0.05, f"{name}, value {index}: past and live")
    # Waits that last since before the load are in neither's middle: of the program's own functions.
    then, now = (sums(x, 1) for x in got["block"])
    own = [x for x in then if then[x] > 500_000 and x in now and "transfer" in x]
    check(own, f"block: waits in transfers: {sorted(then)} {sorted(now)}")
    for name in own:
        check_near(now[name], then[name], 0.05, f"block: {name}")
    for a, b in got.values():
        types = [[x.text(y.type) for y in x.sample_type] for x in (a, b)]
        check(types[0] == types[1], f"the same values: {types}")
    return past


def views(t, folder, past):
    """Go's pprof opens each, and takes one from the other."""
    for name, answer in past.items():
        path = folder.path / f"{name}.pb.gz"
        path.write_bytes(answer.body)
        out = pprof("-comments", path, cwd=folder.path)
        check("Covers " in out, f"{name}: its comment: {out}")
    live = f"{t.url}/mutex"
    out = pprof("-top", "-base", folder.path / "mutex.pb.gz", live, cwd=folder.path)
    check("Type: delay" in out, f"mutex without its past: {out[:300]}")
    for name in (*DERIVED, *BY_SWITCHES):
        answer = t.get(f"{name}?seconds=-5")
        if name in BY_SWITCHES and answer.status == 501:
            check(answer.headers.get("x-flightrec-scheduling"), f"{name}: which step is said")
            check(len(answer.text()) > 20, f"{name}: refused with a sentence: {answer.text()}")
            continue
        check(check_past(t, name, "?seconds=-5", 5), name)
        out = pprof("-top", f"{t.url}/{name}?seconds=-5", cwd=folder.path)
        check("Type: " in out and "Duration: 5" in out, f"{name}: {out[:300]}")
        text = t.get(f"{name}?debug=1")
        check_reply(text, 200, TEXT, None, what=f"{name}?debug=1", extra=HEADERS)
    answer = t.get("sync")
    check(window_of(answer).get("asked") == "all", f"all: {answer.headers}")
    answer = t.get("syscall?seconds=-5")
    note = answer.headers.get("x-flightrec-note", "")
    check("calls shorter than 10us are counted, not recorded" in note, f"what is left out: {note}")
    began = time.monotonic()
    check(check_past(t, "syscall", "?seconds=2", 2), "the next two seconds")
    check(time.monotonic() - began >= 2, "they had to come first")
    text = t.get("profile?seconds=-5&debug=1")
    check_reply(text, 200, TEXT, None, what="profile as text", extra=HEADERS)
    check(text.text().startswith("cpu profile: total "), text.text()[:100])
    index = t.get("").text()
    for name in (*DERIVED, *BY_SWITCHES):
        check(f"<a href='{name}?debug=1'>{name}</a>" in index, f"the index lists {name}")


def refusals(t):
    for path, words in (
        ("heap?seconds=-30", "allocs?seconds=-30"),
        ("goroutine?seconds=-1", "its past is not kept"),
        ("threadcreate?seconds=-1", "its past is not kept"),
        ("sync?seconds=0", "must be an integer"),
        ("sync?seconds=-1.5", "must be an integer"),
        ("mutex?seconds=0", "must be a positive integer"),
        ("sync?seconds=-121", "WriteTimeout"),
        ("profile?seconds=-121", "WriteTimeout"),
        ("block?seconds=-121", "WriteTimeout"),
    ):
        answer = t.get(path)
        check_reply(answer, 400, TEXT, None, what=path, error=True)
        check(words in answer.text(), f"{path}: {answer.text()}")
    answer = t.get("sync?seconds=-5&pid=1")
    check_reply(answer, 404, TEXT, None, what="a foreign pid", error=True)
    answer = t.request("/debug/pprof/sync?seconds=-5", "DELETE")
    check(answer.status == 405 and "allow" in answer.headers, f"DELETE: {answer.status}")
    answer = t.request("/debug/pprof/sync?seconds=-5", "HEAD")
    check(answer.status == 200 and not answer.body, f"HEAD: {answer.status}")
    check("x-flightrec-window" in answer.headers, f"HEAD: {answer.headers}")


def many(t, recorder):
    """More askers than are served at once all get an answer; who leaves leaves nothing behind."""
    status = f"/proc/{recorder.process.pid}/status"
    ours = {str(recorder.folder.bin / x) for x in ("trace-view", "trace-record")}
    running = [Background(t.get, f"{x}?seconds=-5") for x in (*DERIVED, *PAST) for _ in range(2)]
    answers = [x.result() for x in running]
    codes = sorted({x.status for x in answers})
    check(200 in codes and set(codes) <= {200, 429}, f"many at once: {codes}")
    check(
        all("retry-after" in x.headers for x in answers if x.status == 429), "429 says when to come"
    )
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", t.port, timeout=10)
        connection.request("GET", "/debug/pprof/wall?seconds=-10")
        time.sleep(0.02)
        connection.close()

    def is_quiet():
        running = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                running += os.readlink(f"/proc/{pid}/exe") in ours
            except OSError:
                continue
        return running == 1  # the recorder itself

    check(wait_for(is_quiet, 20), "nothing goes on for clients that left")
    left = [x for x in os.listdir("/var/tmp") if x.startswith(f".flightrec-{recorder.process.pid}")]
    check(not left, f"no folder is left: {left}")
    rss = int(re.search(r"VmRSS:\s*(\d+)", open(status).read()).group(1))
    print(f"the recorder's memory after {len(answers) + 5} profiles: {rss} kB", flush=True)
    check(rss < 200 << 10, f"the recorder stays small: {rss} kB")


def after_death(t, recorder):
    children = open(f"/proc/{recorder.process.pid}/task/{recorder.process.pid}/children").read()
    for pid in children.split():
        if open(f"/proc/{pid}/comm").read().strip() == "buggycache":
            os.kill(int(pid), signal.SIGKILL)
    check(wait_for(lambda: recorder.get("/healthz")[0] != 200, 10), "the program is dead")
    time.sleep(2)
    for name in ("mutex", "sync", "profile"):
        answer = t.get(f"{name}?seconds=-8")
        check(answer.status == 200, f"{name} of the dead: {answer.status} {answer.text()[:200]}")
        if answer.status == 200:
            covered = seconds_of(window_of(answer).get("covered", ""))
            check(covered > 4, f"{name} of the dead counts back from its end: {answer.headers}")


def short_ring(folder):
    """Less than was asked for is given, and said; without CPU samples there is no CPU past."""
    recorder, t, _port = start_buggycache(folder, "--cpu-always", "0")
    with recorder:
        answer = t.get("sync?seconds=-60")
        check(answer.status == 200, f"what there is: {answer.status} {answer.text()[:200]}")
        note = answer.headers.get("x-flightrec-note", "")
        check("Of the 1m0s asked for, only" in note, f"said: {answer.headers}")
        (folder.path / "short.pb.gz").write_bytes(answer.body)
        out = pprof("-comments", folder.path / "short.pb.gz", cwd=folder.path)
        check("Of the 1m0s asked for, only" in out, f"in the profile: {out}")
        answer = t.get("profile?seconds=-5")
        check_reply(answer, 409, TEXT, None, what="no samples are kept", error=True)
        check("--cpu-always" in answer.text(), answer.text())


def untold(folder):
    """Where nothing is known of the scheduler, no profile of it. A short CPU past is said."""
    recorder, t, _port = start_buggycache(folder, "--sched", "off")
    with recorder:
        answer = t.get("sched?seconds=-5")
        extra = {"x-flightrec-scheduling"}
        check_reply(answer, 501, TEXT, None, what="sched, off", error=True, extra=extra)
        check("no sched profile" in answer.text(), answer.text())
        answer = t.get("profile?seconds=-60")
        check(answer.status == 200, f"profile?seconds=-60: {answer.status}")
        note = answer.headers.get("x-flightrec-note", "")
        check("Of the 1m0s asked for, only" in note, f"the CPU past is short: {answer.headers}")


def main():
    with Folder() as folder:
        options = ["--lock-threshold", "0s", "--block-rate", "all", "--mutex-fraction", "1"]
        options += ["--alloc-rate", "16K", "--max-duration", "2m", "--linger", "60s"]
        recorder, t, port = start_buggycache(folder, *options)
        t.rate = 16384
        with recorder:
            time.sleep(1)
            past = agreement(t, port)
            views(t, folder, past)
            refusals(t)
            threading.Thread(target=load, args=(port, 2), daemon=True).start()
            many(t, recorder)
            time.sleep(2)
            after_death(t, recorder)
        short_ring(folder)
        untold(folder)
    done()


if __name__ == "__main__":
    main()
