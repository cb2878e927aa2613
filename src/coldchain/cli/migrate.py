"""`coldchain migrate`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options


@click.command()
@data_options
def command(data: Data) -> None:
    """Create the data directory where there is none and bring its database to this version's schema."""
    with data.core(create=True) as core:
        size = core.log.edge().size
    data.show(
        {"dir": str(core.settings.dir), "entries": size, "log_origin": core.log.origin},
        lambda d: iter([f"✓ {d['dir']}  {d['entries']} entries  origin {d['log_origin']}"]),
    )
