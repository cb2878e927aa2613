"""Entries on their way into a store."""

from __future__ import annotations

from dataclasses import dataclass


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
