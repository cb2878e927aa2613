"""`coldchain rebuild`."""

from __future__ import annotations

import sys

import click

from coldchain.cli.common import BROKEN, OK, UNCHECKED, Data, data_options, fail


@click.command()
@data_options
@click.option("--check", is_flag=True, help="Exit 1 where a table does not come back as it was.")
def command(data: Data, check: bool) -> None:
    """Drop every derived table and derive it again from the ledger. Appends nothing to the ledger."""
    with data.core() as core, core.alone() as alone:
        if not alone:
            fail("a server is following this ledger: stop it first", UNCHECKED)
        result = core.follower.rebuild()
    tables = {name: {"before": digest.before, "after": digest.after} for name, digest in result.items()}
    differing = [name for name, digest in tables.items() if digest["before"] != digest["after"]]
    data.show(
        {"tables": tables},
        lambda d: (
            f"{'✓' if t['before'] == t['after'] else '!'} {name}  {t['after'][:16]}" for name, t in d["tables"].items()
        ),
    )
    sys.exit(BROKEN if check and differing else OK)
