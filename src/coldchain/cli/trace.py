"""`coldchain trace`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from coldchain.cli.common import Data, data_options, fail


@click.command()
@data_options
@click.argument("id_", metavar="ID")
def command(data: Data, id_: str) -> None:
    """Backward to where a unit came from, forward to where it went, and its contacts graded G1 to G4."""
    from coldchain.decoders.scans import named

    name = named(id_)
    with data.core() as core:
        core.catch_up_if_alone()
        document = core.trace(name)
    if document is None:
        fail(f"{id_!r} is named by no event of this ledger")
    data.show(document, _lines)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['id']}"
    for direction in ("backward", "forward"):
        for hop in document[direction]:
            yield f"  {direction:<8} {hop['unit']}  {hop['why']}"
    for contact in document["contacts"]:
        span = f"{contact['from']} – {contact['to'] or 'now'}"
        yield f"  {contact['grade']}  {contact['unit']}  in {contact['where']}  {span}"
