#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Every view of `go tool pprof` on every profile of a real program, with its binary at hand and without.

    pprof_tools.py redis|memcached|buggycache
"""
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from lib import Folder, Recorder, check, done, free_port, wait_for
from pprof_lib import SNAPSHOTS, Target, pprof, run_pprof


def talk(port, lines):
    """Sends a text protocol's lines over one connection, and reads as many answers as come."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(lines)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Redis:
    """A server to be profiled, and its load."""

    has_names = False  # Debian's binary is stripped

    def __init__(self, folder):
        self.port = free_port()
        self.program = folder.path / "redis-server"
        shutil.copy(shutil.which("redis-server"), self.program)
        self.argv = [self.program, "--port", self.port, "--save", "", "--appendonly", "no"]

    def load(self):
        argv = [
            "redis-benchmark",
            "-p",
            str(self.port),
            "-q",
            "-n",
            "60000",
            "-r",
            "50000",
            "-d",
            "400",
        ]
        subprocess.run(
            [*argv, "-t", "set,get,lpush"], stdout=subprocess.DEVNULL, check=True, timeout=120
        )


class Memcached:
    has_names = False

    def __init__(self, folder):
        self.port = free_port()
        self.program = folder.path / "memcached"
        shutil.copy(shutil.which("memcached"), self.program)
        self.argv = [self.program, "-l", "127.0.0.1", "-p", self.port, "-u", "nobody", "-m", "64"]

    def load(self):
        for n in range(30):
            lines = [f"set k{n}-{i} 0 0 1000\r\n{'x' * 1000}\r\nget k{i}\r\n" for i in range(1000)]
            talk(self.port, "".join(lines).encode())


class Buggycache:
    has_names = True
    n_kept = 0

    def __init__(self, folder):
        self.port = free_port()
        self.program = folder.path / "buggycache"
        shutil.copy(folder.path / "examples/buggycache", self.program)
        self.argv = [self.program, "--port", self.port]

    def load(self):
        """New keys each time, which stay for ever, and one large number."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        paths = [f"/put?key=k{self.n_kept + i}&value={'x' * 8000}" for i in range(1500)]
        self.n_kept += len(paths)
        for path in [*paths, "/fib?n=40", "/transfer?key=k1&from=hot&to=cold"]:
            connection.request("GET", path)
            connection.getresponse().read()
        connection.close()


PROGRAMS = {"redis": Redis, "memcached": Memcached, "buggycache": Buggycache}


def take_all(t, folder, mark, load):
    """{name: file} of every profile, the CPU profile taken under load."""
    files = {}
    begun = subprocess.Popen(
        ["curl", "-s", "-o", folder / f"cpu-{mark}.gz", f"{t.url}/profile?seconds=3"]
    )
    time.sleep(0.3)
    load()
    begun.wait(60)
    files["cpu"] = folder / f"cpu-{mark}.gz"
    t.judge(files["cpu"].read_bytes(), "cpu", seconds=3)
    for name in SNAPSHOTS:
        answer = t.get(name)
        files[name] = folder / f"{name}-{mark}.gz"
        files[name].write_bytes(answer.body)
        t.judge(answer.body, name, since=answer.since, until=answer.until)
    return files


def check_views(files, folder, has_binary, environment, functions):
    for name, path in files.items():
        what = f"{name}, {'with' if has_binary else 'without'} the binary"
        outs = {}
        for view in ("-top", "-traces", "-raw", "-tree"):
            code, out, err = run_pprof(view, path, cwd=folder, env=environment)
            check(code == 0 and out, f"{what}: {view}: {err[-300:]}")
            outs[view] = out
        names = re.findall(r"^ +\S+ +\S+ +\S+ +\S+ +\S+ +(\S.*)$", outs["-top"], re.M)
        for view in ("-peek=.", "-list=^main$|known_", "-disasm=^nothing$"):
            code, out, err = run_pprof(view, path, cwd=folder, env=environment)
            is_good = code == 0 or "no matches found" in err or "no object" in err.lower()
            check(is_good and "panic" not in err, f"{what}: {view}: {code} {err[-300:]}")
        functions[name] = names
        check("unrecognized" not in outs["-top"], f"{what}: {outs['-top'][:200]}")


def check_list(t, program, files, folder):
    """-list shows our own source, line by line."""
    if not program.has_names:
        return
    out = pprof("-list=^worker_fib$", files["cpu"], cwd=folder)
    check("worker_fib(n - 1) + worker_fib(n - 2)" in out, f"-list shows the source: {out[:800]}")
    out = pprof("-peek=worker_fib", files["cpu"], cwd=folder)
    check(re.search(r"worker_fib\n.*\| +handle_fib|handle_fib", out), f"-peek: {out[:800]}")
    check(t.binary == "buggycache", "the program")


def check_differences(first, second, folder):
    for name, path in second.items():
        for flag in ("-base", "-diff_base"):
            code, out, err = run_pprof("-top", flag, first[name], path, cwd=folder)
            check(code == 0 and "Type:" in out, f"{name} {flag}: {err[-300:]}")
        code, out, err = run_pprof("-top", "-base", path, path, cwd=folder)
        match = re.search(r"accounting for (-?\d\S*)", out)
        check(
            code == 0 and match and re.match(r"0\D*,?$", match[1]),
            f"{name} minus itself: {out[:300]}",
        )


def check_leak(program, first, second, folder):
    if program.has_names:
        out = pprof("-top", "-inuse_space", "-base", first["heap"], second["heap"], cwd=folder)
        lines = [x for x in out.splitlines() if re.search(r"% +\S", x)]
        top = "\n".join(lines[:6])
        check("entry_new" in top or "cache_put" in top, f"the leak leads the difference: {out}")
        total = re.search(r"of (\d\S*) total", out)
        check(total and "kB" in total[1] or "MB" in total[1], f"it grows: {total}")


def check_web(program, files, folder):
    """-http serves its pages: flame graph, graph, top, and the source of what has names."""
    pages = [("flamegraph", "flamegraph"), ("top", "top"), ("", "svg")]
    pages += [("source", "")] if program.has_names else []
    for name in ("cpu", "heap", "goroutine"):
        port = free_port()
        argv = ["go", "tool", "pprof", "-no_browser", f"-http=127.0.0.1:{port}", files[name]]
        server = subprocess.Popen(
            argv,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "PPROF_TMPDIR": str(folder)},
            start_new_session=True,  # `go` starts the tool as a child
        )
        try:
            check(wait_for(lambda: is_listening(port), 30), f"{name}: -http listens")
            for page, want in pages[: None if name == "cpu" else 3]:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/ui/{page}", timeout=30
                ) as reply:
                    body = reply.read().decode()
                    check(reply.status == 200 and want in body, f"{name}: /ui/{page}: {body[:200]}")
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def main():
    with Folder() as folder:
        program = PROGRAMS[sys.argv[1]](folder)
        space = folder.new()
        with Recorder(folder, program.argv) as recorder:
            check(wait_for(lambda: is_listening(program.port), 20), recorder.stderr())
            t = Target(recorder.port, program.program, program.argv, "none")
            first = take_all(t, space, "first", program.load)
            second = take_all(t, space, "second", program.load)
            named, nameless = {}, {}
            check_views(second, space, True, {}, named)
            check_list(t, program, second, space)
            check_differences(first, second, space)
            check_leak(program, first, second, space)
            check_web(program, second, space)
        program.program.rename(space / "moved-away")
        check_views(second, space, False, {"PPROF_BINARY_PATH": ""}, nameless)
        if program.has_names:
            check(named == nameless, f"names are in the profile: {named} {nameless}")
    done()


main()
