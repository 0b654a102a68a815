#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""sqlite3's calls in a trace are the same in number as strace counts for the same script."""
import re
from collections import Counter

from lib import Folder, check, done, dump, recorded, run

SCRIPT = b"""
create table t(a integer primary key, b text);
with recursive n(i) as (values(1) union all select i+1 from n where i<3000)
insert into t select i, 'row ' || i from n;
create index i on t(b);
select count(*) from t where b like 'row 1%';
delete from t where a % 2;
vacuum;
"""

# Calls that libc makes none of by itself in this program.
CALLS = ("pread64", "pwrite64", "fdatasync", "fcntl", "ftruncate", "unlink", "fchown")


def strace_counts(folder):
    """What `strace -c` would print, less what the loader reads of libraries before main()."""
    log = folder.path / "strace"
    cwd = folder.new()
    only = "trace=" + ",".join(CALLS)
    run(["strace", "-f", "-y", "-e", only, "-o", log, "sqlite3", "test.db"], stdin=SCRIPT, cwd=cwd)
    lines = log.read_text().splitlines()
    return Counter(
        match[1] for x in lines if (match := re.match(r"\d+ +(\w+)\(", x)) and ".so" not in x
    )


def main():
    with Folder() as folder:
        want = strace_counts(folder)
        trace = folder.new() / "trace.out"
        cwd = folder.new()
        result = recorded(
            folder,
            ["sqlite3", "test.db"],
            options=["--trace", trace],
            stdin=SCRIPT,
            cwd=cwd,
        )
        check(result.code == 0, f"sqlite3 ends with 0: {result.err!r}")
        events = dump(folder, trace)
        got = Counter(x.get("call") for x in events if x["event"].startswith("flightrec_syscall:"))
        for call in CALLS:
            check(want[call] > 0, f"strace saw {call}")
            check(got[call] == want[call], f"{call}: {got[call]}, strace says {want[call]}")
        print({call: got[call] for call in CALLS})
    done()


main()
