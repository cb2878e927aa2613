"""`coldchain rules`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options


@click.group(name="rules")
def command() -> None:
    """Rule packs: versioned values with the clause they come from."""


@command.command(name="list")
@data_options
def list_(data: Data) -> None:
    """Rule packs in force in this ledger."""
    with data.core() as core:
        packs = core.rule_packs()
    data.show(
        {"items": packs},
        lambda d: (
            f"{p['name']} v{p['version']}  {'verified' if p['verified'] else 'not verified'}  {p['clause']}"
            for p in d["items"]
        ),
    )
