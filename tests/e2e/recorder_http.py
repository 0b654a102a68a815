#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""The HTTP interface: statuses, headers, JSON keys, refusals; port 0, port file, unix socket."""
import http.client
import json
import signal
import socket
import subprocess

from lib import Folder, Recorder, check, done, wait_for

RUN = "/debug/trace/recorder/run"
STOP = "/debug/trace/recorder/stop"
SNAPSHOT = "/debug/trace/recorder/snapshot"
TRACE = "/debug/pprof/trace"
STATUS = "/debug/trace/status"


def ask(recorder, method, path, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", recorder.port, timeout=30)
    connection.request(method, path, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def refused(recorder, path, status, code, *words):
    """One JSON refusal: honest status, the four keys, one sentence."""
    answer, body = ask(recorder, "GET", path)
    check(answer.status == status, f"{path}: status {answer.status}, want {status}: {body!r}")
    data = json.loads(body)
    check(set(data) == {"errorCode", "msg", "error", "data"}, f"{path}: keys {set(data)}")
    check(data["error"] is True and data["data"] is None, f"{path}: {data}")
    check(data["errorCode"] == code, f"{path}: errorCode {data['errorCode']}, want {code}")
    check(data["msg"] and "\n" not in data["msg"], f"{path}: one sentence, not {data['msg']!r}")
    for word in words:
        check(word in data["msg"], f"{path}: {word!r} in {data['msg']!r}")


def pages(recorder):
    answer, body = ask(recorder, "GET", "/")
    check(answer.status == 200 and answer.getheader("Content-Type") == "text/html; charset=utf-8", "index page")
    check(b"sleep 1000" in body and b"/debug/trace/status" in body, "index page names the program and the links")
    answer, body = ask(recorder, "GET", "/healthz")
    data = json.loads(body)["data"]
    check(answer.status == 200 and data["status"] == "ok" and data["threads"] >= 1, f"healthz: {data}")
    wait_for(lambda: recorder.state()["data"]["program"]["processes_traced"], 10)
    answer, body = ask(recorder, "GET", STATUS)
    data = json.loads(body)["data"]
    check(data["state"] == "idle" and data["last"] is None, f"status: {data}")
    check(data["program"]["command"] == "sleep 1000", f"status: {data['program']}")
    check(data["program"]["processes_traced"] == 1, f"status: {data['program']}")
    check(data["ring"]["state"] == "recording" and data["ring"]["capacity_bytes"] > 0, f"status: {data['ring']}")
    check(data["scheduling"]["text"].startswith(data["scheduling"]["step"] + ": "), f"status: {data['scheduling']}")
    check(answer.getheader("X-Content-Type-Options") == "nosniff", "nosniff")
    for path in ("/", "/healthz", STATUS):
        answer, body = ask(recorder, "HEAD", path)
        check(answer.status == 200 and body == b"" and int(answer.getheader("Content-Length")) > 0, f"HEAD {path}")


def methods(recorder):
    for path in (RUN + "?duration=1s", STOP, SNAPSHOT, TRACE):
        # HEAD of a trace takes one, as in Go, and sends its headers.
        allowed = "GET, HEAD" if path == TRACE else "GET"
        for method in {"HEAD", "POST", "PUT", "DELETE", "OPTIONS"} - set(allowed.split(", ")):
            answer, _ = ask(recorder, method, path)
            check(answer.status == 405 and answer.getheader("Allow") == allowed,
                  f"{method} {path}: {answer.status}, Allow {answer.getheader('Allow')}")
    for path in ("/%00", "/debug/pprof/heap%00junk"):
        answer, _ = ask(recorder, "GET", path)
        check(answer.status == 404, f"{path}: {answer.status}")
    answer, _ = ask(recorder, "DELETE", "/")
    check(answer.status == 405 and answer.getheader("Allow") == "GET, HEAD", "DELETE /")
    refused(recorder, "/nosuch", 404, "NOT_FOUND")
    refused(recorder, RUN + "/", 404, "NOT_FOUND")
    for path in ("/debug/pprof/nosuch", "/debug/pprof/nosuch?seconds=1"):
        answer, body = ask(recorder, "GET", path)
        check(answer.status == 404 and body == b"Unknown profile\n" and answer.getheader("X-Go-Pprof") == "1",
              f"{path}: {answer.status} {body!r}")
    check(json.loads(ask(recorder, "GET", STATUS)[1])["data"]["last"] is None, "no refused method started anything")
    answer, body = ask(recorder, "HEAD", TRACE + "?seconds=0.1")
    check(answer.status == 200 and body == b"" and "trace" in answer.getheader("Content-Disposition"), "HEAD trace")


def durations(recorder):
    for text in ("", "?duration=", "?other=1s", "?duration=30", "?duration=abc", "?duration=1x", "?duration=0", "?duration=0s",
                 "?duration=-5s", "?duration=%201s", "?duration=1s%00", "?duration=1e3s", "?duration=%ff%fe"):
        refused(recorder, RUN + text, 400, "ILLEGAL_ARGUMENT", "duration")
    for text in ("30m1ns", "31m", "1h", "99999999999999999999h", "2562048h"):
        refused(recorder, f"{RUN}?duration={text}", 400, "ILLEGAL_ARGUMENT", "30 min")
    refused(recorder, STOP, 409, "FLIGHT_RECORDER_NOT_RUNNING", "FlightRecorder not running")


def foreign(recorder):
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        for path in (RUN + "?duration=1s", STOP, SNAPSHOT, TRACE):
            answer, body = ask(recorder, "GET", path, headers)
            check(answer.status == 403, f"{path} with {headers}: {answer.status} {body!r}")
    answer, _ = ask(recorder, "GET", STATUS, {"Origin": "https://evil.example"})
    check(answer.status == 403 and not answer.getheader("Access-Control-Allow-Origin"), "status is not shared with other pages")


def is_answered(recorder):
    """A connection over the limit is closed without an answer."""
    try:
        return ask(recorder, "GET", "/healthz")[0].status == 200
    except (OSError, http.client.HTTPException):
        return False


def many_connections(recorder):
    """More connections than are served at once: nobody hangs, and it answers afterwards."""
    sockets = [socket.create_connection(("127.0.0.1", recorder.port)) for _ in range(100)]
    for s in sockets:
        s.close()
    check(wait_for(lambda: is_answered(recorder), 10), "answers after 100 idle connections")


def raw(recorder, data):
    with socket.create_connection(("127.0.0.1", recorder.port), timeout=20) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    return answer


def bad_requests(recorder):
    for data in (b"nonsense\r\n\r\n", b"GET /healthz\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 1000,
                 b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        try:
            answer = raw(recorder, data)
        except OSError:
            answer = b""
        check(not answer.startswith(b"HTTP/1.1 200"), f"{data[:30]!r}: {answer[:60]!r}")
    check(ask(recorder, "GET", "/healthz")[0].status == 200, "answers after bad requests")


def unix_socket(folder):
    path = folder.new() / "socket"
    with Recorder(folder, ["sleep", "1000"], options=["--listen", f"unix:{path}"]) as recorder:
        check((recorder.output / "port").read_text() == "0\n", "a unix socket has port 0")
        result = subprocess.run(["curl", "-s", "--unix-socket", path, "http://any/healthz"], capture_output=True)
        check(b'"ok"' in result.stdout, f"healthz over a unix socket: {result.stdout!r}")
        check(path.stat().st_mode & 0o777 == 0o600, "only its owner may connect")
    check(not path.exists(), "the socket is removed")


def other_addresses(folder):
    for listen, url in (("[::1]:0", "http://[::1]:"), ("localhost:0", "http://127.0.0.1:"), (":0", "http://127.0.0.1:")):
        if listen.startswith("[") and not socket.has_ipv6:
            continue
        with Recorder(folder, ["sleep", "1000"], options=["--listen", listen]) as recorder:
            check(f"trace-record: {url}{recorder.port}/ (pid " in recorder.stderr(), f"{listen}: {recorder.stderr()!r}")
            check(recorder.stop() == 128 + signal.SIGTERM, f"{listen}: exit code")


def main():
    with Folder() as folder:
        with Recorder(folder, ["sleep", "1000"]) as recorder:
            check(recorder.port > 0, f"port 0 takes a free one: {recorder.port}")
            pages(recorder)
            methods(recorder)
            durations(recorder)
            foreign(recorder)
            many_connections(recorder)
            bad_requests(recorder)
            check(recorder.stop() == 128 + signal.SIGTERM, "exit code after SIGTERM")
            lines = [x for x in recorder.stderr().splitlines() if "--recover" not in x]
            check(len(lines) == 1, f"one line on stderr: {lines}")
        unix_socket(folder)
        other_addresses(folder)
    done()


main()
