"""`coldchain evidence`."""

from __future__ import annotations

from pathlib import Path

import click

from coldchain.cli.common import Data, OutFile, data_options


@click.command()
@data_options
@click.argument("id_", metavar="ID")
@click.option("--out", type=OutFile(), help="File to write (default: D/evidence/…).")
def command(data: Data, id_: str, out: Path | None) -> None:
    """Export a dossier: every entry about a unit, device or finding, with one proof to one signed checkpoint.

    It also proves that no entry naming the unit was left out, by an index entry that is appended first.
    """
    from coldchain.decoders.scans import subject_of

    about = subject_of(id_)
    with data.core() as core:
        core.catch_up_if_alone()
        path, count = core.save_evidence(about, out)
        vkey = core.log.vkey
    data.show(
        {"evidence": str(path), "entries": count, "log_vkey": vkey},
        lambda d: iter(
            [
                f"✓ {d['entries']} entries in {d['evidence']}",
                f"  coldchain-verify {d['evidence']} --log-vkey {d['log_vkey']}",
            ]
        ),
    )
