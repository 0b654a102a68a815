# SPDX-License-Identifier: MIT
"""Each row of the contract's tables, by request and exact answer: headers, order of the checks of a
request, deltas, the two text forms. Runs on any Target; `is_go` marks where Go 1.19 is older.
"""
import re
import subprocess
import time

from pprof_lib import (
    B, HTML, OCTETS, SNAPSHOTS, TEXT, Background, check, check_error, check_reply, read_dump, rules,
)  # fmt: skip
from pprof_checks import NOT_POSITIVE

INCOMPATIBLE = "seconds and debug params are incompatible"
NO_DELTA = '"seconds" parameter is not supported for this profile type'


def headers(t):
    """1.2, row by row; `profile` and `trace` are rows of the checks."""
    check_reply(t.get(""), 200, HTML, None, what="index")
    for name in ("cmdline", "symbol"):
        check_reply(t.get(name), 200, TEXT, None, what=name)
    for name in (*SNAPSHOTS, t.custom, *(() if t.is_go else ("thread",))):
        t.profile(name)
        for debug in (1, 2, 99):
            answer = t.get(f"{name}?debug={debug}")
            check_reply(answer, 200, TEXT, None, what=f"{name}?debug={debug}")
    answer = t.get("trace?seconds=0.2")
    check_reply(answer, 200, OCTETS, 'attachment; filename="trace"', what="trace")
    check_error(t, f"{B}/nosuch", 404, "Unknown profile")
    answer = t.request("/debug//pprof/heap")
    check(answer.status in (301, 307), f"//: {answer.status}")
    check(
        answer.headers.get("location") == f"{B}/heap",
        f"// goes to {answer.headers.get('location')}",
    )


def order(t):
    """1.5 and 2: which of several faults is answered."""
    for path in (
        "nosuch?seconds=1",
        "nosuch?seconds=x",
        "nosuch?debug=1",
        "nosuch?seconds=1&debug=1",
    ):
        check_error(t, f"{B}/{path}", 404, "Unknown profile")
    for path in (
        f"{t.custom}?seconds=0",
        f"{t.custom}?seconds=x&debug=1",
        "heap?seconds=0&debug=1",
    ):
        check_error(t, f"{B}/{path}", 400, NOT_POSITIVE)
    for path in (f"{t.custom}?seconds=1", f"{t.custom}?seconds=1&debug=1"):
        check_error(t, f"{B}/{path}", 400, NO_DELTA)
    for name in SNAPSHOTS:
        check_error(t, f"{B}/{name}?seconds=1&debug=1", 400, INCOMPATIBLE)
        check_error(t, f"{B}/{name}?seconds=1&debug=2", 400, INCOMPATIBLE)
        for bad in ("0", "1.5", "abc", "+1", "99999999999999999999", "0x1", "1s", "-1"):
            if bad == "-1" and not t.is_go:
                continue  # the past: pprof_past.py
            check_error(t, f"{B}/{name}?seconds={bad}", 400, NOT_POSITIVE)


def parameters(t):
    """1.5: what is ignored, and what bad numbers mean."""
    for query in (
        "?seconds=",
        "?gc=1",
        "?gc=x",
        "?debug=0",
        "?debug=x",
        "?debug=",
        "?debug=1.5",
        "?x=y",
    ):
        for name in ("heap", "allocs", "goroutine"):
            t.profile(name, query=query)
    if not t.is_go:
        for name in (*SNAPSHOTS, t.custom):
            t.profile(name, query="?debug=-1")
    for name in ("heap", "block", "threadcreate"):
        first, second = (t.get(f"{name}?debug={x}").body for x in (1, 2))
        check(first.split(b"\n")[0][:12] == second.split(b"\n")[0][:12], f"{name}: debug=2 means 1")
    answer = t.get("profile?seconds=1&debug=1&gc=1")
    check_reply(answer, 200, OCTETS, 'attachment; filename="profile"', what="profile ignores debug")
    first = t.get("heap?debug=1&debug=0")
    check_reply(first, 200, TEXT, None, what="the first value counts")


def deltas(t):
    """2: each profile that has deltas, all at once beside a CPU profile."""
    began = time.monotonic()
    names = [*SNAPSHOTS, "heap?gc=1&", "profile"]
    queries = {x: (x if x.endswith("&") else f"{x}?") + "seconds=2" for x in names}
    running = {x: Background(t.get, query) for x, query in queries.items()}
    for name, background in running.items():
        answer, plain = background.result(), name.partition("?")[0]
        shown = plain if plain == "profile" else f"{plain}-delta"
        check_reply(answer, 200, OCTETS, f'attachment; filename="{shown}"', what=f"{name} delta")
        kind = "cpu" if plain == "profile" else plain
        skip_time = {} if kind == "cpu" else {"since": answer.since + 1.9}
        window = {"since": answer.since, "until": answer.until, "seconds": 2, **skip_time}
        if t.is_go and plain == "allocs":
            continue  # 1.19 loses the default sample type
        t.judge(answer.body, kind, is_delta=kind != "cpu", **window)
    check(
        time.monotonic() - began < 8, f"side by side: {time.monotonic() - began:.1f} s for 2 s each"
    )


def delta_of_quiet(t):
    """2: nothing happens in the block and mutex profiles any more: a valid profile of zero samples."""
    for name in ("mutex", "threadcreate"):
        profile = t.profile(name, query="?seconds=1", seconds=1, is_delta=True)
        check(profile and (t.is_go or not profile.sample), f"{name}: no samples")


def disconnect(t):
    """2: a client that leaves frees what its request held."""
    for _ in range(3):
        argv = ["curl", "-s", "-m", "0.5", f"{t.url}/heap?seconds=30"]
        code = subprocess.run(argv, capture_output=True, check=False).returncode
        check(code == 28, f"curl gives up: {code}")
    t.profile("heap", query="?seconds=1", seconds=1, is_delta=True)


def traces(t):
    """1.4: what is no duration means one second; one trace at a time."""
    for bad in ("", "0", "-1", "abc", "NaN", "Inf") if not t.is_go else ("", "0", "-1", "abc"):
        answer = t.get(f"trace?seconds={bad}")
        check_reply(
            answer, 200, OCTETS, 'attachment; filename="trace"', what=f"trace?seconds={bad}"
        )
        check(0.95 <= answer.seconds < 15, f"trace?seconds={bad}: {answer.seconds:.2f} s")
    for good, seconds in (("0.25", 0.25), ("1e-1", 0.1), ("0x1p-2", 0.25)):
        answer = t.get(f"trace?seconds={good}")
        check(answer.status == 200 and answer.seconds >= seconds, f"trace?seconds={good}")
    first = Background(t.get, "trace?seconds=2")
    time.sleep(0.7)
    sentence = "execution tracer already enabled"
    if t.is_go:
        sentence = "runtime error: tracing is already enabled"
    check_error(t, f"{B}/trace?seconds=1", 500, f"Could not enable tracing: {sentence}")
    check(first.result().status == 200, "the first one goes on")


def frames_of(profile):
    """{leaf-first addresses} of all samples."""
    address = {x.id: x.address for x in profile.location}
    return {tuple(address[x] for x in s.location_id) for s in profile.sample}


def text_frames(t):
    """4.1: the text's addresses are return addresses, its frame lines the places of the calls."""
    for name in ("heap", "block", "mutex", "threadcreate", t.custom):
        if t.is_go and name == "threadcreate":
            continue
        text, profile = t.text(name), t.profile(name)
        stacks = frames_of(profile) if profile else set()
        for record in text.records:
            call_sites = tuple(x - 1 for x in record.addresses)
            check(call_sites in stacks or t.is_go, f"{name}: {record.addresses} is in debug=0, too")
            shown = [address for address, *_ in record.frames]
            places = set(record.addresses) | set(call_sites)
            check(set(shown) <= places, f"{name}: lines of the record's own frames: {shown}")
        named = [x for r in text.records for x in r.frames if x[1]]
        check(named, f"{name}: frames have names")
        for address, function, offset, place in named[:200]:
            check(offset is not None and place, f"{name}: {function} has an offset and a place")


def text_heap(t):
    """4.2: raw values, the tail of remarks; heap and allocs are one text."""
    heap, allocs = t.text("heap"), t.text("allocs")
    check(heap.header[4] == 2 * t.rate, f"heap/{heap.header[4]}")
    same = {tuple(x.addresses) for x in heap.records} ^ {tuple(x.addresses) for x in allocs.records}
    check(t.is_go or len(same) <= 2, f"{len(same)} stacks are in one of heap and allocs only")
    check(any(x.startswith("# MaxRSS = ") for x in heap.extra), f"tail: {heap.extra[:9]}")
    for line in heap.extra:
        check(re.fullmatch(r"#( .*)?", line), f"tail: {line}")
    found = [x for x in heap.records if any(re.search("known_?leak", f[1], re.I) for f in x.frames)]
    check(len(found) == 1, f"the leak is one record: {len(found)}")
    objects, size = found[0].numbers[:2] if found else (1, 1)
    check(objects > 0 and size / objects in (10000, 10240), f"the leak's blocks: {objects}, {size}")
    if not t.is_go:
        # About one block in 53 is sampled: raw numbers are far below the truth.
        check(objects < 200, f"unscaled: {objects} of 1000")


def text_goroutine(t):
    """4.3: groups of equal stacks, labels."""
    text = t.text("goroutine")
    sleepers = [x for x in text.records if x.numbers[0] == 5]
    check(sleepers, f"five threads in one record: {[x.numbers for x in text.records]}")
    labelled = [x for x in text.records if x.labels]
    check([x.labels for x in labelled] == [{"handler": "checkout"}], f"labels: {labelled}")
    profile = t.profile("goroutine")
    labels = {
        (profile.text(x.key), profile.text(x.str)) for s in profile.sample for x in s.label if x.str
    }
    check(labels == {("handler", "checkout")}, f"labels in debug=0: {labels}")
    custom = t.text(t.custom)
    check(custom.header == [6], f"{t.custom}: {custom.header}")
    check(custom.records and custom.records[0].numbers == [6], "six entries of one place")


def text_waits(t):
    """4.4: ten waits, by the waiter's stack and by that of who let go."""
    for name in ("block", "mutex"):
        text = t.text(name)
        if not t.is_go:
            check(text.header[0] == 10**9, f"{name}: in nanoseconds")
        want = r"known_?waiter|knownWaits" if name == "block" else r"known_?unlock|knownWaits"
        found = [x for x in text.records if any(re.search(want, f[1]) for f in x.frames)]
        counts = sum(x.numbers[1] for x in found)
        if not (t.is_go and name == "block"):  # there the channels' waits count, too
            check(counts == 10, f"{name}: {counts} waits")
        seconds = sum(x.numbers[0] for x in found) / text.header[0]
        check(0.04 <= seconds < 2, f"{name}: {seconds:.3f} s")


def text_dump(t):
    """4.5: one block per thread, states, who created whom."""
    head, blocks = read_dump(t.get("goroutine?debug=2").body)
    check(not head, f"nothing stands before the first thread: {head}")
    if t.is_go:
        return
    sleepers = [x for x in blocks if x.state.startswith("sync.Cond.Wait")]
    check(len(sleepers) == 5, f"states: {[x.state for x in blocks]}")
    for block in sleepers:
        check("known_sleeper" in block.functions(), f"its stack: {block.frames}")
        check(block.created_by == "main", f"created by {block.created_by!r}")
    first = [x for x in blocks if "main" in x.functions()]
    check(len(first) == 1 and not first[0].created_by, "the first thread was created by nobody")
    state = r"(running|runnable|syscall|IO wait|sleep|waiting|select|signal wait|sync\.[\w.]+|semacquire)"
    for block in blocks:
        ok = re.fullmatch(rf"{state}(, \d+ minutes)?(, locked to thread)?", block.state)
        check(ok, f"state {block.state!r}")


def types(t):
    """3.1: every kind by its rules, twice, so that totals can be compared."""
    earlier = {name: t.profile(name) for name in (*SNAPSHOTS, t.custom)}
    for name, before in earlier.items():
        after = t.profile(name)
        faults = rules.judge_pair(before, after, name) if before and after else []
        check(not faults or name == t.custom, f"{name}: {faults[:3]}")


def run_all(t):
    for function in (
        headers, order, parameters, deltas, delta_of_quiet, disconnect, traces, text_frames, text_heap,
        text_goroutine, text_waits, text_dump, types,
    ):  # fmt: skip
        began = time.monotonic()
        function(t)
        print(f"{function.__name__}: {time.monotonic() - began:.1f} s", flush=True)
