#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Every kind of death leaves a trace named for it, with reason, profiles and the last state; an orderly end leaves none."""
import os
import re
import tarfile
from pathlib import Path

from lib import IS_ROOT, NOBODY, Folder, check, done, recorded, run, summary, wait_for

PROFILES = {f"profiles/{x}.pb.gz" for x in ("heap", "block", "mutex", "goroutine", "threadcreate")}


def traces(output):
    return sorted(x.name for x in output.iterdir() if x.name.startswith("trace-"))


def die(folder, argv, reason, code, *, name=None, uid=None, options=()):
    """Runs, and returns the facts of the one trace that is left."""
    output = folder.new(uid)
    result = recorded(folder, argv, output=output, uid=uid, options=options)
    check(result.code == code, f"{reason}: exit code {result.code} {result.err!r:.300}")
    names = traces(output)
    pattern = re.compile(rf"trace-{re.escape(name or Path(argv[0]).name)}-(\d+)-{re.escape(reason)}\.out")
    match = pattern.fullmatch(names[0]) if len(names) == 1 else None
    if not check(match, f"{reason}: one trace: {names} {result.ours()}"):
        return None
    path = output / names[0]
    check(os.path.samefile(path, output / "trace.out"), f"{reason}: trace.out is the same file")
    said = [x for x in result.ours() if names[0] in x]
    check(len(said) == 1 and f"(pid {match[1]})" in said[0], f"{reason}: one line says so: {result.ours()}")
    with tarfile.open(path) as archive:
        members = set(archive.getnames())
    check(PROFILES <= members, f"{reason}: profiles: {members}")
    with tarfile.open(path) as archive:
        archive.extract("profiles/heap.pb.gz", output)
    raw = run(["go", "tool", "pprof", "-raw", output / "profiles/heap.pb.gz"])
    check(raw.code == 0, f"{reason}: go tool pprof reads the profile: {raw.err!r:.200}")
    check(run(["babeltrace2", "-o", "dummy", unpack(folder, path)]).code == 0, f"{reason}: babeltrace2 reads it")
    facts = summary(folder, path)
    facts["receipt_text"] = state(folder, path)
    return facts


def unpack(folder, path):
    target = folder.new()
    run(["tar", "xzf", path, "-C", target])
    return target


def state(folder, path):
    """The state trace as text."""
    return run(["babeltrace2", unpack(folder, path) / "trace/state"]).out.decode()


def kinds(folder):
    kill = folder.programs / "host_process"
    facts = die(folder, [kill, "kill_self"], "SIGKILL", 137)
    if facts:
        check('key = "death", value = "host_process (pid ' in facts["receipt_text"], "receipt: death")
        check('key = "death.signal", value = "9"' in facts["receipt_text"], "receipt: death.signal")
        check(re.search(r"flightrec_state:process: .*signal = 9,", facts["receipt_text"]), "the process says its signal")
    py = ["python3", "-c"]
    die(folder, [*py, "import sys; sys.exit(3)"], "exit3", 3)
    die(folder, [*py, "import os; os._exit(0)"], "_exit", 0)
    die(folder, [*py, "import os; os._exit(4)"], "_exit4", 4)
    facts = die(folder, [*py, "import ctypes; ctypes.string_at(16)"], "SIGSEGV", 139)
    if facts:
        check("SIGSEGV (segmentation fault" in facts["receipt_text"], "what the signal means")
    die(folder, [*py, "import os; os.abort()"], "SIGABRT", 134)
    die(folder, ["sh", "-c", "kill -XCPU $$"], "SIGXCPU", 152)
    if IS_ROOT:
        die(folder, [*py, "import os; os.kill(os.getpid(), 9)"], "SIGKILL", 137, uid=NOBODY)


def static_program(folder):
    """A program that cannot be traced, since it is static."""
    path = folder.new() / "static"
    source = path.with_suffix(".c")
    source.write_text("#include <unistd.h>\nint main(void) { return sleep(1); }\n")
    made = run(["cc", "-static", "-o", path, source])
    return path if made.code == 0 else None


def becomes_untraced(folder):
    static = static_program(folder)
    if not check(static, "a static program can be built"):
        return
    facts = die(folder, ["python3", "-c", f"import os; os.execv('{static}', ['static'])"], "exec", 0)
    if facts:
        check("by exec()" in facts["receipt_text"], "the receipt says so")
    # An exec() into something traced is no death, and one that fails is none.
    output = folder.new()
    result = recorded(folder, ["sh", "-c", "exec /bin/sleep 0.2"], output=output)
    check(not traces(output), f"traced exec: {traces(output)} {result.ours()}")
    result = recorded(
        folder, ["python3", "-c", "import os, time\ntry: os.execv('/no/such', ['x'])\nexcept OSError: time.sleep(0.3)"], output=output
    )
    check(not traces(output) and result.code == 0, f"failed exec: {traces(output)} {result.ours()}")


def orderly(folder):
    output = folder.new()
    for argv in (["true"], ["sh", "-c", "exit 0"], ["sh", "-c", "(sleep 9 & kill $!) ; yes | head -1 >/dev/null; false; true"]):
        result = recorded(folder, argv, output=output)
        check(result.code == 0, f"{argv}: {result.code}")
    check(not traces(output), f"orderly ends leave nothing: {traces(output)}")
    recorded(folder, ["false"], output=output, options=["--on-death", "none"])
    check(not traces(output), "none are asked for")
    result = recorded(folder, ["false"], output=output, options=["--quiet"])
    check(len(traces(output)) == 1 and not result.err, f"quietly: {traces(output)} {result.err}")
    recorded(folder, ["true"], output=output, options=["--on-death=all", "--quiet"])
    check(len(traces(output)) == 2, f"all: {traces(output)}")


def children(folder):
    """Some of many that are killed, whatever becomes of the program."""
    script = "import os\nfor i in range(30):\n p = os.fork()\n if not p: os.kill(os.getpid(), 11)\n os.waitpid(p, 0)\n"
    output = folder.new()
    result = recorded(folder, ["python3", "-c", script], output=output)
    names = traces(output)
    check(result.code == 0, f"the program's own code: {result.code}")
    check(1 <= len(names) <= 3 and all("SIGSEGV" in x for x in names), f"few of 30: {names}")


def during_a_run(folder):
    """A trace of the whole life names the death, too."""
    output = folder.new()
    whole = output / "whole.out"
    result = recorded(folder, ["python3", "-c", "import os, time; time.sleep(0.3); os.abort()"], output=output, options=["--trace", whole])
    check(result.code == 134 and whole.exists() and len(traces(output)) == 1, f"both: {os.listdir(output)} {result.ours()}")
    check('key = "death"' in state(folder, whole), "--trace names the death")


def killed_for_memory(folder):
    """In a cgroup that is too small; where we may make one."""
    root = Path("/sys/fs/cgroup/memory")
    if not (IS_ROOT and root.is_dir() and os.access(root, os.W_OK)):
        print("# no memory cgroup (v1) to make one in: the OOM case is left out")
        return
    group = root / f"flightrec-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(300 << 20))
        enter = f"echo $$ > {group}/cgroup.procs; exec python3 -c 'x = b\"\".join(bytes([i & 255]) * (32 << 20) for i in range(40))'"
        output = folder.new()
        result = recorded(folder, ["sh", "-c", enter], output=output)
        said = [x for x in result.ours() if "SIGKILL" in x]
        check(result.code == 137 and said and "out of memory" in said[0], f"OOM: {result.code} {result.ours()}")
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text(), 5)
        group.rmdir()


with Folder() as folder:
    kinds(folder)
    becomes_untraced(folder)
    orderly(folder)
    children(folder)
    during_a_run(folder)
    killed_for_memory(folder)
done()
