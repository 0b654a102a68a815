#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""A storm on the recorder: many clients mix every endpoint, beside a program that checks its own work.

    BUILD_DIR=build SOURCE_DIR=. tests/bench/storm.py [--clients 200] [--seconds 300]

Fails on a status that the endpoint may not give, on a damaged profile, on file descriptors or memory
that grow, and when the program's work is wrong. Prints what was asked and what it cost the program.
"""
import argparse
import collections
import gzip
import http.client
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
from lib import Folder, Recorder, check, done  # noqa: E402
from pprof_lib import B, SNAPSHOTS, rules  # noqa: E402

BUSY = (429, 503)  # "one at a time", and "too many connections"

# (weight, method, path, body, statuses besides those of a busy server)
ENDPOINTS = [
    *[(6, "GET", f"{B}/{x}", None, (200,)) for x in (*SNAPSHOTS, "thread")],
    *[(3, "GET", f"{B}/{x}?debug=1", None, (200,)) for x in (*SNAPSHOTS, "thread")],
    (6, "GET", f"{B}/goroutine?debug=2", None, (200,)),
    (4, "GET", f"{B}/heap?gc=1", None, (200,)),
    *[(1, "GET", f"{B}/{x}?seconds=1", None, (200,)) for x in SNAPSHOTS],
    (3, "GET", f"{B}/profile?seconds=1", None, (200, 500)),
    (1, "GET", f"{B}/trace?seconds=0.3", None, (200, 500)),
    (6, "GET", f"{B}/", None, (200,)),
    (4, "GET", f"{B}/cmdline", None, (200,)),
    (4, "POST", f"{B}/symbol", b"0x1+0x2+0x400000", (200,)),
    (2, "GET", f"{B}/symbol?0x1", None, (200,)),
    (4, "HEAD", f"{B}/heap", None, (200,)),
    (4, "GET", f"{B}/nosuch", None, (404,)),
    (3, "GET", f"{B}/heap?seconds=x", None, (400,)),
    (3, "GET", f"{B}/heap?seconds=1&debug=1", None, (400,)),
    (3, "DELETE", f"{B}/heap", None, (405,)),
    (6, "GET", "/debug/trace/status", None, (200,)),
    (6, "GET", "/healthz", None, (200,)),
    (6, "GET", "/metrics", None, (200,)),
    (3, "GET", "/", None, (200,)),
    (2, "GET", "/nowhere", None, (404,)),
    (1, "GET", "/debug/trace/recorder/run?duration=1s", None, (200, 409)),
    (1, "GET", "/debug/trace/recorder/stop", None, (200, 404, 409)),
    (1, "GET", "/debug/trace/recorder/snapshot", None, (200, 409)),
]
WEIGHTS = [x[0] for x in ENDPOINTS]
JUDGED = 0.01  # share of profiles that go through the whole checker; all are unpacked


class Storm:
    def __init__(self, port, seconds):
        self.port, self.end = port, time.monotonic() + seconds
        self.counts = collections.Counter()  # (method, path, status)
        self.slowest = collections.defaultdict(float)
        self.n_closed = self.n_left = 0
        self.lock = threading.Lock()

    def judge(self, path, data):
        name = path.removeprefix(f"{B}/")
        if (
            not path.startswith(B)
            or "debug" in name
            or name.startswith(("trace", "symbol", "cmdline"))
        ):
            return ""
        if not name or data[:2] != b"\x1f\x8b":
            return "" if not name else "not gzip"
        gzip.decompress(data)
        if random.random() > JUDGED:
            return ""
        plain, _, query = name.partition("?")
        kind = "cpu" if plain == "profile" else plain
        is_delta = kind != "cpu" and "seconds" in query
        return str(rules.judge(data, rules.Context(kind, is_delta=is_delta)))

    def ask(self, connection, endpoint):
        _, method, path, body, allowed = endpoint
        began = time.monotonic()
        connection.request(method, path, body)
        reply = connection.getresponse()
        data = reply.read()
        fault = self.judge(path, data) if reply.status == 200 and method == "GET" else ""
        with self.lock:
            self.counts[method, path, reply.status] += 1
            self.slowest[path] = max(self.slowest[path], time.monotonic() - began)
            if reply.status not in (*allowed, *BUSY):
                check(False, f"{method} {path}: status {reply.status}: {data[:200]!r}")
            if fault:
                check(False, f"{path}: {fault[:500]}")

    def client(self, seed):
        dice = random.Random(seed)
        connection = None
        while time.monotonic() < self.end:
            endpoint = dice.choices(ENDPOINTS, WEIGHTS)[0]
            try:
                connection = connection or http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=60
                )
                if dice.random() < 0.03:  # a client that does not wait for its answer
                    connection.request("GET", f"{B}/heap?seconds=5")
                    self.n_left += 1
                    connection.close()
                    connection = None
                    continue
                self.ask(connection, endpoint)
                if dice.random() < 0.3:
                    connection.close()
            except (OSError, http.client.HTTPException) as error:
                # Beyond its limit of connections a server may close one unanswered.
                if isinstance(error, TimeoutError):
                    check(False, f"{endpoint[2]}: no answer within 60 s")
                self.n_closed += 1
                connection.close()
                connection = None
                time.sleep(0.01)
        if connection:
            connection.close()


def descendants(pid):
    """Processes below `pid`, itself too: {pid: name}."""
    out = subprocess.run(["ps", "-eo", "pid,ppid,comm"], capture_output=True, check=True).stdout
    rows = [line.split(None, 2) for line in out.decode().splitlines()[1:]]
    found, grew = {pid}, True
    while grew:
        new = {int(row[0]) for row in rows if int(row[1]) in found} | found
        found, grew = new, new != found
    return {int(row[0]): row[2] for row in rows if int(row[0]) in found and row[2] != "ps"}


def measure(pid):
    """{name: (fds, own memory in kB, threads)} of the recorder, its daemons and the program."""
    result = {}
    for one, name in descendants(pid).items():
        try:
            status = Path(f"/proc/{one}/status").read_text()
            n_fds = len(os.listdir(f"/proc/{one}/fd"))
        except OSError:
            continue
        match = re.search(r"RssAnon:\s+(\d+)", status)  # not the pages of files that it shares
        rss = int(match[1]) if match else 0
        result[f"{name.strip()}"] = (n_fds, rss, int(re.search(r"Threads:\s+(\d+)", status)[1]))
    return result


def rounds_of(text):
    match = re.search(r"rounds=(\d+) wrong=(\d+)", text)
    return (
        (int(match[1]), int(match[2]))
        if check(match, f"the program tells: {text[-300:]}")
        else (0, 1)
    )


def bare_rate(program, seconds):
    process = subprocess.Popen([program], stdout=subprocess.PIPE)
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    n_rounds, n_wrong = rounds_of(process.communicate()[0].decode())
    check(n_wrong == 0, "bare, too, the work is right")
    return n_rounds / seconds


def compare(early, late):
    """File descriptors and memory that were there after warming up, and are at the end."""
    for name, (n_fds, rss, n_threads) in late.items():
        before = early.get(name)
        print(
            f"  {name:<16} fds {before and before[0]} -> {n_fds}, memory {before and before[1]} -> {rss} kB,"
            f" threads {before and before[2]} -> {n_threads}"
        )
        if before:
            check(n_fds <= before[0] + 2, f"{name}: {before[0]} fds became {n_fds}")
            is_good = rss <= before[1] * 1.25 + 16384
            check(is_good, f"{name}: memory {before[1]} kB became {rss} kB")


def run(options, folder):
    program = folder.programs / "known_storm"
    bare = bare_rate(program, min(5, options.seconds))
    with Recorder(folder, [program]) as recorder:
        began = time.monotonic()
        quiet = measure(recorder.process.pid)
        half = Storm(recorder.port, options.seconds / 3)
        full = Storm(recorder.port, options.seconds)
        full.counts = half.counts
        sizes = {}
        for storm, mark in ((half, "early"), (full, "late")):
            threads = [
                threading.Thread(target=storm.client, args=(f"{mark}{i}",))
                for i in range(options.clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            # What clients left behind ends when the server looks next: at most a delta's time.
            time.sleep(min(8, options.seconds / 4))
            sizes[mark] = measure(recorder.process.pid)
        full.n_closed += half.n_closed
        report(full, options)
        print(f"quiet: {quiet}")
        compare(sizes["early"], sizes["late"])
        lived = time.monotonic() - began
        check(recorder.get("/healthz")[0] == 200, "the recorder is well after the storm")
        code = recorder.stop()
        check(code == 0, f"the program ends well: {code}")
        n_rounds, n_wrong = rounds_of(recorder.stderr())
        check(n_wrong == 0, f"{n_wrong} of its rounds went wrong")
        print(f"program: {n_rounds / lived:.0f} rounds/s in the storm, {bare:.0f} alone")
        check(n_rounds > 0, "it worked meanwhile")


def report(storm, options):
    total = sum(storm.counts.values())
    by_status = collections.Counter()
    answered = collections.Counter()
    for (method, path, status), n in storm.counts.items():
        by_status[status] += n
        answered[method, path] += n if status not in BUSY else 0
    print(
        f"{total} answers to {options.clients} clients, {dict(sorted(by_status.items()))},"
        f" {storm.n_closed} connections closed unanswered"
    )
    slowest = sorted(storm.slowest.items(), key=lambda x: -x[1])[:6]
    print("slowest: " + ", ".join(f"{path} {seconds:.1f} s" for path, seconds in slowest))
    for _, method, path, _, _ in ENDPOINTS:
        check(
            answered[method, path] or options.seconds < 60, f"{method} {path} was answered at all"
        )
    check(total > options.clients, f"{total} answers")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    options = parser.parse_args()
    with Folder() as folder:
        run(options, folder)
    done()


if __name__ == "__main__":
    main()
