#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The four faults of examples/buggycache are the first findings of its traces, with the functions' names."""
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request

from lib import Folder, Recorder, check, done, run, view, wait_for

EXAMPLES = os.path.join(os.environ["SOURCE_DIR"], "examples")


def first_findings(folder, trace, n):
    result = view(folder, "summary", "--json", trace)
    check(result.code == 0, f"summary --json: {result.err!r}")
    return json.loads(result.out)["findings"][:n]


def check_found(findings, rule, *words):
    texts = [f["title"] + " " + f["text"] for f in findings if f["rule"] == rule]
    check(
        any(all(word in text for word in words) for text in texts),
        f"{rule} with {words} is among the first: {[(f['severity'], f['title']) for f in findings]}",
    )


def buggycache(folder):
    port_file = os.path.join(folder.new(), "port")
    program = [os.path.join(os.environ["BUILD_DIR"], "examples", "buggycache")]
    return program + ["--port", "0", "--port-file", port_file], port_file


def kill_program(recorder):
    """A program whose threads hang does not end in order."""
    for task in os.listdir(f"/proc/{recorder.process.pid}/task"):
        with open(f"/proc/{recorder.process.pid}/task/{task}/children", encoding="ascii") as file:
            for pid in file.read().split():
                os.kill(int(pid), signal.SIGKILL)
    recorder.process.wait(30)


def main():
    with Folder() as folder:
        argv, port_file = buggycache(folder)
        with Recorder(folder, argv, options=["--alloc-rate", "64K"]) as recorder:
            wait_for(lambda: os.path.exists(port_file), 10)
            with open(port_file, encoding="ascii") as file:
                port = file.read().strip()

            def load():
                fib = threading.Thread(
                    target=lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/fib?n=42", timeout=60).read()
                )
                fib.start()
                loader = [os.path.join(EXAMPLES, "load"), port, "--rounds", "100000", "--seconds", "5"]
                run(["python3", "-B", *loader])
                fib.join()

            findings = first_findings(folder, recorder.record(6, load), 8)
            check_found(findings, "sleeping-workers", "pool_take", "worker_start")
            check_found(findings, "recursion", "worker_fib")
            check_found(findings, "leak", "entry_new", "cache_put")
            for finding in findings:
                check(finding["text"].endswith((".", "!", "?")), f"a sentence: {finding['text']}")
                check(finding["time"] is None or finding["time"] >= 0, "a moment within the window")

            def hang():
                loader = [os.path.join(EXAMPLES, "load"), port, "--deadlock", "--rounds", "100000", "--seconds", "4"]
                process = subprocess.Popen(["python3", "-B", *loader], stderr=subprocess.DEVNULL)
                time.sleep(3)
                process.kill()
                process.wait()

            findings = first_findings(folder, recorder.record(4, hang), 3)
            check_found(findings, "deadlock", "2 threads wait for each other in cache_transfer")
            kill_program(recorder)
    done()


main()
