#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""Who may ask: token, TLS, other addresses, foreign pages, modes, redaction, limits, the program's own socket."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import warnings

from lib import IS_ROOT, NOBODY, Folder, Recorder, check, done, run, wait_for

TOKEN = "correct-horse.battery~staple/7+="
STATUS = "/debug/trace/status"
RATES = "/debug/flightrec/rates"


def ask(recorder, method, path, headers=(), body=None, host="127.0.0.1", timeout=30):
    connection = http.client.HTTPConnection(host, recorder.port, timeout=timeout)
    connection.request(method, path, body=body, headers=dict(headers))
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def started(folder, argv=("sleep", "1000"), *, options=(), env=None):
    """A Recorder with variables of its own."""
    saved = dict(os.environ)
    os.environ.update(env or {})
    try:
        return Recorder(folder, argv, options=options)
    finally:
        os.environ.clear()
        os.environ.update(saved)


def refused(folder, options, *words, code=1, env=None):
    """Not started at all, with one sentence."""
    result = run([folder.bin / "trace-record", *options, "--", "true"], cwd=folder.new(), env=env)
    text = result.err.decode()
    check(result.code == code, f"{options}: exit code {result.code}, want {code}: {text!r}")
    check(len(result.ours()) == 1, f"{options}: one sentence: {text!r}")
    for word in words:
        check(word in text, f"{options}: {word!r} in {text!r}")


def unauthorized(recorder, method, path, headers):
    answer, body = ask(recorder, method, path, headers)
    check(answer.status == 401 and body == b"", f"{method} {path} with {headers}: {answer.status} {body!r}")
    check((answer.getheader("WWW-Authenticate") or "").startswith("Bearer"), f"{path}: WWW-Authenticate")
    check(answer.getheader("Content-Type") is None and answer.getheader("X-Go-Pprof") is None,
          f"{method} {path}: 401 says nothing else: {answer.getheaders()}")


def token(folder, recorder):
    for path in ("/", "/metrics", STATUS, RATES, "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/nosuch", "/nosuch",
                 "//metrics", "/debug/trace/recorder/run?duration=1s", "/debug/trace/recorder/snapshot?download=1"):
        unauthorized(recorder, "GET", path, {})
    for headers in (bearer(""), bearer(TOKEN + "x"), bearer(TOKEN[:-1]), bearer(TOKEN.upper()), {"Authorization": TOKEN},
                    {"Authorization": "Basic " + TOKEN}, {"Authorization": "Bearer"}, {"Cookie": "Bearer " + TOKEN}):
        unauthorized(recorder, "GET", STATUS, headers)
    for method in ("POST", "HEAD", "DELETE", "PUT"):
        unauthorized(recorder, method, STATUS, {})
    for headers in (bearer(TOKEN), {"authorization": "bearer  " + TOKEN}):
        answer, body = ask(recorder, "GET", STATUS, headers)
        check(answer.status == 200 and json.loads(body)["data"]["state"] == "idle", f"{headers}: {answer.status}")
    check(ask(recorder, "GET", "/nosuch", bearer(TOKEN))[0].status == 404, "404 with the token")
    check(ask(recorder, "DELETE", STATUS, bearer(TOKEN))[0].status == 405, "405 with the token")
    answer, body = ask(recorder, "GET", "/healthz")
    check(answer.status == 200 and json.loads(body)["data"]["threads"] >= 1, f"probes need no token: {answer.status}")
    check(TOKEN.encode() not in ask(recorder, "GET", STATUS, bearer(TOKEN))[1], "nobody is told the token")


def tokens(folder):
    file = folder.path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    with Recorder(folder, ["sleep", "1000"], options=["--token-file", file]) as recorder:
        token(folder, recorder)
        check(len(recorder.stderr().splitlines()) == 1, f"one line on stderr: {recorder.stderr()!r}")
    with started(folder, ["sh", "-c", "env; exec sleep 1000"], env={"FLIGHTREC_TOKEN": TOKEN}) as recorder:
        token(folder, recorder)
        check(wait_for(lambda: "LD_PRELOAD=" in recorder.stderr(), 10), "the program shows its environment")
        check(TOKEN not in recorder.stderr(), "the program does not inherit the token")
    file.chmod(0o644)
    with Recorder(folder, ["sleep", "1000"], options=["--token-file", file]) as recorder:
        check("chmod 600" in recorder.stderr(), f"a token that everybody can read: {recorder.stderr()!r}")
    refused(folder, ["--token-file", folder.path / "missing"], "--token-file", "No such file")
    refused(folder, [], "FLIGHTREC_TOKEN", "empty", env={"FLIGHTREC_TOKEN": ""})


def own_address():
    """An address of this machine that is not loopback; None: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return None


def other_addresses(folder):
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
        refused(folder, ["--listen", address], "--listen " + address, "token", "--token-file", code=2)
    refused(folder, ["--listen", "localhost"], "expected", code=2)
    environment = {"FLIGHTREC_TOKEN": TOKEN}
    with started(folder, options=["--listen", "0.0.0.0:0"], env=environment) as recorder:
        check("without TLS" in recorder.stderr(), f"plain text is told: {recorder.stderr()!r}")
        for host in filter(None, ("127.0.0.1", own_address())):
            answer, _ = ask(recorder, "GET", STATUS, {**bearer(TOKEN), "Host": "any.name.example"}, host=host)
            check(answer.status == 200, f"{host}: reached with the token: {answer.status}")
            answer, body = ask(recorder, "GET", STATUS, host=host)
            check(answer.status == 401 and body == b"", f"{host}: not without: {answer.status}")


def openssl(folder, *argv):
    result = subprocess.run(["openssl", *argv], cwd=folder, capture_output=True)
    check(result.returncode == 0, f"openssl {argv}: {result.stderr.decode()}")


def tls(folder):
    files = folder.new()
    for name in ("one", "two"):
        openssl(files, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl(files, "pkey", "-in", "one.key", "-aes256", "-passout", "pass:x", "-out", "locked.key")
    one, key = files / "one.pem", files / "one.key"
    (files / "text").write_text("hello\n")
    for cert, private, words in (
        (files / "none", key, ["--tls-cert", "No such file"]),
        (one, files / "none", ["--tls-key", "No such file"]),
        (files / "text", key, ["--tls-cert", "no certificate"]),
        (one, files / "text", ["--tls-key", "no private key"]),
        (one, files / "two.key", ["--tls-key", "not the key of the certificate"]),
        (one, files / "locked.key", ["--tls-key", "encrypted"]),
    ):
        refused(folder, ["--tls-cert", cert, "--tls-key", private], *words)
    refused(folder, ["--tls-cert", one], "--tls-key", "belong together", code=2)
    refused(folder, ["--listen", "unix:s", "--tls-cert", one, "--tls-key", key], "unix socket", code=2)

    options = ["--listen", "127.0.0.1:0", "--tls-cert", one, "--tls-key", key]
    with started(folder, options=options, env={"FLIGHTREC_TOKEN": TOKEN}) as recorder:
        check(f"https://127.0.0.1:{recorder.port}/" in recorder.stderr(), f"the address: {recorder.stderr()!r}")
        def curl(*more):
            return subprocess.run(["curl", "-s", "--cacert", one, *more], capture_output=True).stdout
        url = f"https://localhost:{recorder.port}"
        check(b'"idle"' in curl("-H", f"Authorization: Bearer {TOKEN}", url + STATUS), "status over TLS")
        check(curl("-o", files / "out", "-w", "%{http_code}", url + STATUS) == b"401", "TLS does not replace the token")
        check(b'"idle"' in curl("-H", f"Authorization: Bearer {TOKEN}", "-H", f"Origin: {url}", url + STATUS),
              "a page of its own may ask")
        check(curl("-H", f"Authorization: Bearer {TOKEN}", "-H", f"Origin: http://localhost:{recorder.port}",
                   "-o", "/dev/null", "-w", "%{http_code}", url + STATUS) == b"403", "one by another scheme may not")
        try:
            plain = ask(recorder, "GET", "/healthz")[0].status
        except (OSError, http.client.HTTPException):
            plain = 0
        check(plain != 200, "plain HTTP is not answered")
        for version, is_fine in (("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)):
            check(speaks(recorder.port, one, version) == is_fine, f"{version}: {'' if is_fine else 'not '}spoken")


def speaks(port, cert, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cert)
    # The client must not be the one who refuses.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old ones are deprecated, which is why they are tried
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                return secure.version() is not None
    except (ssl.SSLError, OSError):
        return False


def foreign(folder):
    with Recorder(folder, ["sleep", "1000"]) as recorder:
        own = f"127.0.0.1:{recorder.port}"
        for path in ("/", "/healthz", "/metrics", STATUS, RATES, "/debug/pprof/heap?debug=1", "/nosuch"):
            answer, _ = ask(recorder, "GET", path, {"Host": "evil.example"})
            check(answer.status == 403, f"{path} under another name: {answer.status}")
        for path in ("/metrics", STATUS, RATES, "/debug/pprof/heap?debug=1", "/debug/trace/recorder/stop"):
            for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                            {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:1"}):
                answer, _ = ask(recorder, "GET", path, headers)
                check(answer.status == 403, f"{path} with {headers}: {answer.status}")
                check(not answer.getheader("Access-Control-Allow-Origin"), f"{path}: shared with nobody")
        answer, _ = ask(recorder, "POST", RATES + "?block_ns=5", {"Origin": "https://evil.example"})
        check(answer.status == 403, f"POST by a foreign page: {answer.status}")
        for headers in ({"Host": own, "Origin": f"http://{own}"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
            check(ask(recorder, "GET", STATUS, headers)[0].status == 200, f"{headers}: its own page may ask")
        answer, _ = ask(recorder, "GET", "/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
        check(answer.status == 200, f"a link leads to the page: {answer.status}")
        check("frame-ancestors 'none'" in answer.getheader("Content-Security-Policy"), "which nobody may frame")


def modes(folder):
    output = folder.new()
    options = ["--listen", "127.0.0.1:0", "--port-file", output / "port", "--output-dir", output]
    command = [folder.bin / "trace-record", *options]
    for more, is_served in ((["--mode=prod"], False), (["--mode=prod", "--enable-pprof"], True), (["--enable-pprof=no"], False),
                            (["--mode=dev"], True)):
        (output / "port").unlink(missing_ok=True)
        with subprocess.Popen([str(x) for x in (*command, *more, "--", "sleep", "1000")], stderr=subprocess.PIPE) as process:
            check(wait_for((output / "port").exists, 20), f"{more}: port file")
            port = int((output / "port").read_text())
            check((port > 0) == is_served, f"{more}: port {port}")
            line = process.stderr.readline().decode()
            check(("nothing is served" in line) != is_served, f"{more}: {line!r}")
            check(listens(process.pid) == is_served, f"{more}: {'listens' if is_served else 'does not listen'}")
            process.terminate()
            process.wait(30)
    refused(folder, ["--mode=production"], "--mode production", "expected dev or prod", code=2)
    refused(folder, ["--enable-pprof=maybe"], "expected true or false", code=2)


def listens(pid):
    """Whether one of the process's sockets accepts TCP connections."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    lines = []
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}") as table:
            lines += table.read().splitlines()[1:]
    return any(line.split()[3] == "0A" and line.split()[9] in inodes for line in lines)


def redaction(folder):
    program = ["python3", "-c", "import time; time.sleep(1000)", "--password=hunter2"]
    with Recorder(folder, program, options=["--redact-cmdline"]) as recorder:
        trace = recorder.record(1)
        for path in ("/", STATUS, "/debug/pprof/cmdline", "/debug/pprof/heap?debug=1", "/debug/pprof/goroutine?debug=2", "/metrics"):
            answer, body = ask(recorder, "GET", path)
            check(answer.status == 200 and b"hunter2" not in body, f"{path}: {answer.status}, no arguments: {body[:200]!r}")
        check(ask(recorder, "GET", "/debug/pprof/cmdline")[1] == b"python3", "the program's name is shown")
        unpacked = folder.new()
        subprocess.run(["tar", "xzf", trace, "-C", unpacked], check=True)
        found = subprocess.run(["grep", "-rlaF", "hunter2", unpacked], capture_output=True).stdout
        check(found == b"", f"the trace has no arguments: {found!r}")
        check("hunter2" not in recorder.stderr(), "nor do messages")
    with Recorder(folder, program) as recorder:
        check(b"hunter2" in ask(recorder, "GET", STATUS)[1], "without the option they are shown")


def durations(folder):
    with Recorder(folder, ["sleep", "1000"], options=["--max-duration", "2s"]) as recorder:
        words = b"profile duration exceeds server's WriteTimeout\n"
        for path in ("profile?seconds=3", "profile", "profile?seconds=x", "trace?seconds=2.1", "heap?seconds=3"):
            answer, body = ask(recorder, "GET", "/debug/pprof/" + path)
            check(answer.status == 400 and body == words and answer.getheader("X-Go-Pprof") == "1",
                  f"{path}: {answer.status} {body!r}")
        for path in ("trace?seconds=0.1", "heap?seconds=1", "profile?seconds=2"):
            answer, body = ask(recorder, "GET", "/debug/pprof/" + path)
            check(answer.status == 200, f"{path}: {answer.status} {body[:200]!r}")
        answer, body = ask(recorder, "GET", "/debug/trace/recorder/run?duration=3s")
        check(answer.status == 400 and json.loads(body)["errorCode"] == "ILLEGAL_ARGUMENT" and b"2s" in body, f"run: {body!r}")


def idle(folder):
    """Idle connections are closed; requests that take longer are not."""
    with Recorder(folder, ["sleep", "1000"], options=["--idle-timeout", "1s"]) as recorder:
        with socket.create_connection(("127.0.0.1", recorder.port), timeout=20) as silent:
            began = time.monotonic()
            check(silent.recv(1) == b"", "an idle connection is closed")
            check(time.monotonic() - began >= 0.5, "not at once")
        for path in ("profile?seconds=4", "trace?seconds=4", "heap?seconds=4"):
            answer, body = ask(recorder, "GET", "/debug/pprof/" + path)
            check(answer.status == 200 and body, f"{path} is not cut: {answer.status} {body[:200]!r}")
        with socket.create_connection(("127.0.0.1", recorder.port), timeout=20) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000 + b"\r\n\r\n")
            check(s.recv(100).split(b" ")[1:2] in ([b"431"], [b"413"], []), "headers have a limit")
        answer, body = ask(recorder, "POST", RATES, body=b"x" * (2 << 20))
        check(answer.status == 413, f"bodies have a limit: {answer.status}")


def rates(folder):
    with Recorder(folder, ["sleep", "1000"], options=["--block-rate", "2ms", "--mutex-fraction", "5", "--heap-rate", "1M"]) as recorder:
        def values(method="GET", query=""):
            answer, body = ask(recorder, method, RATES + query)
            check(answer.status == 200, f"{method} {query}: {answer.status} {body!r}")
            return json.loads(body)["data"]
        want = {"block_ns": 2_000_000, "mutex_fraction": 5, "alloc_rate": 1 << 20}
        check(values() == want, f"as the options say: {values()}")
        data = values("POST", "?block_ns=1000&alloc_rate=64K")
        check(data.pop("previous") == want, "what it was")
        want.update(block_ns=1000, alloc_rate=65536)
        check(data == want and values() == want, f"what it is: {data}")
        for query, field, value in (("?block_ns=all", "block_ns", 1), ("?block_ns=1ms", "block_ns", 1_000_000), ("?block_ns=-1", "block_ns", 0),
                                    ("?mutex_fraction=-1", "mutex_fraction", 5), ("?mutex_fraction=0", "mutex_fraction", 0),
                                    ("?alloc_rate=0", "alloc_rate", 0)):
            check(values("POST", query)[field] == value, f"{query}: {values()}")
        for query in ("", "?block_ns=", "?block_ns=x", "?mutex_fraction=1.5", "?alloc_rate=-1", "?rate=1", "?block_ns=1&other=2"):
            before = values()
            answer, body = ask(recorder, "POST", RATES + query)
            check(answer.status == 400 and json.loads(body)["error"] and values() == before, f"{query}: {answer.status} {body!r}")
        settings = recorder.state()["data"]["settings"]
        check(settings["mutex_fraction"] == 0 and settings["alloc_rate"] == 0, f"status says so too: {settings}")
        answer, _ = ask(recorder, "DELETE", RATES)
        check(answer.status == 405 and answer.getheader("Allow") == "GET, HEAD, POST", "other methods are refused")


def api(recorder, what, status, code=""):
    answer, body = ask(recorder, "POST", "/debug/flightrec/" + what)
    check(answer.status == status, f"{what}: {answer.status}, want {status}: {body[:200]!r}")
    if code:
        check(json.loads(body)["errorCode"] == code, f"{what}: {body!r}")
    return answer, body


def slots(folder):
    """CPU profiles and traces that one request starts and another one ends share the slots of /debug/pprof."""
    with Recorder(folder, ["sleep", "1000"]) as recorder:
        wait_for(lambda: recorder.state()["data"]["program"]["processes_traced"], 10)
        api(recorder, "cpu/stop", 409, "CPU_PROFILE_NOT_RUNNING")
        for hz in ("0", "x", "-1", "1000000"):
            api(recorder, f"cpu/start?hz={hz}", 400, "ILLEGAL_ARGUMENT")
        api(recorder, "cpu/start?hz=50", 200)
        api(recorder, "cpu/start", 409, "CPU_PROFILE_RUNNING")
        answer, body = ask(recorder, "GET", "/debug/pprof/profile?seconds=1")
        check(answer.status == 500 and body == b"Could not enable CPU profiling: cpu profiling already in use\n",
              f"the slot is taken: {answer.status} {body!r}")
        answer, body = api(recorder, "cpu/stop", 200)
        check(body[:2] == b"\x1f\x8b" and answer.getheader("Content-Type") == "application/octet-stream", "a profile comes back")
        api(recorder, "cpu/stop", 409, "CPU_PROFILE_NOT_RUNNING")
        # Its client goes when this is over; the second request would be refused if the first one were not on.
        other = socket.create_connection(("127.0.0.1", recorder.port))
        other.sendall(b"GET /debug/pprof/profile?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check(wait_for(lambda: ask(recorder, "GET", "/debug/pprof/profile?seconds=1")[0].status == 500, 20), "the slot is taken by HTTP")
        api(recorder, "cpu/start", 409, "CPU_PROFILE_RUNNING")
        api(recorder, "cpu/stop", 409, "CPU_PROFILE_NOT_RUNNING")
        other.close()
        check(wait_for(lambda: ask(recorder, "GET", "/debug/pprof/profile?seconds=1")[0].status == 200, 20), "and given back")

        api(recorder, "trace/stop", 409, "TRACE_NOT_RUNNING")
        api(recorder, "trace/start", 200)
        api(recorder, "trace/start", 409, "TRACE_RUNNING")
        answer, body = ask(recorder, "GET", "/debug/pprof/trace?seconds=1")
        check(answer.status == 500 and b"execution tracer already enabled" in body, f"the slot is taken: {body!r}")
        answer, body = api(recorder, "trace/stop", 200)
        check(body[:2] == b"\x1f\x8b", "a trace comes back")
        api(recorder, "trace/stop", 409, "TRACE_NOT_RUNNING")
        for what in ("cpu/start", "cpu/stop", "trace/start", "trace/stop"):
            answer, _ = ask(recorder, "GET", "/debug/flightrec/" + what)
            check(answer.status == 405 and answer.getheader("Allow") == "POST", f"GET {what}: {answer.status}")


def inside(folder):
    """The program reaches its recorder through the runtime folder, whoever it has become; others do not."""
    script = 'curl -s -X POST --unix-socket "$FLIGHTREC_DIR/http.sock" "http://program/debug/flightrec/rates?block_ns=77"; echo; echo "at $FLIGHTREC_DIR"; sleep 1000'
    users = [None, NOBODY] if IS_ROOT else [None]
    for uid in users:
        # Not setpriv: it takes capabilities from its first thread only, and libc then gives up on the tracer's.
        drop = [] if uid is None else ["runuser", "-u", "nobody", "--"]
        program = [*drop, "sh", "-c", script]
        # Where nothing is served, and where a token is needed, the program's own calls work.
        for options, env in ((["--mode=prod"], {}), ([], {"FLIGHTREC_TOKEN": TOKEN})):
            with started(folder, program, options=options, env=env) as recorder:
                check(wait_for(lambda: "at /" in recorder.stderr(), 20), "the program has asked")
                check('"block_ns": 77' in recorder.stderr(), f"user {uid}, {options}: {recorder.stderr()!r}")
                path = re.search(r"^at (\S+)$", recorder.stderr(), re.MULTILINE).group(1) + "/http.sock"
                if IS_ROOT:
                    result = run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", path,
                                  "http://program/debug/trace/status"], uid=NOBODY)
                    check(result.out == b"403", f"another user's process is refused: {result.out!r} {result.err!r}")
        check(not os.path.exists(path), "the socket is removed")


def config(folder):
    files = folder.new()
    (files / "f.yaml").write_text("http:\n  address: 127.0.0.1:0\npprof:\n  enabled: true\n  auth:\n    bearer: from-file\nmode: prod\nmutex-fraction: 9\n")
    with Recorder(folder, ["sleep", "1000"], options=["--config", files / "f.yaml"]) as recorder:
        check(ask(recorder, "GET", RATES)[0].status == 401, "the file's token is needed")
        _, body = ask(recorder, "GET", RATES, bearer("from-file"))
        check(json.loads(body)["data"]["mutex_fraction"] == 9, f"the file's settings hold: {body!r}")
    with Recorder(folder, ["sleep", "1000"], options=["--config", files / "f.yaml", "--mutex-fraction=4"]) as recorder:
        _, body = ask(recorder, "GET", RATES, bearer("from-file"))
        check(json.loads(body)["data"]["mutex_fraction"] == 4, f"the command line wins: {body!r}")
    (files / "bad.yaml").write_text("http:\n  addres: x\n")
    refused(folder, ["--config", files / "bad.yaml"], "bad.yaml:2:", "unknown key http.addres", code=2)
    refused(folder, ["--config", files / "none.yaml"], "none.yaml", "No such file", code=2)


def main():
    with Folder() as folder:
        tokens(folder)
        other_addresses(folder)
        tls(folder)
        foreign(folder)
        modes(folder)
        redaction(folder)
        durations(folder)
        idle(folder)
        rates(folder)
        slots(folder)
        inside(folder)
        config(folder)
    done()


main()
