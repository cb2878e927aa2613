"""What would be concluded otherwise if rules were recorded: they are recorded in a copy of what is derived.

The copy is a scratch database of the projections' tables, without the ledger. The `rules` entry that a recording would
append is folded there by the same projections, so a dry run concludes what a recording would. Nothing else is written.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, select

from coldchain.bootstrap.believed import scratch_engine
from coldchain.bootstrap.core import Core
from coldchain.db.queries_api import device_row
from coldchain.db.tables.verdicts import verdict
from coldchain.decoders.recorded import decode_recorded
from coldchain.domain.rulechanges import Change, Lane, Verdict, changes
from coldchain.projections import all_projections
from coldchain.services.chores import rule_entries
from coldchain_ledger.entry import Entry, encode_entry

ROWS = 1_000


class DryRun(NamedTuple):
    """What would change, by time, and how many verdicts stay as they are."""

    changes: list[Change]
    same: int


def dry_run(core: Core, stated: Mapping[str, Any], device: str | None = None) -> DryRun:
    """stated: a pack, profile or continuity rules. device: of this one's probes alone. Raises NotKnown for a device
    that nobody enrolled. A crash leaves the folder to whoever cleans the system's temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="coldchain-dry-run-"))
    try:
        engine = scratch_engine(folder)
        try:
            return _tried(core, engine, stated, device)
        finally:
            engine.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tried(core: Core, engine: Engine, stated: Mapping[str, Any], device: str | None) -> DryRun:
    size, ledger_time_us = core.follower.position()
    with engine.connect() as scratch:
        with core.engine.connect() as source:
            device_no = None if device is None else device_row(source, device).device_no
            for table in core.follower.tables():
                _copy(source, scratch, table, device_no)
        scratch.commit()
        before = _verdicts(scratch, device)
        (draft,) = rule_entries(core.log.origin, [stated])
        entry = Entry("rules", draft.by, ledger_time_us, draft.type, draft.key, draft.grade, (), draft.payload)
        recorded = decode_recorded(1, size, encode_entry(entry))
        for projection in all_projections():
            projection.apply(scratch, [recorded], ledger_time_us)
        after = _verdicts(scratch, device)
    return DryRun(changes(before, after), len(before & after))


def _copy(source: Connection, scratch: Connection, table: Table, device_no: int | None) -> None:
    query = select(table)
    if device_no is not None and "device_no" in table.c:
        query = query.where(table.c.device_no == device_no)
    for rows in source.execution_options(yield_per=ROWS).execute(query).mappings().partitions(ROWS):
        scratch.execute(table.insert(), [dict(row) for row in rows])


def _verdicts(connection: Connection, device: str | None) -> set[Verdict]:
    query = select(verdict)
    if device is not None:
        query = query.where(verdict.c.subject == f"dev:{device}")
    return {
        Verdict(
            Lane(row.rule, row.subject, row.channel),
            row.from_us,
            row.to_us,
            row.verdict,
            json.loads(row.detail).get("critical_us") is not None,
        )
        for row in connection.execute(query)
    }
