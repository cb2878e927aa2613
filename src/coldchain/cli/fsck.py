"""`coldchain fsck`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from coldchain.cli.common import BROKEN, OK, Data, data_options


@click.command()
@data_options
def command(data: Data) -> None:
    """Recompute the ledger from its entries: leaves, tiles, root, checkpoint, subject chains, index roots.

    Exit 1 names the first bad entry. A rewrite by whoever holds the signing key is not visible here: compare with an
    older checkpoint (`coldchain audit --since`).
    """
    from coldchain.bootstrap.core import open_ledger
    from coldchain_ledger.fsck import fsck

    with open_ledger(data.settings()) as (store, verifier):
        report = fsck(store, verifier)
    data.show(report.to_dict(), _lines)
    sys.exit(OK if report.ok else BROKEN)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    if report["ok"]:
        yield f"✓ {report['entries']} entries, root {report['root']}, checkpoint of size {report['checkpoint_size']}"
        yield f"  tree {report['tree_entries_per_second']:,}/s, everything {report['entries_per_second']:,}/s"
        yield "  not shown by this: a rewrite by the holder of the log key; see `coldchain audit --since`"
        return
    bad = report["first_bad"]
    yield f"! broken: {bad['what']}" + (f" at entry {bad['index']}" if bad.get("index") is not None else "")
    yield f"  expected {bad['expected']}"
    yield f"  found    {bad['found']}"
    yield f"  {bad['proves']}"
