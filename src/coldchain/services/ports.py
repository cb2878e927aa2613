"""What the use cases ask of the outside world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from coldchain.domain.events import Event
from coldchain.domain.telemetry import Block, Telemetry
from coldchain.domain.uplinks import Uplink
from coldchain_ledger.entry import Entry

Clock = Callable[[], int]
"""Now, integer microseconds since the epoch, UTC."""


@dataclass(slots=True)
class Recorded:
    """One ledger entry as a projection sees it, decoded once for all of them."""

    log: int
    index: int
    entry: Entry
    """Header fields (`kind`, `by`, `at_us`, `key`, `grade`, `subjects`, `quality`) and `payload` bytes."""
    telemetry: Telemetry | None = None
    """Set for readable, signed `telemetry` entries."""
    block: Block | None = None
    """Its samples packed."""
    kid: str = ""
    """The device key that signed it, for signed telemetry and events."""
    prev: bytes = b""
    """SHA-256 of the device's previous message as this one states it; empty for the very first."""
    events: tuple[Event, ...] = ()
    """Set for readable `event` entries."""
    uplink: Uplink | None = None
    """Set for readable `telemetry` entries of gateways, unsigned."""
    body: Any = None
    """The parsed JSON payload of `identity`, `master`, `rules`, `document`, `order`, `finding` entries."""


class Projection(Protocol):
    """A derived view: a fold over ledger entries.

    Its rows are facts (equal for every order of arrival) but for columns marked `info={"provenance": True}`.
    """

    name: str
    tables: Sequence[str]

    def apply(self, connection: Any, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        """Fold the batch, in ledger order, inside the caller's transaction. ledger_time_us: newest `at` so far, this
        batch included. Every entry of every kind is passed; a projection picks its own."""
        ...

    def reset(self) -> None:
        """Forget every in-memory cache (after a rollback, before a rebuild)."""
        ...
