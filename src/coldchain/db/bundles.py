"""Full entry bundles as they are kept when they are no longer new: in one compressed row (docs/decisions/0014).

What is compressed is the bundle of ledger §4.3, byte for byte: up to 65,535 bytes an entry behind its 16-bit length.
zlib at its usual level: an entry of 20 signed readings takes 16 µs to compress and 3 to read again and comes to 200 to
270 bytes of 1,400 to 2,000; xz is a fifth smaller and four times slower to read, and fsck reads all of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from coldchain_ledger.tiles import MAX_ENTRY_BYTES, TILE_WIDTH, encode_bundle

BEHIND = 1_024
"""Entries that a bundle has to be behind the tip: what devices send again in a hurry is found without unpacking."""
_MOST_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
_LENGTH_BYTES = 2
_KEPT_BYTES = 16 * 2**20
"""Unpacked bundles that a view keeps, some forty: devices that were offline together send the same time again."""

Read = Callable[[int], bytes | None]
"""The stored bytes of bundle n."""


def pack(entries: Sequence[bytes]) -> bytes:
    """The entries of a full bundle, in order. Other threads go on meanwhile."""
    return zlib.compress(encode_bundle(entries))


def unpack(packed: bytes) -> list[bytes]:
    """The entries of a bundle as they were.

    Of one that somebody damaged, those before the damage, to be judged by their hashes; none of one that holds more
    than 256 entries.
    """
    inflating = zlib.decompressobj()
    try:
        data = inflating.decompress(packed, _MOST_BYTES + 1)
    except zlib.error:
        return _whole_entries(_until_damage(packed))
    if inflating.unused_data or inflating.unconsumed_tail:
        return []
    return _whole_entries(data)


def _whole_entries(data: bytes) -> list[bytes]:
    entries: list[bytes] = []
    at, size = 0, len(data)
    while at + _LENGTH_BYTES <= size and len(entries) < TILE_WIDTH:
        start = at + _LENGTH_BYTES
        end = start + int.from_bytes(data[at:start], "big")
        if end > size:
            break
        entries.append(data[start:end])
        at = end
    return entries if len(entries) < TILE_WIDTH or at == size else []


def _until_damage(packed: bytes) -> bytes:
    """What a stream yields before it fails."""
    inflating, found = zlib.decompressobj(), bytearray()
    for at in range(len(packed)):
        try:
            found += inflating.decompress(packed[at : at + 1])
        except zlib.error:
            break
    return bytes(found[:_MOST_BYTES])


class Unpacked:
    """The bundles that one view looked into last."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._bundles: dict[int, list[bytes]] = {}
        self._bytes = 0

    def entry(self, index: int) -> bytes | None:
        """None where it is in no bundle."""
        n, place = divmod(index, TILE_WIDTH)
        entries = self.entries(n)
        return entries[place] if place < len(entries) else None

    def entries(self, n: int) -> list[bytes]:
        """Of bundle n; none where there is no such bundle."""
        known = self._bundles.pop(n, None)
        if known is None:
            packed = self._read(n)
            if packed is None:
                return []
            known = unpack(packed)
            self._make_room(known)
        self._bundles[n] = known  # the one used last is the last to go
        return known

    def _make_room(self, coming: list[bytes]) -> None:
        self._bytes += sum(map(len, coming))
        while self._bundles and self._bytes > _KEPT_BYTES:
            self._bytes -= sum(map(len, self._bundles.pop(next(iter(self._bundles)))))
