"""`coldchain report`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click

from coldchain.cli.common import Data, OutFile, data_options, fail


@click.command()
@data_options
@click.argument("id_", metavar="ID")
@click.option("--from", "since", metavar="TIME", help="Start of the period, e.g. 2026-03-02T08:00:00Z.")
@click.option("--to", "until", metavar="TIME", help="End of the period.")
@click.option("--as-of", type=int, metavar="N", help="As believed when the ledger had N entries.")
@click.option("--above", metavar="C,C", help="Temperatures to tell the time above of, beside the limits in force.")
@click.option("--out", type=OutFile(), help="Write it: .pdf, .xlsx or .csv.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the file.")
@click.option("--no-record", is_flag=True, help="Record nothing: the file then has no receipt.")
def command(
    data: Data,
    id_: str,
    since: str | None,
    until: str | None,
    as_of: int | None,
    above: str | None,
    out: Path | None,
    lang: Literal["en", "zh"],
    no_record: bool,
) -> None:
    """Temperatures of a consignment, vehicle trip, room or device over a period, and how they were judged.

    ID is a pallet, case, container, veh:…, room:… or dev:…. Without a period: all of a consignment's life, a vehicle's
    newest trip, the last 30 days of a room or device; of what is longer than 400 days the last 400. That a file was
    written is recorded, with the SHA-256 of its figures.
    """
    from coldchain.bootstrap.reports import issue, make_report, rendered
    from coldchain.decoders.scans import named
    from coldchain.services.moments import moment_us

    if out is not None and out.suffix not in (".pdf", ".xlsx", ".csv"):
        raise click.BadParameter(f"--out {out.name!r}: expected a name that ends in .pdf, .xlsx or .csv")
    period = tuple(None if moment is None else moment_us(moment) for moment in (since, until))
    name = id_ if id_.startswith(("dev:", "veh:", "room:")) else named(id_)
    with data.core() as core:
        core.catch_up_if_alone()
        document = make_report(core, name, (period[0], period[1]), _levels(above), as_of)
        if document is None:
            fail(f"{id_!r}: nothing was measured where it was in that period, or no entry names it")
        issued = None if no_record or out is None else issue(core, core.log.origin, document)
        if out is not None:
            out.write_bytes(rendered(document, out.suffix.removeprefix("."), lang, issued))
    told = {"path": None if out is None else str(out), "entry": issued and issued.entry, "report": document}
    data.show(told, _lines)


def _levels(above: str | None) -> list[int]:
    try:
        return [round(float(part) * 1000) for part in (above or "").split(",") if part]
    except (ValueError, OverflowError):
        raise click.BadParameter(f"--above {above!r}: expected degrees Celsius, e.g. -15,-12") from None


def _lines(told: dict[str, Any]) -> Iterator[str]:
    document = told["report"]
    yield f"{document['about']}  {document['from']} – {document['to']}  {document['verdict'].replace('_', ' ')}"
    whole = document["whole"]
    if (whole["from"], whole["to"]) != (document["from"], document["to"]):
        yield f"  a part of {whole['from']} – {whole['to']}"
    yield f"  from {document['ledger']['size']} ledger entries up to {document['ledger']['time']}"
    for stay in document["stays"]:
        doors = f"{stay['doors']['count']} door openings ({stay['doors']['seconds'] // 60} min)"
        yield f"{stay['place']}  {stay['from']} – {stay['to']}  {doors}, {stay['defrosts']['count']} defrosts"
        yield from map(_probe, stay["probes"])
    yield from (
        f"! {one['place']} {one['device']} {one['probe']}  {one['from']} – {one['to']}"
        for one in document["excursions"]
    )
    if told["path"]:
        yield f"✓ {told['path']}" + (f", entry {told['entry']}" if told["entry"] is not None else ", not recorded")


def _probe(probe: dict[str, Any]) -> str:
    measured = [name for name in ("min", "max", "mean", "sd") if probe[f"{name}_mc"] is not None]
    celsius = ", ".join(f"{name} {probe[f'{name}_mc'] / 1000:.1f}" for name in measured)
    minutes = ", ".join(
        f"{name.replace('_', ' ')} {probe[f'{name}_s'] / 60:.0f} min"
        for name in ("in_range", "breach", "unknown", "unjudged")
        if probe[f"{name}_s"]
    )
    return f"  {probe['device']} {probe['probe']} ({probe['kind']}): {celsius} °C; {minutes}; {probe['verdict']}"
