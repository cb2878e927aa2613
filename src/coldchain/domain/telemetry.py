"""What a device measured, in the units every rule uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

Value = int | float | bool | str


class Sample(NamedTuple):
    """One measured value.

    name: a name of telemetry §2 (`temp/<probe>`, `door/<id>`, `lat`, …) or `x/<vendor name>`.
    t_us: when the device says it measured, microseconds since the epoch, UTC; 0 where it says no absolute time.
    value: `temp/*`, `setpoint`: int milli-°C; `lat`, `lon`: int 1e-7 degree; other numbers: float in the SenML unit;
        `door/*`, `defrost`, `compressor`: bool; texts: str; None where quality says why there is none. A `fault` keeps
        the number the sensor gave, for people to see.
    quality: "" for good, else one word: `not-finite`, `bad-time`, `fault`, `bad-type`.
    """

    name: str
    t_us: int
    value: Value | None
    quality: str = ""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One message of a device: what it says about itself and its samples in message order."""

    device: str
    boot: int
    seq: int
    samples: tuple[Sample, ...]
    quality: tuple[str, ...] = field(default=())
    """Qualities of the whole message, e.g. `invalid-senml`, `empty`."""
