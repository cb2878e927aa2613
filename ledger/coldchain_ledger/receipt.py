"""A receipt: the proof that one entry is in the log, as a c2sp.org/tlog-proof file (ledger §7.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from coldchain_ledger import strictb64
from coldchain_ledger.errors import EvidenceError, LedgerError
from coldchain_ledger.merkle import HASH_BYTES
from coldchain_ledger.note import MAX_NOTE_BYTES

MAGIC = "c2sp.org/tlog-proof@v1"
MAX_PROOF_HASHES = 63  # the depth of a tree of 2^63 leaves
MAX_RECEIPT_BYTES = MAX_NOTE_BYTES + 4_096  # 63 hashes are 2,835 bytes of text

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt taken apart; nothing in it is verified yet."""

    index: int
    proof: tuple[bytes, ...]
    """From the leaf's sibling up."""
    note: bytes
    """The checkpoint, a signed note."""


def encode_receipt(index: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The receipt file of entry `index` under the checkpoint `note`."""
    lines = [MAGIC, f"index {index}", *map(strictb64.encode, proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


def parse_receipt(data: bytes) -> Receipt:
    """Raises EvidenceError for what `encode_receipt` would not write.

    tlog-proof allows an `extra` line that nothing authenticates; we write none and refuse it.
    """
    if len(data) > MAX_RECEIPT_BYTES:
        raise EvidenceError("receipt", f"{len(data)} bytes; at most {MAX_RECEIPT_BYTES} are read")
    head, empty_line, note = data.partition(b"\n\n")
    if not empty_line or not head.isascii():
        raise EvidenceError("receipt", "an empty line must part the ASCII proof lines from the checkpoint")
    magic, *lines = head.decode("ascii").split("\n")
    if magic != MAGIC:
        raise EvidenceError("first line", f"expected {MAGIC!r}, found {magic[:60]!r}")
    index = _INDEX.fullmatch(lines[0]) if lines else None
    if index is None:
        raise EvidenceError("index line", f"expected 'index <n>', found {''.join(lines[:1])[:60]!r}")
    hashes = lines[1:]
    if len(hashes) > MAX_PROOF_HASHES:
        raise EvidenceError("proof", f"{len(hashes)} hashes; a tree is at most {MAX_PROOF_HASHES} deep")
    return Receipt(int(index[1]), tuple(_hash(number, line) for number, line in enumerate(hashes, 1)), note)


def _hash(number: int, line: str) -> bytes:
    try:
        return strictb64.decode(line, "hash", LedgerError, HASH_BYTES)
    except LedgerError as exc:
        raise EvidenceError(f"proof hash {number}", str(exc)) from exc
