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
    """Reads the tags of a pallet and of its cases, missing some and catching strays at seeded rates.

    All are accidents of one passage: a tag missed or caught for a pallet is not missed or caught for it again before
    the pallet was read once more. What two read points agree on is therefore true, and a check may rely on it for any
    seed.
    """

    def __init__(self, seed: str, missed: float, stray: float) -> None:
        """missed: chance that a tag, a case's or the pallet's own, is not read. stray: neighbours' tags caught per
        case."""
        self._random, self._random_of_names = random.Random(seed), random.Random(f"{seed}/names")
        self._missed, self._stray = missed, stray
        self._accidents: dict[str, set[Case]] = {}
        self._nameless: set[str] = set()
        """Pallets whose own tag was missed at their last passage."""
        self.missed_reads = self.stray_reads = 0
        """How many there were so far."""

    def read(self, pallet: Pallet, neighbours: Sequence[Pallet]) -> tuple[bool, list[Case]]:
        """Whether one passage shows the pallet's SSCC, and the cases it shows, in no promised order."""
        named, before = self._read_name(pallet), self._accidents.get(pallet.sscc, set())
        nearby = [case for neighbour in neighbours for case in neighbour.cases]
        missed = {case for case in pallet.cases if self._random.random() < self._missed} - before
        stray = set()
        if nearby:
            stray = {self._random.choice(nearby) for _ in pallet.cases if self._random.random() < self._stray} - before
        self._accidents[pallet.sscc] = missed | stray | (set() if named else before)
        self.missed_reads += len(missed)
        self.stray_reads += len(stray)
        seen = [case for case in pallet.cases if case not in missed]
        return named, seen + sorted(stray, key=lambda case: case.epc)

    def _read_name(self, pallet: Pallet) -> bool:
        drawn = self._random_of_names.random() < self._missed
        if not drawn or pallet.sscc in self._nameless:
            self._nameless.discard(pallet.sscc)
            return True
        self._nameless.add(pallet.sscc)
        self.missed_reads += 1
        return False


def passage(
    writer: EventWriter,
    reader: TagReader,
    at: ReadPoint,
    t_us: int,
    pallet: Pallet,
    beside: Sequence[Pallet],
    step: str,
) -> bytes | None:
    """The EPCIS document of one pallet going through: its cases under its SSCC, or alone where its own tag was missed.
    None where not one case answered."""
    named, cases = reader.read(pallet, beside)
    if not cases:
        return None
    if not named:
        return writer.seen_alone(t_us, cases, step=step, read_point=at.place, location=at.location)
    return writer.seen(t_us, pallet, cases, step=step, read_point=at.place, location=at.location)
