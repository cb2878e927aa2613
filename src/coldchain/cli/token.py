"""`coldchain token`."""

from __future__ import annotations

import click

from coldchain.cli.common import UNCHECKED, Data, data_options, fail


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


@command.command()
@data_options
def link(data: Data) -> None:
    """A link that signs a person in at the running server: good once, for 15 minutes."""
    import json
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    from coldchain.bootstrap.brokers import running_server

    with data.core() as core:
        server, token = running_server(core.settings.dir), core.operator_token
    if server is None:
        fail("no server runs on this directory: `coldchain serve` starts one", UNCHECKED)
    connection = HTTPConnection(urlsplit(server["http"]).netloc, timeout=10)
    connection.request("POST", "/v1/sign-in-links", headers={"Authorization": f"Bearer {token}"})
    path = json.load(connection.getresponse())["path"]
    connection.close()
    data.show({"link": server["http"] + path}, lambda d: iter([d["link"]]))
