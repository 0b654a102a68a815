#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""trace-view on damaged, cut, hostile and foreign files; on signals."""
import gzip
import io
import os
import random
import shutil
import signal
import subprocess
import tarfile
import time

from viewer_lib import BIN, STORY, Workspace, check, done

COMMANDS = (("summary",), ("summary", "--json"), ("dump",), ("pprof", "--type=sync"))


def refused(space, path, what, part=b""):
    for command in COMMANDS:
        result = space.view(*command, path)
        lines = result.stderr.splitlines()
        check(result.returncode == 1, f"{what}, {command}: exit code {result.returncode}")
        check(len(lines) == 1 and lines[0].startswith(b"trace-view: "), f"{what}, {command}: {lines}")
        check(part in result.stderr and str(path).encode() in result.stderr, f"{what}: {lines}")
        check(not result.stdout, f"{what}: nothing on stdout")


def archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            tar.addfile(info, io.BytesIO(data))
    return path


def check_foreign(space, good):
    path = space.path / "foreign"
    for what, data, part in (
        ("empty", b"", b"is empty"),
        ("text", b"hello\n" * 100, b"not a trace"),
        ("Go's trace", b"go 1.19 trace\0\0\0" + bytes(100), b"go tool trace"),
        ("gzip of text", gzip.compress(b"hello\n" * 1000), b"not a trace"),
        ("10 bytes", good.read_bytes()[:10], b"not a trace"),
    ):
        path.write_bytes(data)
        refused(space, path, what, part)
    file = tarfile.REGTYPE
    for what, member in (
        ("..", ("trace/../../evil", file, b"x")),
        ("absolute", ("/tmp/evil", file, b"x")),
        ("symbolic link", ("trace", tarfile.SYMTYPE, b"")),
        ("hard link", ("trace", tarfile.LNKTYPE, b"")),
        ("fifo", ("trace", tarfile.FIFOTYPE, b"")),
        ("no state trace", ("trace/ust/metadata", file, b"/* CTF 1.8 */")),
        ("another tar", ("hello.txt", file, b"hello")),
        ("bad state metadata", ("trace/state/metadata", file, b"/* CTF 1.8 */ trace {")),
    ):
        refused(space, archive(path, member), what)
    check(not list(space.path.rglob("evil")), "nothing escaped")
    refused(space, space.path / "missing.out", "missing", b"No such file")
    (space.path / "folder").mkdir()
    refused(space, space.path / "folder", "an empty folder", b"no state trace")
    bomb = archive(path, ("trace/state/state", file, bytes(3 << 20)))
    result = space.view("summary", "--max-size=2M", bomb)
    check(result.returncode == 1 and b"--max-size" in result.stderr, f"too large: {result.stderr}")


def check_cut(space, good, n_events):
    """A cut archive shows what is before the cut, says that it is cut, and whose stacks are gone."""
    data = good.read_bytes()
    path = space.path / "cut.out"
    seen = []
    for tenth in (3, 5, 7, 9):
        path.write_bytes(data[: len(data) * tenth // 10])
        result = space.view("dump", path)
        check(result.returncode == 0, f"cut at {tenth}/10: exit code {result.returncode}")
        check(b"cut short" in result.stderr, f"cut at {tenth}/10: says so: {result.stderr}")
        check(b"state trace is missing" in result.stderr, f"cut at {tenth}/10: {result.stderr}")
        seen.append(len(result.stdout.splitlines()))
        text = space.view("summary", path).stdout.decode()
        check("cut short" in text and "no receipt" in text, f"cut at {tenth}/10, summary: {text[:600]}")
    check(sorted(seen) == seen and 0 < seen[0] < seen[-1] < n_events, f"the more, the more: {seen}")


def check_stream_damage(space, folder, n_events):
    stream = folder / "trace/ust/uid/0/64-bit/ring_1"
    copy = space.path / "copy"
    whole = stream.read_bytes()
    for what, data in (
        ("cut in a packet", whole[: len(whole) - 5000]),
        ("noise at the end", whole[: 3 * 65536] + random.randbytes(100000)),
        ("empty", b""),
        ("all noise", random.randbytes(200000)),
    ):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / stream.relative_to(folder)).write_bytes(data)
        result = space.view("dump", copy)
        n = len(result.stdout.splitlines())
        check(result.returncode == 0, f"{what}: exit code {result.returncode}")
        check(n_events // 2 <= n < n_events, f"{what}: the other stream is whole: {n}")
        check(what == "empty" or b"ring_1 is damaged" in result.stderr, f"{what}: {result.stderr}")
        check((copy / stream.relative_to(folder)).read_bytes() == data, f"{what}: not touched")
    # Inside a packet: an event id that the metadata does not have.
    data = bytearray(whole)
    data[65536 * 2 + 84 : 65536 * 2 + 86] = b"\x77\x77"
    (copy / stream.relative_to(folder)).write_bytes(data)
    result = space.view("dump", copy)
    n = len(result.stdout.splitlines())
    check(result.returncode == 0 and n_events // 2 < n < n_events, f"bad event id: {n} events")
    lines = result.stderr.splitlines()
    check(len(lines) == 1 and b"from its packet 3 on" in lines[0], f"bad event id: {lines}")


def check_flips(space, good):
    """A flipped bit is found by the checksum, wherever it is; some bits of the header mean nothing."""
    data = good.read_bytes()
    whole = space.view("dump", good).stdout
    path = space.path / "flipped.out"
    for _ in range(150):
        damaged = bytearray(data)
        at = random.randrange(len(data))
        damaged[at] ^= 1 << random.randrange(8)
        path.write_bytes(damaged)
        for command in (("dump",), ("summary",)):
            result = space.view(*command, path)
            check(result.returncode in (0, 1), f"a flipped bit: {command}, {result.returncode}")
            # A flip may also look like an early end, which is said, and takes the names away.
            is_cut = b"cut short" in result.stderr
            if command == ("dump",) and result.returncode == 0 and not is_cut:
                check(result.stdout == whole[: len(result.stdout)], f"a flipped bit at {at} is not shown")
            ours = all(x.startswith(b"trace-view: ") for x in result.stderr.splitlines())
            check(ours, f"a flipped bit: only our sentences: {result.stderr}")


def check_signals(space, big):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for delay in (0.02, 0.15, 0.4):
            process = subprocess.Popen(
                [BIN / "trace-view", "summary", big],
                env=space.env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(delay)
            process.send_signal(number)
            code = process.wait(20)
            left = [x for x in space.tmp.iterdir()]
            check(not left, f"signal {number} after {delay} s: left {left}")
            check(code in (130, 0, -number), f"signal {number} after {delay} s: exit code {code}")


def main():
    random.seed(7)
    with Workspace() as space:
        # babeltrace2's parser of metadata leaks when it fails; that is not what is tested here.
        space.env["ASAN_OPTIONS"] = "detect_leaks=0"
        good = space.trace(STORY, n_events=30000)
        n_events = len(space.view("dump", good).stdout.splitlines())
        check(n_events == 30012, f"{n_events} events")
        check_foreign(space, good)
        check_cut(space, good, n_events)
        check_stream_damage(space, space.path / "trace.out.d", n_events)
        check_flips(space, space.trace(STORY, "small.out"))
        check_signals(space, space.trace(STORY, "big.out", n_events=2000000))
        check(os.listdir(space.tmp) == [], "nothing is left behind")
    done()


main()
