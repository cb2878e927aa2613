"""When a door stands open, and onto what."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class Opening:
    """Open in [from_s, to_s), seconds since the epoch."""

    from_s: int
    to_s: int
    docked: bool
    """Against a dock shelter, cooled air behind it; else onto the street."""


class Door:
    """One door's openings; those that overlap (two trucks at one dock) are one."""

    def __init__(self, openings: Iterable[Opening] = ()) -> None:
        self.openings: list[Opening] = []
        for opening in sorted(openings):
            if self.openings and opening.from_s <= self.openings[-1].to_s:
                last = self.openings.pop()
                opening = replace(last, to_s=max(last.to_s, opening.to_s))
            self.openings.append(opening)
        self._starts = [opening.from_s for opening in self.openings]

    def at(self, t_s: int) -> Opening | None:
        """The opening at this moment, or None while shut."""
        i = bisect_right(self._starts, t_s) - 1
        return self.openings[i] if i >= 0 and t_s < self.openings[i].to_s else None
