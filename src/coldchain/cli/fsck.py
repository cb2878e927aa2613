"""`coldchain fsck`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from coldchain.cli.common import BROKEN, OK, Data, data_options, fail


@click.command()
@click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Trust policy; cosignatures of its witnesses in the checkpoint are checked too.",
)
@data_options
def command(data: Data, policy: Path | None) -> None:
    """Recompute the ledger from its entries: leaves, tiles, root, checkpoint, subject chains, index roots.

    Exit 1 names the first bad entry. A rewrite by whoever holds the signing key is not visible here: compare with an
    older checkpoint (`coldchain audit --since`). The log is read by as many processes as there are cores to run on.
    """
    from coldchain.bootstrap.core import open_ledger
    from coldchain_ledger.checkpoint import parse_policy
    from coldchain_ledger.errors import NoteError
    from coldchain_ledger.fsck import fsck

    try:
        witnesses = [] if policy is None else list(parse_policy(policy.read_bytes()).witnesses.values())
    except NoteError as error:
        fail(f"{policy}: {error}")
    with open_ledger(data.settings()) as (store, verifier):
        report = fsck(store, verifier, os.cpu_count() or 1, witnesses)
    data.show(report.to_dict(), _lines)
    sys.exit(OK if report.ok else BROKEN)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    if report["ok"]:
        yield f"✓ {report['entries']} entries, root {report['root']}, checkpoint of size {report['checkpoint_size']}"
        yield f"  checkpoint signed by {', '.join(report['signed_by'])}" + (
            f"; not checked, for want of their keys: {', '.join(report['not_checked'])}"
            if report["not_checked"]
            else ""
        )
        yield f"  tree {report['tree_entries_per_second']:,}/s, everything {report['entries_per_second']:,}/s"
        yield "  not shown by this: a rewrite by the holder of the log key; see `coldchain audit --since`"
        return
    bad = report["first_bad"]
    yield f"! broken: {bad['what']}" + (f" at entry {bad['index']}" if bad.get("index") is not None else "")
    yield f"  expected {bad['expected']}"
    yield f"  found    {bad['found']}"
    yield f"  {bad['proves']}"
