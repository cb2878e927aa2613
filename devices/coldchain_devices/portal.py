"""RFID portals: what a passage reads of a pallet's tags, and what it reads of its neighbours'."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from coldchain_devices.events import EventWriter
from coldchain_devices.goods import Case, Pallet


@dataclass(frozen=True, slots=True)
class ReadPoint:
    """Where a portal stands: its place name (`loc:<site>/<portal>`), and where a pallet is once it went through."""

    device: str
    place: str
    location: str


class TagReader:
    """Reads case tags, missing some and catching strays at seeded rates.

    Both are accidents of one passage: a tag missed or caught for a pallet is not missed or caught for it again at its
    next passage. What two read points agree on is therefore true, and a check may rely on it for any seed.
    """

    def __init__(self, seed: str, missed: float, stray: float) -> None:
        """missed: chance that a tag of the pallet is not read. stray: neighbours' tags caught per tag of the pallet."""
        self._random = random.Random(seed)
        self._missed, self._stray = missed, stray
        self._accidents: dict[str, set[Case]] = {}
        self.missed_reads = self.stray_reads = 0
        """How many there were so far."""

    def read(self, pallet: Pallet, neighbours: Sequence[Pallet]) -> list[Case]:
        """The cases one passage shows under this pallet's SSCC, in no promised order."""
        before = self._accidents.get(pallet.sscc, set())
        nearby = [case for neighbour in neighbours for case in neighbour.cases]
        missed = {case for case in pallet.cases if self._random.random() < self._missed} - before
        stray = set()
        if nearby:
            stray = {self._random.choice(nearby) for _ in pallet.cases if self._random.random() < self._stray} - before
        self._accidents[pallet.sscc] = missed | stray
        self.missed_reads += len(missed)
        self.stray_reads += len(stray)
        seen = [case for case in pallet.cases if case not in missed]
        return seen + sorted(stray, key=lambda case: case.epc)


def passage(
    writer: EventWriter,
    reader: TagReader,
    at: ReadPoint,
    t_us: int,
    pallet: Pallet,
    beside: Sequence[Pallet],
    step: str,
) -> bytes | None:
    """The EPCIS document of one pallet going through; None where not one tag answered."""
    cases = reader.read(pallet, beside)
    if not cases:
        return None
    return writer.seen(t_us, pallet, cases, step=step, read_point=at.place, location=at.location)
