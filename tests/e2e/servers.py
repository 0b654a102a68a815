#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Debian's nginx and PostgreSQL under load: all their workers in one trace, and one that is killed leaves its record."""
import http.client
import os
import pwd
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from lib import IS_ROOT, Folder, Recorder, check, done, free_port, run, summary, wait_for

NGINX = Path("/usr/sbin/nginx")
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))

CONF = """
daemon off; worker_processes 2; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 128; }}
http {{
    access_log {dir}/access.log; client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    server {{ listen 127.0.0.1:{port}; location / {{ root {dir}/www; }} }}
}}
"""


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(x) for x in task.read_text().split()]
    return found


def get(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/index.html")
    status = connection.getresponse().status
    connection.close()
    return status


def load_http(port, stop):
    while not stop.is_set():
        try:
            get(port)
        except OSError:
            time.sleep(0.01)  # a worker was killed


def pids_of(facts):
    return {x["pid"] for x in facts["processes"]}


def check_labels(recorder, pids):
    """All processes have profiles of their own, and together they are told apart."""
    text = recorder.get("/debug/pprof/goroutine?debug=1")[1].decode()
    labeled = {int(x) for x in re.findall(r'"pid":"(\d+)"', text)}
    check(pids <= labeled, f"label pid: {pids - labeled} missing of {labeled}")
    page = recorder.get("/")[1].decode()
    for pid in pids:
        status, _ = recorder.get(f"/debug/pprof/heap?pid={pid}")
        check(status == 200, f"heap?pid={pid}: {status}")
        check(f"pid={pid}" in page, f"the index lists {pid}")


def check_record(folder, recorder, name, pid, code=signal.SIGKILL):
    """The trace that a killed worker leaves."""
    path = recorder.output / f"trace-{name}-{pid}-{signal.Signals(code).name}.out"
    if not check(wait_for(path.exists, 20), f"{path.name} is written: {sorted(os.listdir(recorder.output))} {recorder.stderr()}"):
        return
    facts = summary(folder, path)
    check(pid in pids_of(facts), f"it is in it: {facts['processes']}")
    check(f"(pid {pid}) was killed by" in recorder.stderr() or wait_for(lambda: f"(pid {pid}) was" in recorder.stderr(), 20), "we say so")


def nginx(folder, as_www):
    home = folder.new()
    home.chmod(0o777)
    (home / "www").mkdir()
    (home / "www/index.html").write_text("x" * 100000)
    port = free_port()
    conf = home / "nginx.conf"
    conf.write_text(("user www-data;" if as_www else "") + CONF.format(dir=home, port=port))
    stop = threading.Event()
    with Recorder(folder, [NGINX, "-c", conf]) as recorder:
        master = recorder.state()["data"]["program"]["pid"]
        if not check(wait_for(lambda: len(children(master)) == 2, 20), f"two workers: {recorder.stderr()}"):
            return
        workers = set(children(master))
        if as_www:
            uids = {os.stat(f"/proc/{x}").st_uid for x in workers}
            check(uids == {pwd.getpwnam("www-data").pw_uid}, f"workers are www-data: {uids}")
        threads = [threading.Thread(target=load_http, args=(port, stop)) for _ in range(4)]
        for thread in threads:
            thread.start()
        trace = recorder.record(2)
        facts = summary(folder, trace)
        check(workers | {master} <= pids_of(facts), f"all in one trace: {workers | {master}} {pids_of(facts)}")
        check_labels(recorder, workers | {master})
        victim = min(workers)
        os.kill(victim, signal.SIGKILL)
        check_record(folder, recorder, "nginx", victim)
        check(wait_for(lambda: len(set(children(master)) - workers) == 1, 20), "the master starts another")
        check(get(port) == 200, "and goes on")
        stop.set()
        for thread in threads:
            thread.join()
        check(recorder.stop(signal.SIGQUIT) == 0, "and ends in order")
        left = [x for x in os.listdir(recorder.output) if re.fullmatch(r"trace-nginx-\d+-.*", x)]
        check(len(left) == 1, f"an orderly end is no death: {left} {recorder.stderr()}")


def postgres(folder):
    bin_dir = POSTGRES[-1].parent
    uid = pwd.getpwnam("postgres").pw_uid if IS_ROOT else os.getuid()
    home = folder.new(uid)
    port = free_port()
    made = run([bin_dir / "initdb", "-D", home / "data", "-A", "trust", "-U", "flight", "--no-sync"], uid=uid, cwd=home)
    if not check(made.code == 0, f"initdb: {made.err.decode()}"):
        return
    connect = ["-h", str(home), "-p", str(port), "-U", "flight"]
    server = [bin_dir / "postgres", "-D", home / "data", "-k", home, "-p", port, "-c", "listen_addresses=", "-c", "fsync=off"]
    with Recorder(folder, server, uid=uid) as recorder:
        ready = [bin_dir / "pg_isready", *connect]
        if not check(wait_for(lambda: run(ready, uid=uid).code == 0, 30), f"it answers: {recorder.stderr()}"):
            return
        check(run([bin_dir / "pgbench", *connect, "-i", "-q", "postgres"], uid=uid, cwd=home).code == 0, "pgbench -i")
        load = subprocess.Popen(
            ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] * IS_ROOT
            + [str(x) for x in (bin_dir / "pgbench", *connect, "-T", "60", "-c", "3", "postgres")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home,
        )
        master = recorder.state()["data"]["program"]["pid"]

        def backends():
            return {
                pid for pid in children(master)
                if b"flight postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
            }

        check(wait_for(lambda: len(backends()) == 3, 20), f"three backends: {backends()}")
        everybody = backends() | {master}
        facts = summary(folder, recorder.record(2))
        check(everybody <= pids_of(facts), f"all in one trace: {everybody} {pids_of(facts)}")
        check_labels(recorder, everybody)
        victim = min(backends())
        os.kill(victim, signal.SIGKILL)
        check_record(folder, recorder, "postgres", victim)
        load.kill()
        load.wait()
        check(wait_for(lambda: run(ready, uid=uid).code == 0, 30), "the server recovers")
        check(recorder.stop(signal.SIGINT) == 0, f"and ends in order: {recorder.stderr()}")


if not NGINX.exists() or not POSTGRES:
    print("SKIP: nginx or PostgreSQL is not installed")
    sys.exit(77)
with Folder() as test_folder:
    if IS_ROOT:
        nginx(test_folder, True)
    else:
        nginx(test_folder, False)
    postgres(test_folder)
done()
