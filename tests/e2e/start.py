#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What cannot start says why in one sentence, with a fitting exit code, and leaves nothing running."""
import os
import socket
from pathlib import Path

from lib import IS_ROOT, NOBODY, Folder, check, done, recorded, run


def one_sentence(result, name, *words):
    lines = result.err.decode().splitlines()
    check(len(lines) == 1, f"{name}: one sentence, not {lines}")
    check(
        lines and lines[0].startswith("trace-record: "),
        f"{name}: the sentence says who speaks: {lines}",
    )
    for word in words:
        check(word in "".join(lines), f"{name}: names {word!r}: {lines}")


def main():
    with Folder() as folder:
        record = folder.bin / "trace-record"
        marker = folder.path / "was-started"
        program = ["touch", marker]

        result = recorded(folder, ["no-such-program-anywhere"])
        check(result.code == 127, f"unknown program: exit code {result.code}")
        one_sentence(result, "unknown program", "no-such-program-anywhere")

        plain = folder.path / "plain-file"
        plain.write_text("just text")
        result = recorded(folder, [plain])
        check(result.code == 126, f"not executable: exit code {result.code}")
        one_sentence(result, "not executable", str(plain))

        result = recorded(folder, program, output=folder.path / "missing" / "folder")
        check(result.code == 1, f"missing output folder: exit code {result.code}")
        one_sentence(result, "missing output folder", str(folder.path / "missing"))

        closed = folder.new()
        closed.chmod(0o555)
        uid = NOBODY if IS_ROOT else None
        result = recorded(folder, program, output=closed, uid=uid)
        check(result.code == 1, f"unwritable output folder: exit code {result.code}")
        one_sentence(result, "unwritable output folder", str(closed))

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            out = folder.new()
            result = run([record, "--listen", f"127.0.0.1:{port}", "--output-dir", out, *program])
            check(result.code == 1, f"port in use: exit code {result.code}")
            one_sentence(result, "port in use", str(port))

        result = run([record])
        check(result.code == 2, f"no program: exit code {result.code}")
        for bad in (
            ["--alloc-rate", "much"],
            ["--buffer-size", "1"],
            ["--events", "cpu"],
            ["--lock-threshold", "-5ms"],
            ["--listen", "nowhere"],
            ["--no-such-option"],
        ):
            result = run([record, *bad, "--", *program])
            check(result.code == 2, f"{bad}: exit code {result.code}, {result.err!r}")
            check(bad[-1].lstrip("-").encode() in result.err, f"{bad} is named: {result.err!r}")

        if IS_ROOT:
            # As on a machine without lttng-tools: in a mount namespace, the daemon cannot be executed.
            empty = folder.path / "empty"
            empty.touch(mode=0o644)
            sessiond = run(["sh", "-c", "command -v lttng-sessiond"]).out.decode().strip()
            script = f'mount --bind {empty} {sessiond} && exec "$@"'
            out = folder.new()
            result = run(
                ["unshare", "-m", "sh", "-c", script, "sh", record, "--listen", "127.0.0.1:0"]
                + ["--output-dir", out, "--", *program]
            )
            check(result.code == 1, f"no session daemon: exit code {result.code}, {result.err!r}")
            one_sentence(result, "no session daemon", "lttng-tools")
        check(not marker.exists(), "no program was started in any of these cases")

        for option in ("--help", "--version"):
            result = run([record, option])
            check(result.code == 0 and result.out and not result.err, f"trace-record {option}")
        help_text = run([record, "--help"]).out.decode()
        for word in (
            "--listen --port-file --output-dir --buffer-size --max-trace-size --events "
            "--lock-threshold --syscall-threshold --alloc-rate --trace Examples"
        ).split():
            check(word in help_text, f"--help names {word}")
    done()


main()
