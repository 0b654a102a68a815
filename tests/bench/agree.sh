#!/bin/bash
# SPDX-License-Identifier: MIT
# Agreement of the stack walk with libdw, frame by frame, on samples of real programs: a table, then the
# disagreements by kind. BUILD_DIR is the build directory. Arguments choose programs (default: all that are
# installed): redis python3 sqlite3 g++ git node throw omit-frame-pointer no-omit-frame-pointer.
# AGREE_SAMPLES (20000), AGREE_HZ (4000), AGREE_SECONDS (12, the most that a program of ours runs).
set -u
BUILD=${BUILD_DIR:?is the build directory}
export AGREE_SAMPLES=${AGREE_SAMPLES:-20000} AGREE_HZ=${AGREE_HZ:-4000}
SECONDS_EACH=${AGREE_SECONDS:-12}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export AGREE_CHECK=$BUILD/bin/agree_check AGREE_DIR=$dir AGREE_RESULT=$dir/result
wanted=" ${*:-redis python3 sqlite3 g++ git node throw omit-frame-pointer no-omit-frame-pointer} "
failed=0

# sample NAME COMMAND…: runs it until there are enough samples, at most five times.
sample() {
	local name=$1
	shift
	: >"$dir/all"
	for round in 1 2 3 4 5; do
		: >"$AGREE_RESULT"
		LD_PRELOAD=$BUILD/lib/libagree_sampler.so "$@" >"$dir/output" 2>"$dir/messages" || {
			echo "$name: exit $?: $(tail -n 1 "$dir/messages")"
			failed=1
			return
		}
		cat "$AGREE_RESULT" >>"$dir/all"
		if [ "$(awk -F'\t' '$1 == "total" { n += $4 } END { print n + 0 }' "$dir/all")" -ge 10000 ]; then
			break
		fi
	done
	report "$name"
}

report() {
	awk -F'\t' -v name="$1" '
		$1 == "total" { n += $3; comparable += $4; agree += $5; frames += $6; guessed += $7; deep += $8
				stopped += $9; if ($3 > most) { most = $3; ns = $10 } }
		$1 == "kind" { kind[$4] += $3 }
		END {
			if (!comparable) { print name ": no samples"; exit 1 }
			printf "%-22s %8d %8d %9.3f %% %7.1f %8d %6d %8d %8.1f\n", name, n, comparable,
				100 * agree / comparable, frames / n, guessed, deep, stopped, ns
			for (text in kind)
				printf "%22s %8d  %s\n", "", kind[text], text | "sort -k1,1nr | head -n 12"
			close("sort -k1,1nr | head -n 12")
			exit agree < comparable * 0.999
		}' "$dir/all" || failed=1
}

want() {
	[[ $wanted == *" $1 "* ]] || return 1
	shift
	for tool in "$@"; do
		command -v "$tool" >"$dir/path" || {
			echo "$tool is not installed"
			return 1
		}
	done
}

redis_load() {
	local socket=$dir/redis.sock
	(
		unset LD_PRELOAD
		for i in $(seq 100); do
			redis-cli -s "$socket" ping >"$dir/ping" 2>&1 && break
			sleep 0.1
		done
		timeout "$SECONDS_EACH" redis-benchmark -s "$socket" -q -l -n 20000 \
			-t set,get,incr,lpush,lrange_100,sadd,hset,zadd,mset
		redis-cli -s "$socket" shutdown nosave
	) >"$dir/benchmark" 2>&1 &
	redis-server --port 0 --unixsocket "$socket" --save "" --dir "$dir"
}

cat >"$dir/work.py" <<'PY'
import ctypes, hashlib, json, re, sys, threading, time, zlib

end = time.time() + float(sys.argv[1])
compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
libc = ctypes.CDLL(None)

def recurse(n):
    return 1 if n == 0 else recurse(n - 1) + 1

def work():
    while time.time() < end:
        data = json.loads(json.dumps({str(i): [i, i / 3] for i in range(200)}))
        zlib.decompress(zlib.compress(json.dumps(data).encode()))
        hashlib.sha256(b"x" * 10000).hexdigest()
        re.findall(r"(\d+)[a-z]*", "12ab 34cd " * 50)
        numbers = (ctypes.c_int * 50)(*[i * 7919 % 101 for i in range(50)])
        libc.qsort(numbers, 50, 4, compare_type(lambda a, b: a[0] - b[0]))
        sorted(range(100), key=lambda x: (x * 31) % 17)
        recurse(25)

threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
PY
cat >"$dir/work.sql" <<'SQL'
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
	insert into t select i, hex(randomblob(20)), i * 1.5 from n;
create index t_b on t(b);
select count(*), sum(c), avg(length(b)) from t where b like '%AB%' or b glob '*12*';
update t set c = c + 1 where a % 3 = 0;
delete from t where a % 7 = 0;
vacuum;
select sum(x) from (select t.a + u.a x from t join t u on u.a = t.a + 1 order by t.b);
with recursive m(i, s) as (select 1, '' union all select i + 1, printf('%d-%.6f', i, i / 7.0) from m where i < 400000)
	select count(distinct substr(s, 3)) from m;
SQL
cat >"$dir/work.cc" <<'CC'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <tuple>
#include <variant>
#include <vector>
template <int N> struct fib { static constexpr int value = (fib<N - 1>::value + fib<N - 2>::value) % 997; };
template <> struct fib<0> { static constexpr int value = 0; };
template <> struct fib<1> { static constexpr int value = 1; };
template <class... T> auto sum(T... t) { return (t + ...); }
template <std::size_t... I> auto spread(std::index_sequence<I...>) { return std::make_tuple(std::integral_constant<int, I>{}...); }
int main()
{
	std::variant<int, std::string, std::vector<double>> v = fib<400>::value;
	std::map<std::string, std::function<int(int)>> m;
	for (int i = 0; i < 10; i++) m[std::to_string(i)] = [i](int x) { return x * i; };
	std::regex r("([a-z]+)=([0-9]*)");
	std::smatch match; std::string s = "abc=12";
	std::visit([](auto &&x) { std::cout << sizeof(x); }, v);
	return std::regex_match(s, match, r) + sum(1, 2.5, 3L) + (int)std::tuple_size<decltype(spread(std::make_index_sequence<200>{}))>::value + m["3"](2);
}
CC
cat >"$dir/work.js" <<'JS'
const crypto = require("crypto"), zlib = require("zlib");
const end = Date.now() + 1000 * Number(process.argv[2]);
function tree(n) { return n == 0 ? { v: 1 } : { l: tree(n - 1), r: tree(n - 1) }; }
function sum(t) { return t.v || sum(t.l) + sum(t.r); }
let x = 0;
while (Date.now() < end) {
	x += sum(tree(10));
	x += JSON.stringify(JSON.parse(JSON.stringify([...Array(300).keys()].map((i) => ({ i, s: "k" + i }))))).length;
	x += crypto.createHash("sha256").update("x".repeat(5000)).digest()[0];
	x += zlib.deflateSync(Buffer.alloc(20000, "ab" + x)).length;
	x += [..."hello world".repeat(50)].sort((a, b) => (a < b ? -1 : 1)).length;
	x += "a1b22c333".repeat(40).replace(/[0-9]+/g, (m) => m.length).length;
}
JS

printf '%-22s %8s %8s %11s %7s %8s %6s %8s %8s\n' program samples compared agreement frames guessed deep stopped ns/frame
want redis redis-server redis-benchmark redis-cli && {
	export -f redis_load
	export dir SECONDS_EACH
	sample redis bash -c redis_load
}
want python3 && sample python3 /usr/bin/python3 "$dir/work.py" "$SECONDS_EACH"
want sqlite3 sqlite3 && sample sqlite3 sqlite3 :memory: ".read $dir/work.sql"
want g++ g++ && sample g++ g++ -O2 -std=c++17 -c -o "$dir/work.o" "$dir/work.cc"
want git git && {
	git init -q "$dir/repo"
	awk 'BEGIN { for (i = 1; i <= 4000; i++) {
		printf "commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata <<E\nnumber %d\nE\n", 1700000000 + i, i
		printf "M 644 inline dir%d/file%d\ndata <<E\n", i % 7, i % 40
		for (k = 0; k < 300; k++) print i * 31 % (k + 7), k, (k % 11 ? "same" : i)
		print "E" } }' | git -C "$dir/repo" fast-import --quiet
	sample git git -C "$dir/repo" log -p --stat -M -C --find-copies-harder main
}
want node node && sample node node "$dir/work.js" "$SECONDS_EACH"
want throw && sample throw "$BUILD/bin/agree_throw" "$SECONDS_EACH"
for variant in omit-frame-pointer no-omit-frame-pointer; do
	want $variant && sample $variant "$BUILD/bin/agree_$variant" "$SECONDS_EACH"
done
exit $failed
