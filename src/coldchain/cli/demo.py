"""`coldchain demo`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldchain.cli.common import BROKEN, Data, data_options, fail
from coldchain.cli.demo_tamper import tamper_with

if TYPE_CHECKING:
    from socket import socket

    from coldchain.bootstrap.core import Core
    from coldchain_devices.plan import Plan

MARK = "demo.json"
"""Says that a directory is a demo's own and may be started over."""
SLICE_US = 300 * 1_000_000
ASK_HOURS = 12.0
LATE_US = 1_800 * 1_000_000
"""A message received that long after its newest sample had waited somewhere; a batch has at most five minutes."""


@click.command()
@data_options
@click.option("--seed", type=int, help="Seed of the simulation (default: the scenario's).")
@click.option("--no-serve", is_flag=True, help="End after the run instead of leaving the page up.")
@click.option("--http", metavar="HOST:PORT", help="Where the page is; port 0 chooses (default 127.0.0.1:8080).")
@click.option("--tamper", type=click.IntRange(min=0), metavar="N", help="Edit entry N in a copy; 0 if fsck names N.")
@click.option("--scenario", default="demo", show_default=True, help="A scenario's name or TOML file.")
def command(data: Data, seed: int | None, no_serve: bool, http: str | None, tamper: int | None, scenario: str) -> None:
    """52 simulated hours of two trucks and two cold stores, through a real broker into a real ledger.

    What happens: a door left open, a truck offline for five hours, a silent re-palletizing, a lawful customs opening,
    and one tag in a hundred misread. What the ledger then shows: each of them, and nobody else accused.
    """
    from coldchain_devices.scenario import load_scenario

    settings = data.settings(http=http)
    directory = settings.dir
    if tamper is not None and settings.database:
        fail("--tamper edits a copy of the demo's SQLite file; a demo run with --database has none")
    if tamper is not None:
        if not (directory / MARK).exists():
            fail(f"{directory} holds no demo: run `coldchain demo --dir {directory} --no-serve` first")
        tamper_with(data, directory, tamper)
    say = _Teller(quiet=data.as_json)
    with ExitStack() as stack:
        # Before an older demo makes room: what this one would end at.
        loaded = load_scenario(scenario)
        listener = None if no_serve else _listen(stack, settings.http)
        plan = loaded.generate(seed)
        _check_unused(settings.database)
        _prepare(directory, plan)
        core, document = _run(stack, data, directory, plan, say)
        if data.as_json:
            data.show(document)
        else:
            _tell(say, document, core)
        if not document["verified"]:
            fail("the dossier does not verify", BROKEN)
        if listener is not None:
            _serve(core, listener, as_json=data.as_json)


def _listen(stack: ExitStack, http: str) -> socket:
    from coldchain.bootstrap.brokers import parse_address
    from coldchain.bootstrap.server import listen

    return stack.enter_context(listen(parse_address(http, "--http")))


def _check_unused(database: str) -> None:
    """Whatever ledger another database than D's holds, it is no demo's to go on with, and its key may be in D."""
    from coldchain.db.engine import make_engine
    from coldchain.db.migrate import NO_TABLES, differences

    if not database:
        return
    engine = make_engine(database)
    try:
        if differences(engine) != NO_TABLES:
            where = engine.url.render_as_string(hide_password=True)
            fail(f"{where} holds a ledger, and a demo begins its own: name an empty database with --database")
    finally:
        engine.dispose()


def _prepare(directory: Path, plan: Plan) -> None:
    """An empty directory of our own. Anything else in the way is refused, never removed."""
    from coldchain.bootstrap.locks import is_locked

    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            fail(f"{directory} is not empty and not a demo's: choose another with --dir")
        if is_locked(directory / "server.lock"):
            fail(f"a demo or server runs on {directory}: end it first, or choose another with --dir")
        if more := _enrolled_since(directory):
            fail(f"{directory} holds more than a demo, {more[0]!r} was enrolled in it: choose another with --dir")
        _clear(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _mark(directory, plan)


def _clear(directory: Path) -> None:
    """D itself stays: it may be a link, a mounted volume or where we stand. So does the mark: cut short, this is begun
    again."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()


def _mark(directory: Path, plan: Plan) -> None:
    said = {"scenario": plan.name, "seed": plan.seed, "devices": [spec.id for spec in plan.devices]}
    (directory / MARK).write_text(json.dumps(said) + "\n")


def _enrolled_since(directory: Path) -> list[str]:
    """Devices with an account that are not of the demo: `serve` begins in the same directory where none is named, and
    what theirs recorded is no simulation's to remove."""
    from sqlalchemy import inspect

    from coldchain.db.accounts import active_accounts
    from coldchain.db.engine import make_engine

    demos = json.loads((directory / MARK).read_text()).get("devices")
    if demos is None or not (directory / "coldchain.db").exists():
        return []
    engine = make_engine(f"sqlite:///{directory.resolve() / 'coldchain.db'}")
    try:
        accounts = active_accounts(engine) if inspect(engine).has_table("broker_account") else []
    finally:
        engine.dispose()
    return [one.device for one in accounts if one.device not in demos]


class Clock:
    """Simulated time: it stands where the driver sets it."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


def _run(stack: ExitStack, data: Data, directory: Path, plan: Plan, say: _Teller) -> tuple[Core, dict[str, Any]]:
    from coldchain.bootstrap.core import open_core
    from coldchain.bootstrap.server import Ingest
    from coldchain.cli.playing import Player, devices_directory
    from coldchain_devices.outbox import Outbox

    since = time.monotonic()
    clock = Clock(plan.start_us)
    settings = data.settings(mqtt="127.0.0.1:0", ask_deadline_h=ASK_HOURS, batch_ms=5)
    core = stack.enter_context(open_core(settings, create=True, clock=clock))
    outbox = Outbox(devices_directory(directory) / "outbox.db", synchronous="NORMAL")
    stack.callback(outbox.close)
    stack.enter_context(core.alone())  # until the page is gone: what is looked at is not started over
    with Ingest(core, core.admission.finish).started() as ingest:
        say.line("broker", f"nats-server at {ingest.mqtt[0]}:{ingest.mqtt[1]}, {len(plan.devices)} devices enrolled")
        player = Player(core, plan, outbox)
        with player.connected(ingest.mqtt):
            _play(core, plan, player, clock, say)
    document = _conclude(core, plan, player.messages, directory)
    document["seconds"] = round(time.monotonic() - since, 1)
    return core, document


def _play(core: Core, plan: Plan, player: Any, clock: Clock, say: _Teller) -> None:
    """Slice by slice: what happens in it is sent, answered by the ledger, and concluded from."""
    with say.progress(f"{plan.name}: {(plan.end_us - plan.start_us) // 3_600_000_000} simulated hours") as advance:
        last_us = max(plan.end_us, plan.actions[-1].at_us + 1)  # the last packs leave seconds after the last hour
        for from_us in range(plan.start_us, last_us, SLICE_US):
            to_us = min(from_us + SLICE_US, last_us)
            clock.now_us = to_us
            player.play(plan.slice(from_us, to_us))
            player.wait()
            core.settle()
            advance((to_us - plan.start_us) / (last_us - plan.start_us))
    core.log.append_index()
    core.settle(everything=True)


def _conclude(core: Core, plan: Plan, messages: int, directory: Path) -> dict[str, Any]:
    from coldchain.db.queries_summary import findings_now, first_case, late_messages, reading_count
    from coldchain_ledger.keys import parse_vkey
    from coldchain_ledger.verify import log_policy, verify_dossier

    with core.store.snapshot() as snapshot:
        findings = findings_now(snapshot.connection, snapshot)
        readings = reading_count(snapshot.connection)
        late = late_messages(snapshot.connection, snapshot, LATE_US)
        positive = _positive(findings) or first_case(snapshot.connection)
    traced = core.trace(positive)
    path, _ = core.save_evidence(positive)
    with path.open("rb") as file:
        report = verify_dossier(file, log_policy(parse_vkey(core.log.vkey)))
    return {
        "seed": plan.seed,
        "messages": messages,
        "readings": readings,
        "entries": core.log.edge().size,
        "rejected": core.rejects.listing(1)["kept"],
        "checkpoint": core.log.checkpoint().decode(),
        "log_vkey": core.log.vkey,
        "findings": findings,
        "late": late,
        "misreads": {**asdict(plan.misreads), "accused": _accused(findings, plan)},
        "trace": {"from": positive, "contacts": traced["contacts"] if traced else []},
        "evidence": str(path),
        "verified": report.exit_code == 0,
        "seconds": 0.0,
    }


def _accused(findings: list[dict[str, Any]], plan: Plan) -> list[str]:
    """Units and vehicles said to be broken up or opened to which, as only the scenario knows, nothing happened."""
    happened = {name for note in plan.notes for name in note.names}
    broken = {finding["subject"] for finding in findings if finding["verdict"].startswith("BROKEN")}
    return sorted(broken - happened)


def _positive(findings: list[dict[str, Any]]) -> str | None:
    """The case that is said to test positive: the first that a broken-up pallet has too many."""
    for finding in findings:
        for case in finding["detail"].get("extra", []):
            return str(case)
    return None


class _Teller:
    """`✓ name  detail` lines and a progress bar for a person; nothing where a program reads."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def line(self, name: str, detail: str, *, good: bool = True) -> None:
        if not self._quiet:
            click.echo(f"{'✓' if good else '!'} {name:<12} {detail}")

    def text(self, text: str) -> None:
        if not self._quiet:
            click.echo(text)

    @contextmanager
    def progress(self, label: str) -> Iterator[Any]:
        if self._quiet or not sys.stderr.isatty():
            yield lambda _share: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=1.0)
            yield lambda share: bar.update(task, completed=share)


def _tell(say: _Teller, document: dict[str, Any], core: Core) -> None:
    """What was found, one line each, and how to look further."""
    say.line(
        "ledger",
        f"{document['messages']:,} messages, {document['readings']:,} readings, {document['entries']:,} entries",
    )
    say.line("refused", f"{document['rejected']} messages", good=document["rejected"] == 0)
    for late in document["late"]:
        say.line(
            "late",
            f"{late['messages']} messages of {late['device']}, {_span(late['from'], late['to'])}, came"
            f" {_span(late['received_from'], late['received_to'])}; judged by when they were measured",
        )
    misread = document["misreads"]
    nobody = ", ".join(misread["accused"]) or "nobody"
    say.line(
        "misreads",
        f"portals missed {misread['missed']} tags and read {misread['stray']} of neighbours; {nobody} accused of it",
        good=not misread["accused"],
    )
    for finding in document["findings"]:
        span = _span(finding["from"], finding["to"])
        channel = f" {finding['channel']}" if finding["channel"] else ""
        lawful = finding["verdict"] == "BROKEN_AUTHORISED"
        say.line(finding["rule"], f"{finding['subject']}{channel}  {span}  {finding['verdict']}", good=lawful)
    grades: dict[str, int] = {}
    for contact in document["trace"]["contacts"]:
        grades[contact["grade"]] = grades.get(contact["grade"], 0) + 1
    counted = ", ".join(f"{count} {grade}" for grade, count in sorted(grades.items()))
    say.line("trace", f"{document['trace']['from']}: contacts {counted}")
    say.line("evidence", f"{document['evidence']} {'verifies' if document['verified'] else 'does NOT verify'} offline")
    say.line("time", f"{document['seconds']} s")
    coldchain, verify = program("coldchain"), program("coldchain-verify")
    directory = shlex.quote(str(core.settings.dir))
    say.text("")
    say.text(f"look            {coldchain} trace {document['trace']['from']} --dir {directory}")
    say.text(f"check yourself  {verify} {shlex.quote(document['evidence'])} --log-vkey '{document['log_vkey']}'")
    if not core.settings.database:
        say.text(f"break it        {coldchain} demo --dir {directory} --tamper {document['entries'] // 2}")


def _span(start: str, end: str | None) -> str:
    """From and to as month, day and minute."""
    return f"{start[5:16]} – {end[5:16] if end else 'now'}".replace("T", " ")


def program(name: str) -> str:
    """How a shell in this folder calls a command of this installation: by name where its PATH leads here."""
    ours = Path(sys.argv[0]).absolute().with_name(name)
    found = shutil.which(name)
    if found is not None and Path(found).resolve() == ours.resolve():
        return name
    return shlex.quote(min(str(ours), os.path.relpath(ours), key=len))


def _serve(core: Core, listener: socket, *, as_json: bool) -> None:
    """The page of the finished run, until Ctrl-C; what is recorded by it or beside it shows."""
    from coldchain.bootstrap.core import wall_clock
    from coldchain.bootstrap.ports import app_ports
    from coldchain.bootstrap.server import IDLE_S, announced, serve_pages
    from coldchain.bootstrap.worker import Worker

    def follow() -> bool:
        core.settle(everything=True)
        return False

    following = Worker("following", follow, IDLE_S)
    ports = app_ports(core, lambda: None, lambda: following.fault, clock=wall_clock, wake=following.wake)
    host, port = listener.getsockname()[:2]
    address = f"http://{host}:{port}"

    def ready() -> None:
        link = f"{address}/login?code={ports.access.issue_code()}"
        click.echo(f"\n{link}\n(good once, for 15 minutes; Ctrl-C ends everything)", err=as_json)

    with following.started(), announced(core.settings.dir, {"http": address}):
        serve_pages(ports, listener, ready)
