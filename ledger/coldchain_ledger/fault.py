"""What fsck may find wrong, and what each fault does and does not prove (ledger §8)."""

from __future__ import annotations

from typing import TypedDict

from coldchain_ledger.store import Head

NOT_PROVED = (
    "A clean result proves that what is stored agrees with itself and with its checkpoint, not that it is what was"
    " stored before: whoever holds the log's key can rewrite or truncate everything consistently, sign again and pass."
    " Only an older checkpoint (audit --since old.note), a witness's cosignature or a time stamp shows that."
    " Not checked here: signatures in the checkpoint by keys that were not given, files stored aside other than subject"
    " lists, verdicts."
)
ENTRY_CHANGED = (
    "The signed checkpoint commits to the expected leaf hash: these are not the bytes that were signed. What they were,"
    " and who changed them, this does not show."
)
TILE_CHANGED = (
    "A stored tile is not what the entries under it hash to, so proofs made from it fail. That says nothing against the"
    " entries; the tile can be made again from them."
)
TOGETHER = (
    "The signed checkpoint commits to the expected hash; entries and tiles under it agree on another: they were changed"
    " together. Which entries, only another copy of them or an older proof shows."
)
SEVERAL_CHANGED = (
    "Entries and tile disagree, and neither leads to a checkpoint this key signed: more than one of them was changed."
)
LOST = (
    "What the log committed to is gone from this store. Whoever holds a checkpoint of this size can demand it; who"
    " removed it, this does not show."
)
DERIVED_CHANGED = (
    "A stored value is not the one the entries give. That says nothing against the entries; the value can be made again"
    " from them."
)
APPENDED_SO = (
    "The signed checkpoint commits to these bytes, so they were not changed afterwards: the log's own writer appended"
    " what the format forbids."
)
NOT_SIGNED = "The stored checkpoint is not one this key signed: it was changed, or the key belongs to another log."
COSIGNATURE_CHANGED = (
    "The log signed this checkpoint; the cosignature was changed or never was the witness's. That says nothing against"
    " the entries: the witness can be asked again."
)
REWRITTEN = (
    "Entries and tiles agree with each other but not with what this key signed: they were rewritten or cut together."
    " Which entries changed, only another copy of them or an older proof shows."
)


class Bad(TypedDict):
    """The first thing found wrong; hashes are in hex."""

    index: int | None
    """The entry concerned, where it is one."""
    expected: str
    """What the rest of the log demands."""
    found: str
    what: str
    proves: str
    """What follows from it, and what does not."""


class Wrong(Exception):
    """Ends a check; `bad` says at what."""

    def __init__(self, index: int | None, what: str, expected: object, found: object, proves: str) -> None:
        super().__init__(what)
        self.bad = Bad(index=index, expected=_text(expected), found=_text(found), what=what, proves=proves)


def _text(value: object) -> str:
    match value:
        case bytes():
            return value.hex() or "nothing"
        case None:
            return "nothing"
        case Head(count, last, digest):
            return f"{count} entries, last {last}, head {digest.hex()}"
    return str(value)
