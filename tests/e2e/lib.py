# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: run programs bare and recorded, ask the recorder, read traces.

Each test uses its own temporary folder and ephemeral ports. A failed check is printed and counted;
done() ends the test with the verdict, and fails a test that checked nothing.
"""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ["BUILD_DIR"]).resolve()
SOURCE = Path(os.environ["SOURCE_DIR"]).resolve()
PROGRAMS = BUILD / "programs"
NOBODY = 65534
IS_ROOT = os.getuid() == 0

_n_checks = 0
_n_failed = 0


def check(is_good, what):
    """Counts one check; says what failed."""
    global _n_checks, _n_failed
    _n_checks += 1
    if not is_good:
        _n_failed += 1
        print(f"FAILED: {what}", flush=True)
    return is_good


def check_near(got, want, share, what):
    return check(
        abs(got - want) <= share * want,
        f"{what}: {got:,} is not within {share:.0%} of {want:,}",
    )


def done():
    print(f"{_n_checks} checks, {_n_failed} failed", flush=True)
    sys.exit(1 if _n_failed or not _n_checks else 0)


class Folder:
    """A temporary folder that every user may enter, with the product copied into it.

    The copy proves that nothing depends on the build folder, and lets `nobody` run it when the
    build lies in somebody's home.
    """

    def __init__(self):
        # So that a test that is told to end removes it, too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self.path = Path(tempfile.mkdtemp(prefix="flightrec-e2e-"))
        self.path.chmod(0o755)
        for part in ("bin", "lib", "programs", "examples"):
            if (BUILD / part).is_dir():
                shutil.copytree(BUILD / part, self.path / part, symlinks=True)
        self.bin = self.path / "bin"
        self.programs = self.path / "programs"
        self.n_made = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0] is not None and os.environ.get("FLIGHTREC_KEEP"):
            return
        # A process that was just killed may be writing its last file. What cannot be removed fails the test.
        if not wait_for(self._is_removed, 10):
            shutil.rmtree(self.path)

    def _is_removed(self):
        shutil.rmtree(self.path, ignore_errors=True)
        return not self.path.exists()

    def new(self, uid=None):
        """A fresh folder inside, owned by `uid`."""
        self.n_made += 1
        path = self.path / f"t{self.n_made}"
        path.mkdir()
        if uid is not None and IS_ROOT:
            os.chown(path, uid, uid)
        return path


def as_user(argv, uid):
    """The command line that runs `argv` as `uid`; None: as ourselves."""
    if uid is None or uid == os.getuid():
        return argv
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *argv]


class Result:
    def __init__(self, code, out, err):
        self.code = code if code >= 0 else 128 - code  # as a shell tells deaths by signal
        self.out = out
        self.err = err

    def ours(self, with_others=False):
        """The recorder's own lines; those on what killed recorders of other tests have left only where they are wanted."""
        lines = [x for x in self.err.decode("utf-8", "replace").splitlines() if is_ours(x)]
        return [x for x in lines if with_others or "--recover writes" not in x]

    def theirs(self):
        """What the program itself wrote to stderr."""
        lines = self.err.splitlines(keepends=True)
        return b"".join(x for x in lines if not is_ours(x.decode("utf-8", "replace")))


def is_ours(line):
    return line.startswith("trace-record: ")


def run(argv, *, stdin=b"", cwd=None, uid=None, env=None, timeout=90):
    """Runs to the end; stdin comes from a pipe. Kills the whole group when it takes too long."""
    environment = dict(os.environ, LC_ALL="C.UTF-8", HOME=str(cwd or "/tmp"), **(env or {}))
    environment.pop("BUILD_DIR", None)
    process = subprocess.Popen(
        as_user([str(x) for x in argv], uid),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        check(False, f"ended within {timeout} s: {' '.join(str(x) for x in argv)[:200]}")
    return Result(process.returncode, out, err)


def recorded(folder, argv, *, options=(), output=None, **more):
    """The same program under trace-record."""
    output = output or folder.new(more.get("uid"))
    command = [folder.bin / "trace-record", "--listen", "127.0.0.1:0", "--output-dir", output]
    return run([*command, *options, "--", *argv], **more)


def view(folder, *argv, timeout=120):
    return run([folder.bin / "trace-view", *argv], timeout=timeout)


def summary(folder, trace):
    result = view(folder, "summary", "--json", trace)
    if not check(result.code == 0, f"trace-view summary: {result.err.decode()}"):
        done()
    return json.loads(result.out)


class Recorder:
    """A program that runs under trace-record in the background, and its HTTP side."""

    def __init__(self, folder, argv, *, options=(), uid=None, cwd=None):
        self.folder = folder
        self.output = folder.new(uid)
        port_file = self.output / "port"
        self.log = open(self.output / "stderr", "w+b")
        self.process = subprocess.Popen(
            as_user(
                [
                    str(x)
                    for x in (
                        folder.bin / "trace-record",
                        "--listen",
                        "127.0.0.1:0",
                        "--port-file",
                        port_file,
                        "--output-dir",
                        self.output,
                        *options,
                        "--",
                        *argv,
                    )
                ],
                uid,
            ),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            cwd=cwd or self.output,
            start_new_session=True,
        )
        if not wait_for(lambda: port_file.exists() or self.process.poll() is not None, 20):
            check(False, "the recorder writes its port file within 20 s")
        self.port = int(port_file.read_text()) if port_file.exists() else 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.stop()
        self.log.close()

    def get(self, path, timeout=60):
        """(status, body) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def json(self, path, timeout=60):
        status, body = self.get(path, timeout)
        return status, json.loads(body)

    def state(self):
        return self.json("/debug/trace/status")[1]

    def record(self, seconds, during=lambda: None):
        """One run of `seconds`, with `during` called meanwhile. Returns the path of trace.out."""
        trace = self.output / "trace.out"
        trace.unlink(missing_ok=True)
        status, body = self.json(f"/debug/trace/recorder/run?duration={seconds}s")
        check(status == 200 and not body["error"], f"run?duration={seconds}s: {status} {body}")
        during()
        check(wait_for(trace.exists, seconds + 60), "trace.out is there after the run")
        return trace

    def stderr(self):
        self.log.flush()
        return Path(self.log.name).read_bytes().decode("utf-8", "replace")

    def stop(self, signal_number=signal.SIGTERM, timeout=30):
        """Passes a signal on to the program, and returns the recorder's exit code."""
        self.process.send_signal(signal_number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            check(False, f"the recorder ends within {timeout} s of signal {signal_number}")
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


def wait_for(condition, seconds):
    """Polls; False when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def free_port():
    """A port that was free a moment ago, for servers that cannot pick one themselves."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def dump(folder, trace):
    """The events of a trace as dictionaries, in the order of `trace-view dump`."""
    result = view(folder, "dump", trace)
    check(result.code == 0, f"trace-view dump: {result.err.decode()}")
    return [parse_event(line) for line in result.out.decode("utf-8", "replace").splitlines()]


FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_event(line):
    """`TIME NAME field=value …`: numbers become int, quoted strings are unquoted."""
    head = line.split(None, 2)
    event = {"time": head[0], "event": head[1]}
    for key, value in FIELD.findall(head[2] if len(head) > 2 else ""):
        if value.startswith('"'):
            event[key] = value[1:-1]
        else:
            try:
                event[key] = int(value, 0)
            except ValueError:
                event[key] = value
    return event
