"""`coldchain inspect`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options, fail


@click.command()
@data_options
@click.argument("id_", metavar="ID")
def command(data: Data, id_: str) -> None:
    """Everything known about one unit: history, containment, temperature, verdict per segment with reasons."""
    with data.core() as core:
        core.catch_up_if_alone()
        document = core.inspect(id_)
    if document is None:
        fail(f"{id_!r} is named by no entry of this ledger")
    data.show(document)
