"""`coldchain import`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from coldchain.cli.common import Data, data_options, fail


@click.command()
@data_options
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--org", required=True, help="Organisation on whose behalf it is recorded.")
def command(data: Data, file: Path, org: str) -> None:
    """Record documents from a JSON file: EPCIS documents, exception claims, decisions on them; one, or a list.

    Importing the same again records nothing: each is answered with the index it already has.
    """
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        fail(f"{file}: not JSON: {error}")
    with data.core() as core:
        items = []
        for body in content if isinstance(content, list) else [content]:
            if isinstance(body, dict) and body.get("type") == "EPCISDocument":
                outcome = core.capture(org, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
            elif isinstance(body, dict):
                outcome = core.record_document(org, body)
            else:
                fail(f"{file}: expected objects, found {type(body).__name__}")
            items.append({"index": outcome.index, "status": outcome.status})
    data.show({"items": items}, lambda d: (f"{i['status']}  entry {i['index']}" for i in d["items"]))
