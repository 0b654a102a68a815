#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What fires a trigger in the program, and what does not: straight from the blackbox."""
from lib import Folder, check, done, run
from traced import Tables

ASKED, SLOW, LOCK, CALL = 0, 2, 3, 4
MS = 1_000_000


def kinds(tables):
    return [int(x["kind"]) for x in tables.show("trigger")]


def test_each(folder):
    tables = Tables(folder)
    tables.tool("triggers", tables.dir, 20 * MS, 20 * MS, "slow", 20 * MS)
    result = tables.run(folder.programs / "known_triggers", tables.dir / "file")
    check(result.out == b"0\n", f"known_triggers: {result.out!r} {result.err!r}")
    rows = tables.show("trigger")
    check(kinds(tables) == [SLOW, SLOW, LOCK, CALL, ASKED], f"region, task, lock, flock, asked: {rows}")
    for row in rows:
        if int(row["kind"]) == ASKED:
            continue
        check(20 * MS <= int(row["value"]) < 1000 * MS, f"about 40 ms: {row}")
        check(int(row["limit"]) == 20 * MS, f"limit: {row}")
        check(int(row["kind"]) != SLOW or row["reason"] == "slow", f"type: {row}")
        check(len(row["frames"]) > 2, f"a stack: {row}")


def test_none(folder):
    """Without limits only what is asked for."""
    tables = Tables(folder)
    tables.run(folder.programs / "known_triggers", tables.dir / "file")
    check(kinds(tables) == [ASKED], f"only what was asked for: {tables.show('trigger')}")


def test_storm(folder):
    """A hundred thousand take few milliseconds, or it is one a millisecond that is written."""
    tables = Tables(folder)
    result = tables.run(folder.programs / "known_triggers", "storm")
    n_taken = int(result.out.split()[0])
    skipped = [int(x["triggers_skipped"]) for x in tables.show("counter") if "triggers_skipped" in x]
    check(n_taken > 0, "at least the first one is taken")
    check(n_taken + sum(skipped) == 100000, f"{n_taken} taken, {skipped} skipped: all are counted")
    times = [int(x["number"]) for x in tables.show("trigger")]
    check(times == list(range(max(0, n_taken - 16), n_taken)), f"the newest 16 are there: {times}")


def test_untraced(folder):
    result = run([folder.programs / "known_triggers", folder.new() / "file"])
    check(result.out == b"-107\n", f"untraced: {result.out!r} {result.err!r}")


with Folder() as folder:
    test_each(folder)
    test_none(folder)
    test_storm(folder)
    test_untraced(folder)
done()
