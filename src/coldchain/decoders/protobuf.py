"""The wire of protocol buffers: fields by number, in order, for readers that need few of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from coldchain.decoders.errors import DecodeError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value): an integer, or the bytes of a text, message or fixed number. Raises DecodeError."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == _VARINT:
            value, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            value, at = data[at : at + size], at + size
        elif wire == _BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise DecodeError(f"field {number} at byte {at}: wire type {wire} is none that is used")
        if at > len(data) or not number:
            raise DecodeError(f"field {number}: ends behind the message, or has no number")
        yield number, value


def fraction(value: int | bytes) -> float:
    """A float or double. Raises DecodeError."""
    if not isinstance(value, bytes) or len(value) not in (4, 8):
        raise DecodeError(f"expected a fixed number of 4 or 8 bytes, found {value!r:.50}")
    return float(struct.unpack("<f" if len(value) == 4 else "<d", value)[0])


def text(value: int | bytes) -> str:
    """Raises DecodeError."""
    try:
        return value.decode()  # type: ignore[union-attr]
    except (AttributeError, UnicodeDecodeError) as error:
        raise DecodeError(f"expected a text: {error}") from error


def integer(value: int | bytes) -> int:
    """Raises DecodeError."""
    if not isinstance(value, int):
        raise DecodeError(f"expected an integer, found {value!r:.50}")
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_MAX_VARINT):
        if at + place >= len(data):
            raise DecodeError(f"a number at byte {at} has no end")
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + place + 1
    raise DecodeError(f"a number at byte {at} has more than {_MAX_VARINT} bytes")
