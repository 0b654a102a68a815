#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The checks of the contract, on a real Go program: what they ask for is what Go does."""
import os
import subprocess
import tempfile
from pathlib import Path

from lib import BUILD, SOURCE, Folder, Recorder, check, done
from pprof_lib import B, SNAPSHOTS, Target, check_error
import pprof_checks
import pprof_rows


def build(folder):
    """Builds the reference; Go keeps what it compiles beside the build, for the next time."""
    environment = dict(os.environ, GO111MODULE="off", CGO_ENABLED="0", GOFLAGS="", HOME=str(folder))
    environment["GOCACHE"] = str(BUILD / "go-cache")
    source = SOURCE / "tests/programs/reference.go"
    program = folder / "reference"
    subprocess.run(["go", "build", "-o", program, source], env=environment, check=True, cwd=folder)
    return program


def symbol_of(program, name):
    out = subprocess.run(["go", "tool", "nm", program], capture_output=True, check=True).stdout
    for line in out.decode().splitlines():
        words = line.split()
        if words[-1] == name:
            return int(words[0], 16), name
    raise LookupError(name)


def check_untraced(program):
    """The recorder has no profiles of such a program, and says why."""
    with Folder() as folder:
        with Recorder(folder, [program]) as recorder:
            target = Target(recorder.port, program, [program], "none")
            why = f"{program} is statically linked, so it runs untraced"
            for name in (*SNAPSHOTS, "heap?debug=1", "profile?seconds=1", "heap?seconds=1"):
                check_error(
                    target, f"{B}/{name}", 503, f"There are no profiles of this program: {why}"
                )
            check_error(target, f"{B}/nosuch", 404, "Unknown profile")
            check(target.get("cmdline").body == str(program).encode(), "its command line is there")


def main():
    with tempfile.TemporaryDirectory(prefix="flightrec-e2e-") as name:
        folder = Path(name)
        program = build(folder)
        argv = [program, "a", "", "b c"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        try:
            port = int(process.stdout.readline().decode().rpartition(":")[2])
            target = Target(
                port,
                program,
                argv,
                "my/custom.prof",
                is_go=True,
                pid=process.pid,
                symbol=symbol_of(program, "main.knownLeak"),
            )
            pprof_checks.run_all(target, folder)
            pprof_rows.run_all(target)
        finally:
            process.kill()
            process.wait()
        check_untraced(program)
    done()


main()
