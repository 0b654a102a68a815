#!/bin/bash
# SPDX-License-Identifier: MIT
# Sourced: what real programs are given to do by the benchmarks of repeated stacks. repeat_work calls, for each program
# that is installed, `record NAME PROGRAM ARG…`, which the including script defines. Uses $dir and $ROUNDS.

cat >"$dir/work.py" <<'PY'
import hashlib, json, os, sys, threading, zlib

lock = threading.Lock()
null = os.open("/dev/null", os.O_WRONLY)

def recurse(n):
    if n == 0:
        os.stat("/")
        os.write(null, b"x")
    else:
        recurse(n - 1)

def work():
    for k in range(int(sys.argv[1])):
        with lock:
            text = json.dumps({str(i): list(range(i % 7)) for i in range(40)})
        os.write(null, zlib.compress(text.encode()))
        hashlib.sha256(text.encode()).hexdigest()
        recurse(k % 30)
        sorted([3, 1, 2], key=lambda x: (os.write(null, b"x"), x)[1])

threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
PY

cat >"$dir/work.sql" <<'SQL'
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
	insert into t select i, hex(randomblob(20)), i * 1.5 from n;
create index t_b on t(b);
update t set c = c + 1 where a % 3 = 0;
delete from t where a % 7 = 0;
vacuum;
select count(*) from (select a, b from t order by b);
SQL
for i in $(seq $((ROUNDS * 20))); do
	echo "begin; insert into t(b, c) values('x$i', $i); commit; update t set b = 'y' where a % 5000 = $i;"
done >>"$dir/work.sql"

echo 'const fs = require("fs"); const f = fs.openSync("/dev/null", "w");
function deep(n) { if (n == 0) { fs.writeSync(f, "x"); fs.statSync("/"); } else deep(n - 1); }
for (let i = 0; i < '$((ROUNDS * 50000))'; i++) deep(i % 20);' >"$dir/work.js"

repeat_work() {
	record python3 /usr/bin/python3 "$dir/work.py" $((ROUNDS * 10000))
	record sqlite3 sqlite3 "$dir/work.db" ".read $dir/work.sql"
	if command -v node >"$dir/path"; then
		record node node "$dir/work.js"
	fi
	if command -v redis-server >"$dir/path" && command -v redis-benchmark >"$dir/path"; then
		socket="$dir/redis.sock"
		(
			for i in $(seq 100); do
				redis-cli -s "$socket" ping >"$dir/ping" 2>&1 && break
				sleep 0.1
			done
			redis-benchmark -s "$socket" -q -t set,get,lpush,lrange_100 -n $((ROUNDS * 100000)) >"$dir/benchmark"
			redis-cli -s "$socket" shutdown nosave >"$dir/ping" 2>&1
		) &
		record redis redis-server --port 0 --unixsocket "$socket" --save "" --dir "$dir"
		wait
	fi
}
