"""EPCIS 2.0 documents as portals and warehouse systems write them, one event each."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from coldchain_devices.goods import Case, Pallet

CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"]


def private(name: str) -> str:
    """The URI of a subject without a GS1 key: `veh:TRUCK-1` -> `urn:coldchain:veh:TRUCK-1`."""
    return f"urn:coldchain:{name}"


def rfc3339(t_us: int) -> str:
    """UTC with milliseconds and Z."""
    return datetime.fromtimestamp(t_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class EventWriter:
    """Builds documents whose event ids follow from the seed and the event alone (UUID version 5)."""

    def __init__(self, seed: int, zone: str = "+08:00") -> None:
        """zone: the eventTimeZoneOffset of the places, `+08:00`."""
        self._namespace = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:coldchain:simulation:{seed}")
        self._zone = zone

    def document(self, t_us: int, event: dict[str, Any]) -> bytes:
        """An EPCIS document around the event, which gets its time, zone and id here."""
        timed = {**event, "eventTime": rfc3339(t_us), "eventTimeZoneOffset": self._zone}
        event_id = uuid.uuid5(self._namespace, json.dumps(timed, sort_keys=True))
        document = {
            "@context": CONTEXT,
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": rfc3339(t_us),
            "epcisBody": {"eventList": [{"eventID": f"urn:uuid:{event_id}", **timed}]},
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    def commissioning(self, t_us: int, pallet: Pallet, place: str) -> bytes:
        """The cases get their codes at the first receiver; the lot is stated here."""
        return self.document(
            t_us,
            {
                "type": "ObjectEvent",
                "action": "ADD",
                "bizStep": "commissioning",
                "disposition": "active",
                "epcList": [case.epc for case in pallet.cases],
                "readPoint": {"id": private(place)},
                "bizLocation": {"id": private(place)},
                "ilmd": {"cbvmda:lotNumber": pallet.product.lot},
            },
        )

    def packing(self, t_us: int, pallet: Pallet, place: str) -> bytes:
        """The cases are stacked on the pallet and get its SSCC."""
        return self._aggregation(t_us, "ADD", "packing", pallet.epc, _epcs(pallet.cases), place)

    def loading(self, t_us: int, vehicle: str, pallets: Sequence[Pallet], place: str) -> bytes:
        """The pallets are in the vehicle (`veh:…`) from now on."""
        return self._aggregation(t_us, "ADD", "loading", private(vehicle), _epcs(pallets), place)

    def unloading(self, t_us: int, vehicle: str, pallets: Sequence[Pallet], place: str) -> bytes:
        """The pallets are out of the vehicle from now on."""
        return self._aggregation(t_us, "DELETE", "unloading", private(vehicle), _epcs(pallets), place)

    def room_in(self, t_us: int, room: str, pallets: Sequence[Pallet]) -> bytes:
        """The pallets are in the room (`room:…`) from now on."""
        return self._aggregation(t_us, "ADD", "storing", private(room), _epcs(pallets), room)

    def room_out(self, t_us: int, room: str, pallets: Sequence[Pallet]) -> bytes:
        """The pallets are out of the room from now on."""
        return self._aggregation(t_us, "DELETE", "picking", private(room), _epcs(pallets), room)

    def seen(
        self, t_us: int, pallet: Pallet, cases: Sequence[Case], *, step: str, read_point: str, location: str
    ) -> bytes:
        """These case tags were read under this SSCC: a portal's passage, or a count by hand."""
        return self._aggregation(t_us, "OBSERVE", step, pallet.epc, _epcs(cases), location, read_point)

    def _aggregation(
        self,
        t_us: int,
        action: str,
        step: str,
        parent: str,
        children: Sequence[str],
        location: str,
        read_point: str | None = None,
    ) -> bytes:
        return self.document(
            t_us,
            {
                "type": "AggregationEvent",
                "action": action,
                "bizStep": step,
                "parentID": parent,
                "childEPCs": children,
                "readPoint": {"id": private(read_point or location)},
                "bizLocation": {"id": private(location)},
            },
        )


def _epcs(units: Sequence[Case] | Sequence[Pallet]) -> list[str]:
    return [unit.epc for unit in units]
