# SPDX-License-Identifier: MIT
"""The 25 checks that a sceptical Go user would run, each by request and exact answer, on any Target.

Where Go 1.19 itself differs from what later Go and the recorder do, the check says so (is_go).
"""
import re
import socket
import subprocess
import time

from pprof_lib import (
    B, HTML, OCTETS, SNAPSHOTS, TEXT, Background, Proxy, check, check_error, check_reply, pprof,
    read_dump, read_text, run_pprof,
)  # fmt: skip

NOT_POSITIVE = 'invalid value for "seconds" - must be a positive integer'
IN_USE = "Could not enable CPU profiling: cpu profiling already in use"


def curl(*argv, timeout=60):
    """(exit code, stdout) of curl."""
    result = subprocess.run(
        ["curl", "-s", *argv], capture_output=True, timeout=timeout, check=False
    )
    return result.returncode, result.stdout


def check_1(t, _folder):
    """The page without its slash redirects."""
    answer = t.request(B)
    check(answer.status in (301, 307), f"{B}: {answer.status}")
    check(answer.headers.get("location") == f"{B}/", f"Location {answer.headers.get('location')}")
    gone = {"x-go-pprof", "x-content-type-options", "content-disposition"} & set(answer.headers)
    check(not gone, f"a redirect has none of {gone}")


def check_2(t, _folder):
    """The index: a row for each profile, sorted, with links that work."""
    answer = t.get("")
    check_reply(answer, 200, HTML, None, what="index")
    links = re.findall(r"href='?\"?([^'\" >]+)\?debug=1['\"]?", answer.text())
    check(len(links) >= 9, f"at least 9 links: {links}")
    check(links == sorted(links), f"sorted: {links}")
    want = {*SNAPSHOTS, "cmdline", "profile", "trace"}
    check(want <= set(links), f"missing: {want - set(links)}")
    check("goroutine?debug=2" in answer.text(), "a link to goroutine?debug=2")
    check("full goroutine stack dump" in answer.text(), "and its text")
    check("<title>/debug/pprof/</title>" in answer.text(), "title")
    check(answer.text().count("Profile Descriptions") == 1, "descriptions")
    counts = index_counts(t)
    for name in ("cmdline", "profile", "trace"):
        check(counts.get(name) == 0, f"count of {name}: {counts.get(name)}")
    check(counts.get(t.custom) == 6, f"7 entries, one removed: {counts.get(t.custom)}")


def index_counts(t):
    """{name: count} of the index page."""
    rows = re.findall(r"<td>(\d+)</td>\s*<td><a href=['\"]?([^'\" >]+)\?debug=1", t.get("").text())
    return {name.replace("%2F", "/"): int(count) for count, name in rows}


def check_3(t, _folder):
    for path in ("nosuch", "nosuch?seconds=1", "heap/", "Heap"):
        answer = check_error(t, f"{B}/{path}", 404, "Unknown profile")
        check(len(answer.body) == 16, f"{path}: 16 bytes, not {len(answer.body)}")


def check_4(t, _folder):
    answer = t.get("heap")
    check_reply(answer, 200, OCTETS, 'attachment; filename="heap"', what="heap")
    check(answer.body[:2] == b"\x1f\x8b", f"gzip: {answer.body[:2].hex()}")
    check("content-encoding" not in answer.headers, "no Content-Encoding")
    code, out = curl("--compressed", f"{t.url}/heap")
    check(code == 0 and out[:2] == b"\x1f\x8b", "not unwrapped by curl --compressed")


def check_5(t, _folder):
    answer = t.get("heap?debug=1")
    check_reply(answer, 200, TEXT, None, what="heap?debug=1")
    line = answer.text().split("\n")[0]
    match = re.fullmatch(r"heap profile: (\d+): (\d+) \[(\d+): (\d+)\] @ heap/1048576", line)
    check(match, f"first line: {line}")
    check(match and match[2] != match[4], f"alloc bytes are not inuse bytes: {line}")


def check_6(t, _folder):
    text = t.text("goroutine")
    n = text.header[0]
    check(n > 0 and n == sum(x.numbers[0] for x in text.records), f"{n} threads in all")
    counts = index_counts(t)
    slack = 2 if t.is_go else 0  # the request's own goroutines
    check(abs(counts["goroutine"] - n) <= slack, f"index says {counts['goroutine']}, text {n}")
    head = curl(f"{t.url}/goroutine?debug=1")[1].split(b"\n")[0]
    check(re.fullmatch(rb"goroutine profile: total \d+", head), f"head -1: {head}")


def check_7(t, _folder):
    answer = t.get("goroutine?debug=2")
    check_reply(answer, 200, TEXT, None, what="goroutine?debug=2")
    _, blocks = read_dump(answer.body)
    n = t.text("goroutine").header[0]
    check(abs(len(blocks) - n) <= 2, f"{len(blocks)} threads of {n}")
    if t.is_go:
        check(blocks and blocks[0].state == "running", "who asks comes first, running")
    pattern = re.compile(r"^goroutine [0-9]+ \[", re.M)
    check(len(pattern.findall(answer.text())) == len(blocks), "each by its first line")
    ids = [x.id for x in blocks]
    check(len(ids) == len(set(ids)) and all(x > 0 for x in ids), f"ids: {ids}")


def check_8(t, folder):
    answer = t.get("profile?seconds=1")
    check_reply(answer, 200, OCTETS, 'attachment; filename="profile"', what="profile?seconds=1")
    check(0.9 <= answer.seconds < 5, f"took {answer.seconds:.2f} s")
    more = {"since": answer.since, "until": answer.until, "seconds": 1}
    profile = t.judge(answer.body, "cpu", **more)
    check(profile and profile.sample, "has samples")
    path = folder / "cpu.gz"
    path.write_bytes(answer.body)
    raw = pprof("-raw", path, cwd=folder)
    check("samples/count cpu/nanoseconds" in raw, f"types: {raw[:300]}")
    check("Period: 10000000" in raw, f"period: {raw[:300]}")
    match = re.search(r"^Duration: (\S+)", raw, re.M)
    check(match and float(match[1].rstrip("s")) >= 1, f"duration: {match}")


def check_9(t, _folder):
    first = Background(t.get, "profile?seconds=3")
    time.sleep(1)
    began = time.monotonic()
    check_error(t, f"{B}/profile?seconds=1", 500, IN_USE)
    check(time.monotonic() - began < 1, "refused at once")
    answer = first.result()
    check(answer.status == 200, f"the first one goes on: {answer.status} {answer.text()[:100]}")
    t.judge(answer.body, "cpu", since=answer.since, until=answer.until, seconds=3)


def check_10(t, _folder):
    code, _ = curl("-m", "1", f"{t.url}/profile?seconds=30")
    check(code == 28, f"curl gives up: {code}")
    answer = None
    for _ in range(20):  # the server learns of it when it looks next
        answer = t.get("profile?seconds=1")
        if answer.status == 200:
            break
        time.sleep(0.1)
    check_reply(answer, 200, OCTETS, 'attachment; filename="profile"', what="after a disconnect")
    t.judge(answer.body, "cpu", since=answer.since, until=answer.until, seconds=1)


def check_11(t, _folder):
    code, _ = curl("-m", "2", f"{t.url}/profile?seconds=1.5")
    check(code == 28, f"1.5 means 30: curl ends with {code}, not by its limit")
    # Of a negative number Go knows no meaning; here it is the past (pprof_past.py).
    for bad in ("0", "abc", "99999999999999999999", "", *(["-3"] if t.is_go else [])):
        code, _ = curl("-m", "1", f"{t.url}/profile?seconds={bad}")
        check(code == 28, f"seconds={bad} means 30: curl ends with {code}")
        time.sleep(0.3)
    began = time.monotonic()
    answer = t.get("trace?seconds=0.2")
    check(answer.status == 200, f"trace?seconds=0.2: {answer.status} {answer.text()[:200]}")
    check(0.2 <= time.monotonic() - began < 15, f"trace took {time.monotonic() - began:.2f} s")


def check_12(t, _folder):
    for bad in ("0", "abc", "1.5", "+1", "%201", *(["-1"] if t.is_go else [])):
        check_error(t, f"{B}/heap?seconds={bad}", 400, NOT_POSITIVE)


def check_13(t, _folder):
    answer = check_error(
        t, f"{B}/heap?seconds=1&debug=1", 400, "seconds and debug params are incompatible"
    )
    check(answer.seconds < 0.9, f"immediately, not after {answer.seconds:.2f} s")


def check_14(t, _folder):
    sentence = '"seconds" parameter is not supported for this profile type'
    check_error(t, f"{B}/{t.custom}?seconds=1", 400, sentence)


def check_15(t, folder):
    for name in SNAPSHOTS:
        if name not in ("heap", "goroutine"):
            continue
        answer = t.get(f"{name}?seconds=2")
        check_reply(
            answer, 200, OCTETS, f'attachment; filename="{name}-delta"', what=f"{name} delta"
        )
        check(1.9 <= answer.seconds < 6, f"took {answer.seconds:.2f} s")
        profile = t.judge(
            answer.body, name, is_delta=True, since=answer.until - 3, until=answer.until, seconds=2
        )
        check(profile and abs(profile.duration_nanos / 1e9 - 2) < 1, "duration of about 2 s")
        path = folder / f"{name}-delta.gz"
        path.write_bytes(answer.body)
        pprof("-top", path, cwd=folder)


def check_16(t, _folder):
    for query in ("gc=1", "gc=x&debug=x", "gc=-1", "debug=0", "seconds="):
        answer = t.get(f"heap?{query}")
        check_reply(answer, 200, OCTETS, 'attachment; filename="heap"', what=f"heap?{query}")
        t.judge(answer.body, "heap", since=answer.since, until=answer.until)


def check_17(t, _folder):
    answer = t.get("cmdline")
    check_reply(answer, 200, TEXT, None, what="cmdline")
    want = b"\0".join(str(x).encode() for x in t.argv)
    check(answer.body == want, f"{answer.body!r}, not {want!r}")


def check_18(t, _folder):
    answer = t.get("symbol")
    check_reply(answer, 200, TEXT, None, what="symbol")
    check(answer.body == b"num_symbols: 1\n", f"{answer.body!r}")
    address, name = t.symbol
    want = f"num_symbols: 1\n{address:#x} {name}\n".encode()
    asked = f"{address:#x}+0x1"
    answers = [
        t.get("symbol", method="POST", body=asked.encode()),
        t.get("symbol", method="POST", body=f"{address}+nonsense+0+{address:#x}x".encode()),
        t.get(f"symbol?{asked}"),
    ]
    for answer in answers:
        check_reply(answer, 200, TEXT, None, what="symbol")
        check(answer.body == want, f"{answer.body!r}, not {want!r}")
    answer = t.get(f"symbol?{address:#x}&0x1")
    check(answer.body == b"num_symbols: 1\n", f"& does not separate: {answer.body!r}")


def check_19_begin(t, folder):
    """Thirty seconds of `go tool pprof host:port`: runs while other checks do."""
    proxy = Proxy(t.port)
    return proxy, Background(run_pprof, "-top", proxy.host, cwd=folder)


def check_19(t, begun):
    proxy, background = begun
    code, out, err = background.result()
    proxy.__exit__()
    asked = [(method, path, status) for method, path, _, status in proxy.seen]
    check(asked[:1] == [("GET", f"{B}/profile", 200)], f"what was asked: {asked}")
    check(code == 0, f"pprof -top host:port: {err[-300:]}")
    check(f"File: {t.binary}" in out, f"heading: {out[:300]}")
    match = re.search(r"Duration: ([0-9.]+)s", out)
    check(match and 30 <= float(match[1]) < 35, f"30 s: {match and match[0]}")
    check("Main binary filename not available" not in out + err, "the program is known")
    check(re.search(r"known_?spin", out, re.I), f"names: {out}")


def check_20(t, folder):
    for argv, kind in (
        (["-alloc_space", f"{t.url}/heap"], "alloc_space"),
        (["-inuse_objects", f"{t.url}/allocs"], "inuse_objects"),
        ([f"{t.url}/allocs"], "alloc_space"),
        ([f"{t.url}/heap"], "inuse_space"),
    ):
        out = pprof("-top", *argv, cwd=folder)
        check(f"Type: {kind}\n" in out, f"{argv}: {out[:200]}")
        check(re.search(r"known_?leak", out, re.I), f"{argv} names the leak: {out}")


def check_21(t, folder):
    with Proxy(t.port) as proxy:
        out = pprof("-top", "-seconds", "3", f"http://{proxy.host}{B}/heap", cwd=folder)
    asked = [path for method, path, _, _ in proxy.seen if method == "GET"]
    check(asked == [f"{B}/heap?seconds=3"], f"what was asked: {asked}")
    match = re.search(r"Duration: ([0-9.]+)s", out)
    check(match and 3 <= float(match[1]) < 5, f"a delta: {out[:300]}")


def check_22(t, folder):
    for name in ("heap", "goroutine", "block", "mutex", "threadcreate", t.custom):
        answer = t.get(f"{name}?debug=1")
        check_reply(answer, 200, TEXT, None, what=f"{name}?debug=1")
        path = folder / f"{name.replace('/', '_')}.txt"
        path.write_bytes(answer.body)
        if t.is_go and name == "threadcreate":
            code, _, err = run_pprof("-top", path, cwd=folder)
            check(code != 0 and "malformed profile format" in err, f"Go 1.19 on itself: {err}")
            continue
        read_text(answer.body, name)
        check("Type: " in pprof("-top", path, cwd=folder), f"{name}: pprof reads the text")
        binary = t.profile(name)
        compare_totals(t, name, path, binary, folder)


def totals(out):
    """{"type": sum} of what `pprof -raw` prints of a profile."""
    match = re.search(r"^Samples:\n(.+)\n", out, re.M)
    types = [x.rpartition("/")[0] for x in match[1].replace("[dflt]", "").split()] if match else []
    sums = [0] * len(types)
    for line in re.findall(r"^ *((?:-?\d+ +)*-?\d+): [\d ]*$", out, re.M):
        for i, number in enumerate(line.split()):
            sums[i] += int(number)
    return dict(zip(types, sums))


def compare_totals(t, name, path, binary, folder):
    """The text and the protobuf form, taken one after the other, tell the same."""
    text = totals(pprof("-raw", "-symbolize=none", path, cwd=folder))
    if binary is None:
        return
    want = dict.fromkeys([x for x, _ in binary.types()], 0)
    for sample in binary.sample:
        for (kind, _), value in zip(binary.types(), sample.value):
            want[kind] += value
    for kind, value in want.items():
        got = text.get(kind)
        slack = max(abs(value) * 0.05, 3)
        check(
            got is not None and abs(got - value) <= slack,
            f"{name} {kind}: text {got}, else {value}",
        )


def check_23(t, folder):
    first = folder / "a.gz"
    first.write_bytes(t.get("heap").body)
    out = pprof("-top", "-inuse_space", "-base", first, f"{t.url}/heap", cwd=folder)
    base = pprof("-top", "-inuse_space", first, cwd=folder)
    total = re.search(r"of (\S+) total", base)
    check(total, f"a total: {base[:300]}")
    match = re.search(r"Showing nodes accounting for (-?[0-9.]+)(\w*)", out)
    check(match, f"a diff: {out[:300]}")
    check(
        size_of(match[1], match[2]) <= 0.5 * size_of(*split_size(total[1])),
        f"near zero: {out[:400]}",
    )


def split_size(text):
    match = re.fullmatch(r"(-?[0-9.]+)(\w*)", text)
    return match[1], match[2]


def size_of(number, unit):
    scale = {"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
    return abs(float(number)) * scale[unit]


def check_25(t, folder):
    if not t.is_go:
        for name in ("heap", "profile", "", "goroutine", "cmdline"):
            for method in ("DELETE", "PUT", "POST"):
                answer = t.get(name, method=method)
                check(answer.status == 405, f"{method} {name}: {answer.status}")
                allow = answer.headers.get("allow")
                check(allow == "GET, HEAD", f"{method} {name}: Allow {allow}")
        answer = t.get("symbol", method="DELETE")
        check(answer.status == 405 and "POST" in answer.headers.get("allow", ""), "DELETE symbol")
    for name in ("heap", "goroutine", "", "cmdline", "symbol"):
        answer = t.get(name, method="HEAD")
        same = t.get(name)
        check(answer.status == 200 and answer.body == b"", f"HEAD {name}: {answer.status}")
        for header in ("content-type", "content-disposition", "x-content-type-options"):
            got, want = answer.headers.get(header), same.headers.get(header)
            check(got == want, f"HEAD {name}: {header} {got}, not {want}")


def check_quiet_connection(t):
    """A client that says nothing does not stop the others."""
    with socket.create_connection(("127.0.0.1", t.port)) as silent:
        silent.sendall(b"GET /debug/pprof/heap HTTP/1.1\r\n")
        check(t.get("heap").status == 200, "another client is answered meanwhile")


def run_all(t, folder):
    """All of them that need one running program; 19 runs beside those that take no CPU profile."""
    for function in (check_8, check_9, check_10, check_11):
        function(t, folder)
    time.sleep(0.5)
    begun = check_19_begin(t, folder)
    try:
        for function in (
            check_1, check_2, check_3, check_4, check_5, check_6, check_7, check_12, check_13,
            check_14, check_15, check_16, check_17, check_18, check_20, check_21, check_22, check_23,
            check_25,
        ):  # fmt: skip
            began = time.monotonic()
            function(t, folder)
            print(f"{function.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        check_quiet_connection(t)
    finally:
        check_19(t, begun)
