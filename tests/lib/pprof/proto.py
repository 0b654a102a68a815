# SPDX-License-Identifier: MIT
"""Reads profile.proto, by itself: a second opinion on the product's writer and on pprof's reader.

decode() keeps what the file says, however wrong, wherever it can be read at all; what cannot be read
is a ProtoError. Nothing is resolved: strings stay indices, so that rules can judge these.
"""
import struct
import zlib
from dataclasses import dataclass, field

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class ProtoError(Exception):
    """The bytes are no profile. `code` names the kind of fault, as in rules.py."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


@dataclass
class ValueType:
    type: int = 0
    unit: int = 0


@dataclass
class Label:
    key: int = 0
    str: int = 0
    num: int = 0
    num_unit: int = 0


@dataclass
class Sample:
    location_id: list = field(default_factory=list)
    value: list = field(default_factory=list)
    label: list = field(default_factory=list)


@dataclass
class Mapping:
    id: int = 0
    memory_start: int = 0
    memory_limit: int = 0
    file_offset: int = 0
    filename: int = 0
    build_id: int = 0
    has_functions: int = 0
    has_filenames: int = 0
    has_line_numbers: int = 0
    has_inline_frames: int = 0


@dataclass
class Line:
    function_id: int = 0
    line: int = 0
    column: int = 0


@dataclass
class Location:
    id: int = 0
    mapping_id: int = 0
    address: int = 0
    line: list = field(default_factory=list)
    is_folded: int = 0


@dataclass
class Function:
    id: int = 0
    name: int = 0
    system_name: int = 0
    filename: int = 0
    start_line: int = 0


@dataclass
class Profile:
    sample_type: list = field(default_factory=list)
    sample: list = field(default_factory=list)
    mapping: list = field(default_factory=list)
    location: list = field(default_factory=list)
    function: list = field(default_factory=list)
    string_table: list = field(default_factory=list)  # bytes, as in the file
    drop_frames: int = 0
    keep_frames: int = 0
    time_nanos: int = 0
    duration_nanos: int = 0
    period_type: ValueType = None
    period: int = 0
    comment: list = field(default_factory=list)
    default_sample_type: int = 0
    doc_url: int = 0

    def text(self, index):
        """The string, with odd bytes replaced; says so when there is none."""
        if 0 <= index < len(self.string_table):
            return self.string_table[index].decode("utf-8", "replace")
        return f"(no string {index})"

    def types(self):
        """[(type, unit)] of the samples' values."""
        return [(self.text(x.type), self.text(x.unit)) for x in self.sample_type]


# Field number → (attribute, kind). Kinds: "u" and "i" numbers, "b" bool, "s" string, or a message;
# with a star, repeated.
SCHEMA = {
    ValueType: {1: ("type", "i"), 2: ("unit", "i")},
    Label: {1: ("key", "i"), 2: ("str", "i"), 3: ("num", "i"), 4: ("num_unit", "i")},
    Sample: {1: ("location_id", "u*"), 2: ("value", "i*"), 3: ("label", (Label, True))},
    Mapping: {
        1: ("id", "u"),
        2: ("memory_start", "u"),
        3: ("memory_limit", "u"),
        4: ("file_offset", "u"),
        5: ("filename", "i"),
        6: ("build_id", "i"),
        7: ("has_functions", "b"),
        8: ("has_filenames", "b"),
        9: ("has_line_numbers", "b"),
        10: ("has_inline_frames", "b"),
    },
    Line: {1: ("function_id", "u"), 2: ("line", "i"), 3: ("column", "i")},
    Location: {
        1: ("id", "u"),
        2: ("mapping_id", "u"),
        3: ("address", "u"),
        4: ("line", (Line, True)),
        5: ("is_folded", "b"),
    },
    Function: {
        1: ("id", "u"),
        2: ("name", "i"),
        3: ("system_name", "i"),
        4: ("filename", "i"),
        5: ("start_line", "i"),
    },
    Profile: {
        1: ("sample_type", (ValueType, True)),
        2: ("sample", (Sample, True)),
        3: ("mapping", (Mapping, True)),
        4: ("location", (Location, True)),
        5: ("function", (Function, True)),
        6: ("string_table", "s*"),
        7: ("drop_frames", "i"),
        8: ("keep_frames", "i"),
        9: ("time_nanos", "i"),
        10: ("duration_nanos", "i"),
        11: ("period_type", (ValueType, False)),
        12: ("period", "i"),
        13: ("comment", "i*"),
        14: ("default_sample_type", "i"),
        15: ("doc_url", "i"),
    },
}


def gunzip(data):
    """The content of a gzip file of exactly one member."""
    if data[:2] != b"\x1f\x8b":
        raise ProtoError(
            "gzip", f"does not begin with 1f 8b but with {data[:2].hex() or 'nothing'}"
        )
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        content = reader.decompress(data) + reader.flush()
    except zlib.error as error:
        raise ProtoError("gzip", f"damaged: {error}") from error
    if not reader.eof:
        raise ProtoError("gzip", "cut off")
    if reader.unused_data:
        raise ProtoError("gzip", f"{len(reader.unused_data)} bytes follow the gzip file")
    return content


def _varint(data, at, end):
    value = shift = 0
    while True:
        if at >= end:
            raise ProtoError("wire", f"a number ends outside its message, at byte {at}")
        if shift > 63:
            raise ProtoError("wire", f"a number is longer than 64 bits, at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7


def _number(value, kind):
    if kind[0] == "i" and value >= 1 << 63:
        return value - (1 << 64)
    return value


def _fields(data, at, end):
    """(field number, wire type, value) of a message; value is a number or (from, to)."""
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(data, at, end)
        elif wire == BYTES:
            n, at = _varint(data, at, end)
            value, at = (at, at + n), at + n
        elif wire in (FIXED64, FIXED32):
            n = 8 if wire == FIXED64 else 4
            value = (
                struct.unpack_from("<Q" if n == 8 else "<I", data, at)[0] if at + n <= end else 0
            )
            at += n
        else:
            raise ProtoError("wire", f"wire type {wire} of field {number}, before byte {at}")
        if number == 0 or at > end:
            raise ProtoError("wire", f"field {number} ends outside its message, at byte {at}")
        yield number, wire, value


def _message(cls, data, at, end, seen):
    message = cls()
    fields = SCHEMA[cls]
    once = set()
    for number, wire, value in _fields(data, at, end):
        if number not in fields:
            seen.append(("unknown-field", f"field {number} of {cls.__name__}"))
            continue
        name, kind = fields[number]
        is_list = kind[1] if isinstance(kind, tuple) else kind.endswith("*")
        if not is_list:
            if number in once:
                code = "concatenated" if cls is Profile else "repeated-field"
                seen.append((code, f"{cls.__name__}.{name} appears twice"))
            once.add(number)
        if isinstance(kind, tuple):
            want = BYTES
            item = _message(kind[0], data, *value, seen) if wire == BYTES else None
        elif kind[0] == "s":
            want = BYTES
            item = bytes(data[value[0] : value[1]]) if wire == BYTES else None
        elif wire == BYTES and is_list:
            want, (at, to) = BYTES, value
            while at < to:
                item, at = _varint(data, at, to)
                getattr(message, name).append(_number(item, kind))
            continue
        else:
            want = VARINT
            item = _number(value, kind) if wire == VARINT else None
        if wire != want:
            raise ProtoError("wire", f"{cls.__name__}.{name} has wire type {wire}, not {want}")
        if is_list:
            getattr(message, name).append(item)
        else:
            setattr(message, name, item)
    return message


def decode(content):
    """(Profile, [(code, text)]): the message, and what is odd about its encoding."""
    seen = []
    return _message(Profile, content, 0, len(content), seen), seen


def _put_varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(message):
    """The bytes of a message: for tests that make profiles, good and broken ones."""
    out = bytearray()
    for number, (name, kind) in SCHEMA[type(message)].items():
        value = getattr(message, name)
        is_list = kind[1] if isinstance(kind, tuple) else kind.endswith("*")
        for item in value if is_list else [value]:
            if isinstance(kind, tuple) or kind[0] == "s":
                if item is None:
                    continue
                item = encode(item) if isinstance(kind, tuple) else item
                out += _put_varint(number << 3 | BYTES) + _put_varint(len(item)) + item
            elif item or is_list:
                out += _put_varint(number << 3 | VARINT) + _put_varint(item)
    return bytes(out)
