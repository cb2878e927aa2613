"""`coldchain import`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import BROKEN, OK, Data, data_options, fail

if TYPE_CHECKING:
    from coldchain.bootstrap.core import Core
    from coldchain.domain.imports.mapping import Mapping

SHOWN = 20


@click.command()
@data_options
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--org", required=True, help="Organisation on whose behalf it is recorded.")
@click.option(
    "--kind", metavar="KIND", help="What a sheet is: packing-list, tally, receipt, … (see `coldchain template`)."
)
@click.option(
    "--map",
    "map_file",
    metavar="MAP",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML or JSON: which column is which field; kept for ORG and this kind of sheet.",
)
@click.option(
    "--preview", is_flag=True, help="Say what would be recorded and what is wrong, cell by cell; record nothing."
)
@click.option("--good-rows", is_flag=True, help="Record the papers without a fault (default: all rows or none).")
@click.option("--transcribed", is_flag=True, help="Copied from paper or from a non-member: graded so.")
def command(
    data: Data,
    file: Path,
    org: str,
    kind: str | None,
    map_file: Path | None,
    preview: bool,
    good_rows: bool,
    transcribed: bool,
) -> None:
    """Record a file: a sheet (XLSX, CSV), or JSON: EPCIS documents, exception claims, decisions on them.

    Importing the same again records nothing: each is answered with the index it already has.
    """
    with data.core() as core:
        if file.suffix.lower() == ".json" and kind is None and map_file is None:
            items = list(_documents(core, file, org))
            data.show({"items": items}, lambda d: (f"{i['status']}  entry {i['index']}" for i in d["items"]))
            return
        answer = _sheet(core, file, org, _stated_map(map_file, kind), kind, preview, good_rows, transcribed)
    data.show(answer, _lines)
    raise SystemExit(BROKEN if answer["faults"] else OK)


def _documents(core: Core, file: Path, org: str) -> Iterator[dict[str, Any]]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        fail(f"{file}: not JSON: {error}")
    for body in content if isinstance(content, list) else [content]:
        if isinstance(body, dict) and body.get("type") == "EPCISDocument":
            outcome = core.capture(org, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
        elif isinstance(body, dict):
            outcome = core.record_document(org, body)
        else:
            fail(f"{file}: expected objects, found {type(body).__name__}")
        yield {"index": outcome.index, "status": outcome.status}


def _stated_map(map_file: Path | None, kind: str | None) -> Mapping | None:
    if map_file is None:
        return None
    import tomllib

    from coldchain.domain.imports.mapping import parse_mapping

    try:
        text = map_file.read_text()
        body = json.loads(text) if map_file.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        fail(f"{map_file}: expected TOML or JSON: {error}")
    if kind is not None and isinstance(body, dict):
        body = {"kind": kind, **body}
        if body["kind"] != kind:
            fail(f"{map_file}: a map for {body['kind']}, not for {kind}")
    return parse_mapping(body)


def _sheet(
    core: Core,
    file: Path,
    org: str,
    stated: Mapping | None,
    kind: str | None,
    preview: bool,
    good_rows: bool,
    transcribed: bool,
) -> dict[str, Any]:
    from coldchain.bootstrap.imports import Imports

    if stated is None and kind is None:
        fail("a sheet needs --kind, or --map with a kind in it")
    imports = Imports(core)
    mapping = stated or imports.mapping(org, kind or "")
    grade = "transcribed" if transcribed else "declared"
    answer = imports.take(org, file.read_bytes(), mapping, grade, "good" if good_rows else "all", preview)
    if stated is not None and answer["entries"]:
        imports.keep_map(org, stated)
    return answer


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    columns = ", ".join(f"{column} {name}" for name, column in answer["columns"].items())
    yield f"{answer['kind']}: {answer['rows']} rows, {answer['good']} good, {len(answer['held'])} held back"
    yield f"columns: {columns}"
    if answer["ignored"]:
        yield f"ignored: {', '.join(answer['ignored'])}"
    for fault in answer["faults"][:SHOWN]:
        yield f"! {fault['cell']} ({fault['field']}) {fault['value']!r}: {fault['reason']}"
    if len(answer["faults"]) > SHOWN:
        yield f"! and {len(answer['faults']) - SHOWN} more (--json lists all)"
    for one in answer["contradictions"]:
        yield f"! rows {', '.join(map(str, one['rows']))}: {one['what']}"
    yield f"{answer['facts']} facts: {answer['recorded']} entries recorded, {answer['known']} known already"
