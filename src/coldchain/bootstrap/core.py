"""One data directory, opened: ledger, registry, admission and projections, wired to each other."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Engine

from coldchain.bootstrap.believed import Believed
from coldchain.bootstrap.conclusions import Conclusions
from coldchain.bootstrap.locks import exclusive
from coldchain.bootstrap.room import room_in
from coldchain.bootstrap.secrets import SetupError, ensure_directory, log_signer, operator_token
from coldchain.bootstrap.versions import bring_to_this_version, check_made, check_still_ours
from coldchain.db import queries_events
from coldchain.db.engine import make_engine
from coldchain.db.epcis_jobs import SqlJobs
from coldchain.db.ledger_store import SqlStore
from coldchain.db.queries_evidence import evidence_about, subjects_of
from coldchain.db.queries_findings import life_of, next_ack
from coldchain.db.queries_inspect import InspectQueries
from coldchain.db.queries_parties import bar_on, visible_findings
from coldchain.db.queries_party_evidence import evidence_for
from coldchain.db.queries_units import UnitQueries
from coldchain.db.rejects import SqlRejects
from coldchain.db.sealed import SqlSealed
from coldchain.db.tokens import SqlTokens
from coldchain.decoders import epcis, epcis_split
from coldchain.decoders.jws import load_key
from coldchain.decoders.readers import Readers
from coldchain.decoders.recorded import decode_recorded, recorded_of
from coldchain.decoders.wire import SignedWire
from coldchain.domain.parties import Registration
from coldchain.projections import all_projections
from coldchain.projections.exposures import Exposures
from coldchain.projections.follow import Follower
from coldchain.projections.history import History
from coldchain.rules import shipped_documents
from coldchain.services.admit import Admission, Refused
from coldchain.services.capture import captured, document_entry
from coldchain.services.chores import rule_entries
from coldchain.services.epcis_capture import Capture
from coldchain.services.findings import Acknowledged, Told, acknowledgement, checked_comment, checked_name
from coldchain.services.identity import CommandRefused
from coldchain.services.inspect import inspect
from coldchain.services.messages import Inbound
from coldchain.services.parties import OF_DEVICES, check_device, event_ruling, registered, registration
from coldchain.services.ports import Clock
from coldchain.services.principals import Principal
from coldchain.services.registry import Registry
from coldchain.services.trace import trace
from coldchain.settings import Settings
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.evidence import save_dossier, write_dossier
from coldchain_ledger.keys import Verifier, parse_vkey
from coldchain_ledger.log import Draft, Log, Outcome, create_log


def _taken(draft: Draft, index: int) -> CommandRefused:
    return CommandRefused(f"{draft.key} is entry {index} already, with another content")


def wall_clock() -> int:
    """Now, microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


SETTLE_ROUNDS = 5
"""A conclusion may lead to a question, the question to a new state; more rounds wait for the next call."""


class Core:
    """Everything a command or the server works with. Made by `open_core`, which also closes it."""

    def __init__(self, settings: Settings, engine: Engine, store: SqlStore, log: Log, clock: Clock) -> None:
        self.settings = settings
        self.engine = engine
        self.store = store
        self.log = log
        self.clock = clock
        self.operator_token = ""
        self.registry = Registry(load_key)
        self.rejects = SqlRejects(engine, settings.rejects_per_sender, settings.rejects_days)
        self.follower = Follower(engine, store, all_projections(), decode_recorded)
        self.history = History(engine)
        self.follower.tidy = self.history.catch_up
        self.conclusions = Conclusions(engine, store, log, self.follower, self.rejects, clock, settings)
        self.believed = Believed(store)
        self.tokens = SqlTokens(engine)
        self.sealed = SqlSealed(engine)
        self.epcis = Capture(SqlJobs(engine), log, self.rejects, epcis_split.judge, clock)
        self.readers = Readers()
        self.admission = Admission(
            store=store,
            log=log,
            registry=self.registry,
            rejects=self.rejects,
            wire=SignedWire(self.readers),
            clock=clock,
            on_recorded=lambda added: self.follower.offer(
                [(one[0], len(one[2].payload), partial(recorded_of, 1, *one)) for one in added]
            ),
        )

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """True while no other process follows this ledger: only one may move the projections, and only one that holds
        this lock makes them anew.

        Raises StoreError where another version's program did so since this one opened the database.
        """
        with exclusive(self.settings.dir / "server.lock") as alone:
            if alone:
                check_still_ours(self.settings.dir, self.engine)
            yield alone

    def catch_up_if_alone(self) -> None:
        """Beside a running server its projections serve; without one they are brought to the tip first."""
        with self.alone() as alone:
            if alone:
                self.follower.catch_up()

    def refresh_registry(self) -> None:
        """Every enrolment committed by any process is known."""
        with self.store.snapshot() as snapshot:
            self.registry.catch_up(snapshot)

    def settle(self, *, everything: bool = False) -> None:
        """Projections at the tip, conclusions published, parties asked, chores done; for whoever follows alone.

        everything: also conclusions that would have to settle first (`domain.pacing`), because nothing follows.
        """
        for _ in range(SETTLE_ROUNDS):
            if not self.follower.catch_up() or not self.conclusions.step(everything=everything):
                return

    def record(self, draft: Draft) -> Outcome:
        """One entry that does not come from a device. Raises CommandRefused where its key has another content."""
        (outcome,) = self.log.append([draft])
        if outcome.status == "conflict":
            raise _taken(draft, outcome.index)
        return outcome

    def check_key(self, draft: Draft) -> None:
        """Raises CommandRefused where `record` would now: the draft's key has another content."""
        with self.store.snapshot() as snapshot:
            index = snapshot.find([draft.key]).get(draft.key)
            if index is not None and parse_entry(snapshot.entry(index)).payload != draft.payload:
                raise _taken(draft, index)

    def capture(self, org: str, document: bytes) -> Outcome:
        """An EPCIS document from a system of the organisation, taken whole.

        Raises DocumentError where it is none or one of its events is invalid: it is kept with the rejects then.
        """
        try:
            events, quality = epcis.decode_marked(document, org)
        except epcis.DocumentError as error:
            refused = Refused(Inbound(f"capture/{org}", document), org, epcis.INVALID, str(error))
            self.rejects.keep([refused], self.clock())
            raise
        return self.record(captured(org, document, events, quality))

    def record_document(self, org: str, body: Mapping[str, Any]) -> Outcome:
        """A claim, a decision: checked for what its kind must say. Raises CommandRefused naming what is missing."""
        return self.record(document_entry(org, body))

    def register(self, op: str, stated: Mapping[str, Any]) -> tuple[Registration, Outcome]:
        """A party, place, vehicle or mounting is registered as stated. Raises CommandRefused (`services.parties`)."""
        self.refresh_registry()
        if op in OF_DEVICES:
            check_device(self.registry, str(stated.get("id")))
        version = registration(self.registry.directory, op, stated, self.clock())
        outcome = self.record(registered(self.log.origin, version))
        self.refresh_registry()
        return version, outcome

    def rule_on_event(self, principal: Principal, body: Mapping[str, Any]) -> Outcome:
        """Whether an event of an unentitled party counts. Raises CommandRefused, NotKnown."""
        self.refresh_registry()
        with self.engine.connect() as connection:
            stated, bar, n = bar_on(connection, str(body.get("event")))
        return self.record(event_ruling(self.registry.directory, stated, bar, principal, body, n))

    def ask(self, finding: str, hours: float | None = None) -> Outcome:
        """Put the question to the holder now. Raises CommandRefused where there is none to put."""
        with self.engine.connect() as connection:
            questions = {question.finding: question for question, _ in queries_events.open_questions(connection)}
        if finding not in questions:
            raise CommandRefused(f"finding {finding!r} is no open question: asked already, suspected only, or unknown")
        return self.record(self.conclusions.ask(questions[finding], hours))

    def acknowledge(self, principal: Principal, said: Acknowledged) -> Outcome:
        """Somebody took note of a finding they may see. Raises CommandRefused, Forbidden, NotKnown.

        The name is sealed first: a crash before the entry leaves a sealed value that nothing names.
        """
        checked_comment(said.comment)
        name = checked_name(said.name)
        only = None if principal.sees_all else visible_findings(principal.org)
        with self.engine.connect() as connection:
            life = life_of(connection, said.finding, only)
            n = next_ack(connection, said.finding)
        told = Told(life.newest.subject, life.newest.state, tuple(row.entry for row in life.published))
        sealed = self.sealed.seal("person", name, self.clock()) if name else ""
        while True:
            (outcome,) = self.log.append([acknowledgement(principal, said, told, n, sealed)])
            if outcome.status != "conflict":
                return outcome
            n += 1  # somebody else's was first, and the table does not know it yet

    def inspect(
        self, about: str, at_us: int | None = None, as_of: int | None = None, most: int | None = None
    ) -> dict[str, Any] | None:
        """Everything known about one unit, at any moment; None where no entry names it.

        as_of: as it was believed when the ledger had so many entries; most: entries that may be folded anew for that.
        Raises CommandRefused and Busy (`bootstrap.believed`).
        """
        with self.projected(as_of, most) as connection:
            return inspect(InspectQueries(connection), Exposures(connection), about, at_us)

    def projected(self, as_of: int | None = None, most: int | None = None) -> AbstractContextManager[Connection]:
        """To read what was concluded: today, or as believed earlier, which is read by one at a time; both as `inspect`
        has it."""
        return self.engine.connect() if as_of is None else self.believed.at(as_of, most)

    def trace(self, about: str) -> dict[str, Any] | None:
        """Back, forward and contacts of one unit; None where no entry names it."""
        with self.engine.connect() as connection:
            return trace(UnitQueries(connection), about)

    def write_evidence(self, about: str, out: BinaryIO, org: str | None = None) -> int:
        """A dossier about a subject name or a finding id, to a seekable file; how many entries, 0 for nothing. org: of
        what that organisation may see, which is nothing where it may not ask about it."""
        with self.store.snapshot() as snapshot:
            asked = snapshot.connection, snapshot, about
            indices = evidence_about(*asked) if org is None else evidence_for(*asked, org)
            return write_dossier(snapshot, indices, out) if indices else 0

    def save_evidence(self, about: str, path: Path | None = None) -> tuple[Path, int]:
        """The same as a file, by default in D/evidence. Raises CommandRefused where nothing is known.

        It also proves that no entry naming the subject was left out, for which it appends an index entry (ledger §5.5).
        """
        with self.store.snapshot() as snapshot:
            subjects = subjects_of(snapshot.connection, about)
            if not evidence_about(snapshot.connection, snapshot, about):
                raise CommandRefused(f"{about!r} is named by no entry of this ledger")
        if path is None:
            folder = ensure_directory(self.settings.dir / "evidence")
            path = folder / (re.sub(r"[^A-Za-z0-9_-]+", "-", about) + ".jsonl")
        chains = self.log.prove_subjects(subjects)
        with self.store.snapshot() as snapshot:
            indices = evidence_about(snapshot.connection, snapshot, about)
            return path, save_dossier(snapshot, indices, path, chains)

    def close(self) -> None:
        self.believed.close()
        self.engine.dispose()


@contextmanager
def open_core(settings: Settings, *, create: bool = False, clock: Clock = wall_clock) -> Iterator[Core]:
    """The data directory, checked and at this version's schema.

    Raises SetupError or StoreError where it, or its database, is missing and not to be created, StoreError where the
    ledger must not be continued (ledger §3.6: clock behind, another key, edge and checkpoint that differ) and where the
    disk is full, also later.
    """
    with room_in(settings.dir), _opened(settings, create=create, clock=clock) as core:
        yield core


@contextmanager
def _opened(settings: Settings, *, create: bool, clock: Clock) -> Iterator[Core]:
    secrets = _secrets_directory(settings.dir, create=create)
    token = operator_token(secrets, create=create)
    signer = log_signer(secrets, settings.log_origin, create=create)
    engine = make_engine(settings.database_url)
    try:
        if not create:
            check_made(engine)
        bring_to_this_version(settings.dir, engine)
        store = SqlStore(engine)
        create_log(store, [signer])
        core = Core(settings, engine, store, Log(store, [signer], clock), clock)
        core.operator_token = token
    except BaseException:
        engine.dispose()
        raise
    try:
        if create:
            core.log.append(rule_entries(core.log.origin, shipped_documents()))
        core.refresh_registry()
        yield core
    finally:
        core.close()


@contextmanager
def open_ledger(settings: Settings) -> Iterator[tuple[SqlStore, Verifier]]:
    """The ledger alone, for checking it: nothing is created, migrated or written.

    The verifier is made from D's own key: it shows that the database fits this directory, not that either is honest.
    """
    signer = log_signer(_secrets_directory(settings.dir, create=False), settings.log_origin, create=False)
    engine = make_engine(settings.database_url)
    try:
        check_made(engine)
        engine.dispose()  # `fsck` forks, and processes that share a connection to PostgreSQL lose it
        yield SqlStore(engine), parse_vkey(signer.vkey())
    finally:
        engine.dispose()


def _secrets_directory(directory: Path, *, create: bool) -> Path:
    secrets = directory / "secrets"
    if create:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return ensure_directory(secrets)
    if not secrets.is_dir():
        raise SetupError(f"{directory} is no data directory: `coldchain migrate --dir {directory}` makes one")
    return secrets
