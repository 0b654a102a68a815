#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""/debug/pprof of trace-record, by request and exact answer: the 25 checks, and the rows of the tables.

    pprof_contract.py checks|rows|more
"""
import gzip
import http.client
import re
import shutil
import socket
import subprocess
import sys
import threading

from lib import Folder, Recorder, check, done, wait_for

from pprof_lib import (
    B, OCTETS, SNAPSHOTS, TEXT, Background, Proxy, Target, check_reply, pprof, read_dump, read_text,
    run_pprof,
)  # fmt: skip
from pprof import proto
import pprof_checks
import pprof_rows

ARGUMENTS = ["a", "", "b c"]


class Known:
    """known_profiles under trace-record, as a Target."""

    def __init__(self, folder, program=None, options=()):
        program = program or folder.programs / "known_profiles"
        self.argv = [program, *ARGUMENTS]
        self.recorder = Recorder(folder, self.argv, options=options)
        pattern = r"ready symbol=0x([0-9a-f]+) name=(\w+)"
        wait_for(lambda: re.search(pattern, self.recorder.stderr()), 20)
        match = re.search(pattern, self.recorder.stderr())
        if not check(match, f"the program starts: {self.recorder.stderr()[-500:]}"):
            done()
        self.target = Target(
            self.recorder.port,
            program,
            self.argv,
            "my/custom.prof",
            symbol=(int(match[1], 16), match[2]),
        )

    def __enter__(self):
        return self.target

    def __exit__(self, *exception):
        self.recorder.__exit__(*exception)


def check_23_restart(folder):
    """A program with a random address, started twice: its functions merge."""
    files = []
    for i in range(2):
        with Known(folder) as t:
            path = folder.path / f"start{i}.gz"
            path.write_bytes(t.get("heap").body)
            files.append(path)
    out = pprof("-top", "-alloc_objects", *files, cwd=folder.path)
    check(len(re.findall(r" known_leak$", out, re.M)) == 1, f"one function of two runs: {out}")
    raw = pprof("-raw", *files, cwd=folder.path)
    names = re.findall(r"^ *\d+: 0x\S+ M=\d+ known_leak ", raw, re.M)
    check(len(names) == 1, f"at one place: {names}")


class Nameless(Proxy):
    """A recorder whose profiles come without names, and from a file that is not here."""

    @staticmethod
    def change(path, data):
        if data[:2] != b"\x1f\x8b":
            return data
        profile, _ = proto.decode(gzip.decompress(data))
        profile.function = []
        for x in profile.location:
            x.line = []
        profile.string_table.append(b"/nowhere/known_profiles")
        profile.string_table.append(b"")
        for m in profile.mapping:
            m.has_functions = m.has_filenames = m.has_line_numbers = m.has_inline_frames = 0
            m.filename = len(profile.string_table) - 2
            m.build_id = 0
        return gzip.compress(proto.encode(profile))


def check_24(folder, t):
    """Frames without names: pprof asks the symbol service for them."""
    with Nameless(t.port) as proxy:
        out = pprof("-top", "-alloc_space", f"http://{proxy.host}{B}/heap", cwd=folder.path)
    posts = [(path, body) for method, path, body, _ in proxy.seen if method == "POST"]
    check(posts and all(path == f"{B}/symbol" for path, _ in posts), f"asked: {proxy.seen}")
    check(all(re.fullmatch(rb"0x[0-9a-f]+(\+0x[0-9a-f]+)*", x) for _, x in posts), f"{posts}")
    check("known_leak" in out, f"and shows the names: {out}")


def check_24_stripped(folder):
    program = folder.path / "stripped"
    shutil.copy(folder.programs / "known_profiles", program)
    subprocess.run(["strip", "-s", program], check=True)
    with Known(folder, program) as t:
        for name in (*SNAPSHOTS, t.custom):
            t.profile(name)
            code, out, err = run_pprof("-top", f"{t.url}/{name}", cwd=folder.path)
            check(code == 0, f"stripped: {name}: {err[-300:]}")
            check("known_" not in out, f"stripped: {name} has no names: {out}")
        out = pprof("-top", "-alloc_space", f"{t.url}/heap", cwd=folder.path)
        check("stripped" in out, f"the program stands for its functions: {out}")
        t.profile("profile?seconds=1", seconds=1)
        read_text(t.get("goroutine?debug=1").body, "goroutine")
        read_dump(t.get("goroutine?debug=2").body)


def check_thread(t):
    """`thread` is goroutine by our own word."""
    for query, kind in (("", OCTETS), ("?debug=1", TEXT), ("?debug=2", TEXT)):
        answer = t.get(f"thread{query}")
        shown = 'attachment; filename="thread"' if not query else None
        check_reply(answer, 200, kind, shown, what=f"thread{query}")
    one, other = t.text("thread"), t.text("goroutine")
    check(one.header == other.header, f"{one.header} threads and {other.header}")
    t.profile("thread", query="?seconds=1", seconds=1, is_delta=True)


def check_google(folder, t):
    """google-pprof, the older tool, reads the text forms with the program at hand."""
    for name, argv, want in (
        ("heap", ["--alloc_space"], "known_leak"),
        ("heap", ["--inuse_objects"], "known_leak"),
        ("allocs", [], "known_leak"),
    ):
        path = folder.path / f"google-{name}.txt"
        path.write_bytes(t.get(f"{name}?debug=1").body)
        code, out, err = run_pprof(
            "--text", *argv, t.path, path, tool="google-pprof", cwd=folder.path
        )
        check(code == 0, f"google-pprof {name} {argv}: {err[-300:]}")
        check(want in out, f"google-pprof {name} {argv}: {out[:600]}")
        match = re.search(r"Total: ([0-9.]+) (MB|objects)", out)
        if match and match[2] == "MB":
            check(5 < float(match[1]) < 16, f"about 10 MB: {match[0]}")
        elif "objects" in " ".join(argv):
            check(re.search(r"Total: \d+ objects", out), f"objects: {out[:200]}")


def check_index_counts(t):
    """The numbers on the index page are those of the profiles (1.9)."""
    counts = pprof_checks.index_counts(t)
    heap = t.text("heap")
    check(counts["heap"] == counts["allocs"], f"heap {counts['heap']}, allocs {counts['allocs']}")
    check(
        abs(counts["heap"] - len(heap.records)) <= 3, f"heap {counts['heap']}: {len(heap.records)}"
    )
    for name in ("block", "mutex"):
        n = len(t.text(name).records)
        check(counts[name] == n, f"{name}: {counts[name]} on the page, {n} in the text")
    threads = t.text("threadcreate").header[0]
    check(counts["threadcreate"] == threads, f"threadcreate {counts['threadcreate']}: {threads}")


def check_idle_server(t):
    """Thirty seconds of profile are longer than any time that a quiet connection may take."""
    held = Background(t.get, "profile?seconds=20")
    delta = Background(t.get, "heap?seconds=20")
    for name, answer in (("profile", held.result()), ("heap", delta.result())):
        check(answer.status == 200 and answer.body, f"{name} of 20 s is whole: {answer.status}")


def check_cpu_labels(t):
    profile = t.profile("profile?seconds=1", seconds=1)
    labels = {(profile.text(x.key), profile.text(x.str)) for s in profile.sample for x in s.label}
    check(("handler", "checkout") in labels, f"labels of CPU samples: {labels}")


def check_many_readers(t):
    """Snapshots may be taken side by side; each is whole."""
    names = [*SNAPSHOTS, "goroutine?debug=1", "goroutine?debug=2", "heap?debug=1", ""] * 3
    answers = [None] * len(names)

    def take(i):
        answers[i] = t.get(names[i])

    threads = [threading.Thread(target=take, args=(i,)) for i in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, answer in zip(names, answers):
        check(answer.status in (200, 429), f"{name}: {answer.status} {answer.text()[:100]}")
        if name in SNAPSHOTS and answer.status == 200:
            t.judge(answer.body, name)
        elif name.endswith("2") and answer.status == 200:
            read_dump(answer.body)


def check_habits(t):
    """What other clients do: one connection for many requests, HTTP/1.0, encoded and repeated parameters."""
    connection = http.client.HTTPConnection("127.0.0.1", t.port, timeout=30)
    for path in (f"{B}/heap", f"{B}/nosuch", f"{B}/heap?debug=1", f"{B}/goroutine"):
        connection.request("GET", path)
        reply = connection.getresponse()
        check(reply.read() and reply.status in (200, 404), f"kept alive: {path}: {reply.status}")
    connection.close()
    with socket.create_connection(("127.0.0.1", t.port), timeout=30) as plain:
        plain.sendall(f"GET {B}/heap HTTP/1.0\r\n\r\n".encode())
        data = b"".join(iter(lambda: plain.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    check(b" 200 " in head.split(b"\r\n")[0], f"HTTP/1.0: {head[:200]}")
    t.judge(body, "heap")
    answer = t.get("heap", headers={"Accept-Encoding": "gzip, deflate, br", "Range": "bytes=0-9"})
    check(answer.status == 200 and "content-encoding" not in answer.headers, f"{answer.headers}")
    t.judge(answer.body, "heap")
    t.profile("heap", query="?seconds=%31", seconds=1, is_delta=True)
    t.profile("heap", query="?seconds=1&seconds=x", seconds=1, is_delta=True)
    custom = t.custom.replace("/", "%2F")
    answer = t.get(f"{custom}?debug=1")
    check(answer.status == 200, f"{custom}, as the index page has it: {answer.status}")
    for link in re.findall(r"href=['\"]?([^'\" >]+)", t.get("").text()):
        if link.partition("?")[0] not in ("profile", "trace"):
            check(t.get(link).status == 200, f"the link {link} of the index page works")
    for name in ("go", "google"):
        agent = t.get("heap", headers={"User-Agent": name, "Accept": "text/html"})
        check(agent.headers["content-type"] == OCTETS, "the type does not depend on who asks")


def run_more(folder):
    check_23_restart(folder)
    check_24_stripped(folder)
    with Known(folder) as t:
        check_24(folder, t)
        check_thread(t)
        check_google(folder, t)
        check_index_counts(t)
        check_cpu_labels(t)
        check_many_readers(t)
        check_habits(t)
        check_idle_server(t)


def main():
    what = sys.argv[1]
    with Folder() as folder:
        if what == "more":
            run_more(folder)
        else:
            with Known(folder) as target:
                if what == "checks":
                    pprof_checks.run_all(target, folder.new())
                else:
                    pprof_rows.run_all(target)
    done()


main()
