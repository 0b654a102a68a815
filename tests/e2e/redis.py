#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""redis-server under redis-benchmark: threads, calls, call sites, and profiles that Go's pprof opens."""
import os
import subprocess

from lib import (
    Folder,
    Recorder,
    check,
    done,
    dump,
    free_port,
    run,
    summary,
    view,
    wait_for,
)

# A function of redis's own that each derived profile must show, where redis waits or works so.
OWN = {
    "net": ("aeProcessEvents", "aeApiPoll", "aeMain"),
    "syscall": ("connSocketRead", "readQueryFromClient", "writeToClient", "connSocketWrite"),
    "sync": ("bioProcessBackgroundJobs",),
    "alloc": ("zmalloc", "ztrymalloc_usable", "createEmbeddedStringObject", "processCommand", "call"),
}


def main():
    with Folder() as folder:
        port = free_port()
        cli = ["redis-cli", "-p", str(port)]
        server = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
        server += ["--save", "", "--appendonly", "no", "--dir", folder.new()]
        with Recorder(folder, server, options=["--alloc-rate", "64K"]) as recorder:
            ready = wait_for(lambda: b"PONG" in run([*cli, "ping"]).out, 20)
            if not check(ready, f"redis answers: {recorder.stderr()}"):
                done()

            def load():
                bench = ["redis-benchmark", "-p", str(port), "-t", "set,get", "-n", "60000"]
                result = run([*bench, "-c", "20", "-d", "3000", "-q"])
                check(result.code == 0, f"redis-benchmark: {result.err!r}")
                # Lists of more than 64 nodes are freed by a background thread, which waits on a condition variable.
                for i in range(3):
                    fill = "for i=1,40000 do redis.call('rpush', KEYS[1], i .. string.rep('x', 50)) end"
                    run([*cli, "eval", fill, "1", f"list{i}"])
                    result = run([*cli, "unlink", f"list{i}"])
                    check(result.out.strip() == b"1", f"unlink: {result.out!r}")

            trace = recorder.record(8, load)
            check(recorder.stop() == 0, "redis ends on SIGTERM")

        check_summary(folder, trace)
        for kind, functions in OWN.items():
            check_profile(folder, trace, kind, functions)
    done()


def check_summary(folder, trace):
    data = summary(folder, trace)
    names = {x["name"] for x in data["threads"]}
    for name in ("redis-server", "bio_close_file", "bio_aof_fsync", "bio_lazy_free"):
        check(name in names, f"thread {name} is in {sorted(names)}")
    check({"epoll_wait", "read", "write"} <= {x["call"] for x in data["call_sites"]}, "call sites")
    severe = [x for x in data["findings"] if x["severity"] == "high"]
    check(not severe, f"a healthy redis has no severe finding: {severe}")
    # The innermost function is static in Debian's stripped binary; its caller has a name.
    frames = {
        (x["call"], function)
        for x in dump(folder, trace)
        if x.get("call") in ("epoll_wait", "read", "write")
        for function in x["stack"].split("<")
    }
    for call, functions in (
        ("epoll_wait", {"aeProcessEvents", "aeApiPoll", "aeMain"}),
        ("read", {"readQueryFromClient", "connSocketRead"}),
        ("write", {"writeToClient", "connSocketWrite", "_writeToClient"}),
    ):
        got = {function for name, function in frames if name == call}
        check(got & functions, f"{call} comes from one of {functions}: {got}")
    print(view(folder, "summary", trace).out.decode())


def check_profile(folder, trace, kind, functions):
    profile = folder.path / f"{kind}.pb.gz"
    result = view(folder, "pprof", f"--type={kind}", trace)
    check(result.code == 0, f"pprof --type={kind}: {result.err!r}")
    check(result.out[:2] == b"\x1f\x8b", f"{kind}: gzip")
    profile.write_bytes(result.out)
    go = {"HOME": str(folder.path), "PPROF_TMPDIR": str(folder.path), "GOFLAGS": "-mod=mod"}
    top = subprocess.run(
        ["go", "tool", "pprof", "-top", "-cum", "-nodecount=400", str(profile)],
        env={**os.environ, **go},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    check(top.returncode == 0, f"go tool pprof -top {kind}: {top.stderr}")
    shown = [x.split()[-1] for x in top.stdout.splitlines() if x.split()]
    check(
        any(x in functions for x in shown),
        f"{kind}: one of {functions} is among redis's functions:\n{top.stdout[:3000]}",
    )
    again = view(folder, f"-pprof={kind}", trace)
    check(again.out == result.out, f"-pprof={kind} is the same profile")


main()
