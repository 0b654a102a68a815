#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The checker of profiles, checked: good profiles are good, and each fault is found by its name."""
import copy
import gzip
import os
import sys
import time
from pathlib import Path

from lib import check, done

sys.path.insert(0, str(Path(os.environ["SOURCE_DIR"]) / "tests/lib"))
from pprof import proto, rules  # noqa: E402


class Builder:
    """A small good profile of a kind: two mappings, four locations, three functions."""

    def __init__(self, kind, is_delta=False):
        self.p = proto.Profile(string_table=[b""])
        self.kind, self.is_delta = kind, is_delta
        types, period_type, default = rules.KINDS.get(
            kind, ([(kind, "count")], (kind, "count"), "")
        )
        self.p.sample_type = [proto.ValueType(self.s(a), self.s(b)) for a, b in types]
        self.p.period_type = proto.ValueType(*map(self.s, period_type))
        self.p.period = 10**7 if kind == "cpu" else 524288 if kind in rules.HEAPS else 1
        self.p.default_sample_type = self.s(default)
        self.p.time_nanos = int(time.time() * 1e9)
        self.p.duration_nanos = 10**9 if kind == "cpu" or is_delta else 0
        self.mapping(0x400000, "/opt/server", has_all=True)
        self.mapping(0x7F0000000000, "/lib/libc.so.6", has_all=False)
        for i, name in enumerate(["leaf", "middle", "main"], 1):
            name_id = self.s(name)
            self.p.function.append(proto.Function(i, name_id, name_id, self.s("/src/a.c"), 3))
        for i in range(1, 4):
            line = proto.Line(i, 10 + i)
            self.p.location.append(proto.Location(i, 1, 0x400000 + 16 * i, [line]))
        self.p.location.append(proto.Location(4, 2, 0x7F0000000010))
        self.sample([1, 2, 3], "web")
        self.sample([1, 4, 3], "batch")

    def s(self, text):
        text = text.encode()
        if text not in self.p.string_table:
            self.p.string_table.append(text)
        return self.p.string_table.index(text)

    def mapping(self, start, name, has_all):
        flags = [1, 1, 1, 1] if has_all else [0, 0, 0, 0]
        m = proto.Mapping(len(self.p.mapping) + 1, start, start + 0x10000, 0x1000, self.s(name))
        m.build_id = self.s("ab12")
        m.has_functions, m.has_filenames, m.has_line_numbers, m.has_inline_frames = flags
        self.p.mapping.append(m)

    def sample(self, locations, label):
        kind = self.kind
        n_values = len(self.p.sample_type)
        values = {
            "cpu": [3, 3 * 10**7],
            **dict.fromkeys(rules.HEAPS, [10, 1000, 4, 400]),
        }.get(kind, [2, 5000][:n_values])
        labels = []
        if kind in rules.LABELLED:
            labels = [proto.Label(self.s("handler"), self.s(label))]
        elif kind in rules.HEAPS:
            labels = [proto.Label(key=self.s("bytes"), num=100)]
        self.p.sample.append(proto.Sample(locations, values, labels))

    def context(self, **more):
        return rules.Context(self.kind, is_delta=self.is_delta, binary="server", **more)


FAULTS = []


def fault(code, kind="cpu"):
    """Marks a function that breaks a Builder's profile in the way that `code` names."""

    def keep(function):
        FAULTS.append((code, kind, function))
        return function

    return keep


def put(code, kind="cpu", **fields):
    """A fault that only sets fields: `sample__0__value=[1]` is p.sample[0].value = [1]."""

    def function(b):
        for path, value in fields.items():
            *way, last = path.split("__")
            target = b.p
            for step in way:
                target = target[int(step)] if step.isdigit() else getattr(target, step)
            if last.isdigit():
                target[int(last)] = value
            else:
                setattr(target, last, value)

    FAULTS.append((code, kind, function))


put("string-0", string_table__0=b"x")
put("string-index", location__0__line__0__function_id=1, function__0__name=999)
put("string-index", sample_type__0__type=-1)
put("string-index", sample__0__label__0__str=77)
put("string-double", string_table__2=b"samples")
put("utf8", string_table__1=b"\xff\xfe")
put("types", sample_type=[])
put("types", kind="heap", sample_type__3=proto.ValueType(1, 2))
put("period-type", period_type=None)
put("period", period=10**6)
put("period", kind="mutex", period=2)
put("default-type", default_sample_type=1)
put("default-type", kind="allocs", default_sample_type=0)
put("time", time_nanos=0)
put("time", time_nanos=10**18)
put("duration", duration_nanos=0)
put("duration", kind="heap", duration_nanos=1)
put("remark", comment=[1])
put("remark", drop_frames=1)
put("mapping-id", mapping__0__id=3)
put("mapping-id", mapping__0__id=0)
put("mapping-id", mapping__1__id=1)
put("mapping-range", mapping__0__memory_limit=0x400000)
put("mapping-range", mapping__1__memory_start=0x400100, mapping__1__memory_limit=0x400200)
put("mapping-file", mapping__1__filename=0)
put("build-id", mapping__0__build_id=1)
put("has-functions", mapping__1__has_functions=1)
put("has-functions", mapping__0__has_functions=0)
put("has-functions", location__1__line=[])
put("has-functions", function__1__name=0)
put("has-filenames", function__1__filename=0)
put("has-filenames", mapping__1__has_filenames=1)
put("has-lines", location__1__line__0__line=0)
put("location-id", location__1__id=9)
put("location-id", location__1__id=0)
put("location-id", location__1__id=1)
put("location-address", location__1__address=0)
put("location-address", location__1__address=0x400010)
put("location-mapping", location__1__mapping_id=7)
put("location-mapping", location__1__address=0x500000)
put("location-use", sample__0__location_id=[3, 2, 1])
put("location-use", sample__1__location_id=[1, 2, 3, 1])
put("location-line", location__1__line__0__function_id=0)
put("location-line", location__1__line__0__function_id=12)
put("function-id", function__1__id=9)
put("function-id", function__1__id=0)
put("function-id", function__1__id=1)
put("function-name", function__1__name=0)
put("function-name", function__1__system_name=0)
put("function-use", location__1__line__0__function_id=1)
put("sample-values", sample__0__value=[1])
put("sample-values", kind="heap", sample__0__value=[1, 2, 3])
put("sample-location", sample__0__location_id=[0])
put("sample-location", sample__0__location_id=[1, 2, 3, 9])
put("sample-empty", sample__0__location_id=[])
put("sample-zero", sample__0__value=[0, 0])
put("sample-negative", sample__0__value=[-1, -(10**7)])
put("cpu-value", sample__0__value=[3, 1])
put("heap-inuse", kind="heap", sample__0__value=[4, 400, 10, 1000])
put("heap-pair", kind="heap", sample__0__value=[10, 1000, 0, 400])
put("heap-bytes", kind="allocs", sample__0__value=[10, 1300, 4, 520])
put("heap-bytes", kind="heap", sample__0__label=[])
put("label-key", sample__0__label__0__key=0)
put("label-value", sample__0__label__0__num=5)
put("label-value", sample__0__label__0__str=0)


@fault("no-strings")
def _(b):
    b.p.string_table = []


@fault("string-unused")
def _(b):
    b.s("nobody says this")


@fault("type-name", "my-list")
def _(_b):
    pass


@fault("mapping-main")
def _(b):
    b.p.mapping[0].filename, b.p.mapping[1].filename = b.s("/lib/libc.so.6"), b.s("/opt/server")


@fault("mapping-file")
def _(b):
    b.p.mapping[0].filename = b.s("/opt/server (deleted)")


@fault("location-use")
def _(b):
    b.p.location.append(proto.Location(5, 2, 0x7F0000000020))


@fault("sample-double")
def _(b):
    b.p.sample.append(copy.deepcopy(b.p.sample[0]))


@fault("label-double")
def _(b):
    b.p.sample[0].label.append(proto.Label(b.s("handler"), b.s("other")))


@fault("label-key")
def _(b):
    b.p.sample[0].label[0].key = b.s("pprof::base")


@fault("label-kind", "block")
def _(b):
    b.p.sample[0].label = [proto.Label(b.s("handler"), b.s("web"))]


@fault("label-kind", "goroutine")
def _(b):
    b.p.sample[0].label = [proto.Label(key=b.s("depth"), num=3)]


@fault("own-frames", "heap")
def _(b):
    b.p.mapping[1].filename = b.s("/usr/lib/libflightrec.so.0")


@fault("limits")
def _(b):
    b.p.sample[0].location_id = [1] * 1001


def check_good():
    for kind in [*rules.KINDS, "goroutine", "thread", "threadcreate", "my/custom.prof"]:
        for is_delta in (False, True):
            b = Builder(kind, is_delta)
            verdict = rules.judge(gzip.compress(proto.encode(b.p)), b.context())
            check(not verdict.faults, f"a good {kind} profile is good: {verdict}")
            check(verdict.profile == b.p, f"{kind}: read back as written")
    # A quiet process: no samples, and mappings that promise nothing.
    b = Builder("cpu")
    b.p.sample, b.p.location, b.p.function = [], [], []
    for flag in ("has_functions", "has_filenames", "has_line_numbers", "has_inline_frames"):
        setattr(b.p.mapping[0], flag, 0)
    context = b.context(skip=frozenset({"string-unused"}))
    verdict = rules.judge(gzip.compress(proto.encode(b.p)), context)
    check(not verdict.faults, f"a profile without samples: {verdict}")


def check_faults():
    for code, kind, function in FAULTS:
        b = Builder(kind)
        function(b)
        verdict = rules.judge(gzip.compress(proto.encode(b.p)), b.context())
        check(code in verdict.codes(), f"{code} in {kind}: found {verdict or 'nothing'}")


def check_encoding():
    """Faults below the level of fields, and those of the gzip file."""
    b = Builder("cpu")
    good = proto.encode(b.p)
    packed = gzip.compress(good)
    cases = [
        ("gzip", good),
        ("gzip", b""),
        ("gzip", packed[:-9]),
        ("gzip", packed + b"\n"),
        ("gzip", packed + packed),
        ("gzip", packed[:40] + bytes([packed[40] ^ 0xFF]) + packed[41:]),
        ("wire", gzip.compress(good[:-3])),
        ("wire", gzip.compress(good + b"\x0b")),
        ("wire", gzip.compress(good + b"\x4a\x01\x00")),
        ("wire", gzip.compress(good + b"\x60" + b"\xff" * 11)),
        ("unknown-field", gzip.compress(good + b"\xa0\x06\x01")),
        ("concatenated", gzip.compress(good + good)),
        ("limits", gzip.compress(good + b"\x32" + b"\xc0\x96\xb1\x02" + b"x" * 5000000)),
    ]
    for code, data in cases:
        verdict = rules.judge(data, b.context())
        check(code in verdict.codes(), f"{code}: found {verdict or 'nothing'}")
        FAULTS.append((code, "cpu", None))
    b.p.location[0].line = []
    broken = proto.encode(b.p.location[0])
    # A location whose id appears twice.
    item = broken + b"\x08\x01"
    verdict = rules.judge(gzip.compress(good + b"\x22" + bytes([len(item)]) + item), b.context())
    check("repeated-field" in verdict.codes(), f"repeated-field: found {verdict}")
    FAULTS.append(("repeated-field", "cpu", None))


def check_context():
    b = Builder("cpu")
    data = gzip.compress(proto.encode(b.p))
    now = time.time()
    for code, more in [
        ("time", {"since": now + 5, "until": now + 9}),
        ("time", {"since": now - 9, "until": now - 5}),
        ("duration", {"seconds": 3}),
        ("period", {"hz": 250}),
    ]:
        verdict = rules.judge(data, b.context(**more))
        check(verdict.codes() == {code}, f"{code} for {more}: {verdict}")
    verdict = rules.judge(data, b.context(hz=250, skip=frozenset({"period"})))
    check(not verdict.faults, "what is not asked for is not judged")


def check_pairs():
    earlier, later = Builder("heap"), Builder("heap")
    check(not rules.judge_pair(earlier.p, later.p, "heap"), "equal totals are fine")
    later.p.sample[0].value = [12, 1200, 0, 0]
    check(not rules.judge_pair(earlier.p, later.p, "heap"), "what is in use may shrink")
    later.p.sample[0].value = [9, 1200, 0, 0]
    for fewer in (later.p, proto.Profile(string_table=[b""])):
        faults = rules.judge_pair(earlier.p, fewer, "heap")
        check(faults and faults[0][0] == "not-monotonic", f"a smaller or lost total: {faults}")
    FAULTS.append(("not-monotonic", "heap", None))
    check(not rules.judge_pair(Builder("goroutine").p, proto.Profile(), "goroutine"), "no totals")


def main():
    check_good()
    check_faults()
    check_encoding()
    check_context()
    check_pairs()
    tried = {code for code, _, _ in FAULTS}
    check(tried == set(rules.RULES), f"each rule is broken once: {tried ^ set(rules.RULES)}")
    print(f"{len(FAULTS)} faults of {len(rules.RULES)} kinds")
    done()


main()
