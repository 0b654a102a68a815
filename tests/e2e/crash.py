#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What a process writes down of its own end: the crash of each kind, and the ways of exit.

That nothing of it shows to the program and to its parent is checked with host_crash by transparency.py.
"""
import signal
import sys

from lib import Folder, check, done, recorded, run
from traced import Functions, Tables

# How it dies: signal, si_code (None: sent), the innermost functions of the program.
CRASHES = {
    "segv": (signal.SIGSEGV, 1, ["crash_segv", "main"]),
    "jump": (signal.SIGSEGV, 1, ["crash_jump", "main"]),
    "data": (signal.SIGSEGV, 2, ["crash_jump", "main"]),
    "deep_on_stack": (signal.SIGSEGV, 1, ["crash_deep"] * 20),
    "wild": (signal.SIGSEGV, 128, ["crash_wild", "main"]),
    "bus": (signal.SIGBUS, 2, ["crash_bus", "main"]),
    "fpe": (signal.SIGFPE, 1, ["crash_fpe", "main"]),
    "ill": (signal.SIGILL, 2, ["crash_ill", "main"]),
    "trap": (signal.SIGTRAP, 128, ["crash_trap", "main"]),
    "sys": (signal.SIGSYS, 1, ["crash_sys", "main"]),
    "abort": (signal.SIGABRT, None, ["crash_abort", "main"]),
    "kill": (signal.SIGSEGV, None, ["main"]),
}
NORMAL, DIRECT = 1, 2
EXITED, EXECED = 2, 3
ENDS = {
    "return": (NORMAL, 9),
    "exit": (NORMAL, 7),
    "exit_more": (NORMAL, 7),
    "last_thread": (NORMAL, 0),
    "_exit": (DIRECT, 7),
    "_Exit": (DIRECT, 7),
    "quick_exit": (DIRECT, 7),
    "exit_group": (DIRECT, 7),
}
RUNNING, SIGNAL = 0, 14


def plain(names):
    """Parts of a function count as it; what stands between is in line or not as the compiler likes."""
    names = [x.split(".")[0] for x in names if x]
    return [x for x in names if x != "die" and not x.startswith("act_")]


def test_crash(folder, how):
    number, code, functions = CRASHES[how]
    program = folder.programs / "host_crash"
    tables = Tables(folder)
    result = tables.run(program, "die", how)
    check(result.code == 128 + number, f"{how}: exit code {result.code}")
    crashes = tables.show("crash")
    if not check(len(crashes) == 1, f"{how}: one crash record, not {crashes}"):
        return
    crash = crashes[0]
    check(int(crash["signal"]) == number, f"{how}: signal {crash['signal']}")
    if code is None:
        check(int(crash["code"]) <= 0, f"{how}: code {crash['code']} of a signal that was sent")
        check(crash["sender"] == crash["pid"], f"{how}: sent by {crash['sender']}")
    else:
        check(int(crash["code"]) == code, f"{how}: code {crash['code']}")
    check(crash["tid"] == crash["pid"], f"{how}: tid {crash['tid']}")
    check(int(crash["n_regs"]) >= 23, f"{how}: {crash['n_regs']} registers")
    check(how == "jump" or crash["n_code"] == "64", f"{how}: {crash['n_code']} bytes of code")
    check(how == "deep_on_stack" or int(crash["n_stack"]) > 500, f"{how}: {crash['n_stack']} of stack")
    check((crash["overflow"] == "1") == (how == "deep_on_stack"), f"{how}: overflow {crash['overflow']}")
    if how == "segv":
        check(crash["addr"] == "10", f"{how}: address {crash['addr']}")
    names = plain(Functions(program).names(crash["frames"], tables.show("module")))
    check(names[: len(functions)] == functions, f"{how}: stack {names[:20]}, wanted {functions}")
    end = tables.show("end")[0]
    check((end["state"], end["kind"]) == ("1", "0"), f"{how}: {end} says of no end by itself")
    test_others(how, tables, program, crash)


def test_others(how, tables, program, crash):
    """The threads besides: one was running and has said where, one waits in a call."""
    modules = tables.show("module")
    others = [x for x in tables.show("thread") if x["tid"] != crash["tid"]]
    running = [x for x in others if x["state"] == str(RUNNING)]
    waiting = [x for x in others if x["state"] == str(SIGNAL)]
    check(len(running) == 1 and len(waiting) == 1, f"{how}: one runs, one waits: {others}")
    if running:
        names = plain(Functions(program).names(running[0]["frames"], modules))
        check(names == ["work"], f"{how}: the thread that ran was in {names}")


def test_end(folder, how):
    kind, code = ENDS[how]
    tables = Tables(folder)
    result = tables.run(folder.programs / "host_crash", "die", how)
    check(result.code == code, f"{how}: exit code {result.code}, wanted {code}")
    end = tables.show("end")[0]
    got = (int(end["state"]), int(end["kind"]), int(end["code"]))
    check(got == (EXITED, kind, code), f"{how}: state, kind, code are {got}")
    check(not tables.show("crash"), f"{how}: no crash")


def test_exec(folder):
    """A new image that has us in its environment, and one that has not."""
    for argv, want in (
        (["sh", "-c", "exec true"], "1"),
        (["env", "-u", "LD_PRELOAD", "true"], "0"),
        (["env", "-u", "FLIGHTREC_DIR", "true"], "0"),
        (["env", "-i", "/bin/true"], "0"),
        (["env", "FLIGHTREC_DIR=/nowhere", "true"], "0"),
    ):
        tables = Tables(folder)
        tables.run(*argv)
        got = [x["traced_exec"] for x in tables.show("end") if int(x["state"]) == EXECED]
        check(got == [want], f"{argv}: traced exec {got}, wanted {want}")


def test_trace(folder):
    """The same in the trace that the recorder writes."""
    program = folder.programs / "host_crash"
    output = folder.new()
    result = recorded(folder, [program, "die", "segv"], output=output)
    check(result.code == 139, f"recorded: exit code {result.code}")
    trace = next(output.glob("trace-host_crash-*-SIGSEGV.out"), None)
    if not check(trace, f"a trace named for the death: {list(output.iterdir())}"):
        return
    where = folder.new()
    check(run(["tar", "xzf", trace, "-C", where]).code == 0, "tar reads the trace")
    text = run(["babeltrace2", where]).out.decode()

    def line(event, *parts):
        lines = [x for x in text.splitlines() if event + ":" in x]
        check(any(all(p in x for p in parts) for x in lines), f"{event} with {parts}: {lines}")

    line("flightrec_state:process", 'state = ( "killed"', "exit_kind = 0", "signal = 11", "is_oom = 0")
    line("flightrec_state:crash", "signal = 11", "code = 1", "addr = 16,", "rip=", "<", "is_overflow = 0")
    line("flightrec_state:trigger", 'kind = "death"')
    line("flightrec_state:symbol", 'func = "crash_segv"')
    line("flightrec_state:receipt", 'key = "death.signal"', 'value = "11"')
    line("flightrec_state:receipt", 'key = "samples.hz"', 'value = "19"')
    line("flightrec_state:receipt", 'key = "samples.lost"', 'value = "0"')
    line("flightrec_cpu:sample", "weight = 52631578", 'labels = "-"')


def main():
    what = sys.argv[1]
    with Folder() as folder:
        if what == "records":
            for how in CRASHES:
                test_crash(folder, how)
        else:
            for how in ENDS:
                test_end(folder, how)
            test_exec(folder)
            test_trace(folder)
    done()


main()
