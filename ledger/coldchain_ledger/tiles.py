"""Hash tiles and entry bundles of c2sp.org/tlog-tiles (ledger §4), the growing right edge, and proofs read from tiles.

Tile (level, n) holds up to 256 hashes; its hash i is the root of the complete subtree of 256^level leaves at position
n * 256 + i. Pure: reading and writing are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Literal

from coldchain_ledger import merkle
from coldchain_ledger.errors import EntryError, ProofError, StoreError
from coldchain_ledger.merkle import HASH_BYTES

TILE_HEIGHT = 8
TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_LEVEL = 63  # tlog-tiles: "between 0 and 63"
MAX_ENTRY_BYTES = 0xFFFF  # a bundle carries a 16-bit length

Level = int | Literal["entries"]
ReadTile = Callable[[int, int], bytes]
"""(level, n) -> the hashes of that tile, as many as there are now or more than asked for."""

_PATH = re.compile(r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/){0,6}\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)


def tile_path(level: Level, n: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile or bundle, e.g. `tile/0/x001/067.p/5` (tlog-tiles, "Merkle Tree"). `width` is 1..256."""
    if n < 0 or not 1 <= width <= TILE_WIDTH or (level != "entries" and not 0 <= level <= MAX_LEVEL):
        raise ProofError(f"no tile at level {level}, number {n}, width {width}")
    digits = str(n).zfill(-(-len(str(n)) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    number = "".join(f"x{group}/" for group in groups[:-1]) + groups[-1]
    return f"tile/{level}/{number}" + ("" if width == TILE_WIDTH else f".p/{width}")


def parse_tile_path(path: str) -> tuple[Level, int, int]:
    """(level, n, width) of a path that `tile_path` writes; ProofError for every other string."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise ProofError(f"not a tile path: {path[:100]!r}")
    level: Level = "entries" if match[1] == "entries" else int(match[1])
    n, width = int(match[2].replace("x", "").replace("/", "")), int(match[3] or TILE_WIDTH)
    if tile_path(level, n, width) != path:
        raise ProofError(f"not the one way to write this tile's path: {path[:100]!r}")
    return level, n, width


def partial_width(level: int, size: int) -> int:
    """Hashes in the partial tile at `level` of a tree of `size`; 0 where there is none (ledger §4.2)."""
    return (size >> TILE_HEIGHT * level) % TILE_WIDTH


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Up to 256 entries, each behind its 16-bit big-endian length (ledger §4.3)."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise EntryError(f"an entry of {len(entry)} bytes; a bundle takes {MAX_ENTRY_BYTES}")
        parts += [len(entry).to_bytes(2, "big"), entry]
    if len(parts) > 2 * TILE_WIDTH:
        raise EntryError(f"{len(parts) // 2} entries; a bundle takes {TILE_WIDTH}")
    return b"".join(parts)


def parse_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises EntryError on more than 256 entries or a cut one."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if len(entries) == TILE_WIDTH:
            raise EntryError(f"more than {TILE_WIDTH} entries in a bundle")
        if at + 2 > len(data) or end > len(data):
            raise EntryError(f"bundle ends inside entry {len(entries)}, at byte {len(data)}")
        entries.append(data[at + 2 : end])
        at = end
    return entries


class Frontier:
    """The right edge of a growing tree: its size and, per level, the hashes of the current partial tile."""

    __slots__ = ("_partial", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._partial: list[bytes] = []

    @classmethod
    def load(cls, size: int, read_tile: ReadTile) -> Frontier:
        """The edge of the tree of `size`. Raises StoreError where a tile is shorter than that size implies."""
        frontier = cls()
        frontier._size = size
        for level in range(-(-size.bit_length() // TILE_HEIGHT)):
            width = partial_width(level, size)
            frontier._partial.append(
                _read(read_tile, level, size >> TILE_HEIGHT * (level + 1), width) if width else b""
            )
        return frontier

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._size

    def copy(self) -> Frontier:
        """An independent edge of the same tree; cheap, hashes are shared."""
        other = Frontier()
        other._size, other._partial = self._size, self._partial.copy()
        return other

    def root(self) -> bytes:
        """Root of the tree (ledger §1.1)."""
        ragged: list[bytes] = []  # the subtree right of the complete ones of this level, if any
        for partial in self._partial:
            hashes = _hashes(partial) + ragged
            ragged = [merkle.tree_root(hashes)] if hashes else []
        return ragged[0] if ragged else merkle.EMPTY_ROOT

    def append(self, leaves: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
        """Add leaf hashes. Returns every tile that changed by (level, n), whole as it is now, lowest level first."""
        grown = b"".join(leaves)
        if len(grown) != len(leaves) * HASH_BYTES:
            raise ProofError(f"{len(leaves)} leaf hashes have {len(grown)} bytes; each has {HASH_BYTES}")
        return self._append(0, grown, len(leaves))

    def append_tiles(self, roots: bytes) -> dict[tuple[int, int], bytes]:
        """As `append` of whole tiles of leaves by their roots alone, joined. The tree so far must end with a full tile.

        Returns the changed tiles above the lowest level.
        """
        if self._size % TILE_WIDTH or len(roots) % HASH_BYTES:
            raise ProofError(f"{len(roots)} bytes of tile roots cannot follow {self._size} leaves")
        if not self._partial:
            self._partial.append(b"")
        return self._append(1, roots, len(roots) // HASH_BYTES * TILE_WIDTH)

    def _append(self, level: int, grown: bytes, leaves: int) -> dict[tuple[int, int], bytes]:
        changed: dict[tuple[int, int], bytes] = {}
        while grown:
            if level == len(self._partial):
                self._partial.append(b"")
            grown = self._grow(level, grown, changed)
            level += 1
        self._size += leaves
        return changed

    def _grow(self, level: int, grown: bytes, changed: dict[tuple[int, int], bytes]) -> bytes:
        """Add hashes to one level; returns the roots of the tiles that became full, for the level above."""
        data = self._partial[level] + grown
        n = self._size >> TILE_HEIGHT * (level + 1)
        full = len(data) // TILE_BYTES * TILE_BYTES
        roots: list[bytes] = []
        for at in range(0, full, TILE_BYTES):
            tile = data[at : at + TILE_BYTES]
            changed[level, n] = tile
            roots.append(complete_root(tile))
            n += 1
        self._partial[level] = data[full:]
        if len(data) > full:
            changed[level, n] = data[full:]
        return b"".join(roots)


class TileReader:
    """Proofs and roots of the tree of `size`, from tiles alone. Each tile is read once."""

    def __init__(self, size: int, read_tile: ReadTile) -> None:
        self.size = size
        self._read_tile = read_tile
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._roots: dict[merkle.Range, bytes] = {}

    def root(self) -> bytes:
        """Root of the tree."""
        return self._range_root((0, self.size)) if self.size else merkle.EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """Leaf hash at `index`."""
        if not 0 <= index < self.size:
            raise ProofError(f"no leaf {index} in a tree of {self.size}")
        return self._range_root((index, index + 1))

    def inclusion(self, index: int) -> list[bytes]:
        """Proof of leaf `index`, from its sibling up. Raises ProofError: no such leaf; StoreError: short tile."""
        return [self._range_root(span) for span in merkle.inclusion_ranges(index, self.size)]

    def consistency(self, size1: int) -> list[bytes]:
        """Proof that the tree of `size1` begins this one. Raises ProofError unless 0 < size1 <= size."""
        return [self._range_root(span) for span in merkle.consistency_ranges(size1, self.size)]

    def multi_proof(self, indices: Sequence[int]) -> list[bytes]:
        """One compact proof of many leaves (ascending, distinct), as `merkle.multi_root` takes it."""
        return [self._range_root(span) for span in merkle.multi_ranges(indices, self.size)]

    def _range_root(self, span: merkle.Range) -> bytes:
        """Root over leaves low..high-1, where low is a multiple of the largest power of two not above the length."""
        root = self._roots.get(span)
        if root is None:
            low, high = span
            if (high - low) & (high - low - 1):  # the ragged right end of the tree
                middle = merkle.split(low, high)
                root = merkle.node_hash(self._range_root((low, middle)), self._range_root((middle, high)))
            else:
                root = self._complete(low, high - low)
            self._roots[span] = root
        return root

    def _complete(self, low: int, count: int) -> bytes:
        """Root of a complete aligned subtree: a run of 1..128 hashes inside one tile."""
        level, height = divmod(count.bit_length() - 1, TILE_HEIGHT)
        first = low >> TILE_HEIGHT * level
        tile = self._tile(level, first // TILE_WIDTH)
        at = first % TILE_WIDTH * HASH_BYTES
        return complete_root(tile[at : at + (HASH_BYTES << height)])

    def _tile(self, level: int, n: int) -> bytes:
        tile = self._tiles.get((level, n))
        if tile is None:
            width = min(TILE_WIDTH, (self.size >> TILE_HEIGHT * level) - n * TILE_WIDTH)
            tile = self._tiles[level, n] = _read(self._read_tile, level, n, width)
        return tile


def complete_root(hashes: bytes) -> bytes:
    """Root over joined hashes, a power of two of them: the hot loop of append and fsck."""
    sha = sha256
    while len(hashes) > HASH_BYTES:
        hashes = b"".join([sha(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)])
    return hashes


def _read(read_tile: ReadTile, level: int, n: int, width: int) -> bytes:
    """The first `width` hashes of a tile; it may have grown past them."""
    tile = read_tile(level, n)
    if len(tile) < width * HASH_BYTES:
        raise StoreError(f"tile {level}/{n} has {len(tile)} bytes; this size implies {width * HASH_BYTES}")
    return tile[: width * HASH_BYTES]


def _hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
