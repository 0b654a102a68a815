#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Ten starts and stops, of each kind, leave no process, folder, socket or shared memory behind."""
import os
import re
import signal
import uuid
from pathlib import Path

from lib import IS_ROOT, NOBODY, Folder, Recorder, check, done, recorded, run, wait_for

MARK = uuid.uuid4().hex
PLACES = ("/dev/shm", "/tmp", "/run", "/run/user", "/var/run", "/var/run/lttng", "/var/tmp")


def marked_processes():
    """Every process that inherited our mark, zombies apart: whatever a recorder started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if MARK.encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(f"{folder.name}: {command}")
        except OSError:
            continue
    return found


def files():
    """What flightrec or LTTng may have left where such things live."""
    found = set()
    for place in PLACES:
        try:
            names = os.listdir(place)
        except OSError:
            continue
        # Folders of tests and demos bear our name, too; they are not the recorder's.
        found |= {
            f"{place}/{x}"
            for x in names
            if re.match(r"(flightrec-\d+-|.*lttng)", x) and not x.startswith("flightrec-e2e")
        }
    return found


def sockets():
    lines = Path("/proc/net/unix").read_text().splitlines()
    return {x.split()[-1] for x in lines if "flightrec" in x or "lttng" in x}


def is_foreign(path):
    """Belongs to a living process, thus to somebody who records meanwhile on this machine."""
    number = path.rsplit("-", 1)[-1].split(".")[0].split("/")[0]
    if "lttng-ust-wait" in path:  # the number is a user id
        return any(uid_of(folder) == number for folder in Path("/proc").glob("[0-9]*"))
    return number.isdigit() and Path(f"/proc/{number}").exists()


def uid_of(folder):
    try:
        return str(folder.stat().st_uid)
    except OSError:
        return None


def cycle(name, run_once, folder):
    before = (files(), sockets())
    for i in range(10):
        run_once(i)
    check(
        wait_for(lambda: not marked_processes(), 10),
        f"{name}: processes stay behind: {marked_processes()}",
    )

    def left():
        now = (files() - before[0]) | (sockets() - before[1])
        return sorted(x for x in now if not is_foreign(x) and str(folder.path) not in x)

    check(wait_for(lambda: not left(), 10), f"{name}: left behind: {left()}")


def main():
    os.environ["FLIGHTREC_E2E_MARK"] = MARK
    with Folder() as folder:
        for user in (None, NOBODY) if IS_ROOT else (None,):
            who = "nobody" if user else "self"

            def ended(i):
                result = recorded(folder, ["sh", "-c", f"exit {i}"], uid=user)
                check(result.code == i, f"{who}: exit code {i}: {result.code} {result.err!r:.300}")

            def stopped(i):
                with Recorder(folder, ["sleep", "1000"], uid=user) as recorder:
                    code = recorder.stop(signal.SIGTERM if i % 2 else signal.SIGINT)
                    want = 128 + (signal.SIGTERM if i % 2 else signal.SIGINT)
                    check(code == want, f"{who}: stopped by a signal: {code}, not {want}")

            def ran(i):
                options = ["--on-death", "none"]
                with Recorder(folder, ["sleep", "1000"], uid=user, options=options) as recorder:
                    status, body = recorder.json("/debug/trace/recorder/run?duration=30m")
                    if status == 400:  # 30 min is the first refused duration
                        status, body = recorder.json("/debug/trace/recorder/run?duration=29m")
                    check(status == 200, f"{who}: a run starts: {status} {body}")
                    recorder.stop()
                    made = sorted(x.name for x in recorder.output.iterdir())
                    check(
                        set(made) <= {"port", "stderr", "trace.out"},
                        f"{who}: only trace.out is in the output folder: {made}",
                    )

            def killed_program(_):
                result = recorded(folder, [folder.programs / "host_process", "kill_self"], uid=user)
                check(result.code == 137, f"{who}: killed program: {result.code}")

            cycle(f"{who}: programs that end", ended, folder)
            cycle(f"{who}: programs that are stopped", stopped, folder)
            cycle(f"{who}: runs cut short", ran, folder)
            cycle(f"{who}: programs that are killed", killed_program, folder)

            def killed_recorder(_):
                recorder = Recorder(folder, ["sleep", "3"], uid=user)
                recorder.stop(signal.SIGKILL)
                recorder.log.close()

            # A killed recorder cannot tidy up; its daemon must end by itself, its program may go
            # on, and --recover removes the rest.
            before = files()
            for i in range(3):
                killed_recorder(i)
            ended(0)
            check(
                wait_for(lambda: not marked_processes(), 10),
                f"{who}: after SIGKILL of the recorder: {marked_processes()}",
            )
            command = [folder.bin / "trace-record", "--recover", "--output-dir", folder.new(user)]
            result = run(command, uid=user)
            check(result.code == 0, f"{who}: --recover: {result.err!r}")
            ended(0)
            left = sorted(x for x in files() - before if not is_foreign(x))
            left = [x for x in left if str(folder.path) not in x]
            check(not left, f"{who}: nothing of killed recorders is left: {left}")
    done()


main()
