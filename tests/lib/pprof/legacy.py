# SPDX-License-Identifier: MIT
"""Reads the text forms of profiles (debug=1 and debug=2), and takes nothing that a script or one of
pprof's readers of old formats might stumble over. A TextError says which line is wrong.
"""
import json
import re
from dataclasses import dataclass, field


class TextError(Exception):
    pass


@dataclass
class Record:
    numbers: list  # before the @
    addresses: list
    labels: dict = field(default_factory=dict)
    frames: list = field(default_factory=list)  # (address, function or "", offset, "file:line")


@dataclass
class Text:
    header: list = field(default_factory=list)  # numbers of the header
    records: list = field(default_factory=list)
    extra: list = field(default_factory=list)  # lines with # after the records
    maps: list = field(default_factory=list)  # lines of the memory map


@dataclass
class Block:
    """One thread of debug=2."""

    id: int
    state: str  # all between the brackets
    lines: list = field(default_factory=list)
    frames: list = field(default_factory=list)  # (function, "file:line")
    created_by: str = ""

    def functions(self):
        return [name for name, _ in self.frames]


FRAME = re.compile(r"#\t0x([0-9a-f]+)(?:\t+(.+?)(?:\+0x([0-9a-f]+))?(?:\t+(\S.*:\d+))?)?")
MAP = re.compile(r"[0-9a-f]+-[0-9a-f]+ [r-][w-][x-][ps] [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ \d+(\s.*)?")
MAP_HEAD = "--- Memory map: ---"


def _need(is_good, number, line, what):
    if not is_good:
        raise TextError(f"line {number}, {what}: {line[:200]!r}")


def _addresses(text, number, line):
    words = text.split(" ")
    _need(all(re.fullmatch("0x[0-9a-f]+", x) for x in words), number, line, "addresses")
    return [int(x, 16) for x in words]


def _lines(data):
    text = data.decode("utf-8")  # an error here is a finding, too
    if not text.endswith("\n"):
        raise TextError("the last line has no end")
    for number, line in enumerate(text[:-1].split("\n"), 1):
        _need(len(line) < 65536, number, line, "longer than readers take")
        _need("\r" not in line and "\0" not in line, number, line, "odd bytes")
        yield number, line


def _body(lines, sample, out):
    """Records with their frames; then what follows them."""
    record = None
    for number, line in lines:
        match = sample.fullmatch(line)
        if line == MAP_HEAD:
            out.maps = [line]
        elif out.maps:
            _need(MAP.fullmatch(line), number, line, "no line of a memory map")
            out.maps.append(line)
        elif match:
            _need(not out.extra, number, line, "a record after the remarks")
            _need(record is None, number, line, "no blank line before this record")
            *numbers, addresses = match.groups()
            record = Record([int(x) for x in numbers], _addresses(addresses, number, line))
            out.records.append(record)
        elif line.startswith("# labels: ") and record:
            _need(not record.frames, number, line, "labels after frames")
            record.labels = json.loads(line[len("# labels: ") :])
            _need(list(record.labels) == sorted(record.labels), number, line, "labels not sorted")
        elif line.startswith("#\t0x"):
            match = FRAME.fullmatch(line)
            _need(match and record, number, line, "a frame")
            address, name, offset, place = match.groups()
            _need(int(address, 16) != 0, number, line, "address 0")
            record.frames.append((int(address, 16), name or "", offset, place or ""))
        elif line == "":
            record = None
        else:
            _need(line.startswith("#"), number, line, "unexpected")
            _need(record is None, number, line, "no blank line after the record")
            out.extra.append(line)
    return out


def read_count(data, name):
    """goroutine, thread, threadcreate and custom profiles; header: [total]."""
    lines = _lines(data)
    number, line = next(lines)
    match = re.fullmatch(r"(\S+) profile: total (\d+)", line)
    _need(match and match[1] == name, number, line, f"header of {name}")
    out = _body(lines, re.compile(r"(\d+) @ (.*)"), Text([int(match[2])]))
    total = sum(x.numbers[0] for x in out.records)
    if total != out.header[0]:
        raise TextError(f"the records hold {total}, the header says {out.header[0]}")
    counts = [x.numbers[0] for x in out.records]
    if counts != sorted(counts, reverse=True):
        raise TextError(f"not by count, descending: {counts[:20]}")
    return out


def read_heap(data):
    """heap and allocs; header: [inuse objects, bytes, alloc objects, bytes, number after heap/]."""
    lines = _lines(data)
    number, line = next(lines)
    numbers = r"(\d+): (\d+) \[(\d+): (\d+)\] @ "
    match = re.fullmatch(f"heap profile: {numbers}heap/(\\d+)", line)
    _need(match, number, line, "header of a heap profile")
    out = _body(lines, re.compile(f"{numbers}(.*)"), Text([int(x) for x in match.groups()]))
    sums = [sum(x.numbers[i] for x in out.records) for i in range(4)]
    head = out.header[:4]
    if sums != head and [*sums[:3], sums[3] + 1] != head:
        raise TextError(f"the records hold {sums}, the header says {head}")
    if head[3] == head[1]:
        raise TextError(f"readers take {head} for a profile without alloc_space")
    return out


def read_wait(data, name):
    """block and mutex; header: [cycles per second, sampling period]. Numbers: cycles, count."""
    lines = _lines(data)
    number, line = next(lines)
    _need(line == {"block": "--- contention:", "mutex": "--- mutex:"}[name], number, line, "header")
    number, line = next(lines)
    match = re.fullmatch(r"cycles/second=(\d+)", line)
    _need(match and int(match[1]) > 0, number, line, "cycles/second")
    header = [int(match[1]), 1]
    if name == "mutex":
        number, line = next(lines)
        match = re.fullmatch(r"sampling period=(\d+)", line)
        _need(match and int(match[1]) > 0, number, line, "sampling period")
        header[1] = int(match[1])
    out = _body(lines, re.compile(r"(\d+) (\d+) @ (.*)"), Text(header))
    cycles = [x.numbers[0] for x in out.records]
    if cycles != sorted(cycles, reverse=True):
        raise TextError(f"not by cycles, descending: {cycles[:20]}")
    return out


def read(data, name):
    """The text form of the profile `name`, debug=1."""
    if name in ("heap", "allocs"):
        return read_heap(data)
    if name in ("block", "mutex"):
        return read_wait(data, name)
    return read_count(data, name)


def read_dump(data):
    """goroutine?debug=2: (lines before the first thread, [Block])."""
    head, blocks, block = [], [], None
    after_function = None
    for number, line in _lines(data):
        match = re.fullmatch(r"goroutine (\d+) \[([^\]]+)\]:", line)
        if match:
            _need(block is None, number, line, "no blank line before this thread")
            block = Block(int(match[1]), match[2])
            blocks.append(block)
        elif line == "":
            _need(after_function is None, number, line, "a function without a place")
            block = None
        elif block is None:
            _need(not blocks, number, line, "outside of a thread")
            head.append(line)
        elif line.startswith("\t"):
            _need(after_function is not None or not block.frames, number, line, "a place alone")
            if after_function is not None and after_function != "created":
                block.frames.append((after_function, line.strip().split(" ")[0]))
            block.lines.append(line)
            after_function = None
        elif line.startswith("created by "):
            match = re.fullmatch(r"created by (.+?)( in goroutine \d+)?", line)
            block.created_by, after_function = match[1], "created"
        else:
            block.lines.append(line)
            match = re.fullmatch(r"(.+)\((.*?)\)", line)
            if line.startswith("#"):
                continue
            _need(match, number, line, "no function")
            after_function = match[1]
    return head, blocks
