"""A small ledger with a story, told by signed messages and captured events.

Truck T1 carries a pallet for six hours, its box warm for forty minutes; two of the pallet's eight cases are exchanged
on the way and nobody answers for it. One message is forged, one event names more units than fit an entry's header.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime

from coldchain.bootstrap.core import Core
from coldchain.services.identity import Enrolment, enrol
from coldchain.services.messages import Inbound
from coldchain_devices.signer import DeviceKey, b64url

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_772_438_400_000_000  # 2026-03-02T08:00:00Z
END = START + 86 * HOUR
"""The clock when it is told: past every deadline."""
PALLET = "sscc:169012345000000025"
OTHER = "sscc:169012345000000032"
TRUCK = "veh:T1"
DEVICE = "t1-gw"


class Clock:
    """Stands where the test sets it."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


class Sender:
    """A device that signs each message and names the one before (design §6)."""

    def __init__(
        self, core: Core, device: str, place: str | None, profile: str = "CN-frozen", org: str = "polar"
    ) -> None:
        self.device = device
        self._org = org
        self._key = DeviceKey.derive(device.encode())
        self._seq, self._prev = 0, b""
        spki = b64encode(self._key.public_spki()).decode()
        core.refresh_registry()
        order = Enrolment(org, "s1", device, "EdDSA", spki, place=place, profile=profile)
        self.kid, draft = enrol(core.registry, core.log.origin, order)
        core.log.append([draft])

    def message(self, pack: list[dict[str, object]], forged: bool = False) -> Inbound:
        header = {
            "alg": "EdDSA",
            "kid": self.kid,
            "typ": "senml+json",
            "boot": 1,
            "seq": self._seq,
            "prev": b64url(self._prev),
        }
        signed = b".".join(b64url(json.dumps(part).encode()).encode() for part in (header, pack))
        jws = signed + b"." + b64url(self._key.sign(b"else" if forged else signed)).encode()
        if not forged:
            self._seq, self._prev = self._seq + 1, hashlib.sha256(jws).digest()
        return Inbound(f"cc/v1/{self._org}/s1/{self.device}/up", jws)


def temperatures(from_us: int, minutes: int) -> list[dict[str, object]]:
    """A reading a minute of two probes; from 11:00 to 11:40 the box is warm."""
    pack: list[dict[str, object]] = []
    for at_us in range(from_us, from_us + minutes * MINUTE, MINUTE):
        warm = START + 3 * HOUR <= at_us < START + 3 * HOUR + 40 * MINUTE
        pack += [
            {"n": "temp/box", "t": at_us / 1e6, "u": "Cel", "v": -4.5 if warm else -20.5},
            {"n": "temp/return", "t": at_us / 1e6, "u": "Cel", "v": -19.25 if at_us // MINUTE % 2 else -19.5},
        ]
    return pack


def epcis(at_us: int, action: str, parent: str, children: list[str], **more: object) -> bytes:
    event = {
        "type": "AggregationEvent",
        "eventTime": datetime.fromtimestamp(at_us / 1e6, UTC).isoformat().replace("+00:00", "Z"),
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        "parentID": f"urn:coldchain:{parent}",
        "childEPCs": [f"urn:coldchain:{child}" for child in children],
        **more,
    }
    document = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": event["eventTime"],
    }
    return json.dumps({**document, "epcisBody": {"eventList": [event]}}).encode()


def cases(*numbers: int) -> list[str]:
    return [f"case:16901234500018/{number:03d}" for number in numbers]


def at(place: str) -> dict[str, str]:
    return {"id": f"urn:coldchain:{place}"}


def tell(core: Core, clock: Clock) -> None:
    """The story, in the order it happened."""
    truck, room = Sender(core, DEVICE, TRUCK), Sender(core, "r1-ctl", "room:s1/a")
    whole, swapped = (1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5, 6, 17, 18)
    core.capture("polar", epcis(START, "ADD", PALLET, cases(*whole), bizStep="packing", readPoint=at("loc:s1/pack")))
    core.capture(
        "polar", epcis(START, "ADD", OTHER, cases(*range(11, 19)), bizStep="packing", readPoint=at("loc:s1/pack"))
    )
    core.capture(
        "polar", epcis(START + MINUTE, "OBSERVE", PALLET, cases(*whole), bizStep="loading", readPoint=at("loc:s1/dock"))
    )
    core.capture(
        "polar", epcis(START + 2 * MINUTE, "ADD", TRUCK, [PALLET], bizStep="loading", bizLocation=at("loc:s1"))
    )
    for minute in range(0, 360, 2):
        from_us = START + minute * MINUTE
        clock.now_us = from_us + 2 * MINUTE
        core.admission.admit([truck.message(temperatures(from_us, 2)), room.message(temperatures(from_us, 1)[1:])])
    core.admission.admit([truck.message(temperatures(START, 1), forged=True)])
    core.capture(
        "polar", epcis(START + 6 * HOUR, "DELETE", TRUCK, [PALLET], bizStep="unloading", bizLocation=at("loc:s2"))
    )
    for minute, point in ((1, "dock"), (2, "room")):
        read = epcis(
            START + 6 * HOUR + minute * MINUTE, "OBSERVE", PALLET, cases(*swapped), readPoint=at(f"loc:s2/{point}")
        )
        core.capture("polar", read)
    many = [f"case:16901234500018/9{number:04d}" for number in range(450)]
    core.capture("polar", epcis(START + 6 * HOUR, "ADD", "room:s1/a", many, bizStep="storing"))
    core.settle()
    clock.now_us += 80 * HOUR
    core.settle()
    core.settle()


@dataclass(frozen=True)
class Told:
    """The ledger after the story."""

    core: Core
    clock: Clock
