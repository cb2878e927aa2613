"""`coldchain compact`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from coldchain.cli.common import UNCHECKED, Data, data_options, fail


@click.command()
@data_options
@click.option("--give-back", is_flag=True, help="Make SQLite's file smaller, too; not beside a server.")
def command(data: Data, give_back: bool) -> None:
    """Compress the ledger's older entries now, losslessly; a server does it little by little.

    What was freed is used for the next entries; the file itself gets smaller with --give-back alone.
    """
    from coldchain.db import room

    with data.core() as core:
        bundles = 0
        while core.store.compact():
            bundles += 1
        if give_back:
            with core.alone() as alone:
                if not alone:
                    fail("a server writes to this ledger: stop it before its file is made smaller", UNCHECKED)
                room.give_back(core.engine)
        size, free = room.room(core.engine)
    data.show({"bundles": bundles, "bytes": size, "free_bytes": free}, _lines)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    free = "" if found["free_bytes"] is None else f", {found['free_bytes']:,} of them free for what comes next"
    yield f"✓ {found['bundles']} bundles of 256 entries compressed; the database has {found['bytes']:,} bytes{free}"
