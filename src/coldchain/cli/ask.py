"""`coldchain ask`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options
from coldchain.settings import MAX_DEADLINE_H


@click.command()
@data_options
@click.argument("finding")
@click.option(
    "--hours", type=click.FloatRange(0.1, MAX_DEADLINE_H), help="Ledger time the party has (default: the setting, 72)."
)
def command(data: Data, finding: str, hours: float | None) -> None:
    """Ask the holder about a finding. The question is recorded; the deadline runs in ledger time."""
    with data.core() as core:
        core.catch_up_if_alone()
        outcome = core.ask(finding, hours)
        data.show({"finding": finding, "index": outcome.index})
