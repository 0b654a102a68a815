#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What liblttng-ust holds in a program: one thread, for the recorder's own daemon, and descriptors that the program
cannot take away by dup2(); both stay as they are, and the events keep coming."""
import re

from lib import Folder, check, done, dump, recorded, run


def main():
    with Folder() as folder:
        # Room above the soft limit: nothing is in the program's way. None: some numbers are refused.
        for limit, is_free in (("ulimit -Sn 1024", True), ("ulimit -n 1024", False)):
            program = ["sh", "-c", f'{limit}; exec "$0"', folder.programs / "known_process"]
            bare = run(program)
            check(bare.out == b"listeners 0\nrefused 0\n", f"{limit}, bare: {bare.out!r}")
            trace = folder.new() / "trace.out"
            got = recorded(folder, program, options=["--syscall-threshold", "0", "--trace", trace])
            check(got.code == 0, f"{limit}: exit code {got.code}: {got.err!r:.500}")
            found = re.fullmatch(rb"listeners (\d+)\nrefused (\d+)\n", got.out)
            check(found, f"{limit}: output {got.out!r}")
            if not found:
                continue
            check(int(found[1]) == 1, f"one thread of liblttng-ust, not {int(found[1])}")
            n_refused = int(found[2])
            check((n_refused == 0) == is_free, f"{limit}: {n_refused} numbers are refused")
            calls = [x for x in dump(folder, trace) if x.get("call") == "pwrite64"]
            check(len(calls) == 23, f"{limit}: 23 calls after that are recorded, not {len(calls)}")
    done()


main()
