"""`coldchain doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from coldchain.cli.common import BROKEN, OK, UNCHECKED, Data, data_options


@click.command()
@data_options
def command(data: Data) -> None:
    """Check this data directory and what it needs: Python, secrets, database, ledger, projections, broker, ports, disk.

    Works beside a running server and writes nothing. For the ledger's contents see `coldchain fsck`.
    """
    from coldchain.cli.checks import examine

    checks = examine(data.settings())
    states = {check.state for check in checks}
    data.show({"ok": states == {"ok"}, "checks": [asdict(check) for check in checks]}, _lines)
    sys.exit(BROKEN if "broken" in states else UNCHECKED if "unchecked" in states else OK)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for check in document["checks"]:
        mark = "✓" if check["state"] == "ok" else "!"
        said = "not checked: " if check["state"] == "unchecked" else ""
        yield f"{mark} {check['name']:<12} {said}{check['detail']}"
