"""What gateways passed on, given its meaning by the mapping of its day; and given it anew when that comes late."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, select

from coldchain.db.bulk import put_rows
from coldchain.db.ledger_sql import sql_for
from coldchain.db.ledger_store import SqlSnapshot
from coldchain.db.tables.telemetry import device_birth, device_map
from coldchain.decoders.recorded import decode_recorded
from coldchain.domain.devices import Enrolment
from coldchain.domain.mappings import DeviceMap, MapError, Sources, read_map
from coldchain.domain.telemetry import Telemetry, runs_of
from coldchain.domain.uplinks import Birth, source_name
from coldchain.services.recorded import Recorded

LOOSE = 0
"""The boot of messages without a chain: those of devices count from 1 (telemetry §2.1)."""
_SEQ_BITS = 53


def position(key: str) -> int:
    """The `seq` of a message without one: from the key of its entry, so that copies of one message share it."""
    digest = hashlib.sha256(key.partition("#")[0].encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - _SEQ_BITS)


def stated_map(recorded: Recorded) -> DeviceMap | None:
    """The version of a mapping that an `identity` entry states; None where it states none."""
    body = recorded.body
    try:
        return read_map(body) if isinstance(body, dict) and body.get("op") == "mapping" else None
    except MapError:
        return None


def behind_gateway(version: DeviceMap) -> Enrolment:
    """Such a device has no key, and all it says is of transport grade."""
    stated = {name: getattr(version, name) for name in ("device", "org", "site", "place", "profile", "time_floor_us")}
    return Enrolment(kid=f"#{version.n}", alg="", public_key="", grade="transport", role="sensor", **stated)


class Transport:
    """Mappings as the ledger has them so far: `load` once, then `take_map` and `told` entry by entry."""

    def __init__(self) -> None:
        self._sources = Sources()

    def load(self, connection: Connection) -> None:
        """Everything the table holds."""
        for row in connection.execute(select(device_map).order_by(device_map.c.entry)):
            self._sources.add(read_map(json.loads(row.body)))
        for row in connection.execute(select(device_birth)):
            names = {key: (name, datatype) for key, (name, datatype) in json.loads(row.names).items()}
            self._sources.births.add(row.gateway, Birth(row.source, row.t_us, names))

    def take_map(self, connection: Connection, recorded: Recorded, ref: int) -> DeviceMap | None:
        """The version that an `identity` entry states from here on; None where it states none, or none that holds."""
        body, version = recorded.body, stated_map(recorded)
        if version is None or not self._sources.add(version):
            return None
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        row = (version.device, version.n, version.gateway, version.source, text, ref)
        put_rows(connection, device_map, [row])
        return version

    def take_births(self, connection: Connection, recorded: Recorded) -> set[str]:
        """Keep the certificates of an uplink. Returns the devices whose earlier messages may read otherwise now."""
        gateway, changed = recorded.entry.key.split("/")[1], set[str]()
        for birth in recorded.uplink.births if recorded.uplink is not None else ():
            if self._sources.births.add(gateway, birth):
                device = self._sources.device(gateway, birth.source)
                changed |= {device} if device is not None else set()
            kept = self._sources.births.kept(gateway, birth)
            text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            put_rows(connection, device_birth, [(gateway, birth.source, birth.t_us, text)])
        return changed

    def device(self, gateway: str, source: str) -> str | None:
        return self._sources.device(gateway, source)

    def maps(self, device: str) -> list[DeviceMap]:
        """Every version of its mapping."""
        return self._sources.versions(device)

    def names(self, gateway: str, birth: Birth) -> Mapping[str, tuple[str, int]]:
        """What the certificates known say of its source at its time."""
        return self._sources.births.in_force(gateway, birth.source, birth.t_us)

    def told(self, recorded: Recorded) -> list[Telemetry]:
        """What an uplink says, by device; nothing of sources that are not mapped yet."""
        uplink, key = recorded.uplink, recorded.entry.key
        if uplink is None:
            return []
        found = self._sources.samples(key.split("/")[1], uplink.reports)
        return [
            Telemetry(device, LOOSE, position(key), runs_of(samples), uplink.notes) for device, samples in found.items()
        ]

    def earlier(self, connection: Connection, device: str, log: int, stop: int) -> Iterator[Recorded]:
        """Everything gateways passed on of the device before entry `stop`. Reads the ledger: for the rare case."""
        snapshot = SqlSnapshot(connection, sql_for(connection.engine), log)
        names = [source_name(*place) for place in self._sources.of(device)]
        indices = {index for name in names for index in snapshot.indices(name, stop=stop)}
        for index in sorted(indices):
            recorded = decode_recorded(log, index, snapshot.entry(index))
            if recorded.uplink is not None:
                yield recorded


class Carried:
    """The same for projections that fold a batch after `TelemetryViews`, whose tables they read."""

    def __init__(self) -> None:
        self._transport: Transport | None = None

    def take(self, connection: Connection, batch: Sequence[Recorded]) -> tuple[set[str], list[tuple[Telemetry, int]]]:
        """(devices of which everything is told anew, what devices say in this batch or anew, each with its entry)."""
        uplinks = [item for item in batch if item.uplink is not None]
        maps = {version.device for item in batch if (version := stated_map(item)) is not None}
        births = [(item, birth) for item in uplinks for birth in item.uplink.births]  # type: ignore[union-attr]
        if not uplinks and not maps:
            return set(), []
        known, now = self._transport, self._transport
        if now is None or maps or births:
            now = self._transport = Transport()
            now.load(connection)
        renewed = {device for device in maps if now.maps(device)}
        for item, birth in births:
            gateway = item.entry.key.split("/")[1]
            device = now.device(gateway, birth.source)
            if device is not None and (known is None or known.names(gateway, birth) != now.names(gateway, birth)):
                renewed.add(device)
        heard = [(said, item.index) for item in uplinks for said in now.told(item) if said.device not in renewed]
        for device in sorted(renewed):
            for item in now.earlier(connection, device, batch[-1].log, batch[-1].index + 1):
                heard += [(said, item.index) for said in now.told(item) if said.device == device]
        return renewed, heard
