"""A data directory with one enrolled truck, and messages to throw at its door."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.cli.playing import public_text
from coldchain.db.tables.verdicts import verdict
from coldchain.decoders.recorded import decode_recorded
from coldchain.services.identity import Enrolment, enrol, revoke, rotate
from coldchain.services.messages import Inbound, Reply
from coldchain.settings import parse_date_us
from coldchain_devices.signer import Chain, DeviceKey, b64url, seal
from coldchain_ledger.entry import parse_entry

NOW_S = 1_772_400_000
"""2026-03-01T21:20:00Z."""
UP = "cc/v1/acme/fleet/truck-1/up"


class Clock:
    now_us = NOW_S * 1_000_000

    def __call__(self) -> int:
        return self.now_us


class Truck:
    """A device that signs what it is told to, right or wrong."""

    def __init__(self, device: str = "truck-1", kid: str | None = None, key: DeviceKey | None = None) -> None:
        self.device = device
        self.kid = kid or f"{device}#1"
        self.key = key or DeviceKey.generate()
        self.chain = Chain(1, 0, b"")

    def says(self, body: bytes | list[dict[str, object]], typ: str = "senml+json") -> bytes:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed, self.chain = seal(self.key, self.kid, self.chain, data, typ)
        return signed.jws

    def reading(self, celsius: object = -20.0, t_s: float = NOW_S) -> bytes:
        return self.says([{"n": "temp/box", "u": "Cel", "t": t_s, "v": celsius}])

    def header(self, **fields: object) -> bytes:
        """A validly signed message whose protected header says what it likes."""
        stated = {"alg": self.key.alg, "kid": self.kid, "typ": "senml+json", "boot": 1, "seq": 0, "prev": "", **fields}
        part = f"{b64url(json.dumps(stated).encode())}.{b64url(b'[]')}".encode()
        return part + b"." + b64url(self.key.sign(part)).encode()


class Door:
    """The admission of one core, and what came of a message."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self.core = core
        self.clock = clock
        self.truck = Truck()
        self.enrol(self.truck)

    def enrol(self, truck: Truck, **more: object) -> None:
        floor_us = parse_date_us(self.core.settings.time_floor)
        stated = {"time_floor_us": floor_us, **more}
        order = Enrolment("acme", "fleet", truck.device, truck.key.alg, public_text(truck.key), **stated)  # type: ignore[arg-type]
        self.core.record(enrol(self.core.registry, "acme", order)[1])
        self.core.refresh_registry()

    def rotated(self) -> Truck:
        """The truck with a second key, going on where its chain stands."""
        successor = Truck(key=DeviceKey.generate())
        core = self.core
        successor.kid, draft = rotate(core.registry, "acme", "truck-1", "EdDSA", public_text(successor.key))
        core.record(draft)
        core.refresh_registry()
        successor.chain = self.truck.chain
        return successor

    def revoke(self) -> None:
        for draft in revoke(self.core.registry, "acme", "truck-1"):
            self.core.record(draft)
        self.core.refresh_registry()

    def offer(self, *payloads: bytes, topic: str = UP) -> list[Reply | None]:
        self.clock.now_us += 1_000_000
        return self.core.admission.admit([Inbound(topic, payload) for payload in payloads])

    def outcome(self, payloads: Sequence[bytes], topic: str = UP) -> str:
        """What came of the last of them, as the table in docs/hostile-input.md says it."""
        reply = self.offer(*payloads, topic=topic)[-1]
        assert reply is not None
        if reply.kind == "nack":
            kept = self.core.rejects.listing(1)["items"][0]
            assert (kept["reason"], kept["sha256"]) == (reply.reason, hashlib.sha256(payloads[-1]).hexdigest())
            return f"refused:{reply.reason}"
        assert reply.index is not None
        with self.core.store.snapshot() as snapshot:
            data = snapshot.entry(reply.index)
        assert parse_entry(data).payload == payloads[-1], "what is acknowledged is there, byte for byte"
        return "admitted" + self._qualities(reply.index, data) + self._findings()

    def _qualities(self, index: int, data: bytes) -> str:
        recorded = decode_recorded(1, index, data)
        words = list(recorded.telemetry.quality) if recorded.telemetry else []
        words += (
            [sample.quality for sample in recorded.telemetry.samples if sample.quality] if recorded.telemetry else []
        )
        quality = recorded.entry.quality or {}
        words += [quality["message"]] if "message" in quality else []
        words += quality.get("marks", {})
        return "".join(f" + quality:{word}" for word in sorted(set(words)))

    def _findings(self) -> str:
        self.core.settle()
        with self.core.engine.connect() as connection:
            rules = set(connection.scalars(select(verdict.c.rule)))
        return "".join(f" + finding:{rule}" for rule in sorted(rules))
