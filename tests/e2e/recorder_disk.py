#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Size cap, full disk, little shared memory: recordings end early, say so, and are readable."""
import os
import re
import subprocess
import sys
import time

from lib import IS_ROOT, Folder, Recorder, check, done, run, wait_for

RUN = "/debug/trace/recorder/run"
SNAPSHOT = "/debug/trace/recorder/snapshot"

# A few hundred thousand events a second.
BUSY = ["perl", "-e", 'open F, "<", "/dev/zero"; $| = 1; print "ready\\n"; sysread F, $b, 1 while 1']


def receipt(path):
    folder = path.parent / "unpacked"
    run(["rm", "-rf", folder])
    folder.mkdir()
    run(["tar", "xzf", path, "-C", folder])
    text = run(["sh", "-c", f"babeltrace2 {folder} | grep flightrec_state:receipt"]).out.decode()
    found = re.findall(r'key = "([^"]*)", value = "([^"]*)"', text)
    return dict(found)


def ready(recorder):
    check(wait_for(lambda: "ready" in recorder.stderr(), 20), "the program runs")


def ended(recorder):
    check(wait_for(lambda: recorder.state()["data"]["last"], 60), "the recording ends by itself")
    return recorder.state()["data"]["last"]


def size_cap(folder):
    with Recorder(folder, BUSY, options=["--max-trace-size", "8M"]) as recorder:
        ready(recorder)
        recorder.json(RUN + "?duration=10m")
        info = ended(recorder)
        check(info["end_reason"] == "size_cap", f"size cap: {info}")
        check(8 << 20 <= info["bytes_raw"] < 200 << 20, f"size cap: raw bytes {info['bytes_raw']}")
        facts = receipt(recorder.output / "trace.out")
        check(facts.get("end_reason") == "size_cap", f"size cap: {facts}")
        check(any("--max-trace-size" in v for k, v in facts.items() if k.startswith("note.")), f"a note says it: {facts}")
        status, body = recorder.json(RUN + "?duration=100ms")
        check(status == 200, f"the next run starts: {status} {body}")


def mount(path, size):
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)


def full_disk(folder):
    """The output folder is a small file system that fills up, by us or by somebody else."""
    small = folder.path / "small"
    mount(small, "120m")
    try:
        with Recorder(folder, BUSY, options=["--output-dir", small]) as recorder:
            ready(recorder)
            recorder.json(RUN + "?duration=10m")
            info = ended(recorder)
            check(info["end_reason"] == "disk_full" and not info["error"], f"full disk: {info}")
            check(receipt_elsewhere(folder, small / "trace.out").get("end_reason") == "disk_full", "the trace says so")
            names = sorted(p.name for p in small.iterdir())
            check(names == ["trace.out"], f"only the trace is left: {names}")

            filler = small / "filler"
            with open(filler, "wb") as f:
                free = os.statvfs(small)
                f.write(b"x" * (free.f_bavail * free.f_frsize - (8 << 20)))
            status, body = recorder.json(RUN + "?duration=1s")
            check((status, body["errorCode"]) == (503, "DISK_FULL"), f"no room: {status} {body}")
            status, body = recorder.json(SNAPSHOT)
            check((status, body["errorCode"]) == (503, "DISK_FULL"), f"no room for a snapshot: {status} {body}")
            status, body = recorder.get("/debug/pprof/trace?seconds=0.1")
            check(status == 503 and body.startswith(b"Could not enable tracing: "), f"no room: {status} {body}")
            filler.unlink()
            status, body = recorder.json(RUN + "?duration=100ms")
            check(status == 200, f"room again: {status} {body}")
    finally:
        subprocess.run(["umount", small], check=True)


def receipt_elsewhere(folder, path):
    copy = folder.new() / "trace.out"
    copy.write_bytes(path.read_bytes())
    return receipt(copy)


def full_while_packing(folder):
    """The disk fills up after the recording: the raw data is kept and named."""
    small = folder.path / "small"
    mount(small, "200m")
    try:
        with Recorder(folder, BUSY, options=["--output-dir", small]) as recorder:
            ready(recorder)
            recorder.json(RUN + "?duration=10m")
            check(wait_for(lambda: recorder.state()["data"]["current"]["bytes_on_disk"] > 20 << 20, 30), "20 MiB recorded")
            filler = open(small / "filler", "wb", buffering=0)
            try:
                while True:
                    filler.write(b"x" * (1 << 20))
            except OSError:
                filler.close()
            info = ended(recorder)
            if info["error"]:
                raw = re.search(r"kept in (\S+)", info["error"])
                check(raw and os.path.isdir(raw.group(1)), f"the raw recording is where we say: {info}")
                check(info["file"] is None, f"no file is promised: {info}")
                check(raw and raw.group(1) in recorder.stderr(), "stderr names it too")
            else:
                check(False, f"packing on a full disk cannot succeed: {info}")
            check(not (small / "trace.out").exists(), "no half trace.out")
    finally:
        subprocess.run(["umount", small], check=True)


def little_shared_memory(folder):
    """As in a container: /dev/shm of 64 MiB. A smaller ring is used, and said."""
    script = (
        "mount -t tmpfs -o size=64m tmpfs /dev/shm && "
        f"exec {folder.bin}/trace-record --listen 127.0.0.1:0 --output-dir {folder.path} --trace {folder.path}/shm.out "
        "-- perl -e 'select(undef, undef, undef, 0.02) for 1..5'"
    )
    result = run(["unshare", "-m", "sh", "-c", script])
    check(result.code == 0, f"little shared memory: {result.code} {result.err!r}")
    check(any("instead of 64 MiB" in line for line in result.ours()), f"the smaller ring is said: {result.ours()}")
    facts = receipt_elsewhere(folder, folder.path / "shm.out")
    check(any("instead of 64 MiB" in v for v in facts.values()), f"and noted in the trace: {facts}")


def main():
    with Folder() as folder:
        size_cap(folder)
        if not IS_ROOT:
            print("SKIP: mounting small file systems needs root")
            sys.exit(77)
        full_disk(folder)
        full_while_packing(folder)
        little_shared_memory(folder)
    done()


main()
