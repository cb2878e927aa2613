"""Spreadsheets of one data directory: read, previewed, recorded; their maps and originals kept."""

from __future__ import annotations

import json
from typing import Any, Literal

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.secrets import ensure_directory
from coldchain.db.queries_imports import SqlKnownEvents
from coldchain.decoders.epcis import decode_epcis
from coldchain.decoders.sheets import read_table
from coldchain.domain.imports.mapping import Mapping, MappingError, kind_named, parse_mapping
from coldchain.domain.imports.table import Table
from coldchain.mqtt.files import replace_file
from coldchain.services.identity import CommandRefused
from coldchain.services.imports import Prepared, map_entry, map_subject, original_entry, prepare
from coldchain_ledger.entry import parse_entry

Rows = Literal["all", "good"]


class Imports:
    """Everything `coldchain import` and `/v1/imports` do with a sheet."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def kept_map(self, sender: str, kind: str) -> tuple[int, Mapping | None]:
        """The newest map the sender recorded for this kind of sheet, and its version; (0, None) without one."""
        with self._core.store.snapshot() as snapshot:
            indices = snapshot.indices(map_subject(sender, kind))
            if not indices:
                return 0, None
            body = json.loads(parse_entry(snapshot.entry(indices[-1])).payload)
        return body["n"], parse_mapping(body["map"])

    def mapping(self, sender: str, kind: str) -> Mapping:
        """The kept one, else one that knows the headings of the templates alone. Raises MappingError for the kind."""
        return self.kept_map(sender, kind)[1] or Mapping(kind_named(kind))

    def keep_map(self, sender: str, mapping: Mapping) -> int:
        """Records the map unless it is the one in use; the version in use afterwards."""
        n, kept = self.kept_map(sender, mapping.kind.name)
        if kept is not None and kept.stated() == mapping.stated():
            return n
        self._core.record(map_entry(sender, mapping, n + 1))
        return n + 1

    def read(self, sender: str, data: bytes, mapping: Mapping, grade: str = "declared") -> tuple[Prepared, Table]:
        """What the file would record; nothing is. Raises SheetError, MappingError."""
        table = read_table(data, mapping.sheet)
        self._core.catch_up_if_alone()
        with self._core.engine.connect() as connection:
            known = SqlKnownEvents(connection)
            return prepare(sender, data, table, mapping, decode_epcis, known, grade), table

    def record(self, data: bytes, prepared: Prepared, rows: Rows = "all") -> dict[str, Any]:
        """Records the facts in one transaction, after the original is durable among the blobs.

        Returns {"recorded": entries added, "known": entries there already, "entries": [indices]}. Raises
        CommandRefused where rows are at fault and all were wanted, or where a fact contradicts an earlier one.
        """
        self._check(prepared, rows)
        drafts = [*prepared.drafts, original_entry(prepared)]
        self._keep_original(prepared.sha256, data)
        outcomes = self._core.log.append(drafts)
        clashes = [draft.key for draft, one in zip(drafts, outcomes, strict=True) if one.status == "conflict"]
        if clashes:  # another process recorded it since we looked; the other facts are in, and say so when sent again
            raise CommandRefused(f"{clashes[0]} was recorded with other content; nothing of it was added")
        return {
            "recorded": sum(one.status == "added" for one in outcomes),
            "known": sum(one.status == "duplicate" for one in outcomes),
            "entries": [one.index for one in outcomes],
        }

    def _check(self, prepared: Prepared, rows: Rows) -> None:
        faults = prepared.reading.faults
        if faults and rows == "all":
            first = faults[0]
            raise CommandRefused(
                f"{len({fault.row for fault in faults})} of {prepared.reading.rows} rows are at fault, nothing was"
                f" recorded; the first: {first.cell} ({first.field}) {first.value!r}: {first.reason}"
            )
        if prepared.contradictions:
            first_one = prepared.contradictions[0]
            raise CommandRefused(
                f"rows {', '.join(map(str, first_one.rows))}: {first_one.what}; correct it by an error declaration,"
                " or number the paper anew"
            )
        if not prepared.drafts:
            raise MappingError("the sheet states nothing to record")

    def _keep_original(self, sha256: str, data: bytes) -> None:
        """D/blobs/<sha256>, durable. A crash before the entry leaves a file nobody names; the next import finds it."""
        path = ensure_directory(self._core.settings.dir / "blobs") / sha256
        if not path.exists():
            replace_file(path, data, 0o600)
