#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Plain tar and babeltrace2 read a trace: every stream, without a warning, in order of time."""
import re
import tarfile
from collections import Counter

from lib import SOURCE, Folder, Recorder, check, done, dump, recorded, run, wait_for

LINE = re.compile(r"\[(\d+)\.(\d{9})\] \(\S+\) (?:\S+ )?(flightrec_\w+:\w+): ")


def read(folder, trace, name):
    """Unpacks and reads one trace; checks order and warnings. Returns events per name."""
    where = folder.new()
    for member in tarfile.open(trace):
        path = member.name
        check(
            (member.isfile() or member.isdir()) and ".." not in path and not path.startswith("/"),
            f"{name}: a plain member: {path}",
        )
    unpacked = run(["tar", "xzf", trace, "-C", where])
    check(unpacked.code == 0 and not unpacked.err, f"{name}: tar xzf: {unpacked.err!r}")
    result = run(["babeltrace2", "--clock-seconds", where])
    check(result.code == 0, f"{name}: babeltrace2: {result.err!r:.1000}")
    check(not result.err, f"{name}: babeltrace2 has no warning: {result.err!r:.1000}")

    counts, last, n_back, unknown = Counter(), 0, 0, []
    for line in result.out.decode("utf-8", "replace").splitlines():
        match = LINE.match(line)
        if not match:
            unknown.append(line)
            continue
        now = int(match[1] + match[2])
        n_back += now < last
        last = now
        counts[match[3]] += 1
    check(not unknown, f"{name}: only our events are in it: {unknown[:3]}")
    check(n_back == 0, f"{name}: {n_back} timestamps go back, of {sum(counts.values())}")

    # Each stream by itself: a folder with one stream file and the metadata beside it.
    n_streams, alone = 0, 0
    for metadata in sorted(where.rglob("metadata")):
        for stream in sorted(metadata.parent.iterdir()):
            if stream == metadata or not stream.is_file() or stream.stat().st_size == 0:
                continue
            single = folder.new()
            run(["cp", metadata, stream, single])
            result = run(["babeltrace2", "--clock-seconds", single])
            check(result.code == 0, f"{name}: stream {stream.name}: {result.err!r:.500}")
            alone += len(result.out.splitlines())
            n_streams += 1
    check(n_streams >= 2, f"{name}: has program and state streams: {n_streams}")
    check(
        alone == sum(counts.values()),
        f"{name}: {n_streams} streams have {alone} events, together {sum(counts.values())}",
    )
    return counts


def main():
    with Folder() as folder:
        trace = folder.new() / "trace.out"
        result = recorded(
            folder,
            [folder.programs / "known_locks"],
            options=["--trace", trace, "--alloc-rate", "1"],
        )
        check(result.code == 0, f"known_locks: {result.err!r}")
        counts = read(folder, trace, "a whole run")
        for event in (
            "flightrec_lock:wait",
            "flightrec_syscall:call",
            "flightrec_thread:start",
            "flightrec_thread:exit",
            "flightrec_alloc:sample",
            "flightrec_state:env",
            "flightrec_state:process",
            "flightrec_state:module",
            "flightrec_state:thread",
            "flightrec_state:stack",
            "flightrec_state:symbol",
            "flightrec_state:receipt",
        ):
            check(counts[event] > 0, f"{event} is in the trace: {dict(counts)}")

        # trace-view sees the same events as babeltrace2.
        ours = Counter(x["event"] for x in dump(folder, trace))
        for event, n in counts.items():
            if not event.startswith("flightrec_state:"):
                check(ours[event] == n, f"{event}: trace-view {ours[event]}, babeltrace2 {n}")

        port_file = folder.path / "service-port"
        service = [folder.path / "examples" / "buggycache", "--port", "0", "--port-file", port_file]
        with Recorder(folder, service) as recorder:
            check(wait_for(port_file.exists, 10), "buggycache starts")
            port = port_file.read_text().strip()
            load = [SOURCE / "examples" / "load", port, "--seconds", "2"]
            trace = recorder.record(3, lambda: run(load))
            read(folder, trace, "a run of a service")
            status, body = recorder.json("/debug/trace/recorder/snapshot")
            check(status == 200, f"snapshot: {status} {body}")
            read(folder, recorder.output / "trace.out", "a snapshot")
    done()


main()
