"""`coldchain audit`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from coldchain.cli.common import BROKEN, OK, UNCHECKED, Data, data_options, fail


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
    from coldchain_ledger.checkpoint import open_checkpoint, parse_checkpoint
    from coldchain_ledger.errors import NoteError
    from coldchain_ledger.note import parse_note

    note = since.read_bytes()
    try:
        origin = parse_checkpoint(parse_note(note).text).origin
    except NoteError as error:
        fail(f"{since} is no checkpoint: {error}")
    with open_ledger(data.settings()) as (store, verifier):
        try:
            open_checkpoint(note, verifier)
        except NoteError as error:
            # Not `broken`: what another key signed says nothing about this ledger, one way or the other.
            fail(f"{since}, of log {origin}, is not signed by the key of this ledger: {error}", UNCHECKED)
        with store.snapshot() as snapshot:
            result = audit(snapshot, note, verifier)
    data.show(result.to_dict(), _lines)
    sys.exit(OK if result.ok else BROKEN)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"{'✓' if report['ok'] else '!'} {report['result']}: {report['detail']}"
    if not report["ok"]:
        yield "  both signed notes and the proof, for whoever is to be shown: --json"
