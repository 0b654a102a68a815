#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""trace-view export: each format is read back by what reads it, and says what SQL says."""
import csv
import gzip
import io
import json
import os
import re
import sqlite3
import subprocess
from pathlib import Path

from viewer_lib import STORY, Workspace, check, done

LIB = Path(os.environ["SOURCE_DIR"]) / "tests" / "lib"

# Regions nest and end at one moment, a counter, a log, and a switch that the kernel saw.
MORE = """
1760ms 502 region_begin task=1 type=outer stack=20
1761ms 502 region_begin task=1 type=inner stack=21
1762ms 502 counter name=queue value=-3
1763ms 502 region_end task=1 type=inner dur=2ms
1763ms 502 region_end task=1 type=outer dur=3ms
"""


def sql(space, trace, query):
    return json.loads(space.view("sql", "--json", "--cache", "", trace, query).stdout)


def count(space, trace, table):
    return sql(space, trace, f"SELECT count(*) AS n FROM {table}")[0]["n"]


def check_chrome(space, trace):
    answer = json.loads(space.view("export", "--format=chrome", trace).stdout)
    events = answer["traceEvents"]
    by_phase = {}
    for event in events:
        by_phase.setdefault(event["ph"], []).append(event)
        check({"ph", "name", "pid", "tid", "ts"} <= set(event), f"what every event has: {event}")
        check(event["ph"] != "X" or event["dur"] >= 0, f"a length: {event}")
    check(set(by_phase) <= set("XMsfbeiC"), f"known phases: {set(by_phase)}")
    expected = count(space, trace, "slice") + count(space, trace, "region")
    check(len(by_phase["X"]) == expected, f"slices and regions: {len(by_phase['X'])} {expected}")
    starts, ends = by_phase["s"], by_phase["f"]
    check(len(starts) == len(ends) > 0, "every arrow has both ends")
    check([e["id"] for e in starts] == [e["id"] for e in ends], "with one id")
    check(all(a["ts"] <= b["ts"] for a, b in zip(starts, ends)), "and leads to later")
    check(len(by_phase["b"]) == len(by_phase["e"]) == count(space, trace, "task"), "tasks begin and end")
    check([e["args"]["value"] for e in by_phase["C"]] == [-3], f"the counter: {by_phase['C']}")
    names = [event["name"] for event in by_phase["X"]]
    check({"mutex", "read", "recv", "outer", "inner"} <= set(names), f"names: {names}")
    check(names.index("outer") < names.index("inner"), "the outer region comes first")


def check_perfetto(space, trace):
    packed = space.view("export", "--format=perfetto", trace).stdout
    text = subprocess.run(
        ["protoc", f"--proto_path={LIB}", "--decode=Trace", "perfetto_subset.proto"],
        input=packed,
        capture_output=True,
        check=False,
    )
    if not check(text.returncode == 0, f"protoc decodes it: {text.stderr!r}"):
        return
    text = text.stdout.decode()
    unknown = re.findall(r"^\s*\d+: .*|^\s*\d+ \{", text, re.M)
    check(not unknown, f"no field but those of the schema: {unknown[:5]}")
    packets = text.split("\npacket {")
    check(all("trusted_packet_sequence_id: 1" in packet for packet in packets), "every packet is of the sequence")
    depth, open_names = {}, 0
    for packet in packets:
        event = re.search(r"track_event \{(.*?)\n  \}", packet, re.S)
        if not event:
            continue
        fields = dict(re.findall(r"(\w+): (\S+)", event.group(1)))
        if fields["type"] in "12":
            step = 1 if fields["type"] == "1" else -1
            depth[fields["track_uuid"]] = depth.get(fields["track_uuid"], 0) + step
            check(depth[fields["track_uuid"]] >= 0, f"nothing ends before it begins: {packet}")
            open_names += step
    check(open_names == 0, f"whatever begins ends: {depth}")
    begins = text.count("    type: 1\n")
    expected = sum(count(space, trace, table) for table in ("slice", "region", "task"))
    check(begins == expected, f"slices, regions and tasks: {begins} {expected}")
    tracks = set(re.findall(r"^    uuid: (\d+)", text, re.M))
    used = set(re.findall(r"track_uuid: (\d+)|parent_uuid: (\d+)", text))
    check({a or b for a, b in used} <= tracks, "every track is described")
    stacks = set(re.findall(r"callstacks \{\n      iid: (\d+)", text))
    check(set(re.findall(r"callstack_iid: (\d+)", text)) <= stacks and stacks, "every stack is interned")
    check("counter_value: -3" in text, "the counter's value")
    check(text.count("    flow_ids: ") == text.count("terminating_flow_ids: ") > 0, "arrows have two ends")


def check_tables(space, trace):
    rows = list(csv.DictReader(io.StringIO(space.view("export", "--format=csv", "--table=wait", trace).stdout.decode())))
    check([int(row["dur"]) for row in rows] == [row["dur"] for row in sql(space, trace, "SELECT dur FROM wait")], "CSV")
    result = space.view("export", "--format=csv", "--table=nothing", trace)
    check(result.returncode == 1 and b"no table 'nothing'" in result.stderr, f"an unknown table: {result.stderr!r}")
    path = space.path / "saved.sqlite"
    result = space.view("export", "--format=sqlite", "-o", path, trace)
    check(result.returncode == 0, f"sqlite: {result.stderr!r}")
    with sqlite3.connect(path) as saved:
        for table in ("wait", "syscall", "slice", "thread", "frame", "receipt"):
            n = saved.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            check(n == count(space, trace, table) and n, f"the table {table} is there whole: {n}")
    result = space.view("export", "--format=sqlite", "-o", path, trace)
    check(result.returncode == 1 and b"there already" in result.stderr, f"nothing is overwritten: {result.stderr!r}")
    check(space.view("export", "--format=sqlite", trace).stdout.startswith(b"SQLite format 3"), "as a stream")


def check_gzip(space, trace):
    plain = space.view("export", "--format=chrome", trace).stdout
    path = space.path / "packed"
    check(space.view("export", "--format=chrome", "--gzip", "-o", path, trace).returncode == 0, "--gzip")
    check(gzip.decompress(path.read_bytes()) == plain, "--gzip changes nothing else")
    check(gzip.decompress(space.view("export", "--format=chrome", "-z", trace).stdout) == plain, "also on a stream")


def check_parts(space, trace):
    rows = space.view("export", "--format=csv", "--table=syscall", "--thread=501", trace).stdout.decode()
    check(rows.count("\n") == 1, f"only threads that are wanted: {rows}")
    late = json.loads(space.view("export", "--format=chrome", "--from=500ms", trace).stdout)["traceEvents"]
    check("read" not in [event["name"] for event in late], "only from a moment on")
    folded = space.view("export", "--format=folded", "--type=syscall", trace)
    check(folded.returncode == 0 and folded.stdout == space.view("pprof", "--type=syscall", "--format=folded", trace).stdout, "folded")
    check(space.view("export", "--format=tape", trace).returncode == 2, "an unknown format is a mistake in usage")


def main():
    with Workspace() as space:
        trace = space.trace(STORY + MORE)
        check_chrome(space, trace)
        check_perfetto(space, trace)
        check_tables(space, trace)
        check_gzip(space, trace)
        check_parts(space, trace)
    done()


main()
