"""The `coldchain` command: one file per command, imported only when it runs."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

COMMANDS = {
    "demo": "52 simulated hours of two trucks and two cold stores, then a page to look at",
    "serve": "run the server: web, broker, admission, projections",
    "simulate": "run a scenario's devices against a running server",
    "replay": "play a recorded CSV log as if its devices sent it",
    "device": "enrol, list, show, rotate and revoke devices; gateways and what is behind them",
    "import": "record sheets (XLSX, CSV), EPCIS documents, exception claims and decisions on them",
    "logger": "record the file of a USB logger",
    "template": "an empty sheet to fill in and import",
    "label": "labels for pallets without an SSCC, as PDF",
    "inspect": "everything known about one pallet, case, lot, vehicle or room",
    "trace": "where it came from, where it went, what it touched",
    "report": "temperatures of a consignment, trip or room, and how they were judged, as PDF, XLSX or CSV",
    "ask": "ask the holder about a finding, with a deadline",
    "finding": "findings: the list, the life of one, acknowledging it",
    "notify": "who is told of findings, by webhook and e-mail",
    "export": "readings, segments, findings and events as Parquet files",
    "evidence": "export a dossier that anyone can verify offline",
    "fsck": "recompute the whole ledger from its entries",
    "audit": "prove that the ledger only grew since an older checkpoint",
    "log": "the ledger's public key, origin and checkpoint",
    "rebuild": "drop every derived table and derive it again",
    "compact": "compress the ledger's older entries now, and give room back",
    "rejects": "messages refused at the door, with their reasons",
    "rules": "rule packs in force",
    "party": "who is who: organisations, sites, vehicles, rooms, mountings, agents",
    "token": "bearer tokens of the operator and of organisations",
    "doctor": "check this data directory and what it needs",
    "migrate": "bring the database to this version's schema",
}


class Lazy(click.Group):
    """Imports a command's module when it is called, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"coldchain.cli.{cmd_name.replace('import', 'import_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coldchain")
def group() -> None:
    """Cold-chain traceability: signed telemetry and events in a ledger that anyone can check.

    Exit codes: 0 ok, 1 broken, 2 usage, 3 could not check.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Entry point. However a command fails, it says why in one line and ends with the code documented for that; with
    --json it prints one document all the same (docs/commands.md)."""
    from coldchain.cli.common import told

    words = sys.argv[1:] if arguments is None else arguments
    with told(as_json="--json" in words):
        sys.exit(group.main(words, standalone_mode=False))
