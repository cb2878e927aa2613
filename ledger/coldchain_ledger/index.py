"""Subject chains and the map over them: "these are all entries about X" and "there is no X" (ledger §5).

Every follower recomputes chains and map from the entries. They never prove inclusion; the tree does (ledger §5.6).
"""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from coldchain_ledger.errors import ProofError
from coldchain_ledger.store import Head

EMPTY_HEAD = bytes(32)
"""What the first link of every chain hashes as its predecessor."""
EMPTY_SUBTREE = bytes(32)
"""Also the root of the empty map."""

_KEY_BITS = 256
_INDEX = Struct(">Q")
_VALUE = Struct(">QQ32s")
_CACHED_LEAVES = 32
"""Subtrees with more leaves keep their hash, so that a second proof costs its path and not the map again."""


def extend_chain(head: Head | None, links: Sequence[tuple[int, bytes]]) -> Head:
    """The subject's chain after these (index, leaf hash), at least one, ascending (ledger §5.2).

    None stands for a subject never named before.
    """
    count, digest = (0, EMPTY_HEAD) if head is None else (head.count, head.digest)
    sha, pack = sha256, _INDEX.pack
    for index, leaf in links:
        digest = sha(b"\x02" + digest + pack(index) + leaf).digest()
    return Head(count + len(links), links[-1][0], digest)


def extend_head(head: Head | None, index: int, leaf: bytes) -> Head:
    """The chain after one more entry."""
    return extend_chain(head, [(index, leaf)])


@dataclass(frozen=True, slots=True)
class MapProof:
    """Sibling hashes from the root down, and what the path ends at (ledger §5.4)."""

    siblings: tuple[bytes, ...]
    terminal: tuple[bytes, bytes] | None
    """(key, value) of the leaf there, the subject's own or another's; None is an empty subtree."""


@dataclass(frozen=True, slots=True)
class IndexProof:
    """What the `index` entry at `index` says of some subjects."""

    index: int
    proofs: Mapping[str, MapProof]


class SubjectMap:
    """The map of one state of all heads; `root` and every proof belong to it."""

    def __init__(self, items: Iterable[tuple[str, Head]]) -> None:
        leaves = sorted((_key(name), _value(head)) for name, head in items)
        self._leaves = leaves
        self._keys = [int.from_bytes(key) for key, _ in leaves]
        self._hashes = [_leaf(key, value) for key, value in leaves]
        self._cache: dict[tuple[int, int], bytes] = {}
        self.root = self._subtree(0, len(leaves), 0, 0)

    def __len__(self) -> int:
        return len(self._leaves)

    def prove(self, name: str) -> MapProof:
        """What the map says of the name, present or absent; verify with `verify_map_proof`."""
        key = int.from_bytes(_key(name))
        start, stop, prefix, depth = 0, len(self._leaves), 0, 0
        siblings = []
        while stop - start > 1:
            upper = prefix | 1 << (_KEY_BITS - 1 - depth)
            middle = bisect_left(self._keys, upper, start, stop)
            depth += 1
            if key >= upper:
                siblings.append(self._subtree(start, middle, prefix, depth))
                start, prefix = middle, upper
            else:
                siblings.append(self._subtree(middle, stop, upper, depth))
                stop = middle
        return MapProof(tuple(siblings), self._leaves[start] if stop > start else None)

    def _subtree(self, start: int, stop: int, prefix: int, depth: int) -> bytes:
        """Hash over leaves start..stop-1, whose keys begin with the first `depth` bits of prefix (ledger §5.3)."""
        if stop == start:
            return EMPTY_SUBTREE
        if stop - start == 1:
            return self._hashes[start]
        known = self._cache.get((prefix, depth))
        if known is not None:
            return known
        upper = prefix | 1 << (_KEY_BITS - 1 - depth)
        middle = bisect_left(self._keys, upper, start, stop)
        left, right = self._subtree(start, middle, prefix, depth + 1), self._subtree(middle, stop, upper, depth + 1)
        node = sha256(b"\x04" + left + right).digest()
        if stop - start > _CACHED_LEAVES:
            self._cache[prefix, depth] = node
        return node


def map_root(items: Iterable[tuple[str, Head]]) -> bytes:
    """Root of the map over these subjects, in any order (ledger §5.3)."""
    return SubjectMap(items).root


def map_proof(items: Iterable[tuple[str, Head]], name: str) -> MapProof:
    """One proof; for several build one SubjectMap."""
    return SubjectMap(items).prove(name)


def verify_map_proof(root: bytes, name: str, proof: MapProof) -> Head | None:
    """The subject's head under this root, or None where the proof shows that it has none.

    The root must come from an `index` entry proven in the tree. Raises ProofError.
    """
    key, depth = _key(name), len(proof.siblings)
    if depth > _KEY_BITS:
        raise ProofError(f"map proof has {depth} siblings, at most {_KEY_BITS} fit the key")
    if any(len(sibling) != sha256().digest_size for sibling in proof.siblings):
        raise ProofError("map proof holds a sibling that is not 32 bytes long")
    if proof.siblings and proof.siblings[-1] == EMPTY_SUBTREE:
        # §5.3: what stands beside an empty subtree at the end of a path would itself be one leaf, hashed one level up.
        raise ProofError(f"map proof is not compressed: the subtree beside its end at depth {depth} is empty")
    found = _fold(int.from_bytes(key), proof)
    if found != root:
        raise ProofError(f"map root mismatch for {name}: {root.hex()} != {found.hex()}")
    if proof.terminal is None or proof.terminal[0] != key:
        return None
    return Head(*_VALUE.unpack(proof.terminal[1]))


def _fold(path: int, proof: MapProof) -> bytes:
    depth = len(proof.siblings)
    node = EMPTY_SUBTREE
    if proof.terminal is not None:
        node = _terminal_hash(path, depth, *proof.terminal)
    for level in range(depth - 1, -1, -1):
        sibling = proof.siblings[level]
        if path >> (_KEY_BITS - 1 - level) & 1:
            node = sha256(b"\x04" + sibling + node).digest()
        else:
            node = sha256(b"\x04" + node + sibling).digest()
    return node


def _terminal_hash(path: int, depth: int, key: bytes, value: bytes) -> bytes:
    if len(key) != _KEY_BITS // 8 or len(value) != _VALUE.size:
        raise ProofError(f"map proof ends at a leaf of {len(key)} + {len(value)} bytes, expected 32 + {_VALUE.size}")
    if (path ^ int.from_bytes(key)) >> (_KEY_BITS - depth):
        raise ProofError(f"map proof ends at a leaf that does not share the first {depth} bits of the subject's key")
    if not any(value[:8]):
        raise ProofError("map proof ends at a leaf with an empty chain")
    return _leaf(key, value)


def index_payload(root: bytes, size: int, subjects: int) -> bytes:
    """Payload of the `index` entry at index `size`: the map over entries [0, size) (ledger §5.5)."""
    return b'{"root":"%b","size":%d,"subjects":%d}' % (base64.b64encode(root), size, subjects)


def parse_index_payload(payload: bytes) -> tuple[bytes, int, int]:
    """(root, size, subjects) of an `index` entry. Raises ProofError unless `index_payload` writes just that."""
    try:
        fields = json.loads(payload)
        root, size, subjects = base64.b64decode(fields["root"], validate=True), fields["size"], fields["subjects"]
        canonical = index_payload(root, size, subjects)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        raise ProofError(f"index entry payload does not parse: {error}") from error
    if canonical != payload or len(root) != len(EMPTY_SUBTREE) or min(size, subjects) < 0:
        raise ProofError(f"index entry payload is not canonical: {payload[:120]!r}")
    return root, size, subjects


def _key(name: str) -> bytes:
    return sha256(name.encode()).digest()


def _value(head: Head) -> bytes:
    return _VALUE.pack(head.count, head.last, head.digest)


def _leaf(key: bytes, value: bytes) -> bytes:
    return sha256(b"\x03" + key + value).digest()
