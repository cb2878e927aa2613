"""Derived rows written out for programs of others."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.secrets import SetupError
from coldchain.db.queries_api import device_row
from coldchain.projections import exported
from coldchain.projections.exported import Wanted
from coldchain.services.moments import rfc3339

NEEDS = "Parquet needs pyarrow: pip install 'coldchain[parquet]'"


def export_parquet(core: Core, out: Path, wanted: Wanted) -> dict[str, Any]:
    """Readings by month, segments, findings and events in `out`, which is complete once it is there, all from one
    committed state. Returns the rows of each and the ledger size they stand on.

    Raises SetupError where pyarrow is missing or `out` exists, NotKnown for a device that nobody enrolled. A crash
    leaves `<out>.part`.
    """
    try:
        from coldchain.papers.parquet import write_parquet
    except ImportError as error:
        raise SetupError(NEEDS) from error
    part = out.with_name(out.name + ".part")
    for path in (out, part):
        if path.exists():
            raise SetupError(f"{path} is there already: name a directory that is not")
    with core.store.snapshot() as snapshot:
        connection, edge = snapshot.connection, snapshot.edge()
        for name in wanted.devices or ():
            device_row(connection, name)
        size = exported.folded(connection)
        assert edge is not None, "a log that was opened has an edge"
        stands_on = {"coldchain.log": core.log.origin, "coldchain.ledger_size": str(size)}
        if size == edge.size:
            stands_on |= {
                "coldchain.ledger_root": base64.b64encode(edge.root).decode(),
                "coldchain.ledger_time": rfc3339(edge.at_us),
            }
        (part / "readings").mkdir(parents=True)
        rows = {"readings": 0}
        for month, from_us, to_us in exported.months(connection, wanted):
            told = _any(exported.reading_rows(connection, wanted, from_us, to_us))
            if told is not None:
                folder = part / "readings" / f"month={month}"
                folder.mkdir()
                rows["readings"] += write_parquet(folder / "readings.parquet", exported.READING, told, stands_on)
        listings = [exported.segments(connection, wanted), exported.findings(connection, wanted)]
        if wanted.devices is None:
            listings.append(exported.events(connection, wanted))
        for name, columns, found in listings:
            rows[name] = write_parquet(part / f"{name}.parquet", columns, found, stands_on)
    part.rename(out)
    return {"out": str(out), "ledger_size": size, "rows": rows}


def _any(rows: Iterator[Sequence[Any]]) -> Iterable[Sequence[Any]] | None:
    """The rows; None where there are none."""
    first = next(rows, None)
    return None if first is None else chain([first], rows)
