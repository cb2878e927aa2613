"""`coldchain template`."""

from __future__ import annotations

from pathlib import Path

import click

from coldchain.cli.common import Data, OutFile, data_options, fail


@click.command()
@data_options
@click.argument("kind")
@click.option("--out", type=OutFile(), required=True, help="File to write: .xlsx or .csv.")
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the headings."
)
def command(data: Data, kind: str, out: Path, lang: str) -> None:
    """Write an empty sheet to fill in: declaration, packing-list, tally, receipt, dispatch, sale, stock-count,
    opening-stock, temperatures or exception-claims."""
    from coldchain.domain.imports.mapping import kind_named
    from coldchain.papers.templates import Language, csv_template, headings, xlsx_template

    found = kind_named(kind)
    language: Language = "zh" if lang == "zh" else "en"
    writers = {".xlsx": xlsx_template, ".csv": csv_template}
    if (writer := writers.get(out.suffix.lower())) is None:
        fail(f"{out}: expected a name ending in .xlsx or .csv")
    out.write_bytes(writer(found, language))
    data.show(
        {"path": str(out), "kind": kind, "headings": headings(found, language)},
        lambda d: iter([f"✓ {d['path']}  {', '.join(d['headings'])}"]),
    )
