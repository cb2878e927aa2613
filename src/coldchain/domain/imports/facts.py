"""What the rows of each kind of sheet state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from coldchain.domain.identifiers import uri
from coldchain.domain.imports.goods import amounts, kinds, quantities
from coldchain.domain.imports.mapping import Mapping
from coldchain.domain.imports.reading import Record
from coldchain.domain.imports.statement import (
    Fact,
    Statement,
    batches,
    claim_fact,
    groups,
    journey,
    rfc3339,
    seal_facts,
    standing_at,
)


def facts(sender: str, mapping: Mapping, records: Sequence[Record]) -> list[Fact]:
    """Every fact of the good rows, in the order of the sheet; the same rows give the same bytes. Raises nothing."""
    state = Statement(sender, mapping)
    make = _MAKERS[mapping.kind.name]
    return [fact for group in groups(records, mapping.kind.paper) for fact in make(state, group)]


def _declaration(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    first = rows[0]
    containers = sorted({record.get("container") for record in rows if "container" in record.values})
    paper = {"type": "urn:coldchain:btt:declaration", "bizTransaction": uri(first.get("declaration"))}
    yield state.event(
        rows,
        [first.get("declaration")],
        first.get("time"),
        type="TransactionEvent",
        action="ADD",
        bizStep="arriving",
        bizTransactionList=[paper],
        epcList=[uri(container) for container in containers],
        quantityList=quantities(amounts(rows)),
        coldchain__goods=kinds(rows),
        **standing_at(first.get("site")),
    )


def _packing_list(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    first = rows[0]
    about = [first.get("document"), first.get("container")]
    leg = "palletised" if all("pallet" in record.values for record in rows) else "loose"
    yield from state.contents(rows, about, "ADD", "packing", **standing_at(first.get("site")))
    seals = seal_facts(rows, first.get("container"), "applied")
    yield from state.move(
        rows,
        about,
        first.get("container"),
        "ADD",
        "loading",
        coldchain__leg=leg,
        coldchain__seals=seals,
        coldchain__goods=kinds(rows),
        **standing_at(first.get("site")),
    )


def _tally(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    """Floor-loaded goods come out of the container and the pallets are formed: E3, no break (domain §3)."""
    first = rows[0]
    about = [first.get("document"), first.get("container")]
    container, where = first.get("container"), standing_at(first.get("site"))
    out = quantities(amounts(rows))
    seals = seal_facts(rows, container, "checked")
    yield from state.aggregation(
        rows, about, container, "DELETE", "unloading", [], out, coldchain__seals=seals, **where
    )
    yield from state.contents(rows, about, "ADD", "packing", coldchain__leg="palletised", **where)
    pallets = sorted({record.get("pallet") for record in rows})
    yield claim_fact(
        rows,
        claim=f"E3/{container.partition(':')[2]}/{first.get('document') or first.get('time')}",
        code="E3",
        units=[container, *pallets],
        places=[first.get("site")],
        times=(min(r.get("time") for r in rows), max(r.get("time") for r in rows)),
        evidence={
            "container": container,
            "seal_check": next((r.get("seal_state") for r in rows if "seal_state" in r.values), None),
            "site": first.get("site"),
            "tally": first.get("document"),
        },
    )


def _receipt(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    first = rows[0]
    about = journey(first)
    room, where = first.get("room"), standing_at(first.get("room"))
    vehicle = first.get("vehicle")
    seals = seal_facts(rows, vehicle, "checked")
    if vehicle:
        yield from state.move(rows, about, vehicle, "DELETE", "unloading", coldchain__seals=seals, **where)
    yield state.handover(rows, about, "receiving", room)
    yield from state.contents(rows, about, "OBSERVE", "cycle_counting", **where)
    yield from state.move(rows, about, room, "ADD", "storing", **where)


def _dispatch(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    first = rows[0]
    about = journey(first)
    room, where = first.get("room"), standing_at(first.get("room"))
    vehicle = first.get("vehicle")
    yield from _taken(state, rows, about)
    yield from state.contents(
        [r for r in rows if "from_pallet" not in r.values], about, "OBSERVE", "cycle_counting", **where
    )
    yield state.handover(rows, about, "shipping", room)
    if vehicle:
        seals = seal_facts(rows, vehicle, "applied")
        yield from state.move(rows, about, vehicle, "ADD", "loading", coldchain__seals=seals, **where)


def _sale(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    """Whole pallets or loose cases leave the room, cases leave the pallet they stood on; then they are sold."""
    first = rows[0]
    about = journey(first)
    yield from _taken(state, rows, about)
    yield state.handover(rows, about, "retail_selling", first.get("room"), disposition="retail_sold")


def _taken(state: Statement, rows: list[Record], about: list[Any]) -> Iterator[Fact]:
    """Goods off the pallets they were picked from, pallets and loose goods out of the room."""
    room, where = rows[0].get("room"), standing_at(rows[0].get("room"))
    picked = [record for record in rows if "from_pallet" in record.values]
    for group in groups(picked, ["from_pallet"]):
        goods, pallet = quantities(amounts(group)), group[0].get("from_pallet")
        yield from state.aggregation(group, about, pallet, "DELETE", "picking", [], goods, **where)
    whole = [record for record in rows if "from_pallet" not in record.values]
    if whole:
        yield from state.move(whole, about, room, "DELETE", "picking", **where)


def _stock_count(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    first = rows[0]
    about, where = [first.get("time"), first.get("room")], standing_at(first.get("room"))
    yield from state.contents(rows, about, "OBSERVE", "cycle_counting", **where)
    yield from state.move(rows, about, first.get("room"), "OBSERVE", "cycle_counting", **where)


def _opening_stock(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    """What a site has on its first day; how it came there nobody here saw."""
    first = rows[0]
    about, where = [first.get("time"), first.get("room")], standing_at(first.get("room"))
    yield from state.contents(rows, about, "ADD", "stock_taking", **where)
    yield from state.move(rows, about, first.get("room"), "ADD", "stock_taking", **where)


def _temperatures(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    for part, some in enumerate(batches(sorted(rows, key=lambda record: record.get("time")))):
        first, last = some[0], some[-1]
        probe = first.get("probe")
        reports = [
            {
                "type": "Temperature",
                "value": float(record.get("celsius")),
                "uom": "CEL",
                "time": rfc3339(record.get("time"), state.zone),
            }
            for record in some
        ]
        meta = {
            "startTime": rfc3339(first.get("time"), state.zone),
            "endTime": rfc3339(last.get("time"), state.zone),
            **({"deviceID": uri(f"code:probe/{probe}")} if probe else {}),
        }
        yield state.event(
            some,
            [first.get("place"), probe, first.get("time"), part],
            last.get("time"),
            type="ObjectEvent",
            action="OBSERVE",
            bizStep="sensor_reporting",
            readPoint={"id": uri(first.get("place"))},
            sensorElementList=[{"sensorMetadata": meta, "sensorReport": reports}],
        )


def _exception_claims(state: Statement, rows: list[Record]) -> Iterator[Fact]:
    for record in rows:
        yield claim_fact(
            [record],
            claim=record.get("id"),
            code=record.get("code"),
            units=list(record.get("units", ())),
            places=list(record.get("places", ())),
            times=(record.get("from"), record.get("to")),
            evidence=record.get("evidence", {}),
        )


_MAKERS: dict[str, Callable[[Statement, list[Record]], Iterator[Fact]]] = {
    "declaration": _declaration,
    "packing-list": _packing_list,
    "tally": _tally,
    "receipt": _receipt,
    "dispatch": _dispatch,
    "sale": _sale,
    "stock-count": _stock_count,
    "opening-stock": _opening_stock,
    "temperatures": _temperatures,
    "exception-claims": _exception_claims,
}
