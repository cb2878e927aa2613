"""What gateways passed on, given its meaning by the mapping of its day; and given it anew when that comes late."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from sqlalchemy import Connection, select

from coldchain.db.bulk import put_rows
from coldchain.db.ledger_sql import sql_for
from coldchain.db.ledger_store import SqlSnapshot
from coldchain.db.tables.telemetry import device_birth, device_map
from coldchain.decoders import decode_recorded
from coldchain.domain.mappings import DeviceMap, MapError, Sources, read_map
from coldchain.domain.telemetry import Telemetry, runs_of
from coldchain.domain.uplinks import Birth, source_name
from coldchain.services.ports import Recorded

LOOSE = 0
"""The boot of messages without a chain: those of devices count from 1 (telemetry §2.1)."""
_SEQ_BITS = 53


def position(key: str) -> int:
    """The `seq` of a message without one: from the key of its entry, so that copies of one message share it."""
    digest = hashlib.sha256(key.partition("#")[0].encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - _SEQ_BITS)


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
        body = recorded.body
        try:
            version = read_map(body) if isinstance(body, dict) and body.get("op") == "mapping" else None
        except MapError:
            return None
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

    def told(self, recorded: Recorded) -> list[Telemetry]:
        """What an uplink says, by device; nothing of sources that are not mapped yet."""
        uplink, key = recorded.uplink, recorded.entry.key
        if uplink is None:
            return []
        found = self._sources.samples(key.split("/")[1], uplink.reports)
        return [
            Telemetry(device, LOOSE, position(key), runs_of(samples), uplink.notes) for device, samples in found.items()
        ]

    def earlier(self, connection: Connection, device: str, before: Recorded) -> Iterator[Recorded]:
        """Everything gateways passed on of the device before this entry. Reads the ledger: for the rare case."""
        snapshot = SqlSnapshot(connection, sql_for(connection.engine), before.log)
        names = [source_name(*place) for place in self._sources.of(device)]
        indices = {index for name in names for index in snapshot.indices(name, stop=before.index)}
        for index in sorted(indices):
            recorded = decode_recorded(before.log, index, snapshot.entry(index))
            if recorded.uplink is not None:
                yield recorded
