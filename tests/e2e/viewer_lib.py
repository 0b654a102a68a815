# SPDX-License-Identifier: MIT
"""What the end-to-end tests of the viewer share: traces made from text, and running trace-view on them."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path(os.environ["BUILD_DIR"]) / "bin"
failures = 0


def check(condition, what):
    global failures
    if not condition:
        failures += 1
        print(f"FAILED: {what}", file=sys.stderr)
    return condition


def done():
    print(f"{failures} failures")
    sys.exit(1 if failures else 0)


class Workspace:
    """A private folder that is also everybody's TMPDIR, so that what is left behind is seen."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="viewer-e2e-"))
        self.tmp = self.path / "tmp"
        self.tmp.mkdir()
        self.env = {
            **os.environ,
            "TMPDIR": str(self.tmp),
            "HOME": str(self.path),
            "PPROF_TMPDIR": str(self.path),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }
        return self

    def __exit__(self, *exception):
        shutil.rmtree(self.path)

    def trace(self, text, name="trace.out", n_streams=2, n_events=0):
        """Packs text events (tests/lib/event_text.h) into a trace.out."""
        folder = self.path / f"{name}.d"
        argv = [BIN / "trace_fixture", folder, str(n_streams)]
        subprocess.run(argv + ([str(n_events)] if n_events else []), env=self.env, input=text.encode(), check=True)
        # The order in which the recorder writes: streams first.
        members = [f"trace/{x}" for x in ("ust", "sched", "cpu", "state") if (folder / "trace" / x).exists()]
        subprocess.run(["tar", "czf", self.path / name, "-C", folder, *members], check=True)
        return self.path / name

    def run(self, argv, **more):
        return subprocess.run(
            [str(x) for x in argv],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            **more,
        )

    def view(self, *argv):
        result = self.run([BIN / "trace-view", *argv])
        left = list(self.tmp.iterdir())
        check(not left, f"trace-view {argv}: left behind {left}")
        return result


# A server: a mutex held by one thread while two wait, calls, allocations, tasks, and an open wait.
STORY = """
0 0 state:env key=command value="server --port 80"
0 0 state:env key=host value=box
0 0 state:env key=settings.alloc_rate value=524288
0 0 state:receipt key=window.asked_ns value=1000000000
0 0 state:receipt key=window.begin_ns value=1000000000
0 0 state:receipt key=window.end_ns value=2000000000
0 0 state:receipt key=mode value=run
0 0 state:receipt key=end_reason value=duration
0 0 state:receipt key=lost.events value=3
0 0 state:receipt key=lost.packets value=0
0 0 state:receipt key=note.1 value="The disk was slow."
0 0 state:process pid=500 ppid=1 start=10ms exe=/opt/server command="server --port 80"
0 0 state:module base=0x400000 start=0x401000 end=0x409000 file_offset=0x1000 path=/opt/server build_id=aa11
0 0 state:module base=0x7000000 start=0x7001000 end=0x7009000 file_offset=0x1000 path=/lib/libc.so.6 build_id=bb22
0 501 state:thread name=worker-1 start=10ms cpu=200ms
0 502 state:thread name=worker-2 start=10ms cpu=-1
0 503 state:thread name=stuck start=10ms cpu=0 state=mutex since=1500ms obj=0xdead0 holder=502 stack=20
0 0 state:stack id=20 frames=0x7001010,0x401100,0x401900
0 0 state:stack id=21 frames=0x401200,0x401900
0 0 state:stack id=22 frames=0x7001020,0x401300,0x401900
0 0 state:symbol addr=0x7001010 func=pthread_mutex_lock system_name=pthread_mutex_lock
0 0 state:symbol addr=0x7001020 func=read system_name=read
0 0 state:symbol addr=0x401100 func="cache::get(int)" system_name=_ZN5cache3getEi file=/src/cache.cc line=41 func_line=40
0 0 state:symbol addr=0x401200 func="cache::put(int)" system_name=_ZN5cache3putEi file=/src/cache.cc line=81 func_line=80
0 0 state:symbol addr=0x401300 depth=0 func="read_all()" system_name=_Z8read_allv file=/src/io.h line=5 func_line=4
0 0 state:symbol addr=0x401300 depth=1 func="request()" system_name=_Z7requestv file=/src/main.cc line=50 func_line=45
0 0 state:symbol addr=0x401900 func=main system_name=main file=/src/main.cc line=9 func_line=1
0 0 state:call_total call=read n=1000 n_short=998 dur=41ms short=1ms bytes=64000
0 0 state:fd fd=5 target=socket:[77]
0 501 state:live addr=0xa000 size=10240 stack=21
0 0 state:counter name=stacks_cut value=4
1050ms 501 wait stack=20 kind=mutex obj=0xcafe0 dur=200ms holder=502 holder_stack=21
1300ms 501 wait stack=20 kind=mutex obj=0xcafe0 dur=100ms holder=502 holder_stack=21
1310ms 502 call stack=22 call=read fd=5 ret=100 dur=30ms
1350ms 502 call stack=22 call=read fd=5 ret=-11 dur=10ms
1400ms 502 call stack=22 call=recv fd=5 ret=7 dur=25ms
1410ms 502 path stack=22 call=open fd=-1 ret=-2 dur=1ms path=/etc/none
1500ms 501 sample stack=21 kind=malloc addr=0xa000 size=10240 rate=524288
1510ms 501 sample stack=21 kind=malloc addr=0xb000 size=10240 rate=524288
1520ms 502 free stack=21 addr=0xb000 size=10240 age=10ms
1600ms 501 task_begin task=1 type=request
1700ms 502 task_end task=1
1750ms 501 log task=1 category=cache message="miss \\"x\\" 1"
"""
