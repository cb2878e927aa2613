"""One data directory, opened: ledger, registry, admission and projections, wired to each other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from coldchain.db.ledger_store import SqlStore
from coldchain.db.rejects import SqlRejects
from coldchain.decoders import decode_recorded, recorded_of
from coldchain.decoders.wire import SignedWire, load_key
from coldchain.projections import all_projections
from coldchain.projections.follow import Follower
from coldchain.services.admit import Admission
from coldchain.services.registry import Registry
from coldchain.settings import Settings
from coldchain_ledger.log import Log


def wall_clock() -> int:
    """Now, microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


class Core:
    """Everything a command or the server works with. Made by `open_core`, which also closes it."""

    def __init__(self, settings: Settings, engine: Engine, log: Log, store: SqlStore, token: str) -> None:
        self.settings = settings
        self.engine = engine
        self.store = store
        self.log = log
        self.operator_token = token
        self.registry = Registry(load_key)
        self.rejects = SqlRejects(engine, settings.rejects_per_sender, settings.rejects_days)
        self.follower = Follower(engine, store, all_projections(), decode_recorded)
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="verify")
        self.admission = Admission(
            store=store,
            log=log,
            registry=self.registry,
            rejects=self.rejects,
            wire=SignedWire(),
            clock=log.clock,
            verifiers=self.pool,
            on_recorded=lambda added: self.follower.offer([recorded_of(1, *item) for item in added]),
        )
