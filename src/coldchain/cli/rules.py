"""`coldchain rules`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from coldchain.cli.common import Data, data_options

HEAD = ("name", "version", "kind", "from_us", "verified", "clause")
"""What every pack says of itself, whatever it is about."""


@click.group(name="rules")
def command() -> None:
    """Rule packs: versioned values with the clause they come from."""


@command.command(name="list")
@data_options
def list_(data: Data) -> None:
    """Rule packs in force in this ledger."""
    items = [{name: pack[name] for name in HEAD} for pack in _packs(data)]
    data.show({"items": items}, lambda d: (_line(pack) for pack in d["items"]))


@command.command()
@data_options
@click.argument("name")
def show(data: Data, name: str) -> None:
    """Every value of a pack, version by version."""
    packs = [pack for pack in _packs(data) if pack["name"] == name]
    if not packs:
        raise click.BadParameter(f"no rule pack {name!r} in this ledger: see `coldchain rules list`")
    data.show({"items": packs}, _lines)


def _packs(data: Data) -> list[dict[str, Any]]:
    from coldchain.db.queries_summary import rule_packs

    with data.core() as core:
        core.catch_up_if_alone()
        with core.engine.connect() as connection:
            return rule_packs(connection)


def _line(pack: dict[str, Any]) -> str:
    verified = "verified" if pack["verified"] else "not verified"
    return f"{pack['name']} v{pack['version']}  {verified}  {pack['clause']}"


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for pack in document["items"]:
        yield _line(pack)
        yield from _values({name: value for name, value in pack.items() if name not in HEAD}, "  ")


def _values(stated: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in sorted(stated.items()):
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _values(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {value}"
