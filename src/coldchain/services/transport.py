"""Unsigned payloads of registered gateways on their way into the ledger: of transport grade, byte for byte (design §6).

What is known of their sender is whose account they came by, so everything in them stands on the gateway's word.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from coldchain.domain.mappings import Channel, DeviceMap, Gateway, MapError, Sources, read_gateway, read_map
from coldchain.domain.units import units_of
from coldchain.domain.uplinks import Uplink, source_name
from coldchain.services.identity import CommandRefused
from coldchain.services.registry import Registry
from coldchain_ledger.log import Draft

GRADE = "transport"
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,160}")


class PlainWire(Protocol):
    """The formats of gateways (decoders/formats.py)."""

    def plain(self, payload: bytes, name: str, content_type: str, topic: str) -> tuple[str, Uplink]:
        """(media type, what it says). Raises Unattributable `malformed-payload`, and `no-time` where it has neither an
        id of its own nor an absolute time."""
        ...


def uplink_draft(gateway: Gateway, sources: Sources, media_type: str, uplink: Uplink, payload: bytes) -> Draft:
    """The entry of one payload. Its key is the message's own id, or the hash of its bytes, with their topic where that
    says who speaks: the same again is one entry (telemetry §2). It names the sources, so that what they said before
    they were mapped is found as well."""
    names = {f"dev:{gateway.device}"}
    for source in uplink.sources:
        names.add(source_name(gateway.device, source))
        device = sources.device(gateway.device, source or gateway.device)
        names |= {f"dev:{device}"} if device is not None else set()
    unique = uplink.message_id
    if not _PLAIN_ID.fullmatch(unique):
        said = unique.encode("utf-8", "surrogatepass") or media_type.partition(";")[2].encode() + payload
        unique = hashlib.sha256(said).hexdigest()
    return Draft(
        kind="telemetry",
        by=gateway.org,
        type=media_type,
        key=f"tr/{gateway.device}/{unique}",
        grade=GRADE,
        subjects=tuple(sorted(names, key=str.encode)),
        payload=payload,
    )


def gateway_order(registry: Registry, by: str, stated: Mapping[str, Any]) -> tuple[Gateway, Draft | None]:
    """The next version of a gateway; the newest and None where it says the same. Raises CommandRefused."""
    before = registry.gateway(str(stated.get("device")))
    body = {"v": 1, "op": "gateway", **stated, "n": before.n + 1 if before else 1}
    try:
        version = read_gateway(body)
    except MapError as error:
        raise CommandRefused(str(error)) from error
    if registry.latest(version.device) is not None:
        raise CommandRefused(f"device {version.device!r} signs its messages: a gateway needs an id of its own")
    if before is not None and (before.org, before.site) != (version.org, version.site):
        raise CommandRefused(f"gateway {version.device!r} is {before.org}/{before.site}: register another id")
    if before is not None and before == read_gateway({**body, "n": before.n}):
        return before, None
    return version, _identity(by, version.key, {f"dev:{version.device}"}, body)


def map_order(registry: Registry, by: str, stated: Mapping[str, Any], now_us: int) -> tuple[DeviceMap, Draft | None]:
    """The next version of a device's mapping; what it does not state stays as it was. It holds from now on unless it
    says `from_us`; the newest and None where nothing is new. Raises CommandRefused."""
    before = registry.sources.latest(str(stated.get("device")))
    given = {name: value for name, value in stated.items() if value is not None}
    n = before.n + 1 if before else 1
    gateway = _open_gateway(registry, str(given.get("gateway", before.gateway if before else "")))
    kept = registry.stated_maps[before.key] if before else {"org": gateway.org, "site": gateway.site}
    body = {"v": 1, "op": "mapping", **kept, "from_us": now_us if before else 0, **given, "n": n}
    try:
        version = read_map(body)
    except MapError as error:
        raise CommandRefused(str(error)) from error
    _check_map(registry, gateway, version)
    if "channels" in given:
        _check_units(version.channels.values())
    if before is not None and kept == {**body, "n": before.n, "from_us": given.get("from_us", before.from_us)}:
        return before, None
    names = {f"dev:{version.device}", source_name(version.gateway, version.source)}
    return version, _identity(by, version.key, names | ({version.place} if version.place else set()), body)


def _open_gateway(registry: Registry, device: str) -> Gateway:
    gateway = registry.gateway(device)
    if gateway is None or gateway.closed:
        raise CommandRefused(f"gateway {device!r} is not registered, or closed: coldchain device gateway")
    return gateway


def _check_map(registry: Registry, gateway: Gateway, version: DeviceMap) -> None:
    if gateway.org != version.org:
        raise CommandRefused(f"gateway {gateway.device!r} is of {gateway.org}, the device of {version.org}")
    if registry.latest(version.device) is not None:
        raise CommandRefused(f"device {version.device!r} signs its messages itself: choose another id")
    holder = registry.sources.device(version.gateway, version.source)
    if holder not in (None, version.device):
        raise CommandRefused(
            f"{version.source!r} of {version.gateway} is device {holder!r}, and stays it; mount it elsewhere instead"
        )


def _check_units(channels: Iterable[Channel]) -> None:
    """Of an order alone: a recorded mapping with such a unit stays a fact, and its readings `bad-type`."""
    for channel in channels:
        units = units_of(channel.name)
        if channel.unit and units is not None and channel.unit not in units:
            expected = f"one of {', '.join(units)}, which scale and offset may lead to" if units else "no unit: a state"
            raise CommandRefused(
                f"channel {channel.raw!r}: unit of {channel.name}: expected {expected}, found {channel.unit!r}"
            )


def _identity(by: str, key: str, names: set[str], body: Mapping[str, Any]) -> Draft:
    return Draft(
        kind="identity",
        by=by,
        type="application/json",
        key=key,
        grade="declared",
        subjects=tuple(sorted(names, key=str.encode)),
        payload=json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(),
    )
