"""The parts of an inspection: identity, position, goods, seals, boards, contradictions, handovers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote

from coldchain.domain.balance import balances
from coldchain.domain.boards import BoardFact, board_spans
from coldchain.domain.containment import Interval
from coldchain.domain.events import Event
from coldchain.domain.identifiers import IdentifierError, digital_link, uri
from coldchain.domain.quantities import Amount
from coldchain.domain.seals import SealFact, seal_chain
from coldchain.domain.tracing import FOREVER_US
from coldchain.services.moments import rfc3339, rfc3339_or_none

UNITS = 20_000
"""Units inside that are looked through for their lots; beyond, an amount has no upper end."""
HOLDERS = 200
"""Holders of a lot that are listed, the fullest first."""
NOW_US = FOREVER_US - 1
"""The moment after everything recorded: what has not ended still is."""


class PartsSource(Protocol):
    """What the parts read; times integer microseconds."""

    def inside(self, name: str, t_us: int, limit: int) -> Sequence[str]:
        """The units in it at that moment, at any depth; at most `limit`."""
        ...

    def around(self, name: str, t_us: int) -> Sequence[Interval]:
        """What it was in at that moment, inner before outer."""
        ...

    def amounts_in(self, parents: Iterable[str], t_us: int) -> Sequence[Amount]:
        """Counted goods directly in one of the parents at that moment."""
        ...

    def amounts_of(self, item: str, t_us: int) -> Sequence[Amount]:
        """Where these goods were, counted, at that moment."""
        ...

    def events_of(self, item: str) -> Sequence[Event]:
        """Every event that counts these goods."""
        ...

    def lots_of(self, units: Iterable[str]) -> Mapping[str, str]:
        """The lot of each unit that has one."""
        ...

    def links(self, name: str) -> tuple[Collection[str], Collection[str]]:
        """The old codes a new one was linked to when it was made, and the new ones linked to it."""
        ...

    def cases_by_holder(self, lot: str, t_us: int | None) -> Mapping[str, int]:
        """Named cases of the lot by what they were directly in, "" for nothing; with t_us None at any time."""
        ...

    def last_seen(self, name: str, t_us: int) -> Mapping[str, Any] | None:
        """The newest event up to then that says where it was."""
        ...

    def seals(self, name: str) -> Sequence[SealFact]: ...

    def boards(self, name: str) -> Sequence[BoardFact]: ...

    def conflicts(self, name: str) -> Sequence[Mapping[str, Any]]: ...

    def handovers(self, name: str) -> Sequence[Mapping[str, Any]]: ...

    def entries_of(self, keys: Iterable[str]) -> Mapping[str, tuple[int, str]]:
        """By event key: the ledger entry that holds it first, and its grade."""
        ...


def identity(source: PartsSource, name: str) -> dict[str, Any]:
    """What the name itself and its commissioning say; None where neither does. The producer is as stated in a lot's
    name: nobody checked it."""
    kind, _, rest = name.partition(":")
    lot = name if kind == "lot" else source.lots_of([name]).get(name)
    parts = (lot or "").removeprefix("lot:").split("/")
    has_gtin = len(parts) == 2
    gtin = rest[:14] if kind == "case" else parts[0] if has_gtin else ""
    product = f"code:gtin/{gtin}" if gtin else unquote(parts[1]) if len(parts) > 2 else None
    earlier, later = source.links(name)
    return {
        "kind": kind,
        "spellings": _spellings(name),
        "linked_from": sorted(earlier),
        "linked_to": sorted(later),
        "lot": lot,
        "product": product,
        "producer": f"plant:{unquote(parts[0])}" if len(parts) > 2 else None,
    }


def _spellings(name: str) -> list[str]:
    found = [name, uri(name)]
    with suppress(IdentifierError):  # where it has no GS1 key, it has no such link
        found.append(digital_link(name))
    return list(dict.fromkeys(found))


def position(source: PartsSource, name: str, t_us: int) -> dict[str, Any]:
    """What it was in, the outermost place of that, and where it was last seen; a chain that ends nowhere ends."""
    chain = source.around(name, t_us)
    seen = source.last_seen(name, t_us)
    return {
        "place": chain[-1].parent if chain else None,
        "chain": [{"parent": one.parent, "since": rfc3339(one.from_us)} for one in chain],
        "seen": seen
        and {
            "time": rfc3339(seen["time_us"]),
            "place": seen["location"] or seen["read_point"],
            "by": seen["by"],
            "entry": seen["entry"],
        },
    }


def goods_inside(source: PartsSource, name: str, t_us: int) -> list[dict[str, Any]]:
    """How much of which goods was in it at any depth: named cases and counted ones together, least and most."""
    units = source.inside(name, t_us, UNITS)
    found: dict[tuple[str, str], list[Any]] = {}
    cases = [unit for unit in units if unit.startswith("case:")]
    lots = source.lots_of(cases)
    for case in cases:
        item = lots.get(case, f"code:gtin/{case[5:19]}")
        line = found.setdefault((item, ""), [0, 0, 0])
        _add(line, 1000, 1000, 1000)
    for amount in source.amounts_in([name, *units], t_us):
        _add(found.setdefault((amount.item, amount.measure), [0, 0, 0]), 0, amount.least_milli, amount.most_milli)
    if len(units) >= UNITS:
        for line in found.values():
            line[2] = None
    return [_amount(item, measure, line) for (item, measure), line in sorted(found.items()) if line[1:] != [0, 0]]


def holders_of(source: PartsSource, lot: str, t_us: int) -> tuple[int, list[dict[str, Any]]]:
    """How many held goods of the lot at that moment, and the fullest of them, each with the place it was in."""
    found: dict[tuple[str, str], list[Any]] = {}
    for parent, count in source.cases_by_holder(lot, t_us).items():
        _add(found.setdefault((parent, ""), [0, 0, 0]), count * 1000, count * 1000, count * 1000)
    for amount in source.amounts_of(lot, t_us):
        _add(found.setdefault((amount.parent, amount.measure), [0, 0, 0]), 0, amount.least_milli, amount.most_milli)
    full = {holder: line for holder, line in found.items() if line[1:] != [0, 0]}
    fullest = sorted(full.items(), key=lambda one: (one[0][1], one[1][2] is not None, -(one[1][2] or 0), one[0]))[
        :HOLDERS
    ]
    listed = []
    for (parent, measure), line in fullest:
        chain = source.around(parent, t_us) if parent else ()
        place = chain[-1].parent if chain else parent or None
        listed.append({"parent": parent or None, "place": place} | _amount(lot, measure, line))
    return len(full), listed


def balance(source: PartsSource, lot: str, t_us: int) -> list[dict[str, Any]]:
    """Whether the counted goods of a lot add up at that moment, by measure; empty where nobody stated any entered."""
    events = (event for event in source.events_of(lot) if event.time_us <= t_us)
    return [
        {
            "item": lot,
            "measure": one.measure,
            "entered": plain(one.entered_milli),
            "left": {step: plain(amount) for step, amount in one.left},
            "held": {"least": plain(one.held_least_milli), "most": plain(one.held_most_milli)},
            "missing": {"least": plain(one.missing_milli[0]), "most": plain(one.missing_milli[1])},
        }
        for one in balances(lot, events, source.amounts_of(lot, t_us))
    ]


def _add(line: list[Any], named: int, least: int, most: int | None) -> None:
    line[0] += named
    line[1] += least
    line[2] = None if line[2] is None or most is None else line[2] + most


def _amount(item: str, measure: str, line: Sequence[Any]) -> dict[str, Any]:
    named, least, most = (plain(value) for value in line)
    return {"item": item, "measure": measure, "named": named, "least": least, "most": most}


def plain(milli: int | None) -> int | float | None:
    """Thousandths as a number: cases whole, kilograms with a fraction where they have one."""
    return None if milli is None else milli // 1000 if milli % 1000 == 0 else milli / 1000


def seals(source: PartsSource, name: str, t_us: int) -> list[dict[str, Any]]:
    """Each wearing of each seal, from what was said up to then."""
    facts = [fact for fact in source.seals(name) if fact.time_us <= t_us]
    entries = source.entries_of(fact.key for fact in facts)
    return [
        {
            "unit": link.unit,
            "seal": link.seal,
            "issuer": link.issuer,
            "class": next((fact.klass for fact in link.facts if fact.klass), ""),
            "from": rfc3339(link.from_us),
            "to": rfc3339_or_none(link.to_us),
            "facts": [
                {
                    "time": rfc3339(fact.time_us),
                    "act": fact.act,
                    "state": fact.state,
                    "by": fact.by,
                    "entry": entries[fact.key][0],
                    "grade": entries[fact.key][1],
                }
                for fact in link.facts
            ],
        }
        for link in sorted(seal_chain(facts), key=lambda link: (link.from_us, link.unit, link.seal))
    ]


def boards(source: PartsSource, name: str, t_us: int) -> list[dict[str, Any]]:
    """Which board carried which load, from what was said up to then."""
    facts = [fact for fact in source.boards(name) if fact.time_us <= t_us]
    entries = source.entries_of(fact.key for fact in facts)
    return [
        {
            "load": span.load,
            "board": span.board,
            "from": rfc3339(span.from_us),
            "to": rfc3339_or_none(span.to_us),
            "seen": rfc3339(span.seen_us),
            "began": span.began,
            "ended": span.ended,
            "entries": sorted({entries[key][0] for key in span.why}),
        }
        for span in sorted(board_spans(facts), key=lambda span: (span.from_us, span.load, span.board))
    ]


def contradictions(source: PartsSource, name: str, t_us: int) -> list[dict[str, Any]]:
    """Statements about it, made up to then, that cannot all be right."""
    rows = [row for row in source.conflicts(name) if row["to_us"] <= t_us]
    entries = source.entries_of(key for row in rows for key in row["why"])
    return [
        {
            **{key: row[key] for key in ("rule", "item", "measure", "parent", "other")},
            "from": rfc3339(row["from_us"]),
            "to": rfc3339(row["to_us"]),
            **{key: plain(row[f"{key}_milli"]) for key in ("stated", "least", "most")},
            "entries": sorted({entries[key][0] for key in row["why"]}),
        }
        for row in rows
    ]


def handovers(source: PartsSource, name: str, t_us: int) -> list[dict[str, Any]]:
    """Both halves of each handover begun by then, as far as stated."""
    top = ("handover", "state", "giver", "taker", "shipped_us", "received_us")
    return [
        {
            **{key: row[key] for key in top[:4]},
            "shipped_at": rfc3339_or_none(row["shipped_us"]),
            "received_at": rfc3339_or_none(row["received_us"]),
            "detail": outside({key: value for key, value in row.items() if key not in top}),
        }
        for row in source.handovers(name)
        if min(time for time in (row["shipped_us"], row["received_us"]) if time is not None) <= t_us
    ]


def outside(value: Any) -> Any:
    """Times and amounts as programs outside read them, at any depth: `time_us` becomes `time`."""
    if isinstance(value, Mapping):
        return {key.removesuffix("_us"): _told(key, one) for key, one in value.items()}
    return [outside(one) for one in value] if isinstance(value, list | tuple) else value


def _told(key: str, value: Any) -> Any:
    return rfc3339(value) if key.endswith("_us") and isinstance(value, int) else outside(value)


LIMITS = {
    "": "what nobody recorded is not in it; people and firms that do not take part are where it ends",
    "goods": "amounts are what was stated as put in, taken out and counted; between counts nobody looked",
    "contents": "cartons moved on loose legs are not seen one by one",
    "room": "a room, not a rack",
    "seals": "seals: nothing between two checks",
    "temperature": "temperature of the air, not of the product, but where a probe in the product is enrolled",
    "cut": "some lists are shortened; their totals say so",
}


def limits(name: str, document: Mapping[str, Any]) -> list[str]:
    """What the answer cannot say, of those parts it has (domain §6)."""
    place = document["position"]["place"] or ""
    cut = [
        total
        for total, listed in (
            ("history_total", "history"),
            ("contents_total", "contents"),
            ("holders_total", "holders"),
        )
        if document[total] > len(document[listed])
    ]
    shown: Collection[str] = {
        "",
        *(part for part in ("goods", "contents", "seals", "temperature") if document[part]),
        *(["room"] if f"{name} {place}".find("room:") >= 0 else []),
        *(["cut"] if cut else []),
    }
    return [text for part, text in LIMITS.items() if part in shown]
