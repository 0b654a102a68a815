#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""trace-view on files that are not ours, cut short or damaged: one clear sentence, never a crash."""
import gzip
import io
import random
import tarfile

from lib import Folder, check, done, recorded, view

COMMANDS = (["summary"], ["summary", "--json"], ["dump"], ["pprof", "--type=syscall"])


def refused(folder, path, name):
    for command in COMMANDS:
        result = view(folder, *command, path)
        lines = result.err.decode("utf-8", "replace").splitlines()
        check(result.code == 1, f"{name}, {command[0]}: exit code {result.code}, {lines}")
        check(len(lines) == 1, f"{name}, {command[0]}: one sentence, not {lines}")
        check(
            lines and lines[0].startswith("trace-view: ") and str(path) in lines[0],
            f"{name}, {command[0]}: names the file: {lines}",
        )


def tar_of(members):
    """A packed trace with the given (TarInfo, bytes)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def main():
    random.seed(1)
    with Folder() as folder:
        trace = folder.new() / "trace.out"
        program = ["sh", "-c", "seq 2000 | sort | cat >/dev/null; sleep 0.1"]
        recorded(folder, program, options=["--trace", trace])
        good = trace.read_bytes()
        whole = view(folder, "dump", trace)
        n_whole = len(whole.out.splitlines())
        check(n_whole > 50 and whole.code == 0 and not whole.err, f"the whole one: {n_whole} events")

        cases = {
            "empty": b"",
            "text": b"this is no trace\n" * 100,
            "noise": random.randbytes(100000),
            "gzip of text": gzip.compress(b"this is no trace\n" * 1000),
            "another tar": tar_of([(tarfile.TarInfo("hello.txt"), b"hello")]),
            "its first 10 bytes": good[:10],
        }
        for name, data in cases.items():
            path = folder.path / "case"
            path.write_bytes(data)
            refused(folder, path, name)
        refused(folder, folder.path / "missing.out", "missing file")
        refused(folder, folder.new(), "empty folder")

        # Names that leave the folder, links and devices are not unpacked.
        outside = folder.path / "escaped"
        for name in (f"../../{outside.name}", str(outside), f"a/../../../{outside.name}"):
            path = folder.path / "evil"
            path.write_bytes(tar_of([(tarfile.TarInfo(name), b"x")]))
            refused(folder, path, f"member {name}")
        link = tarfile.TarInfo("ctf")
        link.type, link.linkname = tarfile.SYMTYPE, str(folder.path)
        path.write_bytes(tar_of([(link, b""), (tarfile.TarInfo("ctf/escaped"), b"x")]))
        refused(folder, path, "a link out of the folder")
        check(not list(folder.path.parent.glob("escaped")) and not outside.exists(), "no file escaped")

        # A broken tail: what is readable is shown, and a sentence says that it is not all.
        path = folder.path / "cut"
        path.write_bytes(good[: len(good) * 9 // 10])
        result = view(folder, "dump", path)
        lines = result.err.decode().splitlines()
        check(result.code in (0, 1), f"cut at nine tenths: exit code {result.code}")
        check(len(lines) >= 1 and lines[0].startswith("trace-view: "), f"cut: says so: {lines}")

        # A flipped byte anywhere ends in a result or in a sentence, never in a crash or a hang.
        for _ in range(40):
            damaged = bytearray(good)
            damaged[random.randrange(len(good))] ^= 1 << random.randrange(8)
            path.write_bytes(damaged)
            for command in (["summary"], ["dump"]):
                result = view(folder, *command, path, timeout=30)
                check(result.code in (0, 1), f"a flipped byte: exit code {result.code}")
                check(
                    result.code == 0 or result.err.startswith(b"trace-view: "),
                    f"a flipped byte: exit 1 comes with a sentence: {result.err!r}",
                )
    done()


main()
