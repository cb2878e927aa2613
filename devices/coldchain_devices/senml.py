"""SenML JSON packs (RFC 8428) as our gateways write them: one absolute base time, whole seconds after it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Exact:
    """A number as its source wrote it: the digits go into the pack as they are. Raises ValueError for other text."""

    text: str

    def __post_init__(self) -> None:
        if not JSON_NUMBER.fullmatch(self.text):
            raise ValueError(f"not a JSON number: {self.text!r}")


Value = float | int | bool | str | Exact


class Reading(NamedTuple):
    """One measured value: name and unit of telemetry §2, device time in whole seconds since the epoch."""

    name: str
    unit: str
    t_s: int
    value: Value


def pack(readings: Iterable[Reading]) -> bytes:
    """A SenML pack in the given order. Raises ValueError for an empty pack and for NaN or infinity (RFC 8428 §4.3)."""
    listed = list(readings)
    if not listed:
        raise ValueError("a SenML pack needs a reading")
    base_s = min(reading.t_s for reading in listed)
    records = ",".join(_record(reading, base_s) for reading in listed)
    return f'[{{"bt":{base_s},{records[1:]}]'.encode()


def _record(reading: Reading, base_s: int) -> str:
    unit = f'"u":"{reading.unit}",' if reading.unit else ""
    after = f'"t":{reading.t_s - base_s},' if reading.t_s != base_s else ""
    return f'{{"n":"{reading.name}",{unit}{after}{_value(reading.value)}}}'


def _value(value: Value) -> str:
    if isinstance(value, Exact):
        return f'"v":{value.text}'
    if isinstance(value, bool):
        return f'"vb":{"true" if value else "false"}'
    if isinstance(value, str):
        return f'"vs":{json.dumps(value, ensure_ascii=False)}'
    if not math.isfinite(value):
        raise ValueError(f"SenML has no {value}")
    return f'"v":{value}'
