#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Names of functions: from a debuginfod server, from one that hangs, and what is safe meanwhile."""
import os
import pty
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request

from lib import Folder, Recorder, check, done, dump, free_port, recorded, run, summary, wait_for

SOURCE = r"""
#include <stdio.h>
#include <unistd.h>
static __attribute__((noinline)) void waits_a_little(void)
{
	usleep(2000);
	__asm__ volatile("");
}
int main(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		waits_a_little();
}
"""


class Program:
    """A stripped program, with its debug file in a folder of its own."""

    def __init__(self, folder):
        self.path = folder.new()
        self.exe = self.path / "waiter"
        self.debug = self.path / "debug"
        self.debug.mkdir()
        (self.path / "waiter.c").write_text(SOURCE)
        for command in (
            "gcc -O1 -g -Wl,--build-id waiter.c -o waiter",
            "objcopy --only-keep-debug waiter debug/waiter.debug",
            "strip waiter",
        ):
            subprocess.run(command, shell=True, check=True, cwd=self.path)
        notes = subprocess.run(["readelf", "-n", self.exe], capture_output=True, text=True, check=True).stdout
        self.build_id = notes.split("Build ID: ")[1].split()[0]


class Hanging:
    """A server that takes every connection and never says a word."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            self.connections.append(self.socket.accept()[0])


def use_server(folder, url):
    os.environ["DEBUGINFOD_URLS"] = url
    os.environ["DEBUGINFOD_CACHE_PATH"] = str(folder.new())


def is_ready(recorder):
    return wait_for(lambda: "ready" in recorder.stderr(), 20)


def state_of(folder, trace):
    """The state trace as babeltrace2 prints it."""
    unpacked = folder.new()
    subprocess.run(["tar", "xzf", trace, "-C", unpacked], check=True)
    text = subprocess.run(["babeltrace2", unpacked / "trace" / "state"], capture_output=True, text=True, check=True)
    return text.stdout.splitlines()


def symbols(folder, trace):
    return [x for x in state_of(folder, trace) if ":symbol:" in x]


def notes(folder, trace):
    return " ".join(x for x in state_of(folder, trace) if 'key = "note.' in x)


def from_server(folder, program):
    """debuginfod itself, indexing the debug file."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        ["debuginfod", "-F", "-p", str(port), "-d", ":memory:", str(program.debug)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "DEBUGINFOD_URLS": ""},
    )

    def has_it():
        try:
            with urllib.request.urlopen(f"{url}/buildid/{program.build_id}/debuginfo", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    try:
        check(wait_for(has_it, 60), "debuginfod serves the debug file")
        use_server(folder, url)
        for options, is_named in (((), False), (("--debuginfod",), True)):
            with Recorder(folder, [program.exe], options=options) as recorder:
                is_ready(recorder)
                trace = recorder.record(1)
                found = symbols(folder, trace)
                named = [x for x in found if '"waits_a_little"' in x]
                check(found and bool(named) == is_named, f"{options}: {found}")
                check(not is_named or "waiter.c" in named[0], f"file and line: {named}")
                wait_for(lambda: recorder.state()["data"]["last"], 10)
                last = recorder.state()["data"]["last"]
                check(last["note"] is None, f"{options}: {last['note']}")
    finally:
        server.terminate()
        server.wait()


def never_unasked(folder, program):
    """Without the option nobody is asked, whatever the environment says."""
    server = Hanging()
    use_server(folder, server.url)
    with Recorder(folder, [program.exe]) as recorder:
        is_ready(recorder)
        recorder.record(1)
        recorder.get("/debug/pprof/heap")
    check(not server.connections, f"{len(server.connections)} connections")


def hanging(folder, program):
    """The limit holds, the trace comes, and everybody is told."""
    server = Hanging()
    use_server(folder, server.url)
    with Recorder(folder, [program.exe], options=["--debuginfod=2s"]) as recorder:
        is_ready(recorder)
        trace = recorder.record(1)
        check(server.connections, "the server is asked")
        said = "did not answer within"
        check(said in recorder.stderr(), f"in the log: {recorder.stderr()}")
        check(said in notes(folder, trace), f"in the trace: {notes(folder, trace)}")
        wait_for(lambda: recorder.state()["data"]["last"], 10)
        state = recorder.state()["data"]
        check(said in (state["last"]["note"] or ""), f"in the status: {state['last']}")
        check(state["settings"]["debuginfod"] == "2s", f"{state['settings']}")
        check("Looking up" not in recorder.stderr(), "no progress but on a terminal")
        check(not list(recorder.output.glob("*unnamed*")), "nothing is left over")


def refused(folder, program):
    use_server(folder, f"http://127.0.0.1:{free_port()}")
    with Recorder(folder, [program.exe], options=["--debuginfod"]) as recorder:
        is_ready(recorder)
        trace = recorder.record(1)
        check("debuginfod (" in notes(folder, trace), f"in the trace: {notes(folder, trace)}")


def nobody_to_ask(folder, program):
    os.environ.pop("DEBUGINFOD_URLS", None)
    result = recorded(folder, ["true"], options=["--debuginfod"])
    check(any("DEBUGINFOD_URLS" in x for x in result.ours()), f"{result.err!r}")
    result = recorded(folder, ["true"], options=["--debuginfod=soon"])
    check(result.code == 2 and b"--debuginfod soon: expected a duration" in result.err, f"{result.err!r}")
    result = recorded(folder, ["true"], options=["--debuginfod=no"])
    check(not any("DEBUGINFOD" in x for x in result.ours()), f"{result.err!r}")


def killed(folder, program):
    """SIGKILL while names are looked up: the trace is there, without them."""
    server = Hanging()
    use_server(folder, server.url)
    recorder = Recorder(folder, [program.exe], options=["--debuginfod=60s"])
    is_ready(recorder)
    pid = recorder.state()["data"]["program"]["pid"]
    recorder.json("/debug/trace/recorder/run?duration=1s")
    check(wait_for(lambda: server.connections, 30), "the server is asked")
    recorder.process.kill()
    recorder.process.wait()
    os.kill(pid, 9)
    check(not (recorder.output / "trace.out").exists(), "no trace.out yet")
    # The next recorder cleans up; what is worth something stays.
    recorded(folder, ["true"], output=recorder.output)
    left = [x for x in recorder.output.iterdir() if x.name.startswith("trace.out")]
    check(len(left) == 1 and ".unnamed." in left[0].name, f"{left}")
    if left:
        check(subprocess.run(["gzip", "-t"], stdin=left[0].open("rb")).returncode == 0, "a whole archive")
        check("names of functions are missing" in notes(folder, left[0]), notes(folder, left[0]))
        events = dump(folder, left[0])
        check(sum("syscall" in e["event"] for e in events) > 100, f"{len(events)} events")
        state = state_of(folder, left[0])
        check(any(":stack:" in x for x in state) and not symbols(folder, left[0]), "stacks, no names")
        check(summary(folder, left[0]), "a summary")
    # What it left in memory goes, too.
    run([folder.bin / "trace-record", "--recover", "--output-dir", recorder.output])
    recorder.log.close()


def interrupted(folder, program):
    """After the program's end, an interrupt ends the waiting for a server; the trace comes at once."""
    server = Hanging()
    use_server(folder, server.url)
    recorder = Recorder(folder, ["timeout", "1", program.exe], options=["--debuginfod=10m", "--on-death", "none", "--trace", "all.out"])
    check(wait_for(lambda: server.connections, 30), "the server is asked")
    check(recorder.stop(signal.SIGINT) == 124, "ends with the program's exit code")
    trace = recorder.output / "all.out"
    check(trace.exists() and not list(recorder.output.glob("*unnamed*")), "the trace has its name")
    check("was not waited for" in notes(folder, trace), notes(folder, trace))
    recorder.log.close()


def progress(folder, program):
    """On a terminal, a line when it takes longer than a second."""
    server = Hanging()
    for options, is_shown in (((), True), (("--quiet",), False)):
        # Of its own: a server that was silent is left alone for a while.
        use_server(folder, server.url)
        ours, theirs = pty.openpty()
        output = folder.new()
        process = subprocess.Popen(
            [folder.bin / "trace-record", "--listen", "127.0.0.1:0", "--output-dir", output,
             "--debuginfod=3s", "--on-death", "none", "--trace", output / "all.out", *options, "--",
             "timeout", "1", program.exe],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True,
        )
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            said += part
        os.close(ours)
        process.wait()
        check((output / "all.out").exists(), f"{options}: the trace is there")
        check((b"Looking up the names of functions, file" in said) == is_shown, f"{options}: {said!r}")
        check((b"Names of functions found after" in said) == is_shown, f"{options}: {said!r}")


with Folder() as folder:
    program = Program(folder)
    for case in (from_server, never_unasked, hanging, refused, nobody_to_ask, killed, interrupted, progress):
        print(f"# {case.__name__}", flush=True)
        case(folder, program)
done()
