# SPDX-License-Identifier: MIT
"""The rules that a served profile must keep, so that every reader takes it: Go's pprof, Parca, Alloy
and Pyroscope. Each fault has a code; RULES lists all, and the self-test breaks each of them.

    python3 -m pprof.rules heap FILE...     judges files (run in tests/lib)
"""
import re
import sys
import time
from dataclasses import dataclass, field

from . import proto

HEAP_TYPES = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
]
WAIT_TYPES = [("contentions", "count"), ("delay", "nanoseconds")]
CPU_TYPES = [("samples", "count"), ("cpu", "nanoseconds")]

# kind → (sample types, period type, default sample type); any other name: NAME/count.
KINDS = {
    "cpu": (CPU_TYPES, ("cpu", "nanoseconds"), ""),
    "heap": (HEAP_TYPES, ("space", "bytes"), ""),
    "allocs": (HEAP_TYPES, ("space", "bytes"), "alloc_space"),
    "block": (WAIT_TYPES, ("contentions", "count"), ""),
    "mutex": (WAIT_TYPES, ("contentions", "count"), ""),
    # Derived from a trace.
    "sync": (WAIT_TYPES, ("trace", "count"), ""),
    "syscall": (WAIT_TYPES, ("trace", "count"), ""),
    "net": (WAIT_TYPES, ("trace", "count"), ""),
    "alloc": (HEAP_TYPES, ("space", "bytes"), ""),
    "sched": (WAIT_TYPES, ("trace", "count"), ""),
    "offcpu": (WAIT_TYPES, ("trace", "count"), ""),
    "waker": (WAIT_TYPES, ("contentions", "count"), ""),
    "lock": (WAIT_TYPES, ("contentions", "count"), ""),
    "wall": ([("samples", "count"), ("wall", "nanoseconds")], ("wall", "nanoseconds"), ""),
}
HEAPS = ("heap", "allocs", "alloc")
# Of a window: what lives may be older than it.
DERIVED = ("sync", "syscall", "net", "alloc", "sched", "offcpu", "waker", "lock", "wall")
# Kinds whose samples carry the labels of their threads.
LABELLED = ("cpu", "goroutine", "thread", "lock", "wall")

RULES = {
    "gzip": "one whole gzip file, and nothing after it",
    "wire": "readable as profile.proto",
    "unknown-field": "no fields that profile.proto does not have",
    "repeated-field": "fields that hold one value appear once",
    "concatenated": "not two profiles in a row",
    "no-strings": "there is a string table",
    "string-0": "string 0 is empty",
    "string-index": "string indices are in range",
    "string-double": "no string twice",
    "string-unused": "no string without use",
    "utf8": "strings are UTF-8",
    "types": "exactly the sample types of this kind, in order",
    "type-name": "at most four sample types, no '-' in their names",
    "period-type": "the period type of this kind",
    "period": "the period of this kind",
    "default-type": "the default sample type of this kind",
    "time": "time_nanos is there, wall clock, within the request",
    "duration": "duration_nanos for windows only, as long as the window",
    "remark": "no comments, frame filters, or document address",
    "mapping-id": "mappings are numbered 1..n in order",
    "mapping-range": "mappings are not empty, and do not overlap",
    "mapping-file": "mappings name their file",
    "mapping-main": "the program comes first",
    "build-id": "build ids are lower-case hex",
    "has-functions": "has_functions is set exactly where every location has a name",
    "has-filenames": "has_filenames only where every line has a file",
    "has-lines": "has_line_numbers only where every line has a number",
    "location-id": "locations are numbered 1..n in order",
    "location-address": "addresses are neither 0 nor shared",
    "location-mapping": "locations lie in the mapping they name",
    "location-use": "locations are in order of first use, none unused",
    "location-line": "lines name a function that is there",
    "function-id": "functions are numbered 1..n in order",
    "function-name": "functions have a name and a system name",
    "function-use": "no function without use",
    "sample-values": "one value for each sample type",
    "sample-location": "samples name locations that are there",
    "sample-empty": "samples have a stack",
    "sample-zero": "no sample whose values are all zero",
    "sample-double": "no two samples of the same stack and labels",
    "sample-negative": "no negative values, deltas apart",
    "cpu-value": "CPU time is ticks times the period",
    "heap-inuse": "no more in use than allocated",
    "heap-pair": "objects and bytes are both zero, or both not",
    "heap-bytes": "label bytes is bytes divided by objects",
    "label-key": "labels have a key, none in pprof's own name space",
    "label-value": "labels have a text or a number, not both",
    "label-double": "one label of each key",
    "label-kind": "only the labels that this kind has",
    "own-frames": "nothing of the tracer in the stacks",
    "limits": "within Pyroscope's limits",
    "not-monotonic": "totals of later snapshots are not smaller",
}

OWN_LIBRARY = "libflightrec.so"
SHARED_LABELS = {"pid"}  # what tells processes apart, on any kind


@dataclass
class Context:
    """What is known of a profile besides its bytes."""

    kind: str
    is_delta: bool = False
    hz: int = 100
    rate: int = 524288
    since: float = 0  # wall clock in seconds: time_nanos lies between; 0 not known
    until: float = 0
    seconds: float = 0  # of the window
    binary: str = ""  # file name of the program
    skip: frozenset = frozenset()  # codes that are not asked for


@dataclass
class Verdict:
    profile: object = None
    faults: list = field(default_factory=list)

    def codes(self):
        return {code for code, _ in self.faults}

    def __str__(self):
        shown = [f"{code}: {text}" for code, text in self.faults[:12]]
        return "; ".join(shown) + (
            f"; … {len(self.faults)} in all" if len(self.faults) > 12 else ""
        )


class _Judge:
    def __init__(self, profile, context, faults):
        self.p, self.c, self.faults = profile, context, faults
        self.locations = {x.id: x for x in profile.location}
        self.functions = {x.id: x for x in profile.function}
        self.mappings = {x.id: x for x in profile.mapping}
        self.used = {0}

    def fault(self, code, text):
        assert code in RULES, code
        if code not in self.c.skip:
            self.faults.append((code, text))

    def must(self, is_good, code, text):
        if not is_good:
            self.fault(code, text)

    def text(self, index, where):
        self.used.add(index)
        if not 0 <= index < len(self.p.string_table):
            self.fault("string-index", f"{where}: {index} of {len(self.p.string_table)}")
            return ""
        return self.p.text(index)

    def strings(self):
        table = self.p.string_table
        self.must(table, "no-strings", "the string table is empty")
        self.must(not table or table[0] == b"", "string-0", f"string 0 is {table[:1]}")
        for i, string in enumerate(table):
            try:
                string.decode("utf-8")
            except UnicodeDecodeError:
                self.fault("utf8", f"string {i}: {string!r}")
        doubles = len(table) - len(set(table))
        self.must(not doubles, "string-double", f"{doubles} strings are there twice")

    def strings_used(self):
        unused = [self.p.text(i) for i in range(len(self.p.string_table)) if i not in self.used]
        self.must(not unused, "string-unused", f"{len(unused)} strings: {unused[:5]}")

    def head(self):
        p, c = self.p, self.c
        named = [(f"{c.kind}", "count")]
        types, period_type, default = KINDS.get(c.kind, (named, named[0], ""))
        got = [(self.text(x.type, "type"), self.text(x.unit, "unit")) for x in p.sample_type]
        self.must(got == types, "types", f"{got}, not {types}")
        self.must(len(got) <= 4 and not any("-" in x for x, _ in got), "type-name", f"{got}")
        kind = p.period_type or proto.ValueType()
        got = (self.text(kind.type, "period type"), self.text(kind.unit, "period unit"))
        self.must(got == period_type, "period-type", f"{got}, not {period_type}")
        period = 10**9 // c.hz if c.kind == "cpu" else c.rate if c.kind in HEAPS else 1
        self.must(p.period == period, "period", f"{p.period}, not {period}")
        got = self.text(p.default_sample_type, "default type")
        self.must(got == default, "default-type", f"{got!r}, not {default!r}")
        has_remark = p.comment or p.drop_frames or p.keep_frames or p.doc_url
        self.must(
            not has_remark, "remark", f"{p.comment} {p.drop_frames} {p.keep_frames} {p.doc_url}"
        )
        for index in [*p.comment, p.drop_frames, p.keep_frames, p.doc_url]:
            self.text(index, "remark")

    def times(self):
        p, c = self.p, self.c
        at, now = p.time_nanos / 1e9, time.time()
        since, until = c.since or now - 3600, c.until or now + 60
        is_good = since - 0.05 <= at <= until + 0.05 or at == 0 and c.kind in DERIVED
        self.must(is_good, "time", f"{at:.3f} is not from {since:.3f} to {until:.3f}")
        seconds = p.duration_nanos / 1e9
        if c.kind == "cpu" or c.is_delta:
            is_good = c.seconds * 0.999 <= seconds <= c.seconds + 5 if c.seconds else seconds > 0
            self.must(is_good, "duration", f"{seconds} s, of {c.seconds} s")
        else:
            self.must(p.duration_nanos == 0, "duration", f"{seconds} s in a snapshot")

    def numbered(self, items, code):
        for i, item in enumerate(items, 1):
            if item.id != i:
                self.fault(code, f"number {item.id} in place {i} of {len(items)}")
                break

    def mapping_table(self):
        end = 0
        self.numbered(self.p.mapping, "mapping-id")
        for m in self.p.mapping:
            name = self.text(m.filename, "mapping")
            self.must(name, "mapping-file", f"mapping {m.id} at {m.memory_start:#x}")
            self.must(not name.endswith(" (deleted)"), "mapping-file", name)
            is_good = m.memory_start < m.memory_limit
            self.must(is_good, "mapping-range", f"{m.memory_start:#x}-{m.memory_limit:#x} {name}")
            build_id = self.text(m.build_id, "build id")
            is_good = re.fullmatch("([0-9a-f]{2})*|go[.:].*", build_id)
            self.must(is_good, "build-id", f"{name}: {build_id!r}")
        # Each process has an address space of its own, and starts with its program.
        has_many = any(self.p.text(x.key) == "pid" for s in self.p.sample for x in s.label)
        for m in sorted(self.p.mapping, key=lambda m: m.memory_start) if not has_many else []:
            self.must(
                m.memory_start >= end, "mapping-range", f"{m.memory_start:#x} is below {end:#x}"
            )
            end = m.memory_limit
        if self.c.binary:
            first = self.p.text(self.p.mapping[0].filename) if self.p.mapping else "(none)"
            is_good = first.rpartition("/")[2] == self.c.binary
            self.must(is_good, "mapping-main", f"{first}, not {self.c.binary}")

    def location_table(self):
        shared = {}
        self.numbered(self.p.location, "location-id")
        for x in self.p.location:
            other = shared.setdefault((x.address, *self.process_of(x)), x.id)
            is_good = x.address != 0 and other == x.id
            self.must(is_good, "location-address", f"{x.address:#x} of {x.id} and {other}")
            m = self.mappings.get(x.mapping_id)
            if x.mapping_id:
                is_good = m and m.memory_start <= x.address < m.memory_limit
                self.must(is_good, "location-mapping", f"{x.address:#x} in mapping {x.mapping_id}")
            if m and self.c.kind != "cpu":
                name = self.p.text(m.filename).rpartition("/")[2]
                self.must(
                    not name.startswith(OWN_LIBRARY), "own-frames", f"{x.address:#x} in {name}"
                )
            for line in x.line:
                is_good = line.function_id and line.function_id in self.functions
                self.must(is_good, "location-line", f"location {x.id}: {line.function_id}")

    def process_of(self, location):
        """Profiles of many processes may hold an address once for each: told apart by mapping."""
        many = len({self.p.text(m.filename) for m in self.p.mapping}) < len(self.p.mapping)
        return (location.mapping_id,) if many else ()

    def function_table(self):
        self.numbered(self.p.function, "function-id")
        used = {line.function_id for x in self.p.location for line in x.line}
        for x in self.p.function:
            names = [self.text(x.name, "name"), self.text(x.system_name, "system name")]
            self.must(all(names), "function-name", f"function {x.id}: {names}")
            self.must(x.id in used, "function-use", f"function {x.id}, {names[0]}")
            self.text(x.filename, "file")

    def truthfulness(self):
        """What a mapping says of its locations: readers skip asking for names on its word."""
        for m in self.p.mapping:
            name = self.p.text(m.filename)
            locations = [x for x in self.p.location if x.mapping_id == m.id]
            lines = [line for x in locations for line in x.line]
            is_named = bool(locations) and all(
                x.line and all(self.name_of(line) for line in x.line) for x in locations
            )
            is_good = bool(m.has_functions) == is_named
            self.must(is_good, "has-functions", f"{name}: {m.has_functions}, named: {is_named}")
            files = lines and all(self.file_of(line) for line in lines)
            self.must(files or not m.has_filenames, "has-filenames", name)
            numbers = lines and all(line.line > 0 for line in lines)
            self.must(numbers or not m.has_line_numbers, "has-lines", name)

    def name_of(self, line):
        function = self.functions.get(line.function_id)
        return function and self.p.text(function.name)

    def file_of(self, line):
        function = self.functions.get(line.function_id)
        return function and self.p.text(function.filename)

    def samples(self):
        seen, order = {}, {}
        for i, s in enumerate(self.p.sample):
            where = f"sample {i}"
            n = len(self.p.sample_type)
            self.must(len(s.value) == n, "sample-values", f"{where}: {len(s.value)} of {n}")
            self.must(s.location_id, "sample-empty", where)
            for x in s.location_id:
                self.must(x and x in self.locations, "sample-location", f"{where}: location {x}")
                order.setdefault(x, len(order) + 1)
            self.must(any(s.value), "sample-zero", where)
            key = (tuple(s.location_id), self.labels(s, where))
            other = seen.setdefault(key, i)
            self.must(other == i, "sample-double", f"samples {other} and {i}: {key[1]}")
            is_good = self.c.is_delta or all(x >= 0 for x in s.value)
            self.must(is_good, "sample-negative", f"{where}: {s.value}")
            self.values(s, dict(key[1]), where)
        wrong = [x.id for x in self.p.location if order.get(x.id) != x.id]
        self.must(not wrong, "location-use", f"locations {wrong[:8]}")

    def labels(self, s, where):
        labels = []
        for x in s.label:
            key, text = self.text(x.key, "label"), self.text(x.str, "label")
            unit = self.text(x.num_unit, "label unit")
            is_good = key and not key.startswith("pprof::")
            self.must(is_good, "label-key", f"{where}: {key!r}")
            is_good = bool(x.str) != bool(x.num or unit)
            self.must(is_good, "label-value", f"{where}: {key} {text!r} {x.num} {unit}")
            labels.append((key, text if x.str else x.num))
        keys = [key for key, _ in labels]
        self.must(len(keys) == len(set(keys)), "label-double", f"{where}: {keys}")
        if self.c.kind not in LABELLED:
            allowed = SHARED_LABELS | ({"bytes"} if self.c.kind in HEAPS else set())
            self.must(set(keys) <= allowed, "label-kind", f"{where}: {keys}")
        else:
            numbers = [key for key, value in labels if isinstance(value, int)]
            self.must(set(numbers) <= SHARED_LABELS, "label-kind", f"{where}: {numbers}")
        self.must(len(keys) <= 100 and len(s.location_id) <= 1000, "limits", where)
        return tuple(sorted(labels, key=str))

    def values(self, s, labels, where):
        v = s.value
        if self.c.kind == "cpu" and len(v) == 2:
            is_good = v[1] == v[0] * self.p.period
            self.must(is_good, "cpu-value", f"{where}: {v[0]} x {self.p.period} is not {v[1]}")
        if self.c.kind not in HEAPS or len(v) != 4:
            return
        for objects, size in (v[:2], v[2:]):
            self.must((objects == 0) == (size == 0), "heap-pair", f"{where}: {v}")
        if not self.c.is_delta and self.c.kind not in DERIVED:
            self.must(v[2] <= v[0] and v[3] <= v[1], "heap-inuse", f"{where}: {v}")
        size = labels.get("bytes", 0)
        # Scaled values are cut to integers: a relative error of 1 / objects.
        # Objects of about one size (an eighth) are one sample, whose label stays when their mean moves.
        slack = size / 8 + size / abs(v[0] or 1) + 1
        is_good = v[0] == 0 or size > 0 and abs(v[1] / v[0] - size) <= slack
        self.must(is_good, "heap-bytes", f"{where}: {v[1]} / {v[0]}, label {size}")

    def all(self):
        self.strings()
        self.head()
        self.times()
        self.mapping_table()
        self.location_table()
        self.function_table()
        self.truthfulness()
        self.samples()
        self.must(len(self.p.sample) <= 16000, "limits", f"{len(self.p.sample)} samples")
        self.strings_used()


def judge(data, context):
    """Every fault of the profile in these bytes."""
    verdict = Verdict()
    try:
        content = proto.gunzip(data)
        verdict.profile, seen = proto.decode(content)
    except proto.ProtoError as error:
        verdict.faults.append((error.code, str(error)))
        return verdict
    judge_of = _Judge(verdict.profile, context, verdict.faults)
    for code, text in seen:
        judge_of.fault(code, text)
    judge_of.must(len(content) <= 4 << 20, "limits", f"{len(content)} bytes uncompressed")
    judge_of.all()
    return verdict


def by_address(profile):
    """{(addresses, labels): values}, as Alloy tells samples apart."""
    address = {x.id: x.address for x in profile.location}
    samples = {}
    for s in profile.sample:
        labels = sorted((profile.text(x.key), profile.text(x.str), x.num) for x in s.label)
        key = (tuple(address.get(x, 0) for x in s.location_id), tuple(labels))
        old = samples.get(key, [0] * len(s.value))
        samples[key] = [a + b for a, b in zip(old, s.value)]
    return samples


def judge_pair(earlier, later, kind):
    """[(code, text)]: totals of the later snapshot that are smaller. Of a heap, what was allocated."""
    faults = []
    if kind in ("goroutine", "thread", "cpu"):
        return faults
    n = 2
    new = by_address(later)
    for key, values in by_address(earlier).items():
        now = new.get(key, [0] * len(values))
        if any(a > b for a, b in zip(values[:n], now[:n])):
            faults.append(
                ("not-monotonic", f"{values} became {now}, at {[hex(x) for x in key[0]]}")
            )
    return faults


def main():
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    n_bad = 0
    for name in sys.argv[2:]:
        with open(name, "rb") as file:
            verdict = judge(file.read(), Context(kind=sys.argv[1]))
        print(f"{name}: {verdict or 'good'}" if verdict.faults else f"{name}: good")
        n_bad += bool(verdict.faults)
    return 1 if n_bad else 0


if __name__ == "__main__":
    sys.exit(main())
