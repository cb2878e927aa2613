"""A ledger entry on its way into the projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coldchain.domain.events import Event
from coldchain.domain.telemetry import Block, Telemetry
from coldchain.domain.uplinks import Uplink
from coldchain_ledger.entry import Entry


@dataclass(slots=True, init=False)
class Recorded:
    """One ledger entry as a projection sees it, decoded once for all of them."""

    log: int
    index: int
    entry: Entry
    """Header fields (`kind`, `by`, `at_us`, `key`, `grade`, `subjects`, `quality`) and `payload` bytes."""
    telemetry: Telemetry | None
    """Set for readable, signed `telemetry` entries."""
    block: Block | None
    """Its samples packed."""
    kid: str
    """The device key that signed it, for signed telemetry and events."""
    prev: bytes
    """SHA-256 of the device's previous message as this one states it; empty for the very first."""
    events: tuple[Event, ...]
    """Set for readable `event` entries."""
    uplink: Uplink | None
    """Set for readable `telemetry` entries of gateways, unsigned."""
    body: Any
    """The parsed JSON payload of `identity`, `master`, `rules`, `document`, `order`, `finding` entries."""

    def __init__(
        self,
        log: int,
        index: int,
        entry: Entry,
        telemetry: Telemetry | None = None,
        block: Block | None = None,
        kid: str = "",
        prev: bytes = b"",
        events: tuple[Event, ...] = (),
        uplink: Uplink | None = None,
        body: Any = None,
    ) -> None:
        self.log, self.index, self.entry, self.telemetry = log, index, entry, telemetry
        self.block, self.kid, self.prev, self.events = block, kid, prev, events
        self.uplink, self.body = uplink, body


def beside_telemetry(batch: Sequence[Recorded]) -> list[Recorded]:
    """The entries that are no readable, signed telemetry, in order: few of nearly every batch."""
    return [item for item in batch if item.telemetry is None]
