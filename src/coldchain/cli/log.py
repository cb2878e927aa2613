"""`coldchain log key|origin|checkpoint|receipt`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from coldchain.cli.common import Data, OutFile, data_options, fail


@click.group(name="log")
def command() -> None:
    """The ledger itself: its public key, origin, checkpoint, receipts."""


@command.command()
@data_options
def key(data: Data) -> None:
    """The verifier key (C2SP vkey). Give it to whoever checks; they must get it from you, not from the server."""
    with data.core() as core:
        vkey = core.log.vkey
    data.show({"log_vkey": vkey}, lambda d: iter([d["log_vkey"]]))


@command.command()
@data_options
def checkpoint(data: Data) -> None:
    """The newest signed checkpoint. Keep it: `coldchain audit --since` proves nothing before it was changed."""
    with data.core() as core:
        note = core.log.checkpoint().decode()
    data.show({"checkpoint": note}, lambda d: iter([d["checkpoint"].rstrip("\n")]))


@command.command()
@data_options
@click.argument("index", type=click.IntRange(min=0))
@click.option("--out", type=OutFile(), help="Write to this file (default: stdout).")
def receipt(data: Data, index: int, out: Path | None) -> None:
    """An inclusion receipt (C2SP tlog-proof) for one entry."""
    with data.core() as core:
        size = core.log.edge().size
        if index >= size:
            fail(f"there is no entry {index}: the ledger holds {size}")
        proof = core.log.receipt(index)
    if out is not None:
        out.write_bytes(proof)
    if data.as_json:
        data.show({"index": index, "receipt": proof.decode()})
    elif out is None:
        sys.stdout.write(proof.decode())
