"""Birth certificates of Sparkplug: they name metrics that later messages call by number, and say how each is spelled.

A certificate holds from its own time on, until the next one of its source; which is in force follows from the time that
a message states of itself, never from the order of arrival.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from decimal import Decimal

from coldchain.domain.uplinks import Birth, Raw, RawValue, Report

_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Int8, Int16, Int32 and Int64 of Sparkplug 3.0 §6.4.16."""
_WIRE_BITS = 32
"""Smaller integers travel in this many; some libraries fill them with the sign, some do not."""

Named = tuple[str, int]
"""(metric, datatype)"""


class Births:
    """Every certificate, in any order."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], list[int]] = {}
        self._names: dict[tuple[str, str, int], Mapping[str, Named]] = {}

    def add(self, gateway: str, birth: Birth) -> bool:
        """Whether a message could now be read otherwise than before. Of two at one time the greater counts, so that
        order does not matter."""
        key, before = (gateway, birth.source, birth.t_us), self.in_force(gateway, birth.source, birth.t_us)
        known = self._names.get(key)
        if known is not None and sorted(known.items()) >= sorted(birth.names.items()):
            return False
        if known is None:
            times = self._times.setdefault(key[:2], [])
            times.insert(bisect_right(times, birth.t_us), birth.t_us)
        self._names[key] = birth.names
        return before != birth.names

    def kept(self, gateway: str, birth: Birth) -> Mapping[str, Named]:
        """What holds of the certificates of its source at its time."""
        return self._names[gateway, birth.source, birth.t_us]

    def read(self, gateway: str, report: Report) -> Iterable[Raw]:
        """The report's readings under their names and with their signs, as far as a certificate tells them."""
        names = self.in_force(gateway, report.source, report.said_us) if report.said_us else {}
        for raw in report.readings:
            name, datatype = names.get(raw.name, (raw.name, 0))
            yield raw._replace(name=name, value=signed(raw.value, datatype)) if name or datatype else raw

    def in_force(self, gateway: str, source: str, t_us: int) -> Mapping[str, Named]:
        """What holds of a source at a time; nothing before its first certificate."""
        times = self._times.get((gateway, source), [])
        place = bisect_right(times, t_us)
        return self._names[gateway, source, times[place - 1]] if place else {}


def signed(value: RawValue, datatype: int) -> RawValue:
    """A number as its datatype means it: integers below zero travel as unsigned ones."""
    bits = _BITS.get(datatype)
    if bits is None or not isinstance(value, Decimal) or value != value.to_integral_value():
        return value
    for width in {bits, max(bits, _WIRE_BITS)}:
        if 2 ** (width - 1) <= value < 2**width:
            return value - Decimal(2**width)
    return value
