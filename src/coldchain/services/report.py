"""The report of a trip, a room, a device or a consignment over a period, as one document (docs/reports.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, Protocol

from coldchain.domain.contacts import holders
from coldchain.domain.fittings import Fitting, calibration_at, probe_kind
from coldchain.domain.identifiers import uri
from coldchain.domain.reports import Figures, Stretch, figures, overlap, worst
from coldchain.domain.rulepacks import Regime
from coldchain.domain.tracing import FOREVER_US
from coldchain.services.chores import canonical
from coldchain.services.exposure import ExposureSource, GoodsSource, exposures
from coldchain.services.identity import CommandRefused
from coldchain.services.moments import rfc3339
from coldchain.services.trace import TraceSource, canonical_name
from coldchain_ledger.log import Draft

MAX_STAYS = 200
MAX_EXCURSIONS = 500
POINTS = 400
"""Of a line in the chart."""
LONGEST_US = 400 * 86_400 * 1_000_000
"""A report reads every reading of its period."""
ROOM_US = 30 * 86_400 * 1_000_000
"""Of a room or a device, where no period is asked for: the last thirty days of its readings."""
Period = tuple[int, int]
Asked = tuple[int | None, int | None]


class Mounted(NamedTuple):
    """A device at a place during a stay, with what is known of its sensors."""

    device: str
    from_us: int
    to_us: int
    fittings: Sequence[Fitting]
    regimes: Sequence[Regime]
    """What judged there during the stay."""


class ReportSource(TraceSource, GoodsSource, Protocol):
    """What a report reads; times integer microseconds."""

    def valid_for(self) -> tuple[int, int]:
        """Entries of the ledger the answers come from, and the newest time recorded among them."""
        ...

    def trips(self, vehicle: str) -> Sequence[Period]:
        """Stretches of time in which anything was in the vehicle, oldest first."""
        ...

    def newest_reading(self, name: str) -> int | None:
        """Of a device, or of those at a place: its time."""
        ...

    def mounted(self, place: str, period: Period) -> Sequence[Mounted]:
        """Devices at the place; for `dev:` the device itself wherever it was."""
        ...

    def readings(self, device: str, period: Period) -> Mapping[str, Sequence[tuple[int, int | None]]]:
        """By probe: (time, milli-°C or None) of what is evidence."""
        ...

    def stretches(self, device: str, period: Period) -> Mapping[str, Sequence[Stretch]]:
        """By probe: its segments cut to the period and to the newest time known."""
        ...

    def openings(self, device: str, period: Period) -> tuple[Sequence[Period], Sequence[Period]]:
        """Door openings and defrosts that reach into the period."""
        ...

    def findings_of(self, subjects: Collection[str], period: Period) -> Sequence[Mapping[str, Any]]:
        """Current findings about them that reach into the period: finding, rule, subject, channel, from_us, to_us,
        verdict, state, entry."""
        ...


class _Stay(NamedTuple):
    place: str
    from_us: int
    to_us: int


def report(
    source: ReportSource,
    telemetry: ExposureSource,
    identifier: str,
    period: Asked = (None, None),
    levels: Sequence[int] = (),
    mine: Callable[[str, int, int], bool] | None = None,
) -> dict[str, Any] | None:
    """The document, or None where nothing is known under that name. levels: temperatures (milli-°C) to tell the time
    above of, beside the limits in force. What is not asked for of the period is as far as it goes, and never further
    than a report reaches: `whole` tells of what time the document's is a part. mine: whether whoever asks may be told
    of a place or device from one time to another; `stays_hidden` counts the rest, without which no exposure can be
    told. Raises CommandRefused for a period that is empty or too long.

    Times are RFC 3339, lengths seconds, temperatures milli-°C. The same ledger gives the same document.
    """
    name = identifier if identifier.startswith("dev:") else canonical_name(identifier)
    if name is None or not (name.startswith("dev:") or source.named(name)):
        return None
    size, ledger_us = source.valid_for()
    everywhere, whole = _stays(source, name, period, ledger_us)
    stays = everywhere if mine is None else [stay for stay in everywhere if mine(*stay)]
    hidden = len(everywhere) - len(stays)
    if not stays:
        return None
    told = [_told_stay(source, stay, levels) for stay in stays[:MAX_STAYS]]
    span = _span(stays)
    excursions = [found for stay in told for found in stay.pop("excursions")]
    return {
        "about": name,
        "uri": uri(name) if not name.startswith("dev:") else name,
        "kind": name.partition(":")[0],
        "from": rfc3339(span[0]),
        "to": rfc3339(span[1]),
        "whole": {"from": rfc3339(whole[0]), "to": rfc3339(whole[1])},
        "ledger": {"size": size, "time": rfc3339(ledger_us)},
        "verdict": worst(probe["verdict"] for stay in told for probe in stay["probes"]),
        "rules": _rules(told),
        "stays_total": len(stays),
        "stays_hidden": hidden,
        "stays": told,
        "excursions_total": len(excursions),
        "excursions": excursions[:MAX_EXCURSIONS],
        "exposure": exposures(telemetry, source, name, span[1], ledger_us) if _is_goods(name) and not hidden else [],
        "findings": [_finding(row) for row in _findings(source, name, stays, told)],
        "chart": [line for stay in stays[:MAX_STAYS] for line in _lines(source, stay)],
    }


def _is_goods(name: str) -> bool:
    return not name.startswith(("veh:", "room:", "dev:"))


def report_entry(by: str, document: Mapping[str, Any]) -> Draft:
    """The entry that says these figures were issued: their SHA-256 over canonical JSON, what they are about, and the
    verdict. The same figures of a longer ledger are the same entry."""
    sha256 = digest(document)
    body = {
        "v": 1,
        "doc": "report",
        "about": document["about"],
        "from": document["from"],
        "to": document["to"],
        "verdict": document["verdict"],
        "sha256": sha256,
    }
    return Draft(
        kind="document",
        by=by,
        type="application/json",
        key=f"doc/report/{sha256}",
        grade="derived",
        subjects=tuple(sorted({document["about"], f"doc:report/{sha256[:32]}"})),
        payload=canonical(body),
    )


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256, hex, of the document's canonical JSON without `ledger`, which every further entry changes."""
    figured = {name: value for name, value in document.items() if name != "ledger"}
    return hashlib.sha256(canonical(figured)).hexdigest()


def _stays(source: ReportSource, name: str, period: Asked, ledger_us: int) -> tuple[list[_Stay], Period]:
    """Where it was in the period, oldest first, and the whole time it was anywhere; a place and a device are where they
    are, and the whole of it is what is told, of a vehicle's trip the trip."""
    if not _is_goods(name):
        whole = _place_period(source, name, period)
        if whole is None:
            return [], (0, 0)
        return [_Stay(name, *_checked(*_part(period, whole)))], whole
    found = [
        _Stay(place, stay.from_us, min(ledger_us, stay.to_us))
        for place, stays in holders({name: -FOREVER_US}, source).items()
        if place.startswith(("veh:", "room:"))
        for stay in stays
    ]
    known = _merged(stay for stay in found if stay.from_us < stay.to_us)
    if not known:
        return [], (0, 0)
    whole = _span(known)
    low, high = _part(period, whole)
    told = [stay._replace(from_us=max(low, stay.from_us), to_us=min(high, stay.to_us)) for stay in known]
    told = sorted((stay for stay in told if stay.from_us < stay.to_us), key=lambda stay: (stay.from_us, stay.place))
    if told:
        _checked(*_span(told))
    return told, whole


def _part(period: Asked, whole: Period) -> Period:
    """As asked, else as far as it goes: the newest part of it where that is further than a report reaches."""
    low, high = period
    if low is None:
        to_us = whole[1] if high is None else high
        return max(whole[0], to_us - LONGEST_US), to_us
    return low, min(whole[1], low + LONGEST_US) if high is None else high


def _merged(stays: Iterable[_Stay]) -> list[_Stay]:
    """One for each stretch of time at a place, whatever it was in there."""
    found: dict[str, list[_Stay]] = {}
    for stay in sorted(stays):
        at_place = found.setdefault(stay.place, [])
        if at_place and stay.from_us <= at_place[-1].to_us:
            at_place[-1] = at_place[-1]._replace(to_us=max(at_place[-1].to_us, stay.to_us))
        else:
            at_place.append(stay)
    return sorted((stay for several in found.values() for stay in several), key=lambda stay: (stay.from_us, stay.place))


def _place_period(source: ReportSource, name: str, period: Asked) -> Period | None:
    """As asked; else of a vehicle its newest trip by then, of a room or device thirty days up to its newest reading."""
    low, high = period
    if low is not None and high is not None:
        return low, high
    trips = source.trips(name) if name.startswith("veh:") else []
    if trip := next((trip for trip in reversed(trips) if high is None or trip[0] < high), None):
        return trip if low is None else (low, trip[1])
    newest_us = source.newest_reading(name) if high is None else high
    return None if newest_us is None else (newest_us - ROOM_US if low is None else low, newest_us)


def _checked(from_us: int, to_us: int) -> Period:
    if not 0 < to_us - from_us <= LONGEST_US:
        asked, longest = ((us / 86_400_000_000) for us in (to_us - from_us, LONGEST_US))
        raise CommandRefused(f"a period of {asked:g} days: expected an end after its start, {longest:g} days at most")
    return from_us, to_us


def _told_stay(source: ReportSource, stay: _Stay, levels: Sequence[int]) -> dict[str, Any]:
    probes: list[dict[str, Any]] = []
    excursions: list[dict[str, Any]] = []
    doors: list[Period] = []
    defrosts: list[Period] = []
    rules: list[dict[str, Any]] = []
    for mounted in source.mounted(stay.place, (stay.from_us, stay.to_us)):
        period = max(stay.from_us, mounted.from_us), min(stay.to_us, mounted.to_us)
        told = [_told_rule(regime) for regime in mounted.regimes]
        rules += told
        asked = [*levels, *(rule["limit_mc"] for rule in told)]
        for one in _measured(source, mounted, period, asked):
            probes.append(_told_probe(one, period))
            excursions += [
                {"place": stay.place, "device": one.device, "probe": one.probe, **_told_stretch(found)}
                for found in one.excursions
            ]
        opened, thawed = source.openings(mounted.device, period)
        doors += opened
        defrosts += thawed
    within = stay.from_us, stay.to_us
    return {
        "place": stay.place,
        "from": rfc3339(stay.from_us),
        "to": rfc3339(stay.to_us),
        "doors": _told_openings(doors, within),
        "defrosts": _told_openings(defrosts, within),
        "verdict": worst(probe["verdict"] for probe in probes),
        "probes": probes,
        "excursions": excursions,
        "rules": rules,
    }


def _measured(source: ReportSource, mounted: Mounted, period: Period, levels: Sequence[int]) -> list[Figures]:
    said, judged = source.readings(mounted.device, period), source.stretches(mounted.device, period)
    return [
        figures(
            mounted.device,
            probe,
            probe_kind(mounted.fittings, probe, period[0]),
            calibration_at(mounted.fittings, period[0]),
            said.get(probe, ()),
            judged.get(probe, ()),
            period,
            levels,
        )
        for probe in sorted(said.keys() | judged.keys())
    ]


def _told_probe(one: Figures, period: Period) -> dict[str, Any]:
    return {
        "device": one.device,
        "probe": one.probe,
        "kind": one.kind,
        "from": rfc3339(period[0]),
        "to": rfc3339(period[1]),
        "readings": one.readings,
        "faults": one.faults,
        "min_mc": one.min_mc,
        "max_mc": one.max_mc,
        "mean_mc": one.mean_mc,
        "sd_mc": one.sd_mc,
        **{
            f"{state}_s": _seconds(getattr(one, f"{state}_us"))
            for state in ("in_range", "breach", "unknown", "unjudged")
        },
        "gaps": one.gaps,
        "longest_gap_s": _seconds(one.longest_gap_us),
        "above": [
            {"mc": a.mc, "total_s": _seconds(a.total_us), "longest_s": _seconds(a.longest_us)} for a in one.above
        ],
        "excursions": len(one.excursions),
        "calibration": {
            "mark": one.calibration.mark,
            "certificate": one.calibration.certificate,
            "until": rfc3339(one.calibration.until_us) if one.calibration.until_us is not None else None,
        },
        "verdict": one.verdict,
    }


def _told_stretch(one: Stretch) -> dict[str, Any]:
    return {
        "from": rfc3339(one.from_us),
        "to": rfc3339(one.to_us),
        "seconds": _seconds(one.to_us - one.from_us),
        "extreme_mc": one.extreme_mc,
    }


def _told_openings(windows: Iterable[Period], period: Period) -> dict[str, int]:
    found = overlap(windows, period)
    return {"count": found.windows, "seconds": _seconds(found.total_us)}


def _told_rule(regime: Regime) -> dict[str, Any]:
    assert regime.rule is not None, "only what judges is told of"
    named = {"pack": regime.pack, "version": regime.version, "stage": regime.stage, "verified": regime.verified}
    return {**named, **asdict(regime.rule)}


def _rules(stays: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every rule that judged any of it, once."""
    found = {canonical(rule): rule for stay in stays for rule in stay.pop("rules")}
    return [rule for _, rule in sorted(found.items())]


def _findings(
    source: ReportSource, name: str, stays: Sequence[_Stay], told: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """What was published about it; about a place and its devices only while it was there: what befell a truck after
    the goods had left it says nothing of them."""
    found = {row["finding"]: row for row in source.findings_of({name}, _span(stays))}
    for stay, document in zip(stays, told, strict=False):
        about = {stay.place, *(f"dev:{probe['device']}" for probe in document["probes"])}
        found |= {row["finding"]: row for row in source.findings_of(about, (stay.from_us, stay.to_us))}
    return sorted(found.values(), key=lambda row: (row["from_us"], row["rule"], row["subject"], row["channel"]))


def _span(stays: Sequence[_Stay]) -> Period:
    return min(stay.from_us for stay in stays), max(stay.to_us for stay in stays)


def _finding(row: Mapping[str, Any]) -> dict[str, Any]:
    ends = {"from": rfc3339(row["from_us"]), "to": rfc3339(row["to_us"]) if row["to_us"] is not None else None}
    return {name: row[name] for name in ("finding", "rule", "subject", "channel", "verdict", "state", "entry")} | ends


def _lines(source: ReportSource, stay: _Stay) -> list[dict[str, Any]]:
    """Each probe's coldest and warmest in equal steps of time, for a chart; None where nothing was measured."""
    step_us = max(1, -(-(stay.to_us - stay.from_us) // POINTS))
    found = []
    for mounted in source.mounted(stay.place, (stay.from_us, stay.to_us)):
        period = max(stay.from_us, mounted.from_us), min(stay.to_us, mounted.to_us)
        for probe, items in sorted(source.readings(mounted.device, period).items()):
            cells: dict[int, tuple[int, int]] = {}
            for t_us, mc in items:
                if mc is not None:
                    place = (t_us - stay.from_us) // step_us
                    low, high = cells.get(place, (mc, mc))
                    cells[place] = min(low, mc), max(high, mc)
            points = [
                {"t": rfc3339(stay.from_us + place * step_us), "min_mc": low, "max_mc": high}
                for place, (low, high) in sorted(cells.items())
            ]
            found.append({"place": stay.place, "device": mounted.device, "probe": probe, "points": points})
    return found


def _seconds(us: int) -> int:
    return round(us / 1_000_000)
