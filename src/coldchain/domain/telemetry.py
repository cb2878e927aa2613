"""What a device measured, in the units every rule uses."""

from __future__ import annotations

from collections.abc import Iterable
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


class Run(NamedTuple):
    """Samples of one name, quality and kind of value, in message order."""

    name: str
    quality: str
    times: list[int]
    values: list[Value | None]


class Block(NamedTuple):
    """The samples of a message, packed, and what is asked of them first."""

    first_us: int | None
    """First and last time of those whose time is believed; `data` counts from the first."""
    last_us: int | None
    samples: int
    min_mc: int | None
    """Coldest and warmest usable temperature."""
    max_mc: int | None
    data: bytes


class Telemetry(NamedTuple):
    """One message of a device: what it says about itself and its samples."""

    device: str
    boot: int
    seq: int
    runs: tuple[Run, ...]
    quality: tuple[str, ...] = ()
    """Qualities of the whole message, e.g. `invalid-senml`, `empty`."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """One by one, run after run."""
        return tuple(
            Sample(run.name, t_us, value, run.quality)
            for run in self.runs
            for t_us, value in zip(run.times, run.values, strict=True)
        )


def runs_of(samples: Iterable[Sample]) -> tuple[Run, ...]:
    """The samples grouped by name, quality and kind of value; within a run the order is kept."""
    grouped: dict[tuple[str, str, type], Run] = {}
    for name, t_us, value, quality in samples:
        key = (name, quality, value.__class__)
        run = grouped.get(key)
        if run is None:
            run = grouped[key] = Run(name, quality, [], [])
        run.times.append(t_us)
        run.values.append(value)
    return tuple(grouped.values())
