"""Words to tell stories with: each is one fact as the ledger holds it. Times are hours from one morning on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from coldchain.domain.blocks import block_of
from coldchain.domain.events import Event, Quantity
from coldchain.domain.telemetry import Sample, Telemetry, runs_of
from coldchain.services.recorded import Recorded
from coldchain_ledger.entry import Entry

HOUR = 3_600_000_000
START = 1_772_438_400_000_000
S, T, U = "sscc:169012345000000025", "sscc:169012345000000032", "sscc:169012345000000049"
BOARD, OTHER_BOARD = "grai:06901234510010PLT0000001", "grai:06901234510010PLT0000002"
TRUCK, TRUCK2, TRAILER, TRAILER2 = "veh:TRUCK-1", "veh:TRUCK-2", "veh:TRAILER-1", "veh:TRAILER-2"
BOX, BOX2 = "cont:CSQU3054383", "cont:MORU0714983"
OUT, GATE, DOCK, STORE = "loc:w1/dock", "loc:w1/gate", "loc:w2/dock", "loc:w2/room-a"
ROADSIDE = "loc:roadside/1"


def hours(at_h: float) -> int:
    return START + round(at_h * HOUR)


def case(number: int) -> str:
    return f"case:16901234500018/{number:03d}"


def cases(*numbers: int) -> tuple[str, ...]:
    return tuple(case(number) for number in numbers)


def inner(*numbers: int) -> list[str]:
    return [f"code:inner/{number}" for number in numbers]


def fact(kind: str, key: str, by: str = "w1", grade: str = "signed", **decoded: Any) -> Recorded:
    return Recorded(1, -1, Entry(kind, by, 0, "application/json", key, grade, (), b""), **decoded)


def event(
    at_h: float, kind: str, action: str, by: str = "w1", extras: Mapping[str, Any] | None = None, **more: Any
) -> Recorded:
    """Any event; `extras` are our own fields."""
    stated = {name: value for name, value in (extras or {}).items() if value is not None}
    texts = tuple(sorted((name, json.dumps(value, sort_keys=True)) for name, value in stated.items()))
    more["units"] = tuple(sorted(more.get("units", ())))
    content = f"{at_h} {kind} {action} {by} {texts} {sorted(more.items())}"
    name = hashlib.sha256(content.encode()).hexdigest()[:16]
    one = Event(name, f"{kind}Event", hours(at_h), action, more.pop("step", ""), extras=texts, **more)
    return fact("event", f"ev/{name}/{by}", by, events=(one,))


def pack(
    at_h: float,
    load: str,
    *numbers: int,
    at: str = "",
    by: str = "w1",
    lots: Iterable[tuple[str, int]] = (),
    **extras: Any,
) -> Recorded:
    """Cases, by number, or lots, by name and amount, are put onto the load."""
    goods = tuple(sorted(Quantity(lot, amount * 1000, "") for lot, amount in lots))
    return event(
        at_h, "Aggregation", "ADD", by, extras, parent=load, units=cases(*numbers), quantities=goods, read_point=at
    )


def take(at_h: float, load: str, *numbers: int, at: str = "", by: str = "w1", **extras: Any) -> Recorded:
    """Cases are taken off; none named: all of them."""
    return event(at_h, "Aggregation", "DELETE", by, extras, parent=load, units=cases(*numbers), read_point=at)


def read(
    at_h: float, at: str, load: str, *numbers: int, by: str = "w1", lots: Iterable[tuple[str, int]] = (), **extras: Any
) -> Recorded:
    """A portal reads the load in full, or somebody counts it there."""
    goods = tuple(sorted(Quantity(lot, amount * 1000, "") for lot, amount in lots))
    return event(
        at_h, "Aggregation", "OBSERVE", by, extras, parent=load, units=cases(*numbers), quantities=goods, read_point=at
    )


def scan(at_h: float, at: str, *units: str, by: str = "w1", **extras: Any) -> Recorded:
    return event(at_h, "Object", "OBSERVE", by, extras, units=units, read_point=at)


def issue(at_h: float, *units: str, by: str = "plant", **extras: Any) -> Recorded:
    """Ids are commissioned."""
    return event(at_h, "Object", "ADD", by, extras, units=units, step="commissioning")


def load(at_h: float, carrier: str, *units: str, at: str = "", by: str = "w1", **extras: Any) -> Recorded:
    return event(at_h, "Aggregation", "ADD", by, extras, parent=carrier, units=units, read_point=at)


def seen_in(at_h: float, carrier: str, *units: str, at: str = "", by: str = "w1", **extras: Any) -> Recorded:
    return event(at_h, "Aggregation", "OBSERVE", by, extras, parent=carrier, units=units, read_point=at)


def unload(at_h: float, carrier: str, *units: str, at: str = "", by: str = "w2", **extras: Any) -> Recorded:
    return event(at_h, "Aggregation", "DELETE", by, extras, parent=carrier, units=units, read_point=at)


def repack(at_h: float, old: str, new: str, *numbers: int, by: str = "plant", **extras: Any) -> Recorded:
    """A transformation of the old load with its cases into the new one."""
    return event(at_h, "Transformation", "", by, extras, inputs=(old, *cases(*numbers)), outputs=(new,))


def seal(
    at_h: float, unit: str, number: str, act: str = "applied", state: str = "", by: str = "w1", at: str = ""
) -> Recorded:
    stated = {"seal": number, "act": act, "unit": unit} | ({"state": state} if state else {})
    return event(at_h, "Object", "OBSERVE", by, {"seals": [stated]}, units=(unit,), read_point=at)


def carton(
    at_h: float, at: str, number: int, state: str = "", within: Iterable[str] = (), by: str = "w1", **extras: Any
) -> Recorded:
    """Somebody looks at a carton."""
    stated = {"case": case(number)} | ({"state": state} if state else {}) | ({"inner": [*within]} if within else {})
    return event(at_h, "Object", "OBSERVE", by, {"cartons": [stated], **extras}, units=cases(number), read_point=at)


def board(
    at_h: float, at: str, load_: str, grai: str, by: str = "w1", action: str = "OBSERVE", **extras: Any
) -> Recorded:
    """The load is seen on, put on (ADD) or taken off (DELETE) a pallet board."""
    return event(at_h, "Association", action, by, extras, parent=grai, units=(load_,), read_point=at)


def site(
    name: str,
    *uses: str,
    lat: float | None = None,
    lon: float | None = None,
    radius_m: int = 500,
    from_h: float = -100,
    org: str = "w1",
) -> Recorded:
    body = {"v": 1, "op": "site", "id": name, "n": 1, "from_us": hours(from_h), "org": org, "name": name}
    body |= {"uses": list(uses)}
    if lat is not None and lon is not None:
        body |= {"lat_e7": round(lat * 1e7), "lon_e7": round(lon * 1e7), "radius_m": radius_m}
    return fact("identity", f"identity/site/{name}/1", "operator", "declared", body=body)


def mounted(device: str = "truck-1", place: str = TRUCK, org: str = "carrier") -> Recorded:
    body = {"op": "enrol", "device": device, "org": org, "site": "s", "kid": f"{device}#1", "alg": "EdDSA",
            "public_key": "", "grade": "signed", "role": "sensor", "place": place}  # fmt: skip
    return fact("identity", f"identity/enrol/{device}#1", "operator", "declared", body=body)


def told(seq: int, *samples: tuple[float, str, Any], device: str = "truck-1") -> Recorded:
    """A message of a device: (hour, name, value)."""
    runs = runs_of(Sample(name, hours(at_h), value) for at_h, name, value in samples)
    said = Telemetry(device, 1, seq, runs)
    return fact("telemetry", f"tm/{device}/1/{seq}", "carrier", telemetry=said, block=block_of(runs), kid=f"{device}#1")


def doors(seq: int, *samples: tuple[float, bool], device: str = "truck-1") -> Recorded:
    return told(seq, *((at_h, "door/rear", is_open) for at_h, is_open in samples), device=device)


def claim(
    code: str,
    evidence: Mapping[str, Any],
    *names: str,
    from_h: float = 0,
    to_h: float = 20,
    by: str = "carrier",
    name: str = "c1",
) -> Recorded:
    places = [one for one in names if one.startswith(("veh:", "loc:", "room:"))]
    body = {"v": 1, "doc": "exception-claim", "id": name, "code": code, "places": places, "by": by,
            "units": [one for one in names if one not in places], "from_us": hours(from_h), "to_us": hours(to_h),
            "evidence": dict(evidence)}  # fmt: skip
    return fact("document", f"doc/claim/{name}", by, "declared", body=body)


def ruled(name: str = "c1", decision: str = "confirmed", role: str = "customs", by: str = "", n: int = 1) -> Recorded:
    body = {"v": 1, "order": "claim-decision", "claim": name, "decision": decision, "role": role}
    return fact("order", f"order/claim-decision/{name}/{n}", by or role, "declared", body=body)


def paper(name: str = "c1", digest: str = "ab" * 32, by: str = "carrier") -> Recorded:
    body = {"v": 1, "doc": "exception-paper", "claim": name, "sha256": digest}
    return fact("document", f"doc/paper/{name}/{digest}", by, "transcribed", body=body)


def supervision(at_h: float, act: str, *units: str, kind: str = "customs", by: str = "customs", n: int = 1) -> Recorded:
    body = {"v": 1, "order": "customs-supervision", "id": "d1", "n": n, "act": act, "units": list(units), "kind": kind,
            "time_us": hours(at_h)}  # fmt: skip
    return fact("order", f"order/customs-supervision/d1/{n}", by, "declared", body=body)
