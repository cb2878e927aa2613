"""Goods that travel: a pack with budgets, devices that send a reading a minute, events that move units."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from coldchain.bootstrap.core import Core
from coldchain.services.chores import rule_entries
from coldchain.services.identity import Enrolment, enrol
from coldchain.services.messages import Inbound
from coldchain_devices.signer import DeviceKey, b64url
from web.story import MINUTE, START, at, epcis

PACK: dict[str, Any] = {
    "name": "QF-test",
    "version": 1,
    "clause": "quick-frozen, as tested",
    "verified": False,
    "stages": {
        "transport": {
            "clause": "carried at -18 °C", "limit_mc": -18_000, "hysteresis_mc": 500, "consecutive_s": 900,
            "max_gap_s": 600, "precool_mc": -18_000, "handover_mc": -15_000,
        },
        "storage": {
            "clause": "stored at -18 °C", "limit_mc": -18_000, "hysteresis_mc": 500, "consecutive_s": 2700,
            "max_gap_s": 1800,
        },
    },
    "budgets": [{"above_mc": -15_000, "max_s": 1800, "clause": "half an hour above -15 °C"}],
}  # fmt: skip


class Sender:
    """A device that signs each message and names the one before (design §6)."""

    def __init__(self, core: Core, device: str, place: str, profile: str | None = "QF-test", **more: Any) -> None:
        self.device = device
        self._key = DeviceKey.derive(device.encode())
        self._seq, self._prev = 0, b""
        spki = b64encode(self._key.public_spki()).decode()
        core.refresh_registry()
        order = Enrolment("polar", "s1", device, "EdDSA", spki, place=place, profile=profile, **more)
        self.kid, draft = enrol(core.registry, core.log.origin, order)
        core.log.append([draft])

    def says(self, readings: Iterable[tuple[int, float]], probe: str = "box") -> Inbound:
        """readings: (minute, °C)."""
        pack = [
            {"n": f"temp/{probe}", "t": (START + minute * MINUTE) / 1e6, "u": "Cel", "v": c} for minute, c in readings
        ]
        header = {
            "alg": "EdDSA", "kid": self.kid, "typ": "senml+json", "boot": 1, "seq": self._seq,
            "prev": b64url(self._prev),
        }  # fmt: skip
        signed = b".".join(b64url(json.dumps(part).encode()).encode() for part in (header, pack))
        jws = signed + b"." + b64url(self._key.sign(signed)).encode()
        self._seq, self._prev = self._seq + 1, hashlib.sha256(jws).digest()
        return Inbound(f"cc/v1/polar/s1/{self.device}/up", jws)

    def steadily(
        self, from_: int, to: int, c: float, warm: Mapping[tuple[int, int], float] | None = None, probe: str = "box"
    ) -> list[Inbound]:
        """A reading every five minutes, three a message; warm: by (from, to) what it is instead."""
        times = list(range(from_, to + 1, 5))
        values = [(t, next((v for (a, b), v in (warm or {}).items() if a <= t < b), c)) for t in times]
        return [self.says(values[i : i + 3], probe) for i in range(0, len(times), 3)]


def record_pack(core: Core, **changed: Any) -> None:
    core.log.append(rule_entries(core.log.origin, [{**PACK, **changed}]))


def put(core: Core, minute: int, parent: str, units: list[str], action: str = "ADD", step: str = "loading") -> None:
    core.capture("polar", moved(minute, parent, units, action, step))


def moved(minute: int, parent: str, units: list[str], action: str = "ADD", step: str = "loading") -> bytes:
    return epcis(START + minute * MINUTE, action, parent, units, bizStep=step, readPoint=at("loc:s1"))


def clock(minute: int) -> str:
    return datetime.fromtimestamp(START / 1e6 + minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
