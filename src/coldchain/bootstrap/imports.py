"""Spreadsheets of one data directory: read, previewed, recorded; their maps and originals kept."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from collections.abc import Mapping as Mapping_
from contextlib import contextmanager
from typing import Any, Literal

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.secrets import ensure_directory
from coldchain.db.queries_imports import SqlKnownEvents
from coldchain.decoders.epcis import decode_epcis
from coldchain.decoders.sheets import SheetError, read_table
from coldchain.domain.imports.mapping import Mapping, MappingError, kind_named, parse_mapping
from coldchain.domain.imports.table import Table
from coldchain.mqtt.files import replace_file
from coldchain.services.identity import CommandRefused
from coldchain.services.imports import Prepared, map_entry, map_subject, original_entry, prepare
from coldchain.services.principals import Principal
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

    def take(
        self, sender: str, data: bytes, mapping: Mapping, grade: str, rows: Rows = "all", preview: bool = False
    ) -> dict[str, Any]:
        """Reads the file and records it, unless only a preview is asked or rows are at fault and all were wanted: what
        it says, and {"recorded": entries added, "known": entries there already, "entries": [indices]}."""
        prepared, table = self.read(sender, data, mapping, grade)
        report = prepared.report(table)
        if preview or (report["faults"] and rows == "all"):
            return {**report, "recorded": 0, "known": 0, "entries": []}
        return {**report, **self.record(data, prepared)}

    def record(self, data: bytes, prepared: Prepared) -> dict[str, Any]:
        """Records the facts in one transaction, after the original is durable among the blobs. Raises CommandRefused
        where a fact contradicts an earlier one."""
        _check(prepared)
        drafts = [*prepared.drafts, original_entry(prepared)]
        keep_original(self._core, data)
        outcomes = self._core.log.append(drafts)
        clashes = [draft.key for draft, one in zip(drafts, outcomes, strict=True) if one.status == "conflict"]
        if clashes:  # another process recorded it since we looked; the other facts are in, and say so when sent again
            raise CommandRefused(f"{clashes[0]} was recorded with other content; nothing of it was added")
        return {
            "recorded": sum(one.status == "added" for one in outcomes),
            "known": sum(one.status == "duplicate" for one in outcomes),
            "entries": [one.index for one in outcomes],
        }


def keep_original(core: Core, data: bytes) -> None:
    """D/blobs/<sha256>, durable. A crash before the entry leaves a file nobody names; the next import finds it."""
    path = ensure_directory(core.settings.dir / "blobs") / hashlib.sha256(data).hexdigest()
    if not path.exists():
        replace_file(path, data, 0o600)


def _check(prepared: Prepared) -> None:
    if prepared.contradictions:
        first = prepared.contradictions[0]
        raise CommandRefused(
            f"rows {', '.join(map(str, first.rows))}: {first.what}; correct it by an error declaration, or number the"
            " paper anew"
        )
    if not prepared.drafts:
        raise MappingError("the sheet states nothing to record")


class HttpImports:
    """The same for callers over HTTP: in their organisation's name, one file at a time."""

    def __init__(self, core: Core) -> None:
        self._imports = Imports(core)
        self._one = threading.Lock()
        """A sheet of 20,000 rows takes a core for seconds; the others wait their turn."""

    def take(
        self, principal: Principal, data: bytes, kind: str, grade: str, rows: str, preview: bool
    ) -> Mapping_[str, Any]:
        """`Imports.take` under the sender's own map. Raises CommandRefused."""
        with self._one, _refused():
            mapping = self._imports.mapping(principal.org, kind)
            return self._imports.take(principal.org, data, mapping, grade, "good" if rows == "good" else "all", preview)

    def map_of(
        self, principal: Principal, kind: str, stated: Mapping_[str, Any] | None
    ) -> tuple[int, Mapping_[str, Any]]:
        """Version and content of the map in use, after `stated` where there is one. Raises CommandRefused."""
        with _refused():
            if stated is not None:
                self._imports.keep_map(principal.org, parse_mapping(dict(stated)))
            return self._imports.kept_map(principal.org, kind)[0], self._imports.mapping(principal.org, kind).stated()


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except (SheetError, MappingError) as error:
        raise CommandRefused(str(error)) from error
