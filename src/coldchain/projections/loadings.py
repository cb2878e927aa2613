"""Whether a body was cold before goods were loaded into it (docs/temperature.md 6.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.db.queries_events import events_by_key
from coldchain.domain.commodities import Turns
from coldchain.domain.containment import Interval
from coldchain.domain.exposure import LOADS, PRECOOLED_US, Span, Watch
from coldchain.projections.consignment_rows import SOURCE, Row, replace_rows
from coldchain.projections.events import weakest
from coldchain.projections.exposures import Exposures
from coldchain.projections.series import PROBES, Reading, readings
from coldchain.services.chores import canonical

PRECOOLING = " pre-cooling"
PRECOOLING_GAP = " pre-cooling gap"
"""Nothing is known of the air. What is missing may be on its way: such findings wait (`domain.pacing`)."""
VEHICLE = "veh:"


def judge_loadings(connection: Connection, exposures: Exposures, spans: Mapping[str, Span]) -> None:
    """The rows of these vehicles between these times are those of their loadings."""
    after = [
        row
        for place, span in spans.items()
        for t_us, units in sorted(_loadings(connection, place, span).items())
        for row in _rows(connection, exposures, place, t_us, units)
    ]

    def is_meant(row: Row) -> bool:
        from_us, to_us = spans[row["subject"]]
        return bool(row["rule"].endswith((PRECOOLING, PRECOOLING_GAP)) and from_us <= row["from_us"] <= to_us)

    replace_rows(connection, spans, is_meant, after)


def entered(connection: Connection, place: str, span: Span) -> bool:
    """Whether anything came into it between two times."""
    query = "SELECT child FROM containment WHERE parent = ? AND from_us BETWEEN ? AND ? LIMIT 1"
    return bool(fetch(connection, query, place, *span))


def _loadings(connection: Connection, place: str, span: Span) -> dict[int, list[Interval]]:
    """By time: what came into the empty body then."""
    query = "SELECT child, parent, from_us, to_us, why FROM containment WHERE parent = ? AND from_us BETWEEN ? AND ?"
    found: dict[int, list[Interval]] = {}
    for child, parent, from_us, to_us, why in fetch(connection, query, place, *span):
        if child.startswith(LOADS):
            found.setdefault(from_us, []).append(Interval(child, parent, from_us, to_us, tuple(json.loads(why))))
    return {t_us: units for t_us, units in found.items() if not _laden(connection, place, t_us)}


def _laden(connection: Connection, place: str, t_us: int) -> bool:
    query = "SELECT child FROM containment WHERE parent = ? AND from_us < ? AND (to_us IS NULL OR to_us > ?)"
    return any(child.startswith(LOADS) for (child,) in fetch(connection, query, place, t_us, t_us))


def _rows(
    connection: Connection, exposures: Exposures, place: str, t_us: int, units: Sequence[Interval]
) -> Iterator[Row]:
    """One for each pack that judges any of the goods, and whose devices there then saw it warm, or did not say."""
    by_pack: dict[str, dict[int, Watch]] = {}
    for turns in sorted(_profiles(exposures, units, t_us)):
        for watch in exposures.at([place], turns).get(place, ()):
            if watch.from_us <= t_us < watch.to_us and watch.rule.precool_mc is not None:
                by_pack.setdefault(watch.pack, {}).setdefault(watch.device_no, watch)
    for several in by_pack.values():
        said = {watch: _said(connection, exposures, watch, t_us) for watch in several.values()}
        before = {(watch.device, one.name): one for watch, (found, _) in said.items() for one in found}
        first = next(iter(said))
        complete = any(found and spoken for found, spoken in said.values())
        warmest = max((int(one.value or 0) for one in before.values()), default=None)
        limit_mc = first.rule.precool_mc
        assert limit_mc is not None
        if warmest is None or not complete or warmest > limit_mc:
            known = warmest is not None and complete
            yield _row(connection, place, t_us, units, first, before if known else {})


def _profiles(exposures: Exposures, units: Sequence[Interval], t_us: int) -> set[Turns]:
    """Under which profiles the goods fall that were in the units when they were loaded."""
    known = exposures.judged({one.child for one in units})
    return {
        judged.turns
        for several in known.values()
        for judged in several
        if any(from_us <= t_us < to_us for from_us, to_us in judged.spans)
    }


def _said(connection: Connection, exposures: Exposures, watch: Watch, t_us: int) -> tuple[list[Reading], bool]:
    """The newest air reading of each probe in time before the loading; whether it spoke in time after, so that none of
    them is still on its way."""
    newest: dict[str, Reading] = {}
    spoken = False
    for one in readings(connection, watch.device, t_us - PRECOOLED_US, t_us + PRECOOLED_US + 1, PROBES):
        if one.quality not in ("", "conflict"):
            continue
        spoken = spoken or one.t_us >= t_us
        known = newest.get(one.name)
        later = known is None or (known.t_us, int(known.value or 0)) < (one.t_us, int(one.value or 0))
        if one.t_us <= t_us and later and exposures.is_air(watch, one.name.removeprefix(PROBES), one.t_us):
            newest[one.name] = one
    return list(newest.values()), spoken


def _row(
    connection: Connection,
    place: str,
    t_us: int,
    units: Sequence[Interval],
    watch: Watch,
    before: Mapping[tuple[str, str], Reading],
) -> Row:
    events = events_by_key(connection, (key for one in units for key in one.why[:1])).values()
    detail = {
        "pack": watch.pack,
        "version": watch.version,
        "stage": watch.stage,
        "clause": watch.rule.clause,
        "verified": watch.verified,
        "precool_mc": watch.rule.precool_mc,
        "max_gap_s": PRECOOLED_US // 1_000_000,
        "readings": [
            {"device": device, "probe": name.removeprefix(PROBES), "t_us": one.t_us, "mc": one.value}
            for (device, name), one in sorted(before.items())
        ],
        "affected": sorted(one.child for one in units),
        "severity": "alarm" if before else "warning",
    }
    return {
        "source": SOURCE,
        "rule": watch.pack + (PRECOOLING if before else PRECOOLING_GAP),
        "subject": place,
        "channel": "",
        "from_us": t_us,
        "to_us": t_us,
        "verdict": "breach" if before else "unknown",
        "state": "closed",
        "detail": canonical(detail).decode(),
        "weakest_grade": weakest([watch.grade, *(one.grade for one in events)]),
        "basis_index": json.dumps(sorted({one.entry for one in events} | {one.entry for one in before.values()})),
    }
