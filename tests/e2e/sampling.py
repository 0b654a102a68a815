#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""CPU samples and thread dumps by signal, straight from the blackbox: the tracer without a recorder.

control_tool plays the recorder: it makes the runtime folder, gives orders, and prints what is in the tables.
"""
import math
import os
import subprocess
import sys

from lib import Folder, check, done, run, wait_for

CALLS = ("eintr_none", "eintr_own", "timeouts", "handlers", "sigwait_all", "exec_storm", "itimer")


class Traced:
    """Programs under the tracer, in a runtime folder of their own."""

    def __init__(self, folder, hz):
        self.folder = folder
        self.dir = folder.new() / "run"
        self.tool("make", self.dir, hz)
        (self.dir / "lttng").mkdir()

    def tool(self, *argv):
        result = run([self.folder.programs / "control_tool", *argv])
        check(result.code == 0, f"control_tool {argv[0]}: {result.err.decode()}")
        return result.out.decode()

    def env(self):
        return {
            "FLIGHTREC_DIR": str(self.dir),
            "LTTNG_HOME": str(self.dir / "lttng"),
            "LTTNG_UST_REGISTER_TIMEOUT": "0",
            "LD_PRELOAD": str(self.folder.path / "lib" / "libflightrec.so.0"),
        }

    def run(self, *argv, **more):
        return run(argv, env=self.env(), **more)

    def start(self, *argv):
        return subprocess.Popen(
            [str(x) for x in argv],
            env=dict(os.environ, **self.env()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def show(self, kind):
        """Lines of one kind as dictionaries; hexadecimal addresses that follow as `frames`."""
        rows = []
        for line in self.tool("show", self.dir).splitlines():
            words = line.split()
            if words[0] != kind:
                continue
            row = dict(x.split("=", 1) for x in words[1:] if "=" in x)
            row["frames"] = [int(x, 16) for x in words[1:] if "=" not in x and x != "dump"]
            rows.append(row)
        return rows

    def counters(self):
        total = {}
        for row in self.show("counter"):
            for key, value in row.items():
                if key not in ("proc", "frames"):
                    total[key] = total.get(key, 0) + int(value)
        return total


def parse_known(text):
    """What sampled_cpu says of itself: CPU ns and address by function, CPU ns in all."""
    shares, functions, cpu = {}, {}, 0
    for words in map(str.split, text.splitlines()):
        if words[0] == "share":
            shares[words[1]] = int(words[2])
        elif words[0] == "function":
            functions[words[1]] = int(words[2], 16)
        elif words[0] == "cpu":
            cpu = int(words[1])
    return shares, functions, cpu


def function_of(frames, functions):
    """The innermost of the functions in a stack. They are small and adjoin each other, 100 bytes and more each."""
    for frame in frames:
        inside = [(frame - start, name) for name, start in functions.items() if 0 < frame - start < 256]
        if inside:
            return min(inside)[1]
    return None


def test_known_answer(folder, seconds, hz, n_threads):
    traced = Traced(folder, hz)
    result = traced.run(folder.programs / "sampled_cpu", str(seconds), str(n_threads), timeout=250)
    check(result.code == 0, f"sampled_cpu: {result.err!r}")
    shares, functions, cpu = parse_known(result.out.decode())
    rows = traced.show("cpu")
    ticks, ns = {}, 0
    for row in rows:
        name = function_of(row["frames"], functions)
        ticks[name] = ticks.get(name, 0) + int(row["ticks"])
        ns += int(row["ns"])
    counters = traced.counters()
    total = sum(ticks.values())
    n_signals = total - counters["cpu_missed"]
    # The first period of each thread is of random length; a clock tick of the kernel is 10 ms at most. On a busy machine
    # the last ticks of a thread may be so late that it has ended: they are counted as lost.
    lost = counters["cpu_lost"] * 1_000_000_000 // hz
    slack = (n_threads + 1) * (10_000_000 + 1_000_000_000 // hz) + cpu // 100
    check(abs(ns + lost - cpu) < slack, f"samples say {ns:,} ns, {lost:,} lost, the process used {cpu:,}")
    check(counters["cpu_ticks"] == total, f"{counters['cpu_ticks']} ticks counted, {total} in the table")
    check(ticks.get(None, 0) <= 0.05 * total, f"{ticks.get(None)} of {total} ticks are in no function of its")
    for name, used in shares.items():
        share, want = ticks.get(name, 0) / total, used / sum(shares.values())
        # Each signal is one draw. On a busy machine some weigh several times what others do, which counts as if there
        # were half as many. Five standard deviations.
        band = 5 * math.sqrt(want * (1 - want) / (n_signals / 2)) + 0.005
        print(f"{name}: {share:.2%} of the samples, {want:.2%} of the time, {n_signals} signals")
        check(abs(share - want) < band, f"{name}: {share:.2%} is not within {band:.2%} of {want:.2%}")
    check(counters["cpu_own"] < 0.05 * total, f"{counters['cpu_own']} ticks of our own work")


def test_rate_and_dump(folder):
    """While a program runs: on, off, and the stacks of those that run."""
    traced = Traced(folder, 0)
    program = traced.start(folder.programs / "sampled_cpu", "20", "3")

    def busy():
        return sum(x["exited"] == "0" for x in traced.show("thread")) == 4

    try:
        check(wait_for(busy, 20), "four threads are there")
        check(traced.counters()["cpu_ticks"] == 0, "no samples before they are ordered")
        traced.tool("rate", traced.dir, 100)
        check(traced.show("process")[0]["cpu_hz"] == "100", "the rate is that of the order")
        before = traced.counters()["cpu_ticks"]
        check(
            wait_for(lambda: traced.counters()["cpu_ticks"] > before + 20, 30), "samples come in"
        )
        traced.tool("dump", traced.dir, 0)
        threads = traced.show("thread")
        main = [x for x in threads if int(x["tid"]) == program.pid]
        others = [x for x in threads if int(x["tid"]) != program.pid]
        check(len(others) == 3 and len(main) == 1, f"three threads and the first one: {threads}")
        check(all(x["dump_seq"] == "1" and len(x["frames"]) > 2 for x in others), f"each answers: {threads}")
        check(main[0]["dump_seq"] == "0", "the first thread waits in a join, and is left alone")
        helper = int(traced.show("process")[0]["helper_tid"])
        check(helper not in {int(x["tid"]) for x in threads}, "our own thread is none of the program's")
        status = dict(
            x.split(":\t", 1)
            for x in open(f"/proc/{program.pid}/task/{helper}/status").read().splitlines()
            if ":\t" in x
        )
        # All but SIGCANCEL and SIGSETXID of libc, and SIGKILL and SIGSTOP, which cannot be.
        blocked = int(status["SigBlk"], 16) | 1 << 8 | 1 << 18
        check(blocked == (1 << 64) - 1 - (3 << 31), f"our thread blocks {blocked:x}")
        check(status["Name"] == "flightrec", f"our thread is called {status['Name']}")
        traced.tool("rate", traced.dir, 0)
        check(traced.show("process")[0]["cpu_hz"] == "0", "the rate is 0 again")
        timers = open(f"/proc/{program.pid}/timers").read() if os.path.exists(f"/proc/{program.pid}/timers") else ""
        check("ID:" not in timers, f"no timer is left: {timers}")
        traced.tool("dump", traced.dir, 7)
        check({x["dump_seq"] for x in traced.show("thread")} == {"0", "1"}, "others' dumps are not ours")
    finally:
        program.kill()
        program.communicate()


def test_storms(folder):
    """Dumps as fast as they can be had, over calls and new images, at 1000 samples a second."""
    program = folder.programs / "host_sigprof"
    n_dumps = 0
    for case in CALLS:
        bare = run([program, case], timeout=120)
        traced = Traced(folder, 1000)
        process = traced.start(program, case)
        storm = subprocess.Popen(
            [folder.programs / "control_tool", "dumps", traced.dir, str(process.pid)],
            stdout=subprocess.PIPE,
        )
        # Reaped, it is gone for kill() too, and that ends the storm.
        out, err = process.communicate(timeout=120)
        n_dumps += int(storm.communicate(timeout=20)[0])
        check(process.returncode == bare.code, f"{case} ends with {process.returncode}, bare {bare.code}")
        check(out == bare.out, f"{case} says\n{out.decode()}\nbare\n{bare.out.decode()}")
        check(err == bare.err, f"{case} says on stderr {err!r:.500}")
    print(f"{n_dumps} dumps")
    check(n_dumps > 100, f"{n_dumps} dumps were asked for")


def test_program_takes_sigprof(folder):
    traced = Traced(folder, 100)
    script = "import signal, time\nsignal.signal(signal.SIGPROF, lambda *_: None)\ntime.sleep(60)\n"
    program = traced.start(sys.executable, "-c", script)
    try:
        check(
            wait_for(lambda: any(x["refusal"] == "1" for x in traced.show("process")), 20),
            "the blackbox says that SIGPROF is the program's",
        )
        row = traced.show("process")[0]
        check(row["cpu_hz"] == "0", f"and no timer runs: {row}")
    finally:
        program.kill()
        program.communicate()


def test_gprof(folder):
    """A program built with -pg counts its own samples, all of them and no others."""
    program = folder.programs / "gprofed"
    times = {}
    for name, traced in (("bare", None), ("sampled", Traced(folder, 1000))):
        cwd = folder.new()
        start = traced.run if traced else lambda *argv, **more: run(argv, **more)
        result = start(program, cwd=cwd)
        check(result.code == 0, f"gprofed, {name}: {result.err!r}")
        text = run(["gprof", "-b", "-p", program, cwd / "gmon.out"]).out.decode()
        rows = [x.split() for x in text.splitlines() if x.endswith(" spin") or x.split()[-1:] == ["spin"]]
        cpu = float(result.out)
        if not check(len(rows) == 1, f"gprof lists the function, {name}: {text}"):
            continue
        times[name] = float(rows[0][2])
        # Its 100 a second are coarse on a busy machine. 1000 a second of ours on top would be several times that.
        check(0.5 * cpu < times[name] < 2 * cpu, f"gprof says {times[name]} s, {name}: {cpu} s")
        if traced:
            check(traced.show("process")[0]["refusal"] == "1", "the blackbox says that it is not sampled")
            check(traced.counters()["cpu_ticks"] == 0, "and no sample was taken")


def main():
    seconds, n_threads = float((sys.argv[1:] or [3])[0]), int((sys.argv[2:] or [2])[0])
    hz = int((sys.argv[3:] or [1000])[0])
    with Folder() as folder:
        test_known_answer(folder, seconds, hz, n_threads)
        if len(sys.argv) < 2:
            test_rate_and_dump(folder)
            test_storms(folder)
            test_program_takes_sigprof(folder)
            test_gprof(folder)
    done()


main()
