#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Deaths: of the recorder, of the session daemon, of traced processes; and children that live on."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from lib import IS_ROOT, NOBODY, Folder, Recorder, check, done, recorded, run, wait_for

TICKER = ["perl", "-e", '$| = 1; print "ready\\n"; select(undef, undef, undef, 0.05) while 1']


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(x) for x in task.read_text().split()]
    return found


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def rundirs(pid):
    return [str(p) for p in Path("/dev/shm").glob(f"flightrec-*-{pid}*")]


def recorder_killed(folder, uid):
    """SIGKILL: the program goes on, the daemon ends, --recover cleans up."""
    recorder = Recorder(folder, TICKER, uid=uid)
    wait_for(lambda: "ready" in recorder.stderr(), 20)
    recorder.json("/debug/trace/recorder/run?duration=10m")
    program = recorder.state()["data"]["program"]["pid"]
    ours = [x for x in children(recorder.process.pid) if x != program]
    dirs = rundirs(recorder.process.pid)
    check(len(dirs) == 1 and len(ours) >= 1, f"uid {uid}: {dirs}, {ours}")
    grandchildren = [y for x in ours for y in children(x)]
    recorder.process.kill()
    recorder.process.wait()
    check(wait_for(lambda: not any(is_running(x) for x in ours + grandchildren), 20),
          f"uid {uid}: daemons end with the recorder: {[name_of(x) for x in ours + grandchildren if is_running(x)]}")
    time.sleep(0.5)
    check(is_running(program), f"uid {uid}: the program goes on")
    os.kill(program, signal.SIGKILL)
    result = recorded(folder, ["true"], uid=uid, output=recorder.output)
    check(result.code == 0, f"uid {uid}: the next start: {result.err!r}")
    command = [folder.bin / "trace-record", "--recover", "--output-dir", recorder.output]
    result = run(command, uid=uid)
    check(result.code == 0, f"uid {uid}: --recover: {result.err!r}")
    check(not rundirs(recorder.process.pid), f"uid {uid}: removed the dead one's runtime folder: {dirs}")
    hidden = [p.name for p in recorder.output.iterdir() if p.name.startswith(".")]
    check(not hidden, f"uid {uid}: and what it left in the output folder: {hidden}")
    recorder.log.close()


def daemon_killed(folder):
    """The program does not notice; the recorder says so and refuses."""
    with Recorder(folder, TICKER) as recorder:
        wait_for(lambda: "ready" in recorder.stderr(), 20)
        program = recorder.state()["data"]["program"]["pid"]
        for pid in children(recorder.process.pid):
            if pid != program:
                os.kill(pid, signal.SIGKILL)
        check(wait_for(lambda: "session daemon died" in recorder.stderr(), 20), f"we say so: {recorder.stderr()!r}")
        status, body = recorder.json("/debug/trace/recorder/run?duration=1s")
        check(status == 500 and "died" in body["msg"], f"run without daemon: {status} {body}")
        check(is_running(program), "the program goes on")
        check(recorder.stop() == 128 + signal.SIGTERM, "exit code")


def daemon_killed_in_a_run(folder):
    with Recorder(folder, TICKER) as recorder:
        wait_for(lambda: "ready" in recorder.stderr(), 20)
        program = recorder.state()["data"]["program"]["pid"]
        recorder.json("/debug/trace/recorder/run?duration=10m")
        for pid in children(recorder.process.pid):
            if pid != program:
                os.kill(pid, signal.SIGKILL)
        check(wait_for(lambda: recorder.state()["data"]["last"], 30), "the run ends")
        check(recorder.stop() == 128 + signal.SIGTERM, "exit code")


def survivors(folder):
    """A traced child that outlives the program goes on without us, and we say how many."""
    mark = folder.new() / "alive"
    script = f'perl -e \'for (1..60) {{ select(undef, undef, undef, 0.05); open F, ">", "{mark}"; print F "$_\\n"; close F }}\' & sleep 0.5; exit 9'
    result = recorded(folder, ["sh", "-c", script + " >/dev/null 2>&1"], timeout=60)
    check(result.code == 9, f"survivors: exit code {result.code}")
    check(any("1 process" in line and "unrecorded" in line for line in result.ours()), f"survivors are counted: {result.ours()}")
    check(wait_for(lambda: mark.exists() and mark.read_text() == "60\n", 20), "the child lives to its own end")


def killed_workers(folder):
    """Workers killed in the middle of their work must not stop later recordings (a blocked ring)."""
    script = """
        $| = 1; $SIG{CHLD} = "IGNORE"; $parent = $$;
        sub work { open F, "<", "/dev/zero"; sysread F, $b, 1 while getppid() == $parent; exit }
        print "ready\\n";
        while (1) {
            my @pids;
            for (1..4) { my $p = fork; work() if !$p; push @pids, $p }
            select(undef, undef, undef, 0.2);
            kill 9, @pids;
        }
    """
    with Recorder(folder, ["perl", "-e", script], options=["--buffer-size", "4M"]) as recorder:
        wait_for(lambda: "ready" in recorder.stderr(), 20)
        time.sleep(3)
        for _ in range(2):
            recorder.json("/debug/trace/recorder/run?duration=500ms")
            check(wait_for(lambda: recorder.state()["data"]["state"] == "idle", 30), "the run ends")
            info = recorder.state()["data"]["last"]
            check(info["error"] == "" and info["bytes_raw"] > 100_000, f"a run after killed workers has events: {info}")
        time.sleep(0.5)
        status, body = recorder.json("/debug/trace/recorder/snapshot")
        check(status == 200, f"snapshot: {status} {body}")
        unpacked = folder.new()
        text = run(["sh", "-c", f"tar xzf {body['data']['file']} -C {unpacked} && babeltrace2 {unpacked}"]).out.decode()
        starts = len(re.findall("flightrec_thread:process", text))
        check(starts >= 4, f"the flight recorder saw workers start since the last run: {starts}")
        check(recorder.stop() == 128 + signal.SIGTERM, "exit code")


def many_processes(folder):
    """A shell that runs hundreds of programs."""
    result = recorded(folder, ["sh", "-c", "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; exit 7"], timeout=120)
    check(result.code == 7 and result.theirs() == b"", f"300 children: {result.code} {result.err!r}")


def main():
    with Folder() as folder:
        for uid in (None, NOBODY) if IS_ROOT else (None,):
            recorder_killed(folder, uid)
        daemon_killed(folder)
        daemon_killed_in_a_run(folder)
        survivors(folder)
        killed_workers(folder)
        many_processes(folder)
    done()


main()
