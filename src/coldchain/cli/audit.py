"""`coldchain audit`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from coldchain.cli.common import BROKEN, OK, Data, data_options


@click.command()
@data_options
@click.option(
    "--since",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An older checkpoint note.",
)
def command(data: Data, since: Path) -> None:
    """Prove that today's ledger holds, unchanged, everything an older checkpoint committed to."""
    from coldchain.bootstrap.core import open_ledger
    from coldchain_ledger.audit import audit

    with open_ledger(data.settings()) as (store, verifier), store.snapshot() as snapshot:
        result = audit(snapshot, since.read_bytes(), verifier)
    data.show(result.to_dict())
    sys.exit(OK if result.ok else BROKEN)
