"""`coldchain logger`."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path

import click

from coldchain.cli.common import Data, data_options, fail


@click.command()
@data_options
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--device", required=True, help="The logger, as mapped (`device map`); headings are its raw names.")
@click.option("--time", metavar="HEADING", help="Column with the times of readings, of a CSV or XLSX file.")
@click.option("--time-format", default="", metavar="FORMAT", help="As strptime has it, e.g. `%d/%m/%Y %H:%M`.")
@click.option("--zone", default="+08:00", show_default=True, help="Of times without an offset: e.g. Asia/Shanghai.")
@click.option("--sheet", default="", help="Sheet of an XLSX file (default: the first).")
@click.option("--transcribed", is_flag=True, help="Copied by hand, not read out of the logger.")
@click.option("--least", metavar="CELSIUS", help="Of a printed report (PDF): the coldest it states.")
@click.option("--most", metavar="CELSIUS", help="The warmest it states.")
@click.option("--from", "from_", metavar="TIME", help="When its readings begin.")
@click.option("--to", metavar="TIME", help="When they end.")
def command(
    data: Data,
    file: Path,
    device: str,
    time: str | None,
    time_format: str,
    zone: str,
    sheet: str,
    transcribed: bool,
    least: str | None,
    most: str | None,
    from_: str | None,
    to: str | None,
) -> None:
    """Record the file of a USB logger: every reading of a CSV or XLSX, or a PDF by its hash with what it sums up.

    A table needs --time, a report --least, --most, --from and --to. The file itself is kept in D/blobs.
    """
    summary = (least, most, from_, to)
    if (time is None) == (None in summary):
        fail("give --time for a table, or --least, --most, --from and --to for a printed report")
    with data.core() as core:
        if time is not None:
            from coldchain.bootstrap.loggers import take_table
            from coldchain.services.loggers import Reading

            how = Reading(time, _zone(zone), time_format)
            grade = "transcribed" if transcribed else "declared"
            data.show(take_table(core, device, file.read_bytes(), sheet, how, grade))
        else:
            from coldchain.bootstrap.loggers import take_report
            from coldchain.services.moments import moment_us

            least, most, from_, to = map(str, summary)
            span = moment_us(from_), moment_us(to)
            data.show(take_report(core, device, file.read_bytes(), _celsius(least), _celsius(most), *span))


def _zone(text: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    with suppress(ValueError):
        if (zone := datetime.fromisoformat(f"2026-01-01T00:00:00{text}").tzinfo) is not None:
            return zone
    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError):  # no such name; a folder of names; a name outside of them
        fail(f"--zone {text!r}: expected an offset such as +08:00, or a time zone such as Asia/Shanghai")


def _celsius(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{1,3})?", text):
        fail(f"{text!r}: expected degrees Celsius such as -18.5")
    return text
