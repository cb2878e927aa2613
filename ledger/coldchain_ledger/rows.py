"""What a store keeps of a log beside its tiles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edge:
    """The committed right edge of the log."""

    size: int
    root: bytes
    at_us: int
    """`at` of the newest entry, microseconds since the epoch; 0 while the log is empty."""
    note: bytes
    """The checkpoint of exactly this size and root, a signed note (ledger §3)."""


@dataclass(slots=True, init=False)
class Head:
    """The chain of one subject so far (ledger §5.2)."""

    count: int
    last: int
    """Index of the newest entry naming the subject."""
    digest: bytes

    def __init__(self, count: int, last: int, digest: bytes) -> None:
        self.count, self.last, self.digest = count, last, digest


@dataclass(slots=True, init=False)
class Row:
    """One entry on its way into the store."""

    index: int
    at_us: int
    kind: str
    key: str
    subjects: tuple[str, ...]
    leaf: bytes
    data: bytes
    """The entry's bytes: header LF payload."""

    def __init__(
        self,
        index: int,
        at_us: int,
        kind: str,
        key: str,
        subjects: tuple[str, ...],
        leaf: bytes,
        data: bytes,
    ) -> None:
        self.index, self.at_us, self.kind, self.key = index, at_us, kind, key
        self.subjects, self.leaf, self.data = subjects, leaf, data
