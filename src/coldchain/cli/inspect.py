"""`coldchain inspect`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from coldchain.cli.common import Data, data_options, fail


@click.command()
@data_options
@click.argument("id_", metavar="ID")
def command(data: Data, id_: str) -> None:
    """Everything known about one unit: history, containment, temperature, verdict per segment with reasons."""
    from coldchain.decoders.scans import named

    name = named(id_)
    with data.core() as core:
        core.catch_up_if_alone()
        document = core.inspect(name)
    if document is None:
        fail(f"{id_!r} is named by no event of this ledger; for a device: coldchain device show")
    data.show(document, _lines)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['id']}  {document['verdict'] or 'no verdict: nobody observed it on a pallet'}"
    yield from _section("was in", (f"{_span(i)}  {i['parent']}" for i in document["inside"]))
    yield from _section("segments", (f"{_span(s)}  {s['verdict']}  {s['reason']}" for s in document["segments"]))
    yield from _section(
        "verdicts", (f"{_span(v)}  {v['rule']}  {v['verdict']} ({v['state']}){_why(v)}" for v in document["verdicts"])
    )
    yield from _section(
        "temperature",
        (f"{_span(t)}  {t['place']} {t['channel']}  {t['state']}{_warmest(t)}" for t in document["temperature"]),
    )
    yield from _section(
        f"history ({document['history_total']} events, newest first)",
        (
            f"{h['time']}  {h['action'] or h['kind']} {h['step']} at {h['read_point']} by {h['by']}, entry {h['entry']}"
            for h in document["history"]
        ),
    )


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield title
    for line in lines:
        yield f"  {line.rstrip()}"


def _span(item: dict[str, Any]) -> str:
    return f"{item['from']} – {item['to'] or 'now':<20}"


def _warmest(segment: dict[str, Any]) -> str:
    return "" if segment["max_mc"] is None else f", warmest {segment['max_mc'] / 1000:.1f} °C"


def _why(verdict: dict[str, Any]) -> str:
    detail = verdict["detail"]
    found = [f"{len(detail[name])} {name}" for name in ("missing", "extra") if detail.get(name)]
    asked = f"asked {detail['asked']}" if detail.get("asked") else ""
    due = f"until {verdict['due']}" if verdict.get("due") else ""
    said = [*found, " ".join(part for part in (asked, due) if part), f"entries {verdict['entries']}"]
    return ": " + "; ".join(part for part in said if part)
