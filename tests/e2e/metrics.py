#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""/metrics: its form by the rules of Prometheus' text format, and numbers that are known beforehand."""
import collections
import http.client
import os
import re
import shutil
import subprocess
import threading
import time

from lib import Folder, Recorder, check, check_near, done, wait_for

SOURCE = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *volatile kept[4096];
static void *wait_once(void *arg) { pthread_mutex_lock(&lock); pthread_mutex_unlock(&lock); return arg; }
static void *park(void *arg) { pause(); return arg; }
int main(void)
{
	pthread_t threads[5];
	char byte;
	int zero = open("/dev/zero", O_RDONLY);
	for (int i = 0; i < 4096; i++) { kept[i] = malloc(64 << 10); }
	for (int i = 0; i < 2048; i++) { free(kept[i]); kept[i] = NULL; }
	for (int i = 0; i < 137; i++) { if (read(zero, &byte, 1) != 1) return 1; }
	for (int i = 0; i < 5; i++) {
		pthread_mutex_lock(&lock);
		pthread_create(&threads[i], NULL, wait_once, NULL);
		usleep(100000);
		pthread_mutex_unlock(&lock);
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, park, NULL);
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
"""
SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def parse(text):
    """{(name, labels): value}; checks form and naming as `promtool check metrics` does."""
    values, types, current = {}, {}, None
    check(text.endswith("\n"), "the last line ends")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            check(current not in types and len(line.split(" ", 3)) == 4, f"one HELP per family: {line}")
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name == current and kind in ("counter", "gauge"), f"TYPE follows HELP: {line}")
            check((kind == "counter") == name.endswith("_total"), f"counters end in _total: {line}")
            check(name.startswith("flightrec_"), f"our prefix: {name}")
            types[name] = kind
        else:
            match = SAMPLE.match(line)
            if not check(match is not None and match.group(1) == current, f"a sample of its family: {line!r}"):
                continue
            labels = LABEL.findall(match.group(2) or "")
            check("".join(f'{k}="{v}",' for k, v in labels) == (match.group(2) + "," if match.group(2) else ""), f"labels: {line!r}")
            key = (match.group(1), tuple(sorted(labels)))
            check(key not in values, f"each series once: {line}")
            values[key] = float(match.group(3))
    for unit in ("milliseconds", "_ms", "_ns", "kilobytes", "_kb"):
        check(not any(unit in name for name in types), f"base units only, not {unit}")
    return values


def known_numbers(folder):
    source = folder.path / "known.c"
    source.write_text(SOURCE)
    program = folder.path / "known"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", program, source], check=True)
    with Recorder(folder, [program]) as recorder:
        check(wait_for(lambda: "ready" in recorder.stderr(), 20), "the program is ready")
        connection = http.client.HTTPConnection("127.0.0.1", recorder.port)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        check(answer.status == 200 and answer.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8", "type and version")
        values = parse(text)
        pid = str(recorder.state()["data"]["program"]["pid"])

        def of(name, **labels):
            key = ("flightrec_" + name, tuple(sorted({"pid": pid, **labels}.items())))
            check(key in values, f"{key} is there")
            return values.get(key, 0)
        check(of("up") == 1 and of("threads") == 4, f"4 threads: {of('threads')}")
        check(recorder.json("/healthz")[1]["data"]["threads"] == 4, "as healthz says")
        check(of("threads_created_total") == 8, f"8 threads were created: {of('threads_created_total')}")
        check(of("syscalls_total", call="read") == 137, f"137 reads: {of('syscalls_total', call='read')}")
        check(of("syscall_seconds_total", call="read") > 0, "which took time")
        check(of("lock_waits_total") >= 5, f"5 waits: {of('lock_waits_total')}")
        check(0.4 <= of("lock_wait_seconds_total") < 60, f"of 0.1 s each: {of('lock_wait_seconds_total')}")
        check_near(of("heap_live_bytes"), 128 << 20, 0.35, "heap in use")
        check_near(of("heap_allocated_bytes_total"), 256 << 20, 0.35, "heap allocated")
        check_near(of("heap_live_objects"), 2048, 0.35, "objects in use")
        with open(f"/proc/{pid}/status") as status:
            resident = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024
        check_near(of("resident_memory_bytes"), resident, 0.2, "resident memory")
        check(of("cpu_seconds_total") >= 0 and of("stacks_lost_total") == 0, "CPU time, no losses")
        own = {name: value for (name, labels), value in values.items() if not labels}
        check(own["flightrec_recorder_resident_memory_bytes"] > 1 << 20 and own["flightrec_recorder_cpu_seconds_total"] >= 0, f"own cost: {own}")
        check(abs(own["flightrec_recorder_start_time_seconds"] - time.time()) < 300, "start time")
        check(any(name == "flightrec_build_info" and value == 1 and labels[0][0] == "version" for (name, labels), value in values.items()), "version")
        promtool = shutil.which("promtool")
        if promtool:
            result = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True)
            check(result.returncode == 0, f"promtool: {result.stdout!r} {result.stderr!r}")


def children(folder):
    with Recorder(folder, ["sh", "-c", "sleep 1000 & sleep 1000"]) as recorder:
        def pids():
            return {dict(labels)["pid"] for name, labels in parse(recorder.get("/metrics")[1].decode()) if name == "flightrec_up"}
        check(wait_for(lambda: len(pids()) == 3, 10), f"the program and its children have a series each: {pids()}")


def untraced(folder):
    source = folder.path / "still.c"
    source.write_text("#include <unistd.h>\nint main(void) { pause(); return 0; }\n")
    program = folder.path / "still"
    subprocess.run(["gcc", "-static", "-o", program, source], check=True)
    with Recorder(folder, [program]) as recorder:
        names = {name for name, labels in parse(recorder.get("/metrics")[1].decode()) if labels}
        check("flightrec_threads" in names and "flightrec_heap_live_bytes" not in names, f"what the kernel knows, nothing made up: {names}")


EXPECTED = {
    "/": (200,), "/healthz": (200,), "/metrics": (200,), "/debug/trace/status": (200,), "/debug/flightrec/rates": (200,), "/nosuch": (404,),
    "/debug/pprof/": (200,), "/debug/pprof/heap": (200,), "/debug/pprof/block?debug=1": (200,), "/debug/pprof/mutex": (200,),
    "/debug/pprof/goroutine?debug=2": (200,), "/debug/pprof/threadcreate": (200,), "/debug/pprof/cmdline": (200,),
    "/debug/pprof/profile?seconds=1": (200, 500), "/debug/pprof/trace?seconds=0.1": (200, 500), "/debug/pprof/heap?seconds=1": (200,),
    "/debug/trace/recorder/snapshot?download=1": (200, 409, 429),
}


def storm(folder):
    """200 clients at once, some of which leave early: right statuses, and nothing is left behind."""
    with Recorder(folder, [folder.path / "known"]) as recorder:
        pid = recorder.process.pid
        wait_for(lambda: "ready" in recorder.stderr(), 20)
        wrong, seen = collections.Counter(), collections.Counter()
        paths = list(EXPECTED)

        def client(number):
            for i in range(12):
                path = paths[(number * 7 + i) % len(paths)]
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", recorder.port, timeout=60)
                    connection.request("GET", path)
                    if (number + i) % 10 == 9:
                        connection.close()
                        continue
                    answer = connection.getresponse()
                    answer.read()
                    connection.close()
                    seen[path] += 1
                    if answer.status not in EXPECTED[path]:
                        wrong[(path, answer.status)] += 1
                except (OSError, http.client.HTTPException) as error:
                    wrong[(path, repr(error))] += 1

        def wave():
            threads = [threading.Thread(target=client, args=(i,)) for i in range(200)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait_for(lambda: len(os.listdir(f"/proc/{pid}/task")) <= n_threads, 30)
            return len(os.listdir(f"/proc/{pid}/fd"))
        n_threads = len(os.listdir(f"/proc/{pid}/task"))
        first = wave()
        second = wave()
        check(not wrong, f"right answers only: {dict(wrong)}")
        check(set(seen) == set(paths), f"every path was answered: {set(paths) - set(seen)}")
        check(second <= first + 4, f"no descriptors are left: {first}, then {second}")
        check(len(os.listdir(f"/proc/{pid}/task")) <= n_threads, "no threads are left")
        check(recorder.json("/healthz")[1]["data"]["threads"] == 4, "the program is as it was")
        check(recorder.state()["data"]["state"] == "idle", "nothing is on")


def main():
    with Folder() as folder:
        known_numbers(folder)
        children(folder)
        untraced(folder)
        storm(folder)
    done()


main()
