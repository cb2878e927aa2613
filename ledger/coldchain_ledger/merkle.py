"""The RFC 6962 Merkle tree: hashing, inclusion and consistency proofs. Pure; every hash is 32 bytes of SHA-256.

A proof is a list of hashes, each the root of one range [low, high) of leaves. Which ranges follows from index and size
alone, so one function names the ranges and whoever holds the hashes (a list, or tiles) fills them in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from operator import itemgetter

from coldchain_ledger.errors import ProofError

HASH_BYTES = 32
EMPTY_ROOT: bytes = sha256(b"").digest()

Range = tuple[int, int]
"""Leaves low..high-1; high is exclusive."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf (RFC 6962 §2.1). The 0x00 keeps a leaf from ever being taken for a node."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node (RFC 6962 §2.1)."""
    return sha256(b"\x01" + left + right).digest()


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root over the leaf hashes; EMPTY_ROOT for none.

    Pairing level by level and carrying an odd last hash up unchanged splits where RFC 6962 does: at the largest power
    of two below n.
    """
    if not leaf_hashes:
        return EMPTY_ROOT
    sha = sha256
    level = list(leaf_hashes)
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        level = [sha(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += odd
    return level[0]


def split(low: int, high: int) -> int:
    """Where the range divides: low plus the largest power of two below its length (RFC 6962 §2.1), length >= 2."""
    return low + (1 << ((high - low - 1).bit_length() - 1))


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose roots prove leaf `index` in a tree of `size`, from the leaf's sibling up (RFC 6962 §2.1.1)."""
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    ranges: list[Range] = []
    low, high = 0, size
    while high - low > 1:
        middle = split(low, high)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    ranges.reverse()
    return ranges


def consistency_ranges(size1: int, size2: int) -> list[Range]:
    """The ranges whose roots prove that `size1` leaves are a prefix of `size2` (RFC 6962 §2.1.2)."""
    if not 0 < size1 <= size2:
        raise ProofError(f"no consistency proof from size {size1} to size {size2}")
    ranges: list[Range] = []
    low, high = 0, size2
    while high != size1:
        middle = split(low, high)
        if size1 <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low:  # the old tree is not one complete subtree: its last piece cannot be told from the old root alone
        ranges.append((low, high))
    ranges.reverse()
    return ranges


def multi_ranges(indices: Sequence[int], size: int) -> list[Range]:
    """The ranges, left to right, that with the leaves at `indices` (ascending, distinct) make up the tree of `size`."""
    if not indices or any(b <= a for a, b in pairwise(indices)):
        raise ProofError("a proof of many leaves needs ascending, distinct indices")
    if not 0 <= indices[0] <= indices[-1] < size:
        raise ProofError(f"leaves {indices[0]}..{indices[-1]} are not all in a tree of {size}")
    return list(_gaps(0, size, indices))


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """Proof of leaf `index` in the tree over the first `size` hashes. Raises ProofError when there is no such leaf."""
    return [tree_root(leaf_hashes[low:high]) for low, high in inclusion_ranges(index, _within(size, leaf_hashes))]


def consistency_proof(leaf_hashes: Sequence[bytes], size1: int, size2: int) -> list[bytes]:
    """Proof that the first `size1` hashes begin the first `size2`. Raises ProofError unless 0 < size1 <= size2."""
    return [tree_root(leaf_hashes[low:high]) for low, high in consistency_ranges(size1, _within(size2, leaf_hashes))]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Return when `leaf` (a leaf hash) stands at `index` under `root`; raise ProofError otherwise (RFC 9162 §2.1.3.2).

    `index`, `size` and `root` must come from the verifier or a verified checkpoint (ledger §1.4).
    """
    ranges = inclusion_ranges(index, size)
    _check_hashes(proof, len(ranges), (leaf, root))
    digest = leaf
    for (low, _), sibling in zip(ranges, proof, strict=True):
        digest = node_hash(digest, sibling) if low > index else node_hash(sibling, digest)
    if digest != root:
        raise ProofError(f"leaf {index} of {size} leads to root {digest.hex()}, not to {root.hex()}")


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Return when the tree (size1, root1) is a prefix of (size2, root2); raise ProofError otherwise.

    RFC 9162 §2.1.4.2. Size 0 is refused: everything extends the empty tree, so such a proof would say nothing.
    """
    ranges = consistency_ranges(size1, size2)
    _check_hashes(proof, len(ranges), (root1, root2))
    steps = list(zip(ranges, proof, strict=True))
    old = new = root1
    if ranges and ranges[0][1] == size1:  # otherwise the old tree is a complete subtree: its root is its own first hash
        old = new = steps.pop(0)[1]
    for (low, _), sibling in steps:
        if low >= size1:
            new = node_hash(new, sibling)
        else:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
    if old != root1:
        raise ProofError(f"the proof leads to root {old.hex()} at size {size1}, not to {root1.hex()}")
    if new != root2:
        raise ProofError(f"the proof leads to root {new.hex()} at size {size2}, not to {root2.hex()}")


def multi_root(leaves: Sequence[tuple[int, bytes]], size: int, proof: Sequence[bytes]) -> bytes:
    """Root of the tree of `size` that has these (index, leaf hash), ascending, with the ranges of `multi_ranges` filled
    by `proof`. Raises ProofError unless the proof has exactly the hashes it needs."""
    gaps = multi_ranges([index for index, _ in leaves], size)
    _check_hashes(proof, len(gaps), [leaf for _, leaf in leaves])
    return _cover(0, size, leaves, iter(proof))


def _gaps(low: int, high: int, wanted: Sequence[int]) -> Iterator[Range]:
    if not wanted:
        yield low, high
    elif high - low > 1:
        middle = split(low, high)
        cut = bisect_left(wanted, middle)
        yield from _gaps(low, middle, wanted[:cut])
        yield from _gaps(middle, high, wanted[cut:])


def _cover(low: int, high: int, leaves: Sequence[tuple[int, bytes]], gaps: Iterator[bytes]) -> bytes:
    if not leaves:
        return next(gaps)
    if high - low == 1:
        return leaves[0][1]
    middle = split(low, high)
    cut = bisect_left(leaves, middle, key=itemgetter(0))
    return node_hash(_cover(low, middle, leaves[:cut], gaps), _cover(middle, high, leaves[cut:], gaps))


def _within(size: int, leaf_hashes: Sequence[bytes]) -> int:
    if size > len(leaf_hashes):
        raise ProofError(f"size {size} is beyond the {len(leaf_hashes)} leaves there are")
    return size


def _check_hashes(proof: Sequence[bytes], count: int, others: Sequence[bytes]) -> None:
    """Proof length is exactly the one that index and size imply, and every hash has 32 bytes (ledger §1.3)."""
    if len(proof) != count:
        raise ProofError(f"the proof has {len(proof)} hashes; index and size imply {count}")
    for digest in (*proof, *others):
        if len(digest) != HASH_BYTES:
            raise ProofError(f"a hash of {len(digest)} bytes; every hash has {HASH_BYTES}")
