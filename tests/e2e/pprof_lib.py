# SPDX-License-Identifier: MIT
"""What the tests of served profiles share: requests with exact answers, pprof, and one checker for all.

A Target is a server of /debug/pprof: trace-record beside a program, or a real Go program. Each profile
that a test takes from one goes through tests/lib/pprof.
"""
import http.client
import http.server
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lib import SOURCE, check

sys.path.insert(0, str(SOURCE / "tests/lib"))
from pprof import legacy, rules  # noqa: E402

B = "/debug/pprof"
SNAPSHOTS = ("allocs", "block", "goroutine", "heap", "mutex", "threadcreate")
OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
# What every answer may carry besides the headers that the contract names.
FREE_HEADERS = {
    "date",
    "connection",
    "content-length",
    "transfer-encoding",
    "content-type",
    "keep-alive",
}


@dataclass
class Answer:
    status: int
    headers: dict  # lower-case names
    body: bytes
    seconds: float  # from sending to the end of the body
    since: float  # wall clock
    until: float

    def text(self):
        return self.body.decode("utf-8", "replace")


class Target:
    """A server at 127.0.0.1:port that serves the program `binary`, started as `argv`."""

    def __init__(self, port, binary, argv, custom, *, is_go=False, pid=0, n_symbols=0, symbol=None):
        self.port, self.binary, self.argv, self.custom = port, Path(binary).name, argv, custom
        self.path, self.is_go, self.pid = Path(binary), is_go, pid
        self.symbol = symbol  # (address, name) of a function
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}{B}"
        self.skip = GO_SKIPS if is_go else frozenset()
        self.rate = 524288

    def request(self, path, method="GET", *, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        since, began = time.time(), time.monotonic()
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        names = [name.lower() for name, _ in reply.getheaders()]
        check(len(names) == len(set(names)), f"{method} {path}: no header twice: {names}")
        data = reply.read()
        answer = Answer(
            reply.status,
            {name.lower(): value for name, value in reply.getheaders()},
            data,
            time.monotonic() - began,
            since,
            time.time(),
        )
        connection.close()
        return answer

    def get(self, name, **more):
        return self.request(f"{B}/{name}", **more)

    def judge(self, data, kind, **more):
        """Puts a profile through the checker; returns it."""
        context = rules.Context(kind, binary=self.binary, skip=self.skip, rate=self.rate, **more)
        verdict = rules.judge(data, context)
        check(not verdict.faults, f"{kind} keeps the rules: {verdict}")
        return verdict.profile

    def profile(self, name, *, kind=None, query="", seconds=0, is_delta=False, hz=100):
        """A profile by request, with its headers and its content checked."""
        plain = name.partition("?")[0]
        kind = kind or ("cpu" if plain == "profile" else plain)
        answer = self.get(name + query, timeout=seconds + 60)
        shown = f"{plain}-delta" if is_delta else plain
        check_reply(answer, 200, OCTETS, f'attachment; filename="{shown}"', what=name + query)
        if answer.status != 200:
            print(answer.text()[:500])
            return None
        return self.judge(
            answer.body,
            kind,
            is_delta=is_delta,
            since=answer.since,
            until=answer.until,
            seconds=seconds,
            hz=hz,
        )

    def text(self, name):
        """A text profile by request, read strictly."""
        answer = self.get(f"{name}?debug=1")
        check_reply(answer, 200, TEXT, None, what=f"{name}?debug=1")
        return read_text(answer.body, name)


# Our own rules are stricter than Go 1.19: it keeps samples of one stack whose label sets are equal but
# distinct objects apart, writes threads without a stack, objects that were freed before the first
# collection as zeros, and in deltas calls mappings without locations symbolized.
GO_SKIPS = frozenset({"sample-double", "sample-empty", "sample-zero", "has-functions"})


def names_of(profile, sample):
    """[[functions] of each frame], leaf first; inlined functions before those they are in."""
    frames = []
    for location in sample.location_id:
        lines = profile.location[location - 1].line
        frames.append([profile.text(profile.function[x.function_id - 1].name) for x in lines])
    return frames


def sums(profile, index):
    """{function: sum of one value} over the samples in whose stacks it is."""
    totals = {}
    for sample in profile.sample:
        for name in {name for frame in names_of(profile, sample) for name in frame}:
            totals[name] = totals.get(name, 0) + sample.value[index]
    return totals


def read_text(data, name):
    try:
        return legacy.read(data, name)
    except (legacy.TextError, UnicodeDecodeError, ValueError) as error:
        check(False, f"{name}?debug=1 is well formed: {error}")
        return legacy.Text([0, 0, 0, 0, 0])


def read_dump(data):
    try:
        return legacy.read_dump(data)
    except (legacy.TextError, UnicodeDecodeError, ValueError) as error:
        check(False, f"goroutine?debug=2 is well formed: {error}")
        return [], []


def check_reply(answer, status, content_type, disposition, *, what, error=False, extra=()):
    """Status and every header of an answer, by row of the contract's table 1.2."""
    check(
        answer.status == status,
        f"{what}: status {answer.status}, not {status}: {answer.text()[:200]}",
    )
    headers = dict(answer.headers)
    got = headers.get("content-type")
    check(got == content_type, f"{what}: Content-Type {got}, not {content_type}")
    got = headers.pop("content-disposition", None)
    check(got == disposition, f"{what}: Content-Disposition {got}, not {disposition}")
    got = headers.pop("x-content-type-options", None)
    check(got == "nosniff", f"{what}: X-Content-Type-Options {got}, not nosniff")
    got = headers.pop("x-go-pprof", None)
    check(got == ("1" if error else None), f"{what}: X-Go-Pprof {got}")
    left = set(headers) - FREE_HEADERS - set(extra)
    check(not left, f"{what}: headers that nobody asked for: {left}")


def check_error(target, path, status, sentence, *, method="GET", body=None):
    """An error of a pprof handler: its exact body and headers. Returns the answer."""
    answer = target.request(path, method, body=body)
    check_reply(answer, status, TEXT, None, what=f"{method} {path}", error=True)
    want = sentence.encode() + b"\n"
    check(answer.body == want, f"{method} {path}: {answer.body!r}, not {want!r}")
    return answer


def run_pprof(*argv, tool="go", cwd="/tmp", timeout=120, env=None, home=None):
    """(exit code, stdout, stderr) of `go tool pprof` or google-pprof, in an empty home."""
    command = ["go", "tool", "pprof"] if tool == "go" else [tool]
    environment = dict(os.environ, HOME=str(home or cwd), PPROF_TMPDIR=str(cwd), **(env or {}))
    environment.pop("PPROF_BINARY_PATH", None) if "PPROF_BINARY_PATH" not in (env or {}) else None
    result = subprocess.run(
        [*command, *[str(x) for x in argv]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        cwd=cwd,
        env=environment,
        check=False,
    )
    return (
        result.returncode,
        result.stdout.decode("utf-8", "replace"),
        result.stderr.decode("utf-8", "replace"),
    )


def pprof(*argv, **more):
    """Output of `go tool pprof`, which must succeed."""
    code, out, err = run_pprof(*argv, **more)
    check(code == 0, f"go tool pprof {' '.join(map(str, argv))}: {code}: {err[-500:]}")
    return out


class Proxy:
    """Passes requests on to a server, and keeps what was asked: [(method, path, body, status)]."""

    def __init__(self, port):
        proxy = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def forward(self):
                n = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(n) if n else None
                there = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                there.request(self.command, self.path, body, headers)
                reply = there.getresponse()
                data = proxy.change(self.path, reply.read())
                proxy.seen.append((self.command, self.path, body, reply.status))
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in (
                        "transfer-encoding",
                        "content-length",
                        "date",
                        "connection",
                    ):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = forward

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def change(_path, data):
        """What becomes of the body of an answer."""
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Background:
    """Runs a function beside the test; result() waits for what it returned, or raises what it raised."""

    def __init__(self, function, *args, **more):
        self.value = self.error = None

        def run():
            try:
                self.value = function(*args, **more)
            except Exception as error:  # noqa: BLE001 - handed to the test's own thread
                self.error = error

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def result(self, timeout=180):
        self.thread.join(timeout)
        if self.error:
            raise self.error
        if self.thread.is_alive():
            raise TimeoutError("a background request does not end")
        return self.value
