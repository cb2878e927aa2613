"""Writes EPCIS events and claims of one sender and one kind of sheet.

An event's id follows from who states it, the kind of sheet, the paper's number and what it is about, so that the same
sheet read again states the same events, and a sheet with other figures under the same number is a contradiction that
shows, not goods that were counted twice.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from coldchain.domain.identifiers import uri
from coldchain.domain.imports.goods import amounts, cases, quantities
from coldchain.domain.imports.mapping import Mapping
from coldchain.domain.imports.reading import Record

CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"coldchain": "urn:coldchain:vocabulary:"}]
MOST_LISTED = 200
"""Units or quantities in one event: an entry of the ledger has at most 65,535 bytes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Json = dict[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry to be: what the rows state. body: an EPCIS document of one event, or an exception claim."""

    rows: tuple[int, ...]
    body: Json

    @property
    def event(self) -> Json | None:
        events = self.body.get("epcisBody", {}).get("eventList", [])
        return events[0] if events else None


class Statement:
    """Writes the documents of one sender and one kind of sheet."""

    def __init__(self, sender: str, mapping: Mapping) -> None:
        self._sender = sender
        self._kind = mapping.kind.name
        self.zone = mapping.locale.zone
        self._namespace = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:coldchain:import:{sender}:{self._kind}")

    def event(self, rows: Sequence[Record], about: Sequence[Any], time_us: int, **said: Any) -> Fact:
        """about: what, with the sender and the kind of sheet, names the event."""
        moment = rfc3339(time_us, self.zone)
        own = {key.replace("__", ":"): value for key, value in said.items() if value not in (None, [], "")}
        event = {
            "type": own.pop("type"),
            "eventID": f"urn:uuid:{self._name(about)}",
            "eventTime": moment,
            "eventTimeZoneOffset": moment[-6:],
            **own,
        }
        document = {
            "@context": CONTEXT,
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": moment,
            "epcisBody": {"eventList": [event]},
        }
        return Fact(tuple(record.row for record in rows), document)

    def move(
        self, rows: Sequence[Record], about: Sequence[Any], parent: str, action: str, step: str, **said: Any
    ) -> list[Fact]:
        """Pallets and loose goods of these rows into, out of or seen in `parent`; several events for many of them."""
        pallets = sorted({record.get("pallet") for record in rows if "pallet" in record.values})
        loose = quantities(amounts(record for record in rows if "pallet" not in record.values))
        return self.aggregation(rows, about, parent, action, step, pallets, loose, **said)

    def aggregation(
        self,
        rows: Sequence[Record],
        about: Sequence[Any],
        parent: str,
        action: str,
        step: str,
        units: Sequence[str],
        goods: Sequence[Json],
        **said: Any,
    ) -> list[Fact]:
        listed = [("childEPCs", uri(unit)) for unit in units] + [("childQuantityList", one) for one in goods]
        found = []
        for part, some in enumerate(batches(listed)):
            fact = self.event(
                rows,
                [*about, parent, action, part],
                rows[0].get("time"),
                type="AggregationEvent",
                action=action,
                bizStep=step,
                parentID=uri(parent),
                **{name: [one for key, one in some if key == name] for name in ("childEPCs", "childQuantityList")},
                **said,
            )
            found.append(fact)
        return found

    def contents(self, rows: Sequence[Record], about: Sequence[Any], action: str, step: str, **said: Any) -> list[Fact]:
        """What is in each pallet of these rows, where they say."""
        found: list[Fact] = []
        for group in groups([record for record in rows if "pallet" in record.values], ["pallet"]):
            held = quantities(amounts(group))
            if held:
                pallet = group[0].get("pallet")
                found += self.aggregation(group, about, pallet, action, step, [], held, **said)
        return found

    def handover(self, rows: Sequence[Record], about: Sequence[Any], step: str, place: str, **said: Any) -> Fact:
        """One half of a handover: who gave what to whom, with how many cases in all. It moves nothing."""
        first = rows[0]
        pallets = sorted({record.get("pallet") for record in rows if "pallet" in record.values})
        held = amounts(rows)
        return self.event(
            rows,
            [*about, step],
            first.get("time"),
            type="ObjectEvent",
            action="OBSERVE",
            bizStep=step,
            epcList=[uri(pallet) for pallet in pallets],
            quantityList=quantities(held),
            readPoint={"id": uri(place)},
            bizLocation={"id": uri(place)},
            sourceList=[{"type": "possessing_party", "source": uri(first.get("sender"))}],
            destinationList=[{"type": "possessing_party", "destination": uri(first.get("receiver"))}],
            bizTransactionList=_papers(first, "desadv" if step == "shipping" else "recadv"),
            coldchain__count=cases(held),
            coldchain__vehicle=first.get("vehicle"),
            **said,
        )

    def _name(self, about: Sequence[Any]) -> uuid.UUID:
        return uuid.uuid5(self._namespace, json.dumps([str(part) for part in about], ensure_ascii=False))


def claim_fact(
    rows: Sequence[Record],
    *,
    claim: str,
    code: str,
    units: list[str],
    places: list[str],
    times: tuple[int, int],
    evidence: Json,
) -> Fact:
    body = {
        "doc": "exception-claim",
        "id": claim,
        "code": code,
        "units": units,
        "places": places,
        "from_us": times[0],
        "to_us": times[1],
        "evidence": {name: value for name, value in evidence.items() if value is not None},
    }
    return Fact(tuple(record.row for record in rows), body)


def groups(records: Iterable[Record], fields: Sequence[str]) -> Iterator[list[Record]]:
    """Records that agree in these fields, in the order of the sheet."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        found.setdefault(tuple(record.get(name) for name in fields), []).append(record)
    yield from found.values()


def batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """At most MOST_LISTED of them at a time."""
    for start in range(0, len(items), MOST_LISTED):
        yield items[start : start + MOST_LISTED]


def journey(first: Record) -> list[Any]:
    return [first.get(name) for name in ("document", "time", "room", "vehicle", "sender", "receiver")]


def standing_at(place: str | None) -> Json:
    return {} if place is None else {"readPoint": {"id": uri(place)}, "bizLocation": {"id": uri(place)}}


def _papers(first: Record, kind: str) -> list[Json]:
    number = first.get("document")
    return [{"type": kind, "bizTransaction": uri(f"wb:{number}")}] if number else []


def seal_facts(rows: Sequence[Record], unit: str | None, act: str) -> list[Json]:
    if unit is None:
        return []
    found = {(record.get("seal"), record.get("seal_state")) for record in rows if "seal" in record.values}
    return [
        {"seal": seal, "act": act, "unit": uri(unit), **({"state": state} if state else {})}
        for seal, state in sorted(found, key=str)
    ]


def rfc3339(t_us: int, zone: timezone) -> str:
    moment = (_EPOCH + timedelta(microseconds=t_us)).astimezone(zone)
    return moment.isoformat(timespec="milliseconds")
