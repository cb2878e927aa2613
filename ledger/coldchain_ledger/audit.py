"""Hold a log against an older checkpoint of its own: what only someone who kept one can do (ledger §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from coldchain_ledger import strictb64
from coldchain_ledger.checkpoint import Checkpoint, open_checkpoint
from coldchain_ledger.errors import StoreError
from coldchain_ledger.keys import Verifier
from coldchain_ledger.log import edge_of
from coldchain_ledger.merkle import verify_consistency
from coldchain_ledger.store import Snapshot
from coldchain_ledger.tiles import TileReader


@dataclass(frozen=True, slots=True)
class Audit:
    """What the log's present checkpoint is to an older one. Notes and proof are evidence anyone can check."""

    result: Literal["consistent", "rollback", "fork"]
    """rollback: the log shrank below a size it signed. fork: it has other entries under a size it signed."""
    old: Checkpoint
    new: Checkpoint
    detail: str
    old_note: bytes
    new_note: bytes
    proof: tuple[bytes, ...]
    """Consistency proof from the stored tiles (RFC 6962 §2.1.2); it verifies only where the result is consistent."""

    @property
    def ok(self) -> bool:
        return self.result == "consistent"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; roots and proof in base64 as the notes write them."""
        return {
            "ok": self.ok,
            "result": self.result,
            "detail": self.detail,
            "old_note": self.old_note.decode(),
            "new_note": self.new_note.decode(),
            "proof": [strictb64.encode(digest) for digest in self.proof],
        }


def audit(view: Snapshot, old_note: bytes, verifier: Verifier) -> Audit:
    """Whether the log still is the one that signed `old_note` (ledger §8).

    NoteError: a checkpoint is not signed by this key. StoreError: the tiles do not lead to the present checkpoint, so
    nothing can be said before fsck.
    """
    new_note = edge_of(view).note
    old, new = open_checkpoint(old_note, verifier), open_checkpoint(new_note, verifier)
    tiles = TileReader(new.size, view.tile)
    if tiles.root() != new.root:
        raise StoreError(f"tiles lead to root {tiles.root().hex()} != signed {new.root.hex()}: run fsck")
    proof = tuple(tiles.consistency(old.size)) if 0 < old.size <= new.size else ()
    then = TileReader(old.size, view.tile).root() if old.size <= new.size else b""
    result: Literal["consistent", "rollback", "fork"] = "consistent"
    detail = f"the first {old.size} of {new.size} entries are those of the older checkpoint"
    if old.size > new.size:
        result, detail = "rollback", f"size was {old.size} and is {new.size}"
    elif then != old.root:
        result, detail = "fork", f"root at size {old.size} was {old.root.hex()} and is {then.hex()}"
    elif old.size:
        verify_consistency(old.size, new.size, old.root, new.root, proof)
    return Audit(result, old, new, detail, old_note, new_note, proof)
