"""Mean kinetic temperatures of goods that exceed their pack's limit (docs/temperature.md 6.3).

Only windows in which the goods were warmer than the limit anywhere are looked at: no other exceeds it. In these the
cold time counts as well, wherever it was: `kinetic_window` says when whatever is told of a place has to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.db.exposure_touches import kinetic_windows, put_kinetic_windows, widen
from coldchain.domain.commodities import Judged, Turns
from coldchain.domain.exposure import (
    HOUR_US,
    Interval,
    Piece,
    Span,
    Stay,
    Watch,
    above,
    innermost,
    joined,
    pieces,
    watched,
    within,
)
from coldchain.domain.kinetics import means, overs
from coldchain.domain.rulepacks import SECOND_US, Mkt, RulePack
from coldchain.projections.consignment_rows import Row, affected, breach
from coldchain.projections.exposures import Exposures
from coldchain.projections.spending import first_pack, members

MKT = " MKT"


class Kinetics:
    """What is remembered is where such packs judge, for as long as no device, site or rule is registered."""

    def __init__(self) -> None:
        self._concerned: dict[str, bool] = {}

    def judge(
        self,
        connection: Connection,
        exposures: Exposures,
        told: Mapping[str, Span],
        around: Mapping[str, Sequence[Interval]],
    ) -> tuple[set[str], list[Row]]:
        """The units looked at, and what is to be said of them. told: places whose temperatures may be others then.
        around: units of which something else may be known, and all that was ever around them."""
        gap_us = exposures.longest_gap_us
        beside: set[str] = set()
        self._look_at(exposures, told.keys())
        for place, (from_us, to_us) in told.items():
            if self._concerned[place]:
                beside |= members(connection, place, from_us - gap_us, to_us + gap_us)
        known = {**exposures.around(beside - around.keys()), **around}
        self._look_at(exposures, {one.place for some in known.values() for one in some})
        units = [unit for unit, some in known.items() if any(self._concerned[one.place] for one in some)]
        if not units:
            return set(), []
        judging, judged = _Judging(connection, exposures), exposures.judged(units)
        rows = [row for unit in sorted(units) for row in judging.rows(unit, known[unit], judged[unit])]
        self._widen(connection, judging.windows)
        return set(units), rows

    def _widen(self, connection: Connection, found: Mapping[str, Span]) -> None:
        """From the next batch on somebody looks whenever anything is told of these times."""
        before = kinetic_windows(connection)
        after = dict(before)
        for place, span in found.items():
            widen(after, place, *span)
        put_kinetic_windows(connection, {place: span for place, span in after.items() if span != before.get(place)})

    def _look_at(self, exposures: Exposures, places: Set[str]) -> None:
        """Of these places it is known whether such packs judge there."""
        unknown = places - self._concerned.keys()
        if unknown:
            possible = exposures.possible_at(unknown)
            judging = {one.place for one in possible if exposures.packs[one.pack, one.version].mkt is not None}
            self._concerned |= {place: place in judging for place in unknown}


class _Judging:
    """One batch: places are read once for all the goods in them."""

    def __init__(self, connection: Connection, exposures: Exposures) -> None:
        self._connection = connection
        self._exposures = exposures
        self._watches: dict[tuple[str, Turns], Sequence[Watch]] = {}
        self._pieces: dict[tuple[str, Turns, str, Span], list[Piece]] = {}
        self._hours: dict[str, list[int]] = {}
        self.windows: dict[str, Span] = {}
        """By place: when cold time there counts for goods that were warm anywhere."""

    def rows(self, unit: str, around: Sequence[Interval], judged: Iterable[Judged]) -> list[Row]:
        """At most one for each pack: of whichever goods in the unit exceeded its limit first."""
        first: dict[str, Row] = {}
        for one in judged:
            for row in self._rows(unit, within(around, one.spans), one.turns):
                if row["rule"] not in first or row["from_us"] < first[row["rule"]]["from_us"]:
                    first[row["rule"]] = row
        return list(first.values())

    def _rows(self, unit: str, around: Sequence[Interval], turns: Turns) -> Iterator[Row]:
        watches = {one.place: self._at(one.place, turns) for one in around}
        for name in sorted({watch.pack for several in watches.values() for watch in several}):
            stays = innermost(around, watched(watches, name))
            pack = first_pack(self._exposures, watches, name, stays)
            if pack is None or pack.mkt is None:
                continue
            found = sorted(self._known(pack.mkt, name, turns, stays))
            if over := overs(pack.mkt, found):
                here = [one for place in {s.place for s in stays} for one in watches[place] if one.pack == name]
                window = [piece for piece in found if _window(pack.mkt, piece.from_us)[0] == over[0].from_us]
                yield self._row(unit, pack, pack.mkt, over[0].exceeded_us, window, stays, here)

    def _at(self, place: str, turns: Turns) -> Sequence[Watch]:
        if (place, turns) not in self._watches:
            self._watches[place, turns] = self._exposures.at([place], turns).get(place, ())
        return self._watches[place, turns]

    def _known(self, rule: Mkt, pack: str, turns: Turns, stays: Sequence[Stay]) -> Iterator[Piece]:
        """What is known of the windows in which it was warm anywhere, where the goods were."""
        hours = {hour for stay in stays for hour in self._warm_hours(stay.place)}
        edges = {_window(rule, t_us) for hour in hours for t_us in (hour * HOUR_US, (hour + 1) * HOUR_US - 1)}
        for window in sorted(edges):
            for stay in stays:
                from_us, to_us = max(stay.from_us, window[0]), min(stay.to_us, window[1])
                if from_us >= to_us:
                    continue
                gap_us = self._exposures.longest_gap_us
                widen(self.windows, stay.place, from_us - gap_us, to_us + gap_us)
                for piece in self._there(stay.place, turns, pack, window):
                    if piece.from_us < to_us and from_us < piece.to_us:
                        yield piece._replace(from_us=max(piece.from_us, from_us), to_us=min(piece.to_us, to_us))

    def _warm_hours(self, place: str) -> list[int]:
        if place not in self._hours:
            rows = fetch(self._connection, "SELECT DISTINCT hour FROM warm_hour WHERE place = ?", place)
            self._hours[place] = [hour for (hour,) in rows]
        return self._hours[place]

    def _there(self, place: str, turns: Turns, pack: str, window: Span) -> list[Piece]:
        key = place, turns, pack, window
        if key not in self._pieces:
            watches = [watch for watch in self._at(place, turns) if watch.pack == pack]
            self._pieces[key] = pieces(self._exposures.probes(watches, window), window)
        return self._pieces[key]

    def _row(
        self,
        unit: str,
        pack: RulePack,
        rule: Mkt,
        from_us: int,
        window: Sequence[Piece],
        stays: Sequence[Stay],
        watches: Sequence[Watch],
    ) -> Row:
        """A breach from the moment the window exceeds the limit, for as long as the goods are anywhere."""
        ((begin_us, (mkt_mc, known_us)),) = means(rule, window).items()
        warm = joined(above(window, rule.max_mc))
        told = {
            "clause": rule.clause,
            "max_mc": rule.max_mc,
            "window_s": rule.window_s,
            "window_us": begin_us,
            "mkt_mc": mkt_mc,
            "known_s": known_us / SECOND_US,
            "places": sorted({stay.place for stay in stays if _meets(stay, warm)}),
            **affected(self._connection, unit, from_us),
        }
        channel = f"{rule.max_mc / 1000:g} °C {rule.window_s // 3600} h"
        return breach(
            self._connection, pack, MKT, unit, channel, from_us, told, warm=warm, stays=stays, watches=watches
        )


def _window(rule: Mkt, t_us: int) -> Span:
    length_us = rule.window_s * SECOND_US
    return t_us // length_us * length_us, (t_us // length_us + 1) * length_us


def _meets(stay: Stay, spans: Iterable[Span]) -> bool:
    return any(from_us < stay.to_us and stay.from_us < to_us for from_us, to_us in spans)
