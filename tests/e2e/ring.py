#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The ring read by our own reader: no hole in what a copy claims, while programs write at full speed."""
import os
import re
import subprocess
import time
from pathlib import Path

from lib import IS_ROOT, Folder, Recorder, check, done, run, wait_for

EVENT = re.compile(rb'^\[(\d+)\].*name = "(w\d+)", value = (\d+)')


def events(folder):
    """Time, thread and number of every counted event, by babeltrace2."""
    process = subprocess.Popen(["babeltrace2", "--clock-cycles", "--no-delta", str(folder)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in process.stdout:
        match = EVENT.match(line)
        if match:
            yield int(match[1]), match[2], int(match[3])
    error = process.stderr.read()
    check(process.wait() == 0, f"babeltrace2 reads {folder}: {error[-400:]!r}")


def numbers(folder, begin=0, end=1 << 63):
    """Per thread the numbers in [begin, end], and how many of them do not follow the one before."""
    found, holes = {}, []
    for when, name, value in events(folder):
        if not begin <= when <= end:
            continue
        if name in found and value != found[name][-1] + 1:
            holes.append((when, name, found[name][-1], value))
        found.setdefault(name, []).append(value)
    return found, holes


def ring_of(recorder):
    """The ring's folder in shared memory."""
    status = recorder.state()["data"]
    pid = status["program"]["pid"]
    place = dict(x.split("=", 1) for x in open(f"/proc/{pid}/environ").read().split("\0") if "=" in x)["FLIGHTREC_DIR"]
    return f"{place}/lttng/shm/ring-0"


def copy(folder, ring, *more):
    """Our reader alone; what it says."""
    out = folder.new()
    result = run([folder.programs / "ring_copy", ring, out, *more])
    check(result.code == 0, f"ring_copy: {result.err!r}")
    names = ("begin", "end", "bytes", "lost_events", "lost_packets", "torn_packets", "torn_bytes")
    return out, dict(zip(names, map(int, result.out.split())))


def full_speed(folder, size, n_threads):
    """Copies of the past while writers go round and round."""
    with Recorder(folder, [folder.programs / "ring_writer", str(n_threads), "0"], options=["--buffer-size", size]) as recorder:
        check(wait_for(lambda: "ready" in recorder.stderr() or recorder.state()["data"]["ring"]["held_bytes"], 20), "it writes")
        ring = ring_of(recorder)
        time.sleep(0.5)
        for _ in range(3):
            out, facts = copy(folder, ring)
            # What is claimed begins with the youngest of the streams' first packets.
            begin = max(first_packet(path) for path in out.glob("ust/uid/*/64-bit/flight_*") if path.stat().st_size)
            found, holes = numbers(out, begin, facts["end"])
            check(facts["bytes"] > 0 and found, f"{size}: something is copied: {facts}")
            check(not holes, f"{size}, {n_threads} writers: no holes: {holes[:3]} of {len(holes)}")
        recorder.stop()


def first_packet(path):
    """Begin of a stream's first packet."""
    with open(path, "rb") as stream:
        return int.from_bytes(stream.read(40)[32:40], "little")


def onward(folder):
    """A copy made while it goes on, of a ring that is used up several times."""
    with Recorder(folder, [folder.programs / "ring_writer", "2", "0", "100000"], options=["--buffer-size", "2M"]) as recorder:
        ring = ring_of(recorder)
        time.sleep(0.3)
        out, facts = copy(folder, ring, "1500", "5")
        found, holes = numbers(out, facts["begin"], facts["end"])
        n = sum(len(x) for x in found.values())
        check(facts["lost_packets"] or not holes, f"what is missing is counted: {holes[:3]}, {facts}")
        check(facts["lost_packets"] or n > 150000, f"all of 1.5 s: {n} events, {facts}")
        recorder.stop()


def lttng_snapshot(folder, ring):
    """A snapshot by LTTng's tools, with the rights of the private daemon."""
    home = Path(ring).parent.parent
    owner = home.stat().st_uid
    out = folder.new(owner)
    session = next(x for x in Path("/proc").glob("*/comm") if x.read_text() == "trace-record\n"
                   and f"-{x.parent.name}/" in ring).parent.name
    result = run(["lttng", "--no-sessiond", "snapshot", "record", "--session", f"flightrec-{session}-ring-0", f"file://{out}"],
                 uid=owner if IS_ROOT else None, env={"LTTNG_HOME": str(home)})
    check(result.code == 0, f"lttng snapshot: {result.err!r} {result.out!r}")
    return out


def other_readers(folder):
    """lttng-crash and LTTng's own snapshots see the same in the same ring, once nobody writes."""
    argv = ["sh", "-c", f"{folder.programs}/ring_writer 3 1 20000; sleep 1000"]
    with Recorder(folder, argv) as recorder:
        time.sleep(2)
        ring = ring_of(recorder)
        out, _ = copy(folder, ring)
        crash = folder.path / "crash"
        result = run(["lttng-crash", "-x", crash, ring])
        check(result.code == 0, f"lttng-crash: {result.err!r}")
        ours, theirs = numbers(out), numbers(crash)
        snapshot = lttng_snapshot(folder, ring)
        after, _ = copy(folder, ring)
        check(ours == numbers(snapshot), "the same as a snapshot of LTTng's own")
        check(ours == numbers(after), "and that one leaves us the ring as it was")
        check(ours == theirs and not ours[1], f"the same as lttng-crash: {[(k, len(v)) for k, v in ours[0].items()]}")
        check(sum(len(x) for x in ours[0].values()) > 50000, "and not nothing")
        recorder.stop()


def after_death(folder):
    """Killed at full speed: all but the event that was being written is there, also without the daemon."""
    for _ in range(3):
        with Recorder(folder, [folder.programs / "ring_writer", "3", "0"], options=["--buffer-size", "8M"]) as recorder:
            time.sleep(0.7)
            os.kill(recorder.state()["data"]["program"]["pid"], 9)
            recorder.process.wait(60)
            trace = recorder.output / "trace.out"
            check(trace.exists(), "the death has a trace")
            unpacked = folder.new()
            run(["tar", "xzf", trace, "-C", unpacked])
            text = run(["babeltrace2", unpacked / "trace" / "state"]).out.decode()
            facts = dict(re.findall(r'flightrec_state:receipt: .*key = "([^"]*)", value = "([^"]*)"', text))
            found, holes = numbers(unpacked, int(facts["window.begin_ns"]), int(facts["window.end_ns"]))
            torn = sum("within an event" in x for x in facts.values())
            check(found and (not holes or torn and len(holes) <= 2), f"after SIGKILL: {holes[:3]}, {facts}")


def main():
    with Folder() as folder:
        full_speed(folder, "1M", 2)
        full_speed(folder, "16M", 3)
        onward(folder)
        other_readers(folder)
        after_death(folder)
    done()


if __name__ == "__main__":
    main()
