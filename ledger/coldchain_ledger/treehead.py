"""What a checkpoint says (c2sp.org/tlog-checkpoint, ledger §3.4): origin, size, root. Signatures are note.py's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from coldchain_ledger import strictb64
from coldchain_ledger.errors import NoteError
from coldchain_ledger.merkle import HASH_BYTES

MAX_SIZE = 2**63 - 1  # what a signed 64-bit integer of a database or another implementation holds
MAX_ORIGIN_BYTES = 255  # an ML-DSA cosignature carries the origin behind one length byte

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the log `origin` at `size` leaves."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text to sign: exactly three lines."""
        return f"{self.origin}\n{self.size}\n{strictb64.encode(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint a note text states. Raises NoteError.

    Extension lines are refused: we write none, and an ML-DSA cosignature would leave them unsigned.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise NoteError(f"a checkpoint has three lines, origin, size and root; this one has {len(lines) - 1}")
    origin, size, root = lines[:3]
    if not origin or len(origin.encode()) > MAX_ORIGIN_BYTES:
        raise NoteError(f"checkpoint origin has {len(origin.encode())} bytes, not 1 to {MAX_ORIGIN_BYTES}")
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        raise NoteError(f"checkpoint size is not a decimal up to {MAX_SIZE}: {size[:30]!r}")
    return Checkpoint(origin, int(size), strictb64.decode(root, "checkpoint root", NoteError, HASH_BYTES))
