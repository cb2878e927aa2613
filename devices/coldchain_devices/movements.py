"""The goods of a scenario: coded, packed, loaded, unloaded, counted; what is recorded of it, and what is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from coldchain_devices.config import Batch, Config, Count, Inspection, PortalSpec, Swap
from coldchain_devices.errors import ScenarioError
from coldchain_devices.events import EventWriter, rfc3339
from coldchain_devices.faults import repalletize, take_out
from coldchain_devices.goods import Pallet, Product
from coldchain_devices.journeys import (
    EVENT_AFTER_OPEN_S,
    FIRST_READ_S,
    LOADED_S,
    NEXT_PORTAL_S,
    READ_EVERY_S,
    STORED_S,
    Journey,
)
from coldchain_devices.papers import Claim
from coldchain_devices.plan import Action, Capture, Misreads, Note, Publish
from coldchain_devices.portal import ReadPoint, TagReader, passage

SECOND = 1_000_000
PACK_EVERY_S = 180


class Goods:
    """Plays the movements of all pallets in order of time and collects what is recorded of them."""

    def __init__(self, config: Config, seed: int, start_s: int, journeys: Sequence[Journey]) -> None:
        self._config, self._seed, self._start_s, self._journeys = config, seed, start_s, journeys
        self._sites = {site.id: site for site in config.site}
        self._products = {p.id: Product(p.company, p.item, p.lot, p.name) for p in config.product}
        self._writer = EventWriter(seed, config.zone)
        self._reader = TagReader(f"{seed}/tags", config.reads.missed, config.reads.stray)
        self._delays = random.Random(f"{seed}/delays")
        self._pallets: dict[int, Pallet] = {}
        self._room: dict[int, str] = {}
        self.actions: list[Action] = []
        self.notes: list[Note] = []

    @property
    def misreads(self) -> Misreads:
        return Misreads(self._reader.missed_reads, self._reader.stray_reads)

    def play(self) -> None:
        """Fill `actions` and `notes`: what comes later sees the pallets as what came before left them."""
        for _, act in sorted(self._agenda(), key=lambda item: item[0]):
            act()

    def _agenda(self) -> list[tuple[int, Callable[[], None]]]:
        agenda: list[tuple[int, Callable[[], None]]] = []
        for batch in self._config.batch:
            agenda.append((self._at(batch.at_h), partial(self._pack, batch)))
        for journey in self._journeys:
            if journey.trip.pallets:
                agenda.append((journey.load_s, partial(self._load, journey)))
                agenda.append((journey.unload_s, partial(self._unload, journey)))
            if journey.trip.inspection and journey.stop_s:
                agenda.append((journey.stop_s[0], partial(self._inspect, journey, journey.trip.inspection)))
        for count in self._config.count:
            agenda.append((self._at(count.at_h), partial(self._count, count)))
        return agenda

    def _at(self, hours: float) -> int:
        return self._start_s + round(hours * 3600)

    # What is recorded

    def _capture(self, t_s: int, org: str, write: Callable[[int], bytes]) -> None:
        """A system records the event when someone gets to it: 20 to 90 s later."""
        recorded_us = t_s * SECOND + self._delays.randrange(20 * SECOND, 90 * SECOND)
        self.actions.append(Capture(recorded_us, org, write(t_s * SECOND)))

    def _pass(self, portal: PortalSpec, location: str, first_s: int, load: Sequence[Pallet], step: str) -> None:
        """The pallets go through one after the other, the first at `first_s`; a portal sends 1 to 3 s later."""
        at = ReadPoint(portal.id, f"loc:{portal.site}/{portal.point}", location)
        for i, pallet in enumerate(load):
            read_us = (first_s + i * READ_EVERY_S) * SECOND
            beside = [other for other in load if other is not pallet]
            body = passage(self._writer, self._reader, at, read_us, pallet, beside, step)
            sent_us = read_us + self._delays.randrange(SECOND, 3 * SECOND)
            if body is not None:
                self.actions.append(Publish(sent_us, at.device, "epcis+json", body, read_us))

    def _portals(self, site: str, *inside: str) -> list[PortalSpec]:
        return [p for where in inside for p in self._config.portal if p.site == site and p.inside == where]

    def _pack(self, batch: Batch) -> None:
        site, product = self._sites[batch.site], self._products[batch.product]
        for i, number in enumerate(range(batch.first, batch.last + 1)):
            t_s = self._at(batch.at_h) + i * PACK_EVERY_S
            pallet = self._pallets[number] = Pallet.of(number, product, batch.cases)
            self._room[number] = batch.site
            self._capture(t_s, site.org, partial(self._writer.commissioning, pallet=pallet, place=site.room_place))
            self._capture(t_s + 60, site.org, partial(self._writer.packing, pallet=pallet, place=site.room_place))
            self._capture(t_s + 120, site.org, partial(self._writer.room_in, room=site.room_place, pallets=[pallet]))

    def _load(self, journey: Journey) -> None:
        """Out of the room, past the portals, into the truck. A silent swap happens between portal and truck."""
        t_s, trip, site = journey.load_s, journey.trip, self._sites[journey.trip.origin]
        load, vehicle = [self._take(number, site.id) for number in trip.pallets], f"veh:{trip.vehicle}"
        room_out = partial(self._writer.room_out, room=site.room_place, pallets=load)
        self._capture(t_s + EVENT_AFTER_OPEN_S, site.org, room_out)
        for i, portal in enumerate(self._portals(site.id, "room", "dock")):
            self._pass(portal, site.place, t_s + FIRST_READ_S + i * NEXT_PORTAL_S, load, "loading")
        if trip.swap:
            self._swap(journey, trip.swap)
        loading = partial(self._writer.loading, vehicle=vehicle, pallets=load, place=site.place)
        self._capture(t_s + LOADED_S, site.org, loading)

    def _take(self, number: int, site: str) -> Pallet:
        if self._room.pop(number, None) != site:
            raise ScenarioError(f"{self._config.name}: pallet {number} is not at {site} when it should be loaded")
        return self._pallets[number]

    def _unload(self, journey: Journey) -> None:
        """Out of the truck, past the dock's portal and the room's own, into the room."""
        t_s, trip, site = journey.unload_s, journey.trip, self._sites[journey.trip.to]
        load, vehicle = [self._pallets[number] for number in trip.pallets], f"veh:{trip.vehicle}"
        unloading = partial(self._writer.unloading, vehicle=vehicle, pallets=load, place=site.place)
        self._capture(t_s + EVENT_AFTER_OPEN_S, site.org, unloading)
        for portal in self._portals(site.id, "dock"):
            self._pass(portal, site.place, t_s + FIRST_READ_S, load, "unloading")
        for portal in self._portals(site.id, "room"):
            self._pass(portal, site.room_place, t_s + FIRST_READ_S + NEXT_PORTAL_S, load, "storing")
        stored = partial(self._writer.room_in, room=site.room_place, pallets=load)
        self._capture(t_s + STORED_S, site.org, stored)
        self._room |= {pallet.number: site.id for pallet in load}

    def _count(self, count: Count) -> None:
        site = self._sites[count.site]
        for i, number in enumerate(n for n, where in sorted(self._room.items()) if where == site.id):
            pallet = self._pallets[number]
            scanned = partial(
                self._writer.seen,
                pallet=pallet,
                cases=pallet.cases,
                step="stock_taking",
                read_point=f"{site.place}/handheld-1",
                location=site.room_place,
            )
            self._capture(self._at(count.at_h) + i * 60, site.org, scanned)

    # What nobody records, or only on paper

    def _swap(self, journey: Journey, swap: Swap) -> None:
        a, b = (self._pallets[number] for number in swap.pallets)
        moved = repalletize(a, b, swap.cases, f"{self._seed}/swap/{a.number}/{b.number}")
        names = (a.name, b.name, *(case.name for side in moved for case in side))
        from_us = (journey.load_s + FIRST_READ_S + len(journey.trip.pallets) * READ_EVERY_S) * SECOND
        self.notes.append(Note("re-palletizing", from_us, (journey.load_s + LOADED_S) * SECOND, names))

    def _inspect(self, journey: Journey, inspection: Inspection) -> None:
        """Customs break the seal, take cases out and seal again; the papers follow hours later."""
        if journey.stop_s is None:
            return
        pallet, (from_s, to_s) = self._pallets[inspection.pallet], journey.stop_s
        taken = take_out(pallet, inspection.cases, f"{self._seed}/inspection/{pallet.number}")
        vehicle, units = f"veh:{journey.trip.vehicle}", (pallet.name, *(case.name for case in taken))
        self.notes.append(Note("inspection", from_s * SECOND, to_s * SECOND, (vehicle, *units)))
        claim = Claim(
            id=f"E1-{inspection.order}",
            code="E1",
            units=units,
            places=(vehicle,),
            from_us=from_s * SECOND,
            to_us=to_s * SECOND,
            evidence=_evidence(inspection, from_s * SECOND),
            by=self._config.carrier,
        )
        claimed_us = (to_s + round(inspection.claim_after_h * 3600)) * SECOND
        decided_us = (to_s + round(inspection.decision_after_h * 3600)) * SECOND
        reason = f"inspection under order {inspection.order} took place"
        self.actions.append(claim.paper(claimed_us))
        self.actions.append(claim.decided(decided_us, "confirmed", inspection.customs, "customs", reason))


def _evidence(inspection: Inspection, at_us: int) -> dict[str, Any]:
    """The minimum of E1 (domain §3), and what else the notice says."""
    return {
        "date": rfc3339(at_us)[:10],
        "office": inspection.office,
        "order_no": inspection.order,
        "old_seal": inspection.old_seal,
        "new_seal": inspection.new_seal,
        "officer": inspection.officer,
        "cases_opened": inspection.cases,
    }
