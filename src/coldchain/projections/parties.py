"""Registrations of parties, as recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert

from coldchain.db.queries_parties import directory
from coldchain.db.tables.parties import party
from coldchain.domain.parties import OPS, Directory, PartyError, Registration, read_registration
from coldchain.services.chores import canonical
from coldchain.services.ports import Recorded


class Parties:
    """Fills `party`: one row for each version."""

    name = "parties"
    tables: Sequence[str] = ("party",)

    def __init__(self) -> None:
        self._directory: Directory | None = None

    def reset(self) -> None:
        self._directory = None

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        if self._directory is None:
            self._directory = directory(connection)
        rows = []
        for item in batch:
            version = _registration(item)
            if version is not None and self._directory.add(version):
                rows.append(_row(version, item))
        if rows:
            connection.execute(insert(party), rows)


def _registration(item: Recorded) -> Registration | None:
    """None for every other entry, and for one whose key and content disagree: it registers nothing."""
    if item.entry.kind != "identity" or not isinstance(item.body, Mapping) or item.body.get("op") not in OPS:
        return None
    try:
        version = read_registration(item.body)
    except PartyError:
        return None
    return version if version.key == item.entry.key else None


def _row(version: Registration, item: Recorded) -> dict[str, object]:
    return {
        "op": version.op,
        "id": version.id,
        "n": version.n,
        "from_us": version.from_us,
        "body": canonical(version.stated).decode(),
        "at_us": item.entry.at_us,
        "entry": item.index,
    }
