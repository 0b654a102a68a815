#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Profiles that outlive the program: files like those of `go test`, and what --linger serves after its death."""
import os
import pty
import re
import signal
import subprocess
import time

from lib import Folder, Recorder, check, done, run, wait_for
from pprof_lib import rules

FILES = ("cpu", "mem", "block", "mutex")
SOURCE = r"""
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile double sum;
static void *volatile kept[100];
__attribute__((noinline)) void keeper(void) { for (int i = 0; i < 100; i++) { kept[i] = malloc(1 << 20); memset(kept[i], 1, 4096); } }
__attribute__((noinline)) void burner(void) { for (long i = 0; i < 300000000; i++) sum += i; }
__attribute__((noinline)) void *waiter(void *arg) { pthread_mutex_lock(&lock); pthread_mutex_unlock(&lock); return arg; }
__attribute__((noinline)) void holder(void) { usleep(300000); pthread_mutex_unlock(&lock); }
__attribute__((noinline)) void *parked(void *arg) { pause(); return arg; }
int main(int argc, char **argv)
{
	pthread_t waits, parks;
	keeper();
	pthread_mutex_lock(&lock);
	pthread_create(&waits, NULL, waiter, NULL);
	pthread_create(&parks, NULL, parked, NULL);
	holder();
	pthread_join(waits, NULL);
	burner();
	if (argc > 1)
		kill(getpid(), atoi(argv[1]));
	return 7;
}
"""


def build(folder):
    source = folder.path / "work.c"
    source.write_text(SOURCE)
    program = folder.path / "work"
    subprocess.run(["gcc", "-g", "-O1", "-pthread", "-o", program, source], check=True)
    return program


def top(profile, *options):
    """What `go tool pprof -top` says."""
    result = subprocess.run(["go", "tool", "pprof", "-top", *options, profile], capture_output=True, env=dict(os.environ, HOME="/tmp"))
    check(result.returncode == 0, f"pprof {profile}: {result.stderr.decode()}")
    kinds = {"c": "cpu", "m": "allocs", "mem": "allocs"}
    name = profile.name.partition(".")[0]
    kind = kinds.get(name, name)
    verdict = rules.judge(profile.read_bytes(), rules.Context(kind))
    check(not verdict.faults, f"{profile.name} keeps the rules of {kind}: {verdict}")
    return result.stdout.decode()


def options_of(output, style="--{}profile={}"):
    return [style.format(name, output / f"{name}.pb.gz") for name in FILES]


def whole_life(folder, program):
    """Each way to end: the exit code is the program's, and all files are there."""
    for argument, code in (("", 7), ("9", 137), ("15", 143), ("11", 139)):
        output = folder.new()
        argv = [program, argument] if argument else [program]
        result = run([folder.bin / "trace-record", "--listen", "127.0.0.1:0", "--output-dir", output, "--on-death", "none", *options_of(output), "--", *argv], cwd=output)
        check(result.code == code, f"{argument}: exit code {result.code}, want {code}")
        check(len(result.ours()) == 1, f"{argument}: {result.ours()}")
        names = sorted(os.listdir(output))
        check(names == sorted(f"{name}.pb.gz" for name in FILES), f"{argument}: complete files and nothing else: {names}")
        mode = os.stat(output / "cpu.pb.gz").st_mode & 0o777
        umask = os.umask(0)
        os.umask(umask)
        check(mode == 0o666 & ~umask, f"{argument}: mode {mode:o}")
        text = top(output / "cpu.pb.gz")
        check("Type: cpu" in text and re.search(r"burner\b", text), f"{argument}: the CPU profile: {text}")
        text = top(output / "mem.pb.gz")
        check("Type: alloc_space" in text and "keeper" in text, f"{argument}: the memory profile: {text}")
        text = top(output / "mem.pb.gz", "-sample_index=inuse_space")
        check("keeper" in text, f"{argument}: what lived at the end: {text}")
        check("waiter" in top(output / "block.pb.gz"), f"{argument}: who waited")
        check("holder" in top(output / "mutex.pb.gz"), f"{argument}: who made it wait")


def go_habits(folder, program):
    output = folder.new()
    style = [f"-cpuprofile={output / 'c'}", "-memprofile", output / "m"]
    result = run([folder.bin / "trace-record", "-listen=127.0.0.1:0", *style, program], cwd=output)
    check(result.code == 7 and "burner" in top(output / "c") and "keeper" in top(output / "m"), f"one dash will do: {result.err!r}")
    (output / "c").write_text("older")
    result = run([folder.bin / "trace-record", "--listen", "127.0.0.1:0", f"--cpuprofile={output / 'c'}", "--trace", output / "t", "--on-death", "none", "--", program])
    check(result.code == 7 and "burner" in top(output / "c") and (output / "t").stat().st_size > 0, "an older file is replaced; a trace beside it")


def refusals(folder, program):
    output = folder.new()
    for name in FILES:
        for path, words in (("/no/such/folder/f", "No such file"), (str(output), "folder"), ("/dev/null", "device")):
            result = run([folder.bin / "trace-record", f"--{name}profile={path}", "--", "sh", "-c", "echo ran"])
            check(result.code == 1 and result.out == b"", f"{name} {path}: nothing is started: {result.code}")
            check(len(result.ours()) == 1 and f"--{name}profile {path}" in result.ours()[0] and words in result.ours()[0], f"{result.ours()}")
    check(os.path.exists("/dev/null") and not os.path.isfile("/dev/null"), "/dev/null is still what it was")
    result = run([folder.bin / "trace-record", "--listen", "127.0.0.1:0", *options_of(output), "--", output / "missing"], cwd=output)
    check(result.code == 127 and os.listdir(output) == [], f"a program that is not there leaves no files: {os.listdir(output)}")
    script = output / "unexecutable"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    result = run([folder.bin / "trace-record", "--listen", "127.0.0.1:0", *options_of(output), "--", script], cwd=output)
    check(result.code in (126, 127) and os.listdir(output) == ["unexecutable"], f"nor one that cannot be executed: {os.listdir(output)}")


def own_sigprof(folder):
    """A program that handles SIGPROF keeps it; we say so, and how to sample it."""
    source = folder.path / "prof.c"
    source.write_text("#include <signal.h>\nstatic volatile double x;\nstatic void on_prof(int s) {}\n"
                      "__attribute__((noinline)) void burner(void) { for (long i = 0; i < 300000000; i++) x += i; }\n"
                      "int main(void) { signal(SIGPROF, on_prof); burner(); return 6; }\n")
    program = folder.path / "prof"
    subprocess.run(["gcc", "-g", "-O1", "-o", program, source], check=True)
    for engine, is_sampled in (("auto", False), ("perf", True)):
        output = folder.new()
        result = run([folder.bin / "trace-record", "--listen", "127.0.0.1:0", f"--cpu-engine={engine}", f"--cpuprofile={output / 'c'}", program])
        check(result.code == 6 and (output / "c").exists(), f"{engine}: {result.code}")
        is_told = any("SIGPROF" in line and "--cpu-engine=perf" in line for line in result.ours())
        check(is_told != is_sampled, f"{engine}: {result.ours()}")
        check(("burner" in top(output / "c")) == is_sampled, f"{engine}: {top(output / 'c')}")


def taken_slot(folder):
    """The CPU profile of the whole life has the slot."""
    output = folder.new()
    with Recorder(folder, ["sleep", "1000"], options=[f"--cpuprofile={output / 'c'}"]) as recorder:
        status, body = recorder.get("/debug/pprof/profile?seconds=1")
        check(status == 500 and body == b"Could not enable CPU profiling: cpu profiling already in use\n", f"{status} {body!r}")
        status, _ = recorder.get("/debug/pprof/heap")
        check(status == 200, "other profiles are there")
        check(not (output / "c").exists(), "the file appears at the end")
        recorder.stop()
        check((output / "c").stat().st_size > 0, "and then it is there")


def linger(folder, program):
    with Recorder(folder, [program, "9"], options=["--linger", "forever"]) as recorder:
        check(wait_for(lambda: recorder.get("/healthz")[0] == 503, 30), "healthz says that it has ended")
        check(wait_for(lambda: "--linger forever" in recorder.stderr(), 10), f"we say until when: {recorder.stderr()!r}")
        for name, words in (("heap", "keeper"), ("allocs", "keeper"), ("block", "waiter"), ("mutex", "holder")):
            status, body = recorder.get(f"/debug/pprof/{name}")
            check(status == 200, f"{name}: {status} {body[:200]!r}")
            (recorder.output / name).write_bytes(body)
            text = top(recorder.output / name)
            check(words in text, f"{name} after death: {text}")
        status, body = recorder.get("/debug/pprof/goroutine?debug=2")
        check(status == 200 and b"parked" in body and b"burner" not in body, f"the threads it died on: {body.decode()}")
        status, body = recorder.get("/metrics")
        check(status == 200 and re.search(rb'^flightrec_up\{pid="\d+"\} 0$', body, re.MULTILINE), "metrics say so")
        check(b"flightrec_lock_wait_seconds_total" in body, "and keep what was counted")
        for path in ("/", "/debug/trace/status", "/debug/pprof/", "/debug/pprof/cmdline"):
            check(recorder.get(path)[0] == 200, f"{path} after death")
        for path in ("/debug/pprof/trace?seconds=1", "/debug/trace/recorder/run?duration=1s", "/debug/pprof/profile?seconds=1"):
            status, body = recorder.get(path)
            check(status in (500, 503) and body, f"{path} after death is refused: {status} {body!r}")
        check(recorder.process.poll() is None, "it stays")
        check(recorder.stop() == 137, "SIGTERM ends it, with the program's exit code")
    for number in (signal.SIGINT, signal.SIGHUP):
        with Recorder(folder, ["sh", "-c", "exit 3"], options=["--linger", "1h"]) as recorder:
            check(wait_for(lambda: "--linger 1h" in recorder.stderr(), 20), f"it lingers: {recorder.stderr()!r}")
            check(recorder.stop(number) == 3, f"signal {number} ends it")
    began = time.monotonic()
    with Recorder(folder, ["sh", "-c", "exit 4"], options=["--linger", "2s"]) as recorder:
        check(recorder.process.wait(30) == 4, "it goes by itself")
        check(time.monotonic() - began >= 2, "not before its time")
    result = run([folder.bin / "trace-record", "--listen", "127.0.0.1:0", "--linger", "1h", "--mode=prod", "--", "sh", "-c", "exit 5"])
    check(result.code == 5, "nothing is served, so there is nothing to wait for")


def interrupted(folder):
    """^C ends the program; the recorder, in the same group, still lingers."""
    output = folder.new()
    pid, master = pty.fork()
    if pid == 0:
        os.execv(folder.bin / "trace-record", ["trace-record", "--listen", "127.0.0.1:0", "--output-dir", str(output), "--linger", "1h",
                                               "--", "sh", "-c", "echo ready; exec sleep 1000"])
    text = b""
    while b"ready" not in text:
        text += os.read(master, 1000)
    os.write(master, b"\x03")
    while b"--linger 1h" not in text:
        text += os.read(master, 1000)
    time.sleep(0.3)
    check(os.waitpid(pid, os.WNOHANG) == (0, 0), "the ^C that ended the program does not end the recorder")
    os.write(master, b"\x03")
    _, status = os.waitpid(pid, 0)
    check(os.waitstatus_to_exitcode(status) == 130, f"a second one does: {status}")
    os.close(master)


def main():
    with Folder() as folder:
        program = build(folder)
        whole_life(folder, program)
        go_habits(folder, program)
        refusals(folder, program)
        own_sigprof(folder)
        taken_slot(folder)
        linger(folder, program)
        interrupted(folder)
    done()


main()
