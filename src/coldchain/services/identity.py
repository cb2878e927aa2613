"""Enrolling, rotating and revoking device keys: commands checked against the registry, then recorded (design §6)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from coldchain.domain.fittings import FittingError, read_fitting, stated_fields
from coldchain.services.registry import Key, Registry
from coldchain_ledger.log import Draft

Grade = Literal["signed", "transport"]
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACE = re.compile(r"(veh|room):[A-Za-z0-9_/-]{1,120}")


class CommandRefused(Exception):
    """A command that may not be carried out; the text says why."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an operator states about a device when its key enters the registry."""

    org: str
    site: str
    device: str
    alg: Literal["EdDSA", "ES256"]
    public_key: str
    """base64 of the SubjectPublicKeyInfo DER."""
    grade: Grade = "signed"
    place: str | None = None
    """Where it is mounted: `veh:<id>` or `room:<site>/<id>`."""
    profile: str | None = "CN-frozen"
    """Rule pack its temperatures are judged by; None judges nothing."""
    time_floor_us: int = 0
    role: Literal["sensor", "portal"] = "sensor"
    probes: Mapping[str, str] = field(default_factory=dict)
    """Probe, without `temp/`, to `product` or `air` (`domain.fittings`)."""
    controller: bool = False
    """Whether it is the refrigeration's own controller."""
    calibration: Mapping[str, str] | None = None
    """`certificate`, and its last day `until`."""


def enrol(registry: Registry, by: str, order: Enrolment) -> tuple[str, Draft]:
    """The `kid` and the entry that enrols a new device. Raises CommandRefused when the id is taken or malformed."""
    for label, value in (("organisation", order.org), ("site", order.site), ("device id", order.device)):
        if not _NAME.fullmatch(value):
            raise CommandRefused(f"{label} {value!r}: expected 1 to 64 of A-Z a-z 0-9 _ -")
    if order.place is not None and not _PLACE.fullmatch(order.place):
        raise CommandRefused(f"place {order.place!r}: expected veh:<id> or room:<site>/<id>")
    if registry.latest(order.device) is not None:
        raise CommandRefused(f"device {order.device!r} is enrolled already; rotate its key or choose another id")
    if registry.gateway(order.device) is not None:
        raise CommandRefused(f"{order.device!r} is a gateway, whose messages are unsigned; choose another id")
    try:
        read_fitting(_fitting(order))
    except FittingError as error:
        raise CommandRefused(str(error)) from error
    _check_unused(registry, order.public_key)
    kid = f"{order.device}#1"
    return kid, _draft(by, kid, "enrol", order)


def check_again(known: Key, order: Enrolment, time_floor_us: int) -> None:
    """Enrolling again gives another password and changes nothing: refused where the order states another thing than
    the enrolment did. What it leaves at its default states nothing; time_floor_us: that of the setting. Raises
    CommandRefused."""
    device, plain = order.device, Enrolment(order.org, order.site, order.device, order.alg, order.public_key)
    plain = replace(plain, time_floor_us=time_floor_us)
    ways = {"place": f"coldchain party mount add --id {device}"}
    for name in ("place", "profile", "grade", "role", "time_floor_us"):
        stated, before = getattr(order, name), known.stated.get(name)
        if stated not in (getattr(plain, name), before):
            way = ways.get(name, "what an enrolment says of it stays; choose another id")
            raise CommandRefused(f"device {device!r} is enrolled with {name} {before!r}, not {stated!r}: {way}")
    fitting, before = stated_fields(_fitting(order)), stated_fields(known.stated)
    if fitting and fitting != before:
        raise CommandRefused(
            f"device {device!r} is enrolled with {_shown(before)}, not {_shown(fitting)}: "
            f"coldchain party fitting add --id {device} states another fitting, from a time on"
        )


def rotate(
    registry: Registry, by: str, device: str, alg: Literal["EdDSA", "ES256"], public_key: str
) -> tuple[str, Draft]:
    """The new `kid` and the entry; the old key stays good until it is revoked, so that rotation can overlap."""
    current = _enrolled(registry, device)
    _check_unused(registry, public_key)
    kid = f"{device}#{int(current.kid.rpartition('#')[2]) + 1}"
    body = {**current.stated, "op": "rotate", "kid": kid, "alg": alg, "public_key": public_key}
    return kid, _identity(by, f"identity/enrol/{kid}", body)


def revoke(registry: Registry, by: str, device: str, kid: str | None = None) -> list[Draft]:
    """Entries that revoke one key, or every key of the device that is still good. Raises CommandRefused if none is."""
    _enrolled(registry, device)
    good = [key.kid for key in registry.keys_of(device) if key.revoked_at is None and kid in (None, key.kid)]
    if not good:
        raise CommandRefused(f"device {device!r} has no valid key{f' {kid!r}' if kid else ''} to revoke")
    return [
        _identity(by, f"identity/revoke/{one}", {"v": 1, "op": "revoke", "device": device, "kid": one}) for one in good
    ]


def _check_unused(registry: Registry, public_key: str) -> None:
    """One key in two devices is what a clone looks like."""
    holder = next((key.kid for key in registry.all() if key.stated["public_key"] == public_key), None)
    if holder is not None:
        raise CommandRefused(f"this public key is enrolled as {holder} already: every device needs a key of its own")


def _enrolled(registry: Registry, device: str) -> Key:
    current = registry.latest(device)
    if current is None:
        raise CommandRefused(f"device {device!r} is not enrolled")
    return current


def _shown(fitting: Mapping[str, Any]) -> str:
    return "the fitting " + json.dumps(fitting, ensure_ascii=False, sort_keys=True) if fitting else "no fitting"


def _fitting(order: Enrolment) -> dict[str, Any]:
    return {"probes": order.probes, "controller": order.controller, "calibration": order.calibration}


def _draft(by: str, kid: str, op: str, order: Enrolment) -> Draft:
    body = {
        "v": 1,
        "op": op,
        "device": order.device,
        "org": order.org,
        "site": order.site,
        "kid": kid,
        "alg": order.alg,
        "public_key": order.public_key,
        "grade": order.grade,
        "place": order.place,
        "profile": order.profile,
        "time_floor_us": order.time_floor_us,
        "role": order.role,
        **stated_fields(_fitting(order)),
    }
    return _identity(by, f"identity/enrol/{kid}", body)


def _identity(by: str, key: str, body: dict[str, Any]) -> Draft:
    names = {f"dev:{body['device']}"} | ({body["place"]} if body.get("place") else set())
    return Draft(
        kind="identity",
        by=by,
        type="application/json",
        key=key,
        grade="declared",
        subjects=tuple(sorted(names)),
        payload=json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(),
    )
