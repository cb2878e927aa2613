"""Writes Sparkplug B payloads for tests: just enough of protocol buffers."""

from __future__ import annotations

import struct
from typing import Any

INT8, INT16, INT32, INT64, UINT32, FLOAT, DOUBLE, BOOLEAN, STRING = 1, 2, 3, 4, 7, 9, 10, 11, 12


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def metric(value: Any = None, datatype: int = 0, **fields: Any) -> bytes:
    """name, alias, t_ms, historical; a value of the datatype that `wire` names, by default its own."""
    out = chunk(1, fields["name"].encode()) if "name" in fields else b""
    out += number(2, fields["alias"]) if "alias" in fields else b""
    out += number(3, fields["t_ms"]) if "t_ms" in fields else b""
    out += number(4, datatype) if datatype else b""
    out += number(5, 1) if fields.get("historical") else b""
    wire = fields.get("wire", datatype)
    if value is None:
        return out + number(7, 1)
    if wire == FLOAT:
        return out + varint(12 << 3 | 5) + struct.pack("<f", value)
    if wire == DOUBLE:
        return out + varint(13 << 3 | 1) + struct.pack("<d", value)
    if wire == BOOLEAN:
        return out + number(14, int(value))
    if wire == STRING:
        return out + chunk(15, value.encode())
    if wire == INT64:
        return out + number(11, value % 2**64)
    return out + number(10, value % 2 ** fields.get("bits", 32))


def payload(t_ms: int, seq: int, *metrics: bytes) -> bytes:
    return number(1, t_ms) + b"".join(chunk(2, one) for one in metrics) + number(3, seq)
