#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The program under trace-record: exit status, signals, descriptors, environment, as if run bare."""
import os
import pty
import signal
import subprocess
import sys
import time

from lib import IS_ROOT, NOBODY, Folder, Recorder, check, done, recorded, run, wait_for

STATE = "grep -E '^(Sig(Blk|Ign)|Umask)' /proc/self/status; ulimit -a; pwd; ls -l /proc/self/fd | awk '$9 < 100 {print $9, $11}' | grep -v /proc/"


def exit_codes(folder, uid):
    for script, want in (
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 128 + signal.SIGTERM),
        ("kill -KILL $$", 128 + signal.SIGKILL),
        ("kill -SEGV $$", 128 + signal.SIGSEGV),
    ):
        result = recorded(folder, ["sh", "-c", script], uid=uid)
        check(result.code == want, f"uid {uid}: {script}: exit code {result.code}, want {want}")
        check(result.theirs() == b"", f"uid {uid}: {script}: stderr {result.theirs()!r}")
        # Where the server is and, unless it ended as somebody wished, how it died.
        check(len(result.ours()) == 1 + (want not in (0, 128 + signal.SIGTERM)), f"uid {uid}: {script}: lines of ours: {result.ours()}")


def streams(folder, uid):
    data = os.urandom(300_000)
    result = recorded(folder, ["cat"], stdin=data, uid=uid)
    check(result.out == data, f"uid {uid}: stdin from a pipe arrives unchanged")
    result = recorded(folder, ["sh", "-c", "echo out; echo err >&2"], options=["--quiet"], uid=uid)
    check(result.out == b"out\n", f"uid {uid}: stdout is the program's alone: {result.out!r}")
    check(result.err == b"err\n", f"uid {uid}: --quiet leaves stderr alone: {result.err!r}")


def same_surroundings(folder, uid):
    """Signal mask, dispositions, umask, limits, descriptors, folder."""
    cwd = folder.new(uid)
    outer = ["sh", "-c", 'trap "" HUP; umask 027; exec 7</dev/null "$@"', "sh"]
    bare = run([*outer, "sh", "-c", STATE], cwd=cwd, uid=uid)
    record = [folder.bin / "trace-record", "--quiet", "--listen", "127.0.0.1:0", "--output-dir", folder.new(uid)]
    traced = run([*outer, *record, "--", "sh", "-c", STATE], cwd=cwd, uid=uid)
    def strip(out):
        # Pipes have numbers of their own each time.
        return [line.split(b"pipe:")[0] for line in out.splitlines()]
    check(b" /dev/null" in bare.out, f"uid {uid}: the test itself sees descriptor 7: {bare.out!r}")
    check(strip(bare.out) == strip(traced.out), f"uid {uid}: bare {bare.out!r}, recorded {traced.out!r}")


def environment(folder):
    result = recorded(folder, ["env"], env={"LD_PRELOAD": "libm.so.6", "MARK": "x y"})
    values = dict(line.split("=", 1) for line in result.out.decode().splitlines() if "=" in line)
    check(values.get("MARK") == "x y", "the user's variables are kept")
    preload = values.get("LD_PRELOAD", "").split(":")
    check(len(preload) == 2 and "libflightrec.so" in preload[0] and preload[1] == "libm.so.6",
          f"our library first, the user's behind it: {preload}")
    bare = run(["env"], env={"LD_PRELOAD": "libm.so.6", "MARK": "x y"})
    names = {line.split("=", 1)[0] for line in bare.out.decode().splitlines()}
    added = set(values) - names - {"_"}
    check(added <= {"LD_PRELOAD", "FLIGHTREC_DIR", "LTTNG_HOME", "LTTNG_UST_WITHOUT_BADDR_STATEDUMP"},
          f"nothing else is added: {added}")


COUNT = """
import signal, sys, time
got = []
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGQUIT):
    signal.signal(s, lambda n, f: got.append(n))
print("ready", flush=True)
end = time.monotonic() + 30
while signal.SIGUSR2 not in got and time.monotonic() < end:
    time.sleep(0.02)
time.sleep(0.2)
print("got", *sorted(got), flush=True)
"""


def forwarding(folder):
    """Signals sent to trace-record reach the program, each once."""
    with Recorder(folder, [sys.executable, "-c", COUNT]) as recorder:
        wait_for(lambda: "ready" in recorder.stderr(), 20)
        sent = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH, signal.SIGQUIT)
        for number in sent:
            os.kill(recorder.process.pid, number)
            time.sleep(0.1)
        os.kill(recorder.process.pid, signal.SIGUSR2)
        check(recorder.process.wait(30) == 0, "the program that handles signals ends by itself")
        want = " ".join(["got", *(str(int(x)) for x in sorted([*sent, signal.SIGUSR2]))])
        check(want in recorder.stderr(), f"want {want!r} in {recorder.stderr()!r}")


def terminal(folder):
    """^C at a terminal reaches the program once, not a second time through us."""
    script = COUNT.replace("signal.SIGUSR2 not in got", "signal.SIGINT not in got")
    output = folder.new()
    pid, master = pty.fork()
    if pid == 0:
        os.execv(folder.bin / "trace-record",
                 ["trace-record", "--quiet", "--listen", "127.0.0.1:0", "--output-dir", str(output), "--",
                  sys.executable, "-c", script])
    text = b""
    while b"ready" not in text:
        text += os.read(master, 1000)
    os.write(master, b"\x03")
    while True:
        try:
            text += os.read(master, 1000)
        except OSError:
            break
    _, status = os.waitpid(pid, 0)
    check(os.waitstatus_to_exitcode(status) == 0, f"^C: the handler's exit code, got {status}")
    check(b"got 2\r\n" in text, f"^C arrives exactly once: {text!r}")


def stubborn(folder):
    """A program that ignores SIGTERM keeps its recorder; the second signal changes nothing."""
    with Recorder(folder, ["sh", "-c", "trap '' TERM; echo ready; while [ ! -e go ]; do sleep 0.05; done; exit 5"]) as recorder:
        wait_for(lambda: "ready" in recorder.stderr(), 20)
        for _ in range(3):
            os.kill(recorder.process.pid, signal.SIGTERM)
            time.sleep(0.1)
        check(recorder.process.poll() is None, "the recorder stays with a program that ignores SIGTERM")
        (recorder.output / "go").touch()
        check(recorder.process.wait(30) == 5, "and still hands its exit code on")


def kinds_of_programs(folder):
    script = folder.path / "no-shebang"
    script.write_text('echo "script $1"; exit 4\n')
    script.chmod(0o755)
    result = recorded(folder, [script, "arg"])
    check((result.code, result.out) == (4, b"script arg\n"), f"a script without #!: {result.code} {result.out!r}")

    source = folder.path / "hello.c"
    source.write_text('#include <stdio.h>\n#include <stdlib.h>\nint main(void){volatile char *p = malloc(10); p[0] = 1; free((void *)p); puts("hello"); return 6;}\n')
    static = folder.path / "static"
    subprocess.run(["gcc", "-static", "-o", static, source], check=True)
    result = recorded(folder, [static])
    check((result.code, result.out) == (6, b"hello\n"), f"a static program runs: {result.code} {result.out!r}")
    check(any("statically linked" in line and "untraced" in line for line in result.ours()),
          f"a static program: we say so: {result.ours()}")

    asan = folder.path / "asan"
    subprocess.run(["gcc", "-fsanitize=address", "-o", asan, source], check=True)
    result = recorded(folder, [asan])
    check((result.code, result.out) == (6, b"hello\n"), f"an ASan program runs: {result.code} {result.err!r}")
    check(result.theirs() == b"", f"ASan has no complaint: {result.theirs()!r}")

    tsan = folder.path / "tsan"
    subprocess.run(["gcc", "-fsanitize=thread", "-o", tsan, source], check=True)
    result = recorded(folder, [tsan])
    check(result.code == 1 and result.out == b"", f"a TSan program is not started: {result.code} {result.out!r}")
    check(len(result.ours()) == 1 and "ThreadSanitizer" in result.ours()[0], f"and we say why: {result.ours()}")


def main():
    with Folder() as folder:
        for uid in (None, NOBODY) if IS_ROOT else (None,):
            exit_codes(folder, uid)
            streams(folder, uid)
            same_surroundings(folder, uid)
        environment(folder)
        forwarding(folder)
        terminal(folder)
        stubborn(folder)
        kinds_of_programs(folder)
    done()


main()
