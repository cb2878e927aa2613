"""`coldchain label`."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from coldchain.cli.common import Data, OutFile, data_options, fail

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without I, L, O and U: nobody mistakes them for digits, and no word comes out."""
_LENGTH = 10
"""50 random bits: no two labels of an organisation meet, and no counter has to be kept."""


@click.command()
@data_options
@click.argument("unit", nargs=-1, metavar="UNIT...")
@click.option("--org", help="Make new labels of this organisation.")
@click.option("--count", type=click.IntRange(1, 1_000), default=1, show_default=True, help="How many new ones.")
@click.option("--out", type=OutFile(), required=True, help="PDF to write.")
def command(data: Data, unit: tuple[str, ...], org: str | None, count: int, out: Path) -> None:
    """Print labels, one A6 page each, for pallets without an SSCC: new ones of --org, or again those of UNIT."""
    from coldchain.domain.identifiers import IdentifierError, subject_name
    from coldchain.papers.labels import label_pdf

    if bool(unit) == bool(org):
        fail("expected either --org, for new labels, or the units to print again")
    try:
        units = [subject_name(name) for name in unit or _fresh(str(org), count)]
    except IdentifierError as error:
        fail(str(error))
    out.write_bytes(label_pdf(units))
    data.show({"path": str(out), "units": units}, lambda d: iter([f"✓ {d['path']}", *d["units"]]))


def _fresh(org: str, count: int) -> list[str]:
    return [f"hu:{org}/P-{''.join(secrets.choice(_LETTERS) for _ in range(_LENGTH))}" for _ in range(count)]
