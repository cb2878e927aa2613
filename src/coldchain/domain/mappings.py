"""Gateways, and what the raw names of the devices behind them mean: both are ledger entries, version after version.

A version of a mapping speaks of the time from its `from_us` on; at any moment the highest version that speaks of it
holds, so a mistake is corrected by mapping again from the same moment, and history is read by the mapping of its day.
The first version speaks of all time. A source is one device for ever: what hangs elsewhere is mounted elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Any, NamedTuple

from coldchain.domain.births import Births
from coldchain.domain.telemetry import Sample
from coldchain.domain.units import Kind, decimal, meaning, measured
from coldchain.domain.uplinks import Raw, RawValue, Report

MAX_CHANNELS = 200
MAX_TEXT = 200
MAX_CORRECTION = Decimal(10)
"""An offset up to here corrects a sensor, so that what it said before tells whether it said anything at all: 85.0 of a
DS18B20 is none, corrected or not. A larger one belongs to how the wire spells temperatures."""
WIDTHS = (8, 16, 24, 32)
"""Bits of the integers that a decoder on the way may have taken for unsigned."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACE = re.compile(r"(veh|room):[A-Za-z0-9_/-]{1,120}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_EXACT = Context(prec=100, traps=[])
"""Overflow becomes an infinity, which is a quality of the sample."""
_LIMIT = 2**53


class MapError(ValueError):
    """An order that says nothing about a gateway or a device; the text names the field, and what was expected."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """An account whose unsigned payloads are recorded, of transport grade, in its organisation's name."""

    device: str
    """Its id; the last level of its topic."""
    n: int
    org: str
    site: str
    format: str
    """Name of the decoder for what comes without a content type."""
    closed: bool = False

    @property
    def topic_base(self) -> str:
        return f"cc/v1/{self.org}/{self.site}/{self.device}"

    @property
    def key(self) -> str:
        return f"identity/gateway/{self.device}/{self.n}"


@dataclass(frozen=True, slots=True)
class Channel:
    """What one raw name means: value × scale + offset, in the unit, is a sample of this name."""

    raw: str
    name: str
    unit: str = ""
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    bits: int = 0
    """Where positive, the value is the two's complement of so many bits: 65,356 of 16 is -180."""
    true: str = ""
    """For flags: the value, as text, that means true; "" where it is a flag already, or 1."""

    def value(self, raw: RawValue) -> RawValue:
        """What was measured, ready for `measured`; other types than the name asks for come through and are told."""
        kind = meaning(self.name).kind
        if kind is Kind.FLAG:
            return self._flag(raw)
        if kind is Kind.TEXT:
            return str(raw) if isinstance(raw, Decimal) else raw
        if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
            raw = decimal(raw.strip())
        if not isinstance(raw, Decimal):
            return raw
        return _EXACT.add(_EXACT.multiply(self._signed(raw), self.scale), self.offset)

    def uncorrected(self) -> Channel:
        """The same without its correction; itself where there is none."""
        return replace(self, offset=Decimal(0)) if 0 < abs(self.offset) <= MAX_CORRECTION else self

    def _signed(self, value: Decimal) -> Decimal:
        if self.bits and value == value.to_integral_value() and 2 ** (self.bits - 1) <= value < 2**self.bits:
            return _EXACT.subtract(value, Decimal(2**self.bits))
        return value

    def _flag(self, raw: RawValue) -> RawValue:
        if self.true and raw is not None:
            return _as_text(raw) == self.true
        return bool(raw) if isinstance(raw, Decimal) and raw in (0, 1) else raw


@dataclass(frozen=True, slots=True)
class DeviceMap:
    """One version of what a source behind a gateway is: which device, where it hangs, what its raw names mean."""

    device: str
    n: int
    gateway: str
    source: str
    from_us: int
    org: str
    site: str
    place: str
    profile: str
    time_floor_us: int
    channels: Mapping[str, Channel]

    @property
    def key(self) -> str:
        return f"identity/mapping/{self.device}/{self.n}"

    def sample(self, raw: Raw, t_us: int) -> Sample:
        """The reading in the units every rule uses; what is not mapped keeps its name behind `x/`."""
        channel = self.channels.get(raw.name)
        if channel is not None:
            sample = measured(channel.name, t_us, channel.value(raw.value), channel.unit or raw.unit)
            said = channel.uncorrected()
            if said is not channel and not sample.quality:
                quality = measured(said.name, t_us, said.value(raw.value), said.unit or raw.unit).quality
                sample = sample._replace(quality=quality)
        else:
            sample = measured(raw.name if raw.canonical else f"x/{raw.name}", t_us, raw.value, raw.unit)
        return sample if t_us else sample._replace(quality=sample.quality or "bad-time")


class Sources:
    """Which device a source is, and every version of every mapping: a fold over `identity` entries in ledger order."""

    def __init__(self) -> None:
        self._devices: dict[tuple[str, str], str] = {}
        self._versions: dict[str, list[DeviceMap]] = {}
        """By device, oldest first."""
        self.births = Births()

    def add(self, version: DeviceMap) -> bool:
        """Whether it says anything: a source that is another device already stays that."""
        if self._devices.setdefault((version.gateway, version.source), version.device) != version.device:
            return False
        self._versions.setdefault(version.device, []).append(version)
        return True

    def device(self, gateway: str, source: str) -> str | None:
        return self._devices.get((gateway, source))

    def of(self, device: str) -> list[tuple[str, str]]:
        """Every (gateway, source) that is this device."""
        return [place for place, name in self._devices.items() if name == device]

    def versions(self, device: str) -> list[DeviceMap]:
        """Oldest first; none for a device that signs its messages itself."""
        return self._versions.get(device, [])

    def latest(self, device: str) -> DeviceMap | None:
        return next(reversed(self.versions(device)), None)

    def all(self) -> Iterable[DeviceMap]:
        """The newest version of every device."""
        return (versions[-1] for versions in self._versions.values())

    def samples(self, gateway: str, reports: Iterable[Report]) -> dict[str, list[Sample]]:
        """What the reports of one uplink say, by device; sources that nobody mapped say nothing yet."""
        found: dict[str, list[Sample]] = {}
        for report in reports:
            device = self.device(gateway, report.source or gateway)
            if device is not None:
                version, readings = self._version_at(device, report.t_us), self.births.read(gateway, report)
                found.setdefault(device, []).extend(version.sample(raw, report.t_us) for raw in readings)
        return found

    def _version_at(self, device: str, t_us: int) -> DeviceMap:
        first, *later = self._versions[device]
        return max((one for one in later if one.from_us <= t_us), key=lambda one: one.n, default=first)


class _Reader(NamedTuple):
    """The fields of an order, each checked as it is read."""

    body: Mapping[str, Any]

    def name(self, field: str) -> str:
        value = self.body.get(field)
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise MapError(f"{field}: expected 1 to 64 of A-Z a-z 0-9 _ -, found {value!r:.100}")
        return value

    def text(self, field: str, default: str | None = None) -> str:
        value = self.body.get(field, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT or (default is None and not value):
            raise MapError(f"{field}: expected a text of at most {MAX_TEXT} characters, found {value!r:.100}")
        return value

    def whole(self, field: str, least: int = 0) -> int:
        value = self.body.get(field, 0)
        if type(value) is not int or not least <= value < _LIMIT:
            raise MapError(f"{field}: expected a whole number from {least} on, found {value!r:.100}")
        return value


def read_gateway(body: Mapping[str, Any]) -> Gateway:
    """What an `identity` entry with op `gateway` states. Raises MapError."""
    read, closed = _Reader(body), body.get("closed", False)
    if not isinstance(closed, bool):
        raise MapError(f"closed: expected true or false, found {closed!r:.100}")
    return Gateway(
        read.name("device"), read.whole("n", 1), read.name("org"), read.name("site"), read.name("format"), closed
    )


def read_map(body: Mapping[str, Any]) -> DeviceMap:
    """What an `identity` entry with op `mapping` states. Raises MapError."""
    read, place = _Reader(body), body.get("place") or ""
    if place and (not isinstance(place, str) or not _PLACE.fullmatch(place)):
        raise MapError(f"place: expected veh:<id> or room:<site>/<id>, found {place!r:.100}")
    stated = body.get("channels", [])
    if not isinstance(stated, list) or len(stated) > MAX_CHANNELS:
        raise MapError(f"channels: expected a list of at most {MAX_CHANNELS}")
    channels = [read_channel(one) for one in stated]
    by_raw = {channel.raw: channel for channel in channels}
    if len(by_raw) < len(channels):
        raise MapError("channels: expected each raw name once")
    return DeviceMap(
        device=read.name("device"),
        n=read.whole("n", 1),
        gateway=read.name("gateway"),
        source=read.text("source"),
        from_us=read.whole("from_us"),
        org=read.name("org"),
        site=read.name("site"),
        place=place,
        profile=read.text("profile", ""),
        time_floor_us=read.whole("time_floor_us"),
        channels=by_raw,
    )


def read_channel(stated: Any) -> Channel:
    """One line of a mapping. Raises MapError."""
    if not isinstance(stated, Mapping) or not stated.keys() <= set(Channel.__dataclass_fields__):
        raise MapError(f"channel: expected {', '.join(Channel.__dataclass_fields__)}, found {stated!r:.200}")
    read = _Reader(stated)
    raw, name = read.text("raw"), read.text("name")
    canonical, kind = meaning(name)
    if canonical != name or (kind is Kind.ANY and not name.startswith("x/")):
        raise MapError(f"channel {raw!r}: name: expected one such as temp/air, door/rear or x/other, found {name!r}")
    bits = read.whole("bits")
    if bits not in (0, *WIDTHS):
        raise MapError(f"channel {raw!r}: bits: expected one of {', '.join(map(str, WIDTHS))}, found {bits}")
    scale, offset = (_number(stated, field, default) for field, default in (("scale", "1"), ("offset", "0")))
    return Channel(raw, name, read.text("unit", ""), scale, offset, bits, read.text("true", ""))


def _number(stated: Mapping[str, Any], field: str, default: str) -> Decimal:
    """As text: the ledger's header has no fractions, and 0.1 is to stay 0.1."""
    value = stated.get(field, default)
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise MapError(f"{field}: expected a decimal number as text, such as '0.1', found {value!r:.100}")
    return Decimal(value)


def _as_text(raw: Decimal | bool | str) -> str:
    return str(raw).lower() if isinstance(raw, bool) else str(raw)
