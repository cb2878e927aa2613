"""`coldchain token`."""

from __future__ import annotations

import click

from coldchain.cli.common import Data, data_options


@click.group(name="token")
def command() -> None:
    """The bearer token of the operator."""


@command.command(name="show")
@data_options
def show_(data: Data) -> None:
    """Print the token (kept in D/secrets/operator.token, readable by its owner alone)."""
    with data.core() as core:
        token = core.operator_token
    data.show({"token": token}, lambda d: iter([d["token"]]))
