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
    from coldchain.db.queries_summary import rule_packs

    with data.core() as core:
        core.catch_up_if_alone()
        with core.engine.connect() as connection:
            packs = rule_packs(connection)
    data.show(
        {"items": packs},
        lambda d: (
            f"{p['name']} v{p['version']}  {'verified' if p['verified'] else 'not verified'}  {p['clause']}"
            for p in d["items"]
        ),
    )
