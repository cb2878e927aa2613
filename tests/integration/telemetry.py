"""Devices that sign, a ledger of what they say in memory, and the views folded from it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from sqlalchemy import Engine, select

from coldchain.db.engine import writing
from coldchain.db.tables import metadata, telemetry
from coldchain.db.tables.verdicts import verdict
from coldchain.decoders.recorded import decode_recorded
from coldchain.projections.telemetry import TelemetryViews
from coldchain_ledger.entry import Entry, encode_entry

MINUTE = 60_000_000
START = 1_760_000_400_000_000
"""A multiple of ten minutes, not of six hours."""
TABLES = [metadata.tables[name] for name in TelemetryViews.tables]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Device:
    """Signs messages that chain; nobody here verifies signatures, the way in has."""

    def __init__(self, name: str = "TRUCK-1") -> None:
        self.name, self.kid = name, f"{name}#1"
        self.boot, self.seq, self.prev = 1, 0, b""

    def says(self, *samples: tuple[float, float | str | None], probe: str = "air") -> bytes:
        """One message; samples are (minute, °C), a text being what JSON makes of a number."""
        records = [
            f'{{"n":"temp/{probe}","t":{(START + round(minute * MINUTE)) / 1e6:.6f},"v":{value}}}'
            for minute, value in samples
        ]
        return self.sends(f"[{','.join(records)}]")

    def shows(self, name: str, *samples: tuple[float, bool]) -> bytes:
        """A message of a door or of defrosting; samples are (minute, whether)."""
        records = [{"n": name, "t": (START + round(minute * MINUTE)) / 1e6, "vb": on} for minute, on in samples]
        return self.sends(json.dumps(records))

    def sends(self, body: str, typ: str = "senml+json") -> bytes:
        jws = self.signs(body, typ)
        self.seq, self.prev = self.seq + 1, hashlib.sha256(jws).digest()
        return jws

    def signs(self, body: str, typ: str = "senml+json") -> bytes:
        header = {
            "alg": "EdDSA",
            "kid": self.kid,
            "typ": typ,
            "boot": self.boot,
            "seq": self.seq,
            "prev": b64(self.prev),
        }
        return f"{b64(json.dumps(header).encode())}.{b64(body.encode())}.{b64(bytes(64))}".encode()

    def reboots(self) -> None:
        self.boot, self.seq = self.boot + 1, 0


class World:
    """A ledger of entries in memory, and the views folded from it in a database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.views = TelemetryViews()
        self.entries: list[bytes] = []
        self.folded = 0
        self.now_us = START + 10_000 * MINUTE
        with writing(engine) as connection:
            for table in TABLES:
                connection.execute(table.delete())

    def record(self, kind: str, key: str, payload: bytes, at_us: int | None = None) -> int:
        media = "application/jose" if kind in ("telemetry", "event") else "application/json"
        at_us = self.now_us if at_us is None else at_us
        self.entries.append(encode_entry(Entry(kind, "polar", at_us, media, key, "signed", (), payload)))
        return len(self.entries) - 1

    def enrol(self, device: Device, at_us: int | None = None, **stated: Any) -> int:
        body = {
            "v": 1,
            "op": "enrol",
            "device": device.name,
            "org": "polar",
            "site": "s1",
            "kid": device.kid,
            "alg": "EdDSA",
            "public_key": "AA==",
            "grade": "signed",
            "place": f"veh:{device.name}",
            "profile": "CN-frozen",
            "time_floor_us": START - 10**15,
            "role": "sensor",
            **stated,
        }
        return self.record("identity", f"identity/enrol/{device.kid}/{len(self.entries)}", json_bytes(body), at_us)

    def revoke(self, device: Device) -> int:
        body = {"v": 1, "op": "revoke", "device": device.name, "kid": device.kid}
        return self.record("identity", f"identity/revoke/{device.kid}", json_bytes(body))

    def hear(self, *messages: bytes, at_us: int | None = None) -> list[int]:
        return [self.record("telemetry", f"tm/{hashlib.sha256(m).hexdigest()}", m, at_us) for m in messages]

    def fold(self, size: int | None = None, now_us: int | None = None) -> World:
        """Fold what is new, in batches of `size`, up to a ledger time."""
        new = [decode_recorded(1, i, e) for i, e in enumerate(self.entries)][self.folded :]
        for start in range(0, len(new), size or len(new) or 1):
            batch = new[start : start + (size or len(new))]
            with writing(self.engine) as connection:
                self.views.apply(connection, batch, now_us or max(r.entry.at_us for r in batch))
        self.folded = len(self.entries)
        return self

    def rebuilt(self, size: int | None = None, now_us: int | None = None) -> World:
        again = World(self.engine)
        again.entries = self.entries
        return again.fold(size, now_us)

    def rows(self, *, facts_only: bool = False) -> dict[str, list[str]]:
        with self.engine.connect() as connection:
            return {
                table.name: sorted(
                    repr(tuple(row))
                    for row in connection.execute(
                        select(*(c for c in table.columns if not (facts_only and c.info.get("provenance"))))
                    )
                )
                for table in TABLES
                if table.info.get("facts", True)
            }

    def verdicts(self, *columns: str, source: str = "temperature") -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            chosen = [verdict.c[name] for name in columns]
            query = select(*chosen).where(verdict.c.source == source).order_by(verdict.c.from_us, verdict.c.rule)
            return [tuple(row) for row in connection.execute(query)]

    def segments(self, probe: str = "air") -> list[tuple[Any, ...]]:
        columns = telemetry.segment.c
        with self.engine.connect() as connection:
            query = select(columns.from_us, columns.to_us, columns.state, columns.reason, columns.max_mc)
            found = connection.execute(query.where(columns.channel == probe).order_by(columns.from_us)).all()
        return [(minute_of(a), None if b is None else minute_of(b), *rest) for a, b, *rest in found]


def minute_of(t_us: int) -> float:
    return (t_us - START) / MINUTE


def json_bytes(body: Any) -> bytes:
    return json.dumps(body).encode()
