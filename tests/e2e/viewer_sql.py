#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""trace-view sql: its forms, its refusals; and the index behind it: kept, used again, made anew when it is not right."""
import json
import os

from viewer_lib import STORY, Workspace, check, done

COUNT = "SELECT count(*) AS n FROM wait"


def kept(cache):
    """The folder of the one index in `cache`."""
    folders = [x for x in cache.iterdir() if not x.name.startswith(".")]
    return folders[0] if check(len(folders) == 1, f"one index in the cache: {list(cache.iterdir())}") else None


def forms(space, trace):
    cache = ("--cache", "")
    text = space.view("sql", *cache, trace, "SELECT kind, dur FROM wait ORDER BY dur DESC")
    check(text.stdout.split() == [b"kind", b"dur", b"mutex", b"100000000", b"mutex", b"50000000"], f"text: {text.stdout}")
    csv = space.view("sql", "--csv", *cache, trace, "SELECT message, NULL AS missing FROM log")
    check(csv.stdout == b'message,missing\n"miss ""x"" 1",\n', f"CSV: {csv.stdout}")
    answer = json.loads(space.view("sql", "--json", *cache, trace, "SELECT message, NULL AS missing, 1.5 AS x FROM log").stdout)
    check(answer == [{"message": 'miss "x" 1', "missing": None, "x": 1.5}], f"JSON: {answer}")
    check(json.loads(space.view("sql", "--json", *cache, trace, "SELECT 1 WHERE 0").stdout) == [], "no rows are an empty array")
    tables = space.view("sql", trace)
    check(tables.returncode == 0 and b"slice: " in tables.stdout and b"receipt: " in tables.stdout, "without a query: the tables")


def refusals(space, trace):
    for query, words in (("DELETE FROM thread", b"only be read"), ("SELEC 1", b"syntax error"), ("", b"no statement"), ("SELECT x FROM y", b"no such table")):
        result = space.view("sql", "--cache", "", trace, query)
        lines = result.stderr.splitlines()
        check(result.returncode == 1 and len(lines) == 1 and words in lines[0], f"{query}: {result.returncode} {lines}")
    check(space.view("sql", space.path / "missing", COUNT).returncode == 1, "a trace that is not there")
    check(space.view("sql", trace, COUNT, "more").returncode == 2, "one query at a time")


def index(space, trace):
    cache = space.path / "cache"
    ask = lambda: space.view("sql", "--csv", "--cache", cache, trace, COUNT).stdout
    check(ask() == b"n\n2\n", "an answer")
    file = kept(cache) / "index"
    made = file.stat()
    check(ask() == b"n\n2\n", "the same from the index that was kept")
    check((file.stat().st_ino, file.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns), "which was not made again")
    # Not right in any way: made anew.
    for what, spoil in (
        ("cut", lambda: os.truncate(file, made.st_size // 2)),
        ("empty", lambda: os.truncate(file, 0)),
        ("of another version", lambda: file.write_bytes(file.read_bytes()[:-8] + b"\0" * 8)),
        ("without definitions", lambda: [x.unlink() for x in (file.parent / "trace" / "state").iterdir()]),
    ):
        spoil()
        check(ask() == b"n\n2\n", f"an index that is {what} is no answer")
        file = kept(cache) / "index"
        check(file.stat().st_size == made.st_size, f"after one that is {what}: whole again")
    # Another trace under the same name has an index of its own.
    other = space.trace(STORY.replace("1300ms 501 wait", "1300ms 502 wait") + "1310ms 502 wait stack=20 kind=mutex obj=1 dur=1ms\n", name="other.out")
    os.replace(other, trace)
    check(ask() == b"n\n3\n", "a trace that was replaced is read anew")
    # Where nothing can be kept it works without.
    blocked = space.path / "file"
    blocked.write_text("")
    check(space.view("sql", "--csv", "--cache", blocked, trace, COUNT).stdout == b"n\n3\n", "a cache that cannot be made")


def main():
    with Workspace() as space:
        trace = space.trace(STORY)
        forms(space, trace)
        refusals(space, trace)
        index(space, trace)
    done()


main()
