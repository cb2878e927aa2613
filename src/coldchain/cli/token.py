"""`coldchain token show|link|create|list|revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import UNCHECKED, Data, data_options, fail

if TYPE_CHECKING:
    from coldchain.services.principals import Token


@click.group(name="token")
def command() -> None:
    """Bearer tokens: the operator's, and those of organisations."""


@command.command(name="show")
@data_options
def show_(data: Data) -> None:
    """Print the operator's token (kept in D/secrets/operator.token, readable by its owner alone)."""
    with data.core() as core:
        token = core.operator_token
    data.show({"token": token}, lambda d: iter([d["token"]]))


@command.command()
@data_options
@click.option("--name", default="", help="Whom it is for: recorded, sealed, with what that person acknowledges.")
def link(data: Data, name: str) -> None:
    """A link that signs a person in at the running server as the operator: good once, for 15 minutes."""
    import json
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    from coldchain.bootstrap.brokers import running_server

    with data.core() as core:
        server, token = running_server(core.settings.dir), core.operator_token
    if server is None:
        fail("no server runs on this directory: `coldchain serve` starts one", UNCHECKED)
    connection = HTTPConnection(urlsplit(server["http"]).netloc, timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/sign-in-links", json.dumps({"name": name}), headers)
    answer = json.load(connection.getresponse())
    connection.close()
    if "path" not in answer:
        fail(answer["detail"])
    data.show({"link": server["http"] + answer["path"]}, lambda d: iter([d["link"]]))


@command.command()
@data_options
@click.option("--org", required=True, help="Registered organisation it speaks for.")
@click.option("--role", required=True, help="One of that organisation's roles.")
@click.option("--scope", "scopes", multiple=True, help="read, capture, claim; may be repeated (default: by role).")
@click.option("--name", default="", help="For lists and logs, e.g. the system that holds it.")
@click.option("--days", type=int, metavar="N", help="Good for so long (default: until revoked).")
def create(data: Data, org: str, role: str, scopes: tuple[str, ...], name: str, days: int | None) -> None:
    """Make a token for an organisation. It is shown here and kept nowhere."""
    from coldchain.services.principals import issue_token

    with data.core() as core:
        token, kept = issue_token(core.registry.directory, org, role, scopes, name, days, core.clock())
        core.tokens.keep(kept)
    data.show({**_document(kept), "token": token}, lambda d: iter([d["token"]]))


@command.command(name="list")
@data_options
def list_(data: Data) -> None:
    """Every token ever made, without the token itself."""
    with data.core() as core:
        items = [_document(token) for token in core.tokens.all()]
    data.show(
        {"items": items},
        lambda d: (
            f"{i['id']}  {i['org']} as {i['role']}  {' '.join(i['scopes'])}  {i['name']}"
            f"{'  revoked' if i['revoked_at'] else ''}"
            for i in d["items"]
        ),
    )


@command.command()
@data_options
@click.argument("token_id", metavar="ID")
def revoke(data: Data, token_id: str) -> None:
    """Revoke a token by its id. Works at once, beside a running server too."""
    with data.core() as core:
        if not core.tokens.revoke(token_id, core.clock()):
            fail(f"no token {token_id!r} is in force: see coldchain token list")
    data.show({"revoked": token_id})


def _document(token: Token) -> dict[str, Any]:
    from coldchain.services.moments import rfc3339, rfc3339_or_none

    return {
        "id": token.id,
        "org": token.org,
        "role": token.role,
        "scopes": list(token.scopes),
        "name": token.name,
        "created_at": rfc3339(token.created_us),
        "expires_at": rfc3339_or_none(token.expires_us),
        "revoked_at": rfc3339_or_none(token.revoked_us),
    }
