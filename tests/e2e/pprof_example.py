#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The four faults of examples/buggycache, found by following README.md to the letter.

Takes the commands out of the README's section and runs them as they stand there, but for the ports,
the places of the build, and how long they wait.
"""
import json
import os
import re
import signal
import subprocess
import time

from lib import SOURCE, Folder, check, done, free_port, wait_for
from pprof_lib import read_dump

SECTION = "## Four faults, four commands"
WAIT = "sleep 60"


def blocks_of(readme):
    """The commands of each code block of the section, in order."""
    section = readme.split(SECTION, 1)[1].split("\n## ", 1)[0]
    found = []
    for block in re.findall(r"```\n(.*?)```", section, re.S):
        commands = [x[2:] for x in block.replace("\\\n", "").splitlines() if x.startswith("$ ")]
        if commands:
            found.append(commands)
    return found


class Shell:
    """Runs the reader's commands in one folder; what ends with & runs on."""

    def __init__(self, folder, service, recorder):
        self.folder, self.service, self.recorder = folder, service, recorder
        self.running = []

    def translate(self, command):
        command = command.replace("build/", f"{self.folder}/").replace(
            "examples/load", f"{SOURCE}/examples/load"
        )
        command = command.replace(":8080", f":{self.service}").replace(" 8080", f" {self.service}")
        command = command.replace(":6060", f":{self.recorder}").replace(WAIT, "sleep 8")
        return re.sub(r"--seconds \d+", "--seconds 12", command)

    def environment(self):
        return dict(
            os.environ, HOME=str(self.folder), PPROF_TMPDIR=str(self.folder), LC_ALL="C.UTF-8"
        )

    def start(self, command):
        process = subprocess.Popen(
            ["bash", "-c", self.translate(command)],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=open(self.folder / "stderr", "ab"),
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def run(self, commands):
        """What they print, one after the other."""
        out = ""
        for command in commands:
            if command.rstrip().endswith("&"):
                self.start(command.rstrip().rstrip("&"))
                time.sleep(0.3)
                continue
            result = subprocess.run(
                ["bash", "-c", self.translate(command)],
                cwd=self.folder,
                env=self.environment(),
                capture_output=True,
                timeout=120,
                check=False,
            )
            out += result.stdout.decode("utf-8", "replace")
            print(
                f"$ {command}\n{result.stdout.decode()[:6000]}{result.stderr.decode()[-300:]}",
                flush=True,
            )
        return out

    def end(self):
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def check_fib(out):
    """The hot function leads the CPU profile."""
    check("Type: cpu" in out, f"a CPU profile: {out[:300]}")
    rows = re.findall(r"^ +(\S+) +([0-9.]+)% +\S+ +\S+ +\S+ +(\S+)", out, re.M)
    check(rows and rows[0][2] == "worker_fib", f"worker_fib comes first: {rows[:3]}")
    check(rows and float(rows[0][1]) > 80, f"and takes nearly all: {rows[:1]}")


def check_leak(out):
    check("Type: inuse_space" in out, f"a heap profile: {out[:300]}")
    rows = re.findall(r"^ +(\S+) +\S+% +\S+ +(\S+) +([0-9.]+)% +(\S+)", out, re.M)
    names = [x[3] for x in rows]
    check("cache_put" in names, f"cache_put keeps what it gets: {names[:8]}")
    share = [float(x[2]) for x in rows if x[3] == "cache_put"]
    check(share and share[0] > 80, f"nearly all of the growth: {share}")


def check_workers(out):
    match = re.search(r"^goroutine profile: total (\d+)", out, re.M)
    check(match and int(match[1]) > 20, f"more than twenty threads: {out[:200]}")
    records = re.split(r"\n\n", out)
    first = records[0].split("\n", 1)[1] if records else ""
    check(re.match(r"2\d @ ", first), f"the workers come first: {first[:200]}")
    check("pool_take" in first and "worker_main" in first, f"where they sleep: {first}")


def check_deadlock(out):
    """Two threads and two locks, at the top; then each of these threads with its stack."""
    head, blocks = read_dump(out.encode())
    check(head and head[0].startswith("# DEADLOCK: 2 threads of process"), f"on top: {out[:600]}")
    waits = re.findall(
        r'#   thread (\d+) "\S+" waits \S+ for mutex (0x[0-9a-f]+) \(shelves\+0x[0-9a-f]+\), '
        r'held by thread (\d+) "\S+", at cache_transfer \(\S+/cache\.c:\d+\)\n',
        out,
    )
    threads, locks = {x[0] for x in waits}, {x[1] for x in waits}
    check(len(threads) == 2 and len(locks) == 2, f"two threads, two locks: {waits}")
    check({x[2] for x in waits} == threads, f"each waits for the other: {waits}")
    for block in blocks:
        if str(block.id) in threads:
            check("cache_transfer" in block.functions(), f"where: {block.frames[:4]}")
            check(block.state.startswith("sync.Mutex.Lock"), f"state: {block.state}")
            check(any("held by thread" in x for x in block.lines), f"the holder: {block.lines[:4]}")
    check(len([x for x in blocks if str(x.id) in threads]) == 2, "both are in the dump")


def check_status(text):
    cycles = json.loads(text)["data"]["deadlocks"]
    check(len(cycles) == 1, f"one deadlock: {cycles}")
    waits = cycles[0]["threads"] if cycles else []
    check(len({x["thread"] for x in waits}) == 2, f"two threads: {waits}")
    check(len({x["waits_for"] for x in waits}) == 2, f"two locks: {waits}")
    check({x["held_by"] for x in waits} == {x["thread"] for x in waits}, f"a circle: {waits}")


def end_program(shell):
    """As the README says: the program cannot end by itself any more."""
    out = shell.run([f"curl -s http://127.0.0.1:{shell.recorder}/healthz"])
    match = re.search(r'"pid": ?(\d+)', out)
    if check(match, f"the program's pid: {out}"):
        os.kill(int(match[1]), signal.SIGKILL)


def main():
    readme = (SOURCE / "README.md").read_text()
    if not check(SECTION in readme, "README.md has the section"):
        done()
    blocks = blocks_of(readme)
    check(len(blocks) == 6, f"six blocks of commands: {blocks}")
    service, recorder = free_port(), free_port()
    with Folder() as folder:
        shell = Shell(folder.path, service, recorder)
        try:
            begin, fib, workers, leak, deadlock, status = blocks
            check(len(begin) == 1, f"one command starts it: {begin}")
            start = begin[0].replace(
                "trace-record", f"trace-record --listen 127.0.0.1:{recorder}", 1
            )
            shell.start(start)
            is_up = wait_for(
                lambda: "buggycache"
                in shell.run([f"curl -sf http://127.0.0.1:{service}/stats " "&& echo buggycache"]),
                20,
            )
            check(is_up, "the service answers")
            check_fib(shell.run(fib))
            check_workers(shell.run(workers))
            check_leak(shell.run(leak))
            check_deadlock(shell.run(deadlock))
            check_status(shell.run(status))
            end_program(shell)
        finally:
            shell.end()
    done()


main()
