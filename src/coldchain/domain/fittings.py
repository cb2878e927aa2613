"""What an operator states of a device's sensors: which probes are in the product, whether it is the refrigeration's own
controller, and its calibration certificate (GB 29753-2023; telemetry §4).

An enrolment states the first fitting, which also holds before it; `fitting` orders state later ones, each from its own
time on. So what was known of a sensor is judged by the fitting of its day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

PRODUCT = "product"
AIR = "air"
KINDS = (PRODUCT, AIR)
NOT_SHOWN = "not_shown"
EXPIRED = "expired"
VALID = "valid"
MAX_PROBES = 200
MAX_CERTIFICATE = 200
_FIELDS = ("probes", "controller", "calibration")
_PROBE = re.compile(r"[A-Za-z0-9:./_-]{1,59}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class FittingError(ValueError):
    """Something stated of a device's sensors that says nothing; the text names the field and what was expected."""


class Calibration(NamedTuple):
    """A certificate, and the first moment (µs, UTC) at which it is valid no more: the end of its last day."""

    certificate: str
    until_us: int


class Fitting(NamedTuple):
    """What holds of a device's sensors from a time on."""

    from_us: int = 0
    probes: Mapping[str, str] = {}
    """Probe, without `temp/`, to `product` or `air`; air where it is not named."""
    controller: bool = False
    calibration: Calibration | None = None


UNSTATED = Fitting()


class Mark(NamedTuple):
    """Calibration beside a state: never a reason for anything but the mark itself (docs/temperature.md 4.7)."""

    mark: str
    """`not_shown`, `expired` or `valid`."""
    certificate: str = ""
    until_us: int | None = None

    @property
    def last_day(self) -> str | None:
        """The last day (UTC) on which the certificate is valid, as `2027-05-01`."""
        return None if self.until_us is None else last_day(self.until_us)


def last_day(until_us: int) -> str:
    """The day before the moment at which a certificate is valid no more."""
    return datetime.fromtimestamp(until_us / 1_000_000 - 1, UTC).date().isoformat()


def read_fitting(stated: Mapping[str, Any], from_us: int = 0) -> Fitting:
    """The fields `probes`, `controller` and `calibration` of an order, each of which may be missing. Raises
    FittingError."""
    probes, controller = stated.get("probes", {}), stated.get("controller", False)
    if not isinstance(probes, Mapping) or len(probes) > MAX_PROBES:
        raise FittingError(f"probes: expected an object of at most {MAX_PROBES} probes, found {probes!r:.100}")
    for name, kind in probes.items():
        if not _PROBE.fullmatch(name) or kind not in KINDS:
            raise FittingError(f"probes: expected a probe and {' or '.join(KINDS)}, found {name!r:.100}: {kind!r:.100}")
    if not isinstance(controller, bool):
        raise FittingError(f"controller: expected true or false, found {controller!r:.100}")
    calibration = stated.get("calibration")
    return Fitting(from_us, dict(probes), controller, None if calibration is None else _calibration(calibration))


def stated_fields(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Of an order, what it says of sensors."""
    return {name: stated[name] for name in _FIELDS if stated.get(name)}


def fittings(first: Fitting, turns: Iterable[Fitting]) -> tuple[Fitting, ...]:
    """What holds when, ascending in `from_us`, the first from 0 on. first: what enrolments say; turns: orders as they
    take turns."""
    found = [first._replace(from_us=0)]
    for turn in turns:
        if turn.from_us <= 0:
            found = []
        found.append(turn._replace(from_us=max(0, turn.from_us)))
    return tuple(found)


def fitting_at(history: Sequence[Fitting], t_us: int) -> Fitting:
    """What holds at a time; the empty fitting where nothing was ever stated."""
    return next((one for one in reversed(history) if one.from_us <= t_us), UNSTATED)


def probe_kind(history: Sequence[Fitting], probe: str, t_us: int) -> str:
    """`product` or `air`. probe: without `temp/`. What nobody called a product probe measures air: telemetry §4."""
    return fitting_at(history, t_us).probes.get(probe, AIR)


def calibration_at(history: Sequence[Fitting], t_us: int) -> Mark:
    """The mark of a state at a time, by the certificate stated for it and not by what is known today."""
    calibration = fitting_at(history, t_us).calibration
    if calibration is None:
        return Mark(NOT_SHOWN)
    return Mark(EXPIRED if t_us >= calibration.until_us else VALID, *calibration)


def _calibration(stated: Any) -> Calibration:
    if not isinstance(stated, Mapping) or stated.keys() != {"certificate", "until"}:
        raise FittingError(f"calibration: expected an object of certificate and until, found {stated!r:.100}")
    certificate, until = stated["certificate"], stated["until"]
    if not isinstance(certificate, str) or not certificate.isprintable() or not 0 < len(certificate) <= MAX_CERTIFICATE:
        raise FittingError(
            f"calibration: certificate: expected printable text of 1 to {MAX_CERTIFICATE} characters, "
            f"found {certificate!r:.100}"
        )
    return Calibration(certificate, _day_after_us(until))


def _day_after_us(until: Any) -> int:
    try:
        if not isinstance(until, str) or not _DATE.fullmatch(until):
            raise ValueError(until)
        ends = datetime.combine(date.fromisoformat(until), datetime.min.time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise FittingError(f"calibration: until: expected a date such as 2027-05-01, found {until!r:.100}") from error
    return int(ends.timestamp()) * 1_000_000
