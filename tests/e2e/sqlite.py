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

# Calls that neither libc nor the loader makes by itself in this program.
CALLS = ("pread64", "pwrite64", "fdatasync", "fcntl", "ftruncate", "unlink", "fchown")


def strace_counts(folder):
    counts = folder.path / "counts"
    cwd = folder.new()
    run(["strace", "-f", "-c", "-o", counts, "sqlite3", "test.db"], stdin=SCRIPT, cwd=cwd)
    found = {}
    for line in counts.read_text().splitlines():
        match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if match:
            found[match[2]] = int(match[1])
    return found


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
            check(want.get(call, 0) > 0, f"strace saw {call}")
            check(got[call] == want.get(call), f"{call}: {got[call]}, strace says {want.get(call)}")
        print({call: got[call] for call in CALLS})
    done()


main()
