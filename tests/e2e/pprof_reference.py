#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The checks of the contract, on a real Go program: what they ask for is what Go does."""
import os
import subprocess
import tempfile
from pathlib import Path

from lib import BUILD, SOURCE, done
from pprof_lib import Target
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
    done()


main()
