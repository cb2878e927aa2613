"""One data directory, opened: ledger, registry, admission and projections, wired to each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Engine

from coldchain.bootstrap.locks import exclusive
from coldchain.bootstrap.secrets import SetupError, ensure_directory, log_signer, operator_token
from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore
from coldchain.db.migrate import migrate
from coldchain.db.rejects import SqlRejects
from coldchain.decoders import decode_recorded, recorded_of
from coldchain.decoders.wire import SignedWire, load_key
from coldchain.projections import all_projections
from coldchain.projections.follow import Follower
from coldchain.rules import shipped_documents
from coldchain.services.admit import Admission
from coldchain.services.chores import rule_entries
from coldchain.services.ports import Clock
from coldchain.services.registry import Registry
from coldchain.settings import Settings
from coldchain_ledger.keys import Verifier, parse_vkey
from coldchain_ledger.log import Log, create_log


def wall_clock() -> int:
    """Now, microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


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
        self.verifiers = ThreadPoolExecutor(1, thread_name_prefix="verify")
        self.admission = Admission(
            store=store,
            log=log,
            registry=self.registry,
            rejects=self.rejects,
            wire=SignedWire(),
            clock=clock,
            verifiers=self.verifiers,
            on_recorded=lambda added: self.follower.offer([recorded_of(1, *item) for item in added]),
        )

    def alone(self) -> AbstractContextManager[bool]:
        """True while no other process follows this ledger: only one may move the projections."""
        return exclusive(self.settings.dir / "server.lock")

    def catch_up_if_alone(self) -> None:
        """Beside a running server its projections serve; without one they are brought to the tip first."""
        with self.alone() as alone:
            if alone:
                self.follower.catch_up()

    def refresh_registry(self) -> None:
        """Every enrolment committed by any process is known."""
        with self.store.snapshot() as snapshot:
            self.registry.catch_up(snapshot)

    def close(self) -> None:
        self.verifiers.shutdown()
        self.engine.dispose()


@contextmanager
def open_core(settings: Settings, *, create: bool = False, clock: Clock = wall_clock) -> Iterator[Core]:
    """The data directory, checked and at this version's schema.

    Raises SetupError where it is missing and not to be created, StoreError where the ledger must not be continued
    (ledger §3.6: clock behind, another key, edge and checkpoint that differ).
    """
    secrets = _secrets_directory(settings.dir, create=create)
    token = operator_token(secrets, create=create)
    signer = log_signer(secrets, settings.log_origin, create=create)
    engine = make_engine(settings.database_url)
    try:
        migrate(engine)
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
        yield SqlStore(engine), parse_vkey(signer.vkey())
    finally:
        engine.dispose()


def _secrets_directory(directory: Path, *, create: bool) -> Path:
    secrets = directory / "secrets"
    if create:
        directory.mkdir(parents=True, exist_ok=True)
        return ensure_directory(secrets)
    if not secrets.is_dir():
        raise SetupError(f"{directory} is no data directory: `coldchain migrate --dir {directory}` makes one")
    return secrets
