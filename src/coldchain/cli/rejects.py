"""`coldchain rejects`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options


@click.command()
@data_options
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Items listed at most.")
def command(data: Data, limit: int) -> None:
    """Messages refused at the door, newest first, with the reason and what was expected."""
    with data.core() as core:
        listing = core.rejects.listing(limit)
    data.show(
        {"total": listing["kept"], "items": listing["items"]},
        lambda d: (f"{i['at']}  {i['reason']:<14} {i['device'] or '-':<20} {i['detail']}" for i in d["items"]),
    )
