#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""A program prints, and ends, under the recorder as it does bare.

transparency.py programs|tools|services [root|nobody]: our own programs of known behaviour; tools that
everybody has; servers that talk. With FLIGHTREC_TEST_HZ in the environment all of them are sampled at that
rate, too. Root records in --trace mode, nobody with the always-on ring.
"""
import http.server
import os
import re
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from lib import IS_ROOT, NOBODY, Folder, Recorder, check, done, dump, free_port, recorded, run, wait_for

SITE = b"the same bytes for every request\n" * 1000


def compare(folder, name, argv, uid, *, stdin=b"one\ntwo\nthree\n"):
    """Runs a command bare and recorded, each in a folder of its own."""
    bare_cwd, cwd = folder.new(uid), folder.new(uid)
    bare = run(argv, stdin=stdin, cwd=bare_cwd, uid=uid)
    options = []
    if uid is None:
        options = ["--trace", folder.new(uid) / "trace.out"]
    hz = os.environ.get("FLIGHTREC_TEST_HZ")
    if hz:
        argv = [folder.programs / "control_tool", "run", hz, *argv]
    got = recorded(folder, argv, options=options, stdin=stdin, cwd=cwd, uid=uid)

    def normal(text, where):
        return text.replace(str(where).encode(), b"CWD")

    for what, want, have in (
        ("exit code", bare.code, got.code),
        ("stdout", normal(bare.out, bare_cwd), normal(got.out, cwd)),
        ("stderr", normal(bare.err, bare_cwd), normal(got.theirs(), cwd)),
    ):
        check(want == have, f"{name}: {what} is\n  {have!r:.1500}\nbut bare\n  {want!r:.1500}")
    check(bare.code != 99, f"{name}: the bare run itself works: {bare.err!r:.300}")
    return got


def cases_of(folder, program):
    lines = run([folder.programs / program, "--list"]).out.decode().splitlines()
    return [x for x in lines if re.fullmatch(r"\w+", x)]


def test_programs(folder, uid):
    jobs = []
    for path in sorted(folder.programs.glob("host_*")):
        if path.name == "host_asan" or (path.name == "host_user" and (uid or not IS_ROOT)):
            continue
        cases = cases_of(folder, path.name)
        check(len(cases) > 1, f"{path.name} lists its cases")
        jobs += [(f"{path.name} {case}", [path, case]) for case in cases]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: compare(folder, *job, uid), jobs))
    test_asan(folder, uid)


def test_asan(folder, uid):
    """A program built with a sanitizer runs as ever: traced, or untraced with a sentence that says so."""
    program = folder.programs / "host_asan"
    for case, code in (("clean", 0), ("overflow", 1)):
        bare = run([program, case], uid=uid)
        trace = folder.new(uid) / "trace.out"
        got = recorded(folder, [program, case], options=["--trace", trace], uid=uid)
        check(bare.code == code, f"host_asan {case} ends with {code} when bare: {bare.code}")
        check(got.code == code, f"host_asan {case} ends with {code}: {got.code} {got.err!r:.500}")
        check(got.out == bare.out, f"host_asan {case}: stdout {got.out!r}, bare {bare.out!r}")
        said = any("anitizer" in x for x in got.ours())
        events = {x["event"] for x in dump(folder, trace)} if trace.exists() else set()
        check(
            said or "flightrec_thread:start" in events,
            f"host_asan {case}: is traced ({events}), or the recorder says why not: {got.ours()}",
        )
    check(b"heap-buffer-overflow" in got.err, f"ASan's report is there: {got.err!r:.500}")


PYTHON = r"""
import concurrent.futures, hashlib, json, os, queue, subprocess, sys, tempfile, threading, time
q = queue.Queue(2)
def work():
    while (n := q.get()) is not None:
        time.sleep(0.001)
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[q.put(i) for i in range(50)]
[q.put(None) for _ in threads]
[t.join() for t in threads]
print(subprocess.run(["sh", "-c", "cat; exit 3"], input=b"through a child\n", capture_output=True))
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    print(list(pool.map(hashlib.md5, [])), list(pool.map(str.upper, ["a", "b"])))
with tempfile.TemporaryFile() as f:
    f.write(b"x" * 100000); f.seek(0); print(len(f.read()))
print(json.dumps({"argv": sys.argv[1:], "stdin": sys.stdin.read()}))
print("to stderr", file=sys.stderr)
sys.exit(7)
"""

SQL = """
create table t(a integer primary key, b text);
with recursive n(i) as (values(1) union all select i+1 from n where i<2000)
insert into t select i, 'row ' || i from n;
create index i on t(b);
select count(*), sum(a), max(b) from t where b like 'row 1%';
select no_such_column from t;
"""

GIT = """
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a
export GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2024-01-01T00:00:00Z'
export GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
git init -q -b main repo && cd repo
for i in 1 2 3; do seq $i 1000 >file$i; git add .; git commit -q -m "commit $i"; done
git log --format='%H %s'; git diff --stat HEAD~2; git gc -q; git fsck; git status --short
git clone -q . ../copy && git -C ../copy log --oneline; git show no-such-thing
"""

GCC = """
cat >a.c <<'END'
#include <stdio.h>
int main(void) { printf("compiled\\n"); return 5; }
END
gcc -O2 -Wall -o a a.c && ./a; echo $?
printf '#include <iostream>\\n#include <map>\\nint main(){std::map<int,int>m;m[1]=2;std::cout<<m[1]<<"\\\\n";}' >b.cc
g++ -O1 -o b b.cc && ./b; echo 'int main(void) { return x; }' >c.c; gcc c.c; echo $?
"""

PERL = r"""
use strict; use Socket; use IO::Handle;
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
my $pid = fork; die unless defined $pid;
if (!$pid) { close $a; while (<$b>) { print $b uc if 0; syswrite $b, uc } exit 6 }
close $b; $a->autoflush(1); print $a "line $_\n" for 1..3; shutdown $a, 1; print while <$a>;
waitpid $pid, 0; print "child ", $? >> 8, "\n";
local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; select undef, undef, undef, 5 }; print $@;
print sort { $a <=> $b } map { "$_ " } reverse 1..20; print "\n", `echo backticks`, <STDIN>; exit 9;
"""


def tools(folder, url):
    yield "python3", ["python3", "-c", PYTHON, "an argument"], b"standard input"
    yield "sqlite3", ["sqlite3", "test.db"], SQL.encode()
    yield "git", ["sh", "-c", GIT], b""
    yield "curl", ["curl", "-sS", "--fail", url], b""
    yield "curl, 404", ["curl", "-sS", "--fail", url + "nothing"], b""
    yield "curl, parallel", ["curl", "--no-progress-meter", "--parallel", url, url, url], b""
    refused = "curl -sS http://127.0.0.1:1/ 2>&1 | sed 's/after [0-9]* ms//'"
    yield "curl, refused", ["sh", "-c", refused], b""
    # Sets capabilities of its own thread, then its groups: libc would abort over the tracer's threads.
    yield "setpriv", ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "id"], b""
    yield "gcc and g++", ["sh", "-c", GCC], b""
    yield "perl", ["perl", "-e", PERL], b"from stdin\n"
    yield "pipeline", ["sh", "-c", "cat | sort -r | tr a-z A-Z | tee copy | wc -c; exit 4"], b"b\na\n"
    yield "sort", ["sort", "--parallel=2", "-S", "1M"], b"%d\n" * 20000 % tuple(range(20000, 0, -1))
    yield "xargs", ["sh", "-c", "seq 40 | xargs -P 4 -n 1 sh -c 'exit 0' && echo good"], b""
    yield "tar", ["sh", "-c", "seq 50000 >a && tar cf - a | gzip -n | gzip -d | tar tvf - | wc -l"], b""
    yield "background job", ["sh", "-c", "(sleep 0.2; echo late) & echo early; wait; exit 8"], b""
    yield "trap", ["bash", "-c", "trap 'echo got TERM; exit 3' TERM; kill $$; sleep 5"], b""
    yield "exit 127", ["sh", "-c", "no-such-command"], b""
    yield "empty stdin", ["cat"], b""
    yield "large stdin", ["md5sum"], b"flight" * 500000
    yield "stdin closed", ["sh", "-c", "exec <&-; cat; echo $?"], b""
    yield "all closed", ["sh", "-c", "exec <&- >&- 2>&-; sleep 0.1; exit 2"], b""


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", str(len(SITE)))
        self.end_headers()
        self.wfile.write(SITE)

    def log_message(self, *_):
        pass


def test_tools(folder, uid):
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{site.server_address[1]}/"
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(compare, folder, name, argv, uid, stdin=stdin)
            for name, argv, stdin in tools(folder, url)
        ]
        for job in jobs:
            job.result()
    site.shutdown()


def talk(port, lines, n_bytes):
    """Sends lines to a server and returns as many bytes as the bare server answers, and no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(lines)
        answer = b""
        while len(answer) < n_bytes:
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return answer


def answers(port):
    """Whether a server accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def test_services(folder, uid):
    """memcached: values set and read back over several connections, and a clean end."""
    port = free_port()
    argv = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "4"]
    if IS_ROOT and uid is None:
        argv += ["-u", "root"]
    with Recorder(folder, argv, uid=uid) as server:
        if not check(wait_for(lambda: answers(port), 20), f"memcached: {server.stderr()}"):
            return
        value = b"v" * 5000
        for i in range(50):
            command = b"set key%d 0 0 5000\r\n%s\r\nget key%d\r\n" % (i, value, i)
            want = b"STORED\r\nVALUE key%d 0 5000\r\n%s\r\nEND\r\n" % (i, value)
            got = talk(port, command, len(want))
            if not check(got == want, f"memcached answers {got[:100]!r}"):
                return
        trace = server.record(2, lambda: [talk(port, b"version\r\n", 10) for _ in range(100)])
        check(trace.stat().st_size > 1000, "memcached: the trace has content")
        check(server.stop() in (0, 143), "memcached ends on SIGTERM")


def main():
    what, user = sys.argv[1], (sys.argv[2:] or ["root"])[0]
    uid = NOBODY if user == "nobody" and IS_ROOT else None
    if user == "nobody" and not IS_ROOT:
        print(f"not root: `nobody` is uid {os.getuid()} here, which the other run covers")
    with Folder() as folder:
        {"programs": test_programs, "tools": test_tools, "services": test_services}[what](
            folder, uid
        )
    done()


main()
