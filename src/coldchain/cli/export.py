"""`coldchain export`."""

from __future__ import annotations

from pathlib import Path

import click

from coldchain.cli.common import Data, data_options


@click.group()
def command() -> None:
    """Write derived rows out for other programs."""


@command.command("parquet")
@data_options
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Directory to make.")
@click.option("--from", "from_", metavar="TIME", help="Nothing before this moment, e.g. 2026-03-01T00:00:00Z.")
@click.option("--to", metavar="TIME", help="Nothing from this moment on.")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Of this device only; may be repeated.")
def parquet(data: Data, out: Path, from_: str | None, to: str | None, devices: tuple[str, ...]) -> None:
    """Write readings (by month), segments, findings and events as Parquet files, e.g. for DuckDB.

    Needs the extra `coldchain[parquet]`. Where devices are named, findings are those about them, and there are no
    events.
    """
    from coldchain.bootstrap.exports import export_parquet
    from coldchain.projections.exported import Wanted
    from coldchain.services.moments import moment_us

    span = 0 if from_ is None else moment_us(from_), 2**61 if to is None else moment_us(to)
    with data.core() as core:
        core.catch_up_if_alone()
        found = export_parquet(core, out, Wanted(*span, devices or None))
    data.show(
        found,
        lambda d: iter(
            [
                f"✓ {d['out']}  as of {d['ledger_size']} ledger entries",
                *(f"  {name}  {count:,}" for name, count in d["rows"].items()),
            ]
        ),
    )
