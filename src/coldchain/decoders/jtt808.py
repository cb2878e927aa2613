"""JT/T 808 (2013 and 2019), the protocol of trucks in China: frames, and the location reports in them.

A frame stands between two 0x7e; inside, 0x7e is 0x7d 0x02 and 0x7d is 0x7d 0x01; its last byte is the exclusive or of
all before it (§4.4). Reports carry items behind their fixed part: one byte of number, one of length, content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import xor
from typing import NamedTuple

from coldchain.decoders.errors import DecodeError
from coldchain.domain.uplinks import Raw, Report, Uplink

FLAG = 0x7E
_FLAG = b"\x7e"
_ESCAPE = b"\x7d"
REGISTER, LOGOUT, AUTHENTICATE, HEARTBEAT = 0x0100, 0x0003, 0x0102, 0x0002
LOCATION, LOCATIONS = 0x0200, 0x0704
ANSWER, REGISTERED = 0x8001, 0x8100
_LENGTH, _ENCRYPTED, _PARTS, _VERSIONED = 0x03FF, 0x1C00, 0x2000, 0x4000
_FIXED = struct.Struct(">IIIIhHH6s")
"""Alarms, status, latitude and longitude in 10^-6 degree, altitude, speed in 0.1 km/h, direction, time."""
_SOUTH, _WEST, _POSITIONED = 1 << 2, 1 << 3, 1 << 1
_BEIJING = timedelta(hours=8)
_CARRIAGE = 0x06
_INTEGERS = (1, 2, 4)


class Frame(NamedTuple):
    """One message between its flags."""

    message: int
    phone: str
    """The terminal's number, without leading zeros."""
    serial: int
    body: bytes
    plain: bool
    """Neither encrypted nor a part of a longer one: those are not read here."""
    versioned: bool
    """Of the 2019 edition."""


def read_frame(data: bytes) -> Frame:
    """A frame with its flags. Raises DecodeError."""
    if len(data) < 2 or data[:1] != _FLAG or data[-1:] != _FLAG or _FLAG in data[1:-1]:
        raise DecodeError("expected one frame between two 0x7e")
    content = _unescaped(data[1:-1])
    if len(content) < 13 or reduce(xor, content) != 0:
        raise DecodeError(f"expected a frame of 13 bytes or more whose bytes cancel out, found {content[:16].hex()}…")
    message, properties = struct.unpack_from(">HH", content)
    versioned = bool(properties & _VERSIONED)
    at = 15 if versioned else 10  # 2019: a byte of version, and ten of phone number instead of six
    if len(content) < at + 3:
        raise DecodeError(f"expected a header of {at + 2} bytes, found {len(content) - 1}")
    phone, serial = _bcd(content[5 if versioned else 4 : at]), int.from_bytes(content[at : at + 2])
    at += 6 if properties & _PARTS else 2
    body = content[at:-1]
    if len(body) != properties & _LENGTH:
        raise DecodeError(f"expected a body of {properties & _LENGTH} bytes, found {len(body)}")
    plain = not properties & (_PARTS | _ENCRYPTED)
    return Frame(message, phone.lstrip("0") or "0", serial, body, plain, versioned)


def write_frame(message: int, to: Frame, serial: int, body: bytes) -> bytes:
    """A frame for the terminal that sent `to`, in its edition."""
    phone = to.phone.rjust(20 if to.versioned else 12, "0")
    edition = b"\x01" if to.versioned else b""
    properties = len(body) | (_VERSIONED if to.versioned else 0)
    content = (
        struct.pack(">HH", message, properties) + edition + bytes.fromhex(phone) + struct.pack(">H", serial) + body
    )
    content += bytes((reduce(xor, content),))
    return _FLAG + content.replace(_ESCAPE, b"\x7d\x01").replace(_FLAG, b"\x7d\x02") + _FLAG


def read(payload: bytes) -> Uplink:
    """A frame with one location report (0x0200), or the many of a terminal that was out of reach (0x0704). Its source
    is the terminal's phone number. Raises DecodeError."""
    frame = read_frame(payload)
    if not frame.plain:
        raise DecodeError("expected a frame that is neither encrypted nor in parts")
    if frame.message == LOCATION:
        return Uplink("", (_report(frame.phone, frame.body),))
    if frame.message != LOCATIONS:
        raise DecodeError(f"expected a location report, 0x0200 or 0x0704, found {frame.message:#06x}")
    reports = tuple(_report(frame.phone, body) for body in _bodies(frame.body))
    return Uplink("", reports, ("buffered",) if frame.body[2:3] == b"\x01" else ())


def _bodies(body: bytes) -> Iterator[bytes]:
    count, at = int.from_bytes(body[:2]), 3
    for _ in range(count):
        length = int.from_bytes(body[at : at + 2])
        yield body[at + 2 : at + 2 + length]
        at += 2 + length
    if at != len(body) or not count:
        raise DecodeError(f"expected {count} reports in {len(body)} bytes")


def _report(phone: str, body: bytes) -> Report:
    if len(body) < _FIXED.size:
        raise DecodeError(f"expected a report of {_FIXED.size} bytes or more, found {len(body)}")
    _, status, lat, lon, _, speed, _, moment = _FIXED.unpack_from(body)
    readings = list(_items(body[_FIXED.size :]))
    if status & _POSITIONED:
        readings += [
            Raw("lat", _degrees(lat, status & _SOUTH), canonical=True),
            Raw("lon", _degrees(lon, status & _WEST), canonical=True),
            Raw("speed", Decimal(speed) / 36, "m/s", canonical=True),
        ]
    return Report(phone, _moment_us(_bcd(moment)), (Raw("status", Decimal(status)), *readings))


def _items(data: bytes) -> Iterator[Raw]:
    """Numbers as they stand, unsigned: vendors differ in how they spell those below zero, so the mapping says (`bits`).
    Only the 2019 edition's own carriage temperature, whose highest bit is a minus sign, is read as well."""
    at = 0
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise DecodeError(f"item at byte {at}: expected number, length and content, found {data[at:].hex()}")
        number, length = data[at], data[at + 1]
        content = data[at + 2 : at + 2 + length]
        name = f"item.{number:02x}"
        if length in _INTEGERS:
            yield Raw(name, Decimal(int.from_bytes(content)))
        if length > 2 and length % 2 == 0:
            for place in range(0, length, 2):
                yield Raw(f"{name}.{place // 2}", Decimal(int.from_bytes(content[place : place + 2])))
        if (number, length) == (_CARRIAGE, 2):
            size, below = int.from_bytes(content) & 0x7FFF, content[0] & 0x80
            yield Raw("carriage_temperature", Decimal(-size if below else size), "Cel")
        at += 2 + length


def _degrees(millionths: int, negative: int) -> Decimal:
    return Decimal(-millionths if negative else millionths).scaleb(-6)


def _moment_us(digits: str) -> int:
    """YYMMDDhhmmss by the clock of Beijing (§8.12); 0 where it is none."""
    try:
        local = datetime.strptime(digits, "%y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return 0
    t_us = (int(local.timestamp()) - int(_BEIJING.total_seconds())) * 1_000_000
    return t_us if local.year >= 2000 else 0


def _bcd(data: bytes) -> str:
    """The digits; a nibble that is none comes out as a letter, and is no time and another phone."""
    return data.hex()


def _unescaped(data: bytes) -> bytes:
    parts = data.split(_ESCAPE)
    if any(part[:1] not in (b"\x01", b"\x02") for part in parts[1:]):
        raise DecodeError("expected 0x01 or 0x02 behind 0x7d")
    return parts[0] + b"".join((_ESCAPE if part[:1] == b"\x01" else _FLAG) + part[1:] for part in parts[1:])
