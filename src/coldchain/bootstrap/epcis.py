"""What works in the background for the EPCIS interface: recording documents, telling subscribers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Engine

from coldchain.bootstrap.webhooks import Webhooks
from coldchain.db.epcis_subscriptions import SqlSubscriptions
from coldchain.db.queries_epcis import newest_seq
from coldchain.projections.epcis_answers import look_beyond
from coldchain.services.epcis_subscriptions import Delivery, Look, NamedQuery
from coldchain.services.ports import Clock
from coldchain_ledger.store import Store

log = structlog.get_logger("coldchain.epcis")

RETRY_S = 1.0
GIVE_WAY_S = 0.25
"""As long as one transaction of the follower: between the two of them they share the core."""


class Worker:
    """A thread that takes steps while there is something to do, and looks again when woken or after a while."""

    def __init__(self, name: str, step: Callable[[], bool], idle_s: float) -> None:
        """step: one piece of work, False where there was none; when it raises, it is tried again."""
        self._step = step
        self._idle_s = idle_s
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name=name)
        self.fault = ""

    @contextmanager
    def started(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._wake.set()
            self._thread.join()

    def wake(self) -> None:
        self._idle.clear()
        self._wake.set()

    def give_way(self) -> None:
        """Wait while there is work, and not for long: others have theirs as well."""
        self._idle.wait(GIVE_WAY_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._idle_s)
            self._wake.clear()
            try:
                while self._step() and not self._stopping.is_set():
                    continue
                self.fault = ""
                self._idle.set()
            except Exception as error:
                self.fault = f"{type(error).__name__}: {error}"
                log.exception("failed, will be tried again", work=self._thread.name)
                self._stopping.wait(RETRY_S)


def delivery(engine: Engine, store: Store, clock: Clock, *, private: bool) -> Delivery:
    """Tells subscribers what their queries find."""

    def newest() -> int:
        with engine.connect() as connection:
            return newest_seq(connection)

    def find(query: NamedQuery, cursor: int, subscription: str) -> Look:
        return look_beyond(engine, store, clock, query, cursor, subscription)

    return Delivery(SqlSubscriptions(engine), find, newest, Webhooks(private=private).post, clock)
