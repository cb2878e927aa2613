"""What gateways and vendor platforms pass on of the devices behind them: read, not yet given a meaning.

A decoder makes an `Uplink` of bytes and needs nothing else; what a raw name means is for the device's mapping to say
(`coldchain.domain.mappings`), which may be another one tomorrow. So an uplink is decoded the same for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

RawValue = Decimal | bool | str | None

_PLAIN_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
"""With the longest gateway id it still is a subject name (ledger §5.1)."""


class Raw(NamedTuple):
    """One value under the name its sender gives it."""

    name: str
    value: RawValue
    """None where there is none, or one that no measurement can be."""
    unit: str = ""
    """SenML unit, where the format states one."""
    canonical: bool = False
    """Whether the format itself fixes the meaning: the name is one of telemetry §2 and holds without a mapping."""


class Report(NamedTuple):
    """What one source says of one moment."""

    source: str
    """The device as the platform names it; "" for the gateway itself."""
    t_us: int
    """When it was measured, microseconds since the epoch, UTC; 0 where no absolute time is stated."""
    readings: tuple[Raw, ...]
    said_us: int = 0
    """When it was said, which may be long after, where a birth certificate of that time tells the names."""


class Birth(NamedTuple):
    """What a birth certificate says of one source (`coldchain.domain.births`)."""

    source: str
    t_us: int
    names: Mapping[str, tuple[str, int]]
    """(metric, datatype) by number, as `alias.<n>`, and by the name itself."""


class Follows(NamedTuple):
    """Where a message stands among those of its edge node (Sparkplug)."""

    node: str
    """`group/edge node`."""
    seq: int
    """0 to 255, again and again."""
    begins: bool
    """Whether it is the node's birth."""


class Uplink(NamedTuple):
    """One payload of a gateway or platform."""

    message_id: str
    """What makes it one message for its sender, "" where the format has no such id."""
    reports: tuple[Report, ...]
    notes: tuple[str, ...] = ()
    """Words about the whole payload: `buffered`, `simulated`, …"""
    births: tuple[Birth, ...] = ()
    follows: Follows | None = None

    @property
    def placed(self) -> bool:
        """Whether it says which message it is, or of when it speaks: else a repetition could not be told from news."""
        return bool(self.message_id) or any(report.t_us for report in self.reports)

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that it speaks of, each once, sorted."""
        return tuple(sorted({report.source for report in self.reports}))


def source_name(gateway: str, source: str) -> str:
    """The subject name under which everything a source ever said is found, mapped or not."""
    code = source or gateway
    if not _PLAIN_SOURCE.fullmatch(code):
        code = f"sha256-{hashlib.sha256(code.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    return f"code:source/{gateway}/{code}"
