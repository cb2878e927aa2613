"""`coldchain device summary`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import Data, data_options

if TYPE_CHECKING:
    from coldchain.projections.judged import Judged


@click.command()
@data_options
@click.argument("devices", nargs=-1, metavar="DEVICE...")
def summary(data: Data, devices: tuple[str, ...]) -> None:
    """How the time of every probe was judged: in range, in breach, unknown; what repeated, what went backward."""
    from coldchain.projections.judged import backward_steps, judged

    with data.core() as core:
        core.catch_up_if_alone()
        sources = [version.device for version in core.registry.sources.all()]
        enrolled = sorted({key.device for key in core.registry.all()} | set(sources))
        if strangers := sorted(set(devices) - set(enrolled)):
            raise click.BadParameter(f"device {strangers[0]!r} is not enrolled")
        with core.engine.connect() as connection:
            items = [
                _item(one, backward_steps(connection, name))
                for name in devices or enrolled
                for one in judged(connection, name)
            ]
    data.show({"items": items}, _table)


def _item(one: Judged, backward: int) -> dict[str, Any]:
    from coldchain.services.moments import rfc3339

    return {
        "device": one.device,
        "channel": one.channel,
        "from": rfc3339(one.first_us),
        "to": rfc3339(one.last_us),
        "values": one.values,
        "times": one.times,
        "repeated": one.repeated,
        "faults": one.faults,
        "backward": backward,
        "min_mc": one.min_mc,
        "max_mc": one.max_mc,
        **{
            f"{state}_s": round(getattr(one, f"{state}_us") / 1e6)
            for state in ("in_range", "breach", "unknown", "unjudged")
        },
        "gaps": one.gaps,
        "longest_gap_s": round(one.longest_gap_us / 1e6),
    }


_HEAD = ("probe", "values", "times", "repeated", "faults", "backward", "min °C", "max °C")
_HOURS = ("in range h", "breach h", "unknown h", "gaps", "longest h")


def _table(document: dict[str, Any]) -> Iterator[str]:
    rows = [(*_HEAD, *_HOURS), *map(_row, document["items"])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    hours = [f"{item[f'{state}_s'] / 3600:.1f}" for state in ("in_range", "breach", "unknown")]
    celsius = ["-" if item[f] is None else f"{item[f] / 1000:.1f}" for f in ("min_mc", "max_mc")]
    counts = [str(item[name]) for name in ("values", "times", "repeated", "faults", "backward")]
    return (
        f"{item['device']} {item['channel']}",
        *counts,
        *celsius,
        *hours,
        str(item["gaps"]),
        f"{item['longest_gap_s'] / 3600:.1f}",
    )
