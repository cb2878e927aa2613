"""From the broker to admission and back: nothing is acknowledged before it is recorded (design §4, steps 2, 3, 7, 8).

Two threads. The network thread reads and parks; when the parked bytes reach their bound it stops reading, which TCP
passes on to the broker, until half of them are recorded. (Dropping the connection at once would void every packet id
still to be acknowledged. A pause that outlasts two keepalives, or NATS's 10 s of patience, does cost the connection;
then we come back when there is room.) The worker takes a batch, has it recorded, and only then acknowledges to the
broker and answers the devices. A crash at any line leaves messages that the broker, or at the latest the device, sends
again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import structlog

from coldchain.mqtt.accounts import Credentials
from coldchain.mqtt.answers import answers
from coldchain.mqtt.connection import Address, Connection, Publication, Received
from coldchain.mqtt.errors import ProtocolError
from coldchain.mqtt.topics import INGEST_FILTERS
from coldchain.services.messages import Inbound, Reply

log = structlog.get_logger(__name__)

FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 5.0

Begin = Callable[[list[Inbound]], Any]
"""Starts on a batch, and gives what `OnBatch` is to be offered in its place."""
OnBatch = Callable[[Any], Sequence[Reply | None]]
"""Records a batch durably and says what to answer. When it raises, the same batch is offered again: refuse what you
cannot read, or it stands in everyone's way."""


@dataclass(slots=True)
class _Batch:
    """What was taken from the queue together."""

    parked: list[Received]
    messages: list[Inbound]
    begun: Any = None
    """What `Begin` gave; None while it has not."""


@dataclass(slots=True)
class Stats:
    """Counters since the start, and two gauges at the end. Each is written by one thread or under the queue's lock."""

    received: int = 0
    """Messages taken from the broker."""
    repeated: int = 0
    """Messages the broker marked as sent before."""
    recorded: int = 0
    acknowledged: int = 0
    """PUBACKs queued."""
    void: int = 0
    """PUBACKs not sent as their connection had ended: the broker repeats those messages and admission knows them."""
    replies: int = 0
    replies_lost: int = 0
    """Answers that found no connection: the devices resend and are answered then."""
    batches: int = 0
    batch_failures: int = 0
    pauses: int = 0
    """Times the queue was full and reading stopped."""
    connections: int = 0
    sessions_lost: int = 0
    """Times the broker no longer had our session when we came back."""
    queue_bytes: int = 0
    queue_messages: int = 0


class Subscriber:
    """Keeps one durable session at the broker and feeds `on_batch` from it, from `start` to `stop`.

    batch_messages: a batch is closed when it has that many (its last burst may exceed it), or linger_s seconds after
    its first. queue_bytes: bytes received and not yet recorded at most, but for one burst (`stream.READ_BYTES`).
    begin: called for each batch before `on_batch`, in the same order; for one that waits already, while the batch
    before it is not recorded yet.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials,
        on_batch: OnBatch,
        *,
        begin: Begin = list,
        filters: Sequence[str] = INGEST_FILTERS,
        batch_messages: int = 2_000,
        linger_s: float = 0.05,
        queue_bytes: int = 64 * 2**20,
    ) -> None:
        self._address, self._credentials, self._filters = address, credentials, filters
        self._begin, self._on_batch = begin, on_batch
        self._batch_messages, self._linger_s, self._queue_bytes = batch_messages, linger_s, queue_bytes
        self._queue: deque[Received] = deque()
        self._waiting_since = 0.0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._had_session = False
        self._connection_fault = "not connected yet"
        self._recording_fault = ""
        self._network = threading.Thread(target=self._stay_connected, name="mqtt network", daemon=True)
        self._worker = threading.Thread(target=self._work, name="mqtt worker", daemon=True)
        self.stats = Stats()

    def start(self) -> None:
        """Connect, and keep connected until `stop`. A broker that is away is waited for."""
        self._network.start()
        self._worker.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Within `timeout_s` what is recorded is acknowledged and the connection closed; the broker keeps the rest."""
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._worker.join(timeout_s / 2)
        with self._changed:
            if self._connection is not None:
                self._connection.close()
        self._network.join(max(deadline - time.monotonic(), 0))

    @property
    def fault(self) -> str:
        """Why messages cannot come in now, in one line; empty when they can."""
        connection = self._connection
        listening = connection is not None and connection.listening
        found = (self._ended_thread(), self._recording_fault, "" if listening else self._connection_fault)
        return "; ".join(filter(None, found))

    def _ended_thread(self) -> str:
        """Both catch what can be foreseen; one that ended all the same must not pass for one that has nothing to do."""
        ended = [one.name for one in (self._network, self._worker) if one.ident and not one.is_alive()]
        return f"thread {' and '.join(ended)} has ended: restart the server" if ended else ""

    # The network thread

    def _stay_connected(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while self._wait_for_room():
            since = time.monotonic()
            try:
                self._one_connection()
            except (OSError, ProtocolError) as error:
                self._lost(f"{error}")
            except Exception as error:
                log.exception("mqtt connection failed")
                self._lost(f"{type(error).__name__}: {error}")
            if time.monotonic() - since > LAST_BACKOFF_S:
                backoff_s = FIRST_BACKOFF_S
            self._stopping.wait(backoff_s)
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    def _lost(self, why: str) -> None:
        host, port = self._address
        self._connection_fault = f"broker at {host}:{port}: {why}"
        log.warning("mqtt connection lost", broker=f"{host}:{port}", why=why)

    def _wait_for_room(self) -> bool:
        """Without room a new connection would at once be paused; False when stopping."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping.is_set() or self.stats.queue_bytes <= self._queue_bytes // 2)
        return not self._stopping.is_set()

    def _one_connection(self) -> None:
        connection = Connection(self._address, self._credentials, self._filters, self._park)
        with self._changed:
            self._connection = connection
            if self._stopping.is_set():
                connection.close()
        self.stats.connections += 1
        try:
            connection.run()
        finally:
            with self._changed:
                self._connection = None
            if connection.listening:
                self.stats.sessions_lost += self._had_session and not connection.session_kept
                self._had_session = True

    def _park(self, received: Received) -> None:
        burst = received.burst
        count = len(burst.messages)
        stats = self.stats
        with self._changed:
            if count:
                self._waiting_since = self._waiting_since if self._queue else time.monotonic()
                self._queue.append(received)
            stats.received += count
            stats.repeated += burst.repeats
            stats.queue_messages += count
            stats.queue_bytes += burst.size
            if stats.queue_bytes >= self._queue_bytes:
                stats.pauses += 1
                received.connection.read(False)
            self._changed.notify_all()

    # The worker thread

    def _work(self) -> None:
        batch = self._take()
        while batch is not None:
            self._begin_early(batch)
            following = self._take_waiting(batch)
            if following is not None:
                self._begin_early(following)
            publications = self._record(batch)
            if publications is None:
                return
            # A crash here leaves the batch recorded and unacknowledged: it comes again and admission knows it.
            self._acknowledge(batch.parked)
            self._answer(publications)
            self._release(batch)
            batch = following or self._take()

    def _take(self) -> _Batch | None:
        """The next batch; None when stopping."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping.is_set() or self._queue)
            deadline = self._waiting_since + self._linger_s
            while self.stats.queue_messages < self._batch_messages and not self._stopping.is_set():
                if not self._changed.wait(deadline - time.monotonic()):
                    break
            return self._pop()

    def _take_waiting(self, current: _Batch) -> _Batch | None:
        """A whole batch, if one waits behind the current one."""
        with self._changed:
            waiting = self.stats.queue_messages - len(current.messages)
            return self._pop() if waiting >= self._batch_messages else None

    def _begin_early(self, batch: _Batch) -> None:
        """A head start only: a batch that fails here is begun in its turn, where `_record` retries and counts."""
        try:
            batch.begun = self._begin(batch.messages) if batch.begun is None else batch.begun
        except Exception:
            log.warning("batch not begun, will be tried again in its turn", exc_info=True)

    def _pop(self) -> _Batch | None:
        parked: list[Received] = []
        messages: list[Inbound] = []
        while self._queue and len(messages) < self._batch_messages and not self._stopping.is_set():
            parked.append(self._queue.popleft())
            messages += parked[-1].burst.messages
        return _Batch(parked, messages) if parked else None

    def _record(self, batch: _Batch) -> list[Publication] | None:
        """The answers to publish, once the batch is recorded, however long that takes; None when stopping."""
        backoff_s = FIRST_BACKOFF_S
        while not self._stopping.is_set():
            try:
                batch.begun = self._begin(batch.messages) if batch.begun is None else batch.begun
                publications = list(answers(self._on_batch(batch.begun)))
            except Exception as error:
                self.stats.batch_failures += 1
                self._recording_fault = f"cannot record messages: {type(error).__name__}: {error}"
                log.exception(
                    "batch not recorded, nothing acknowledged", messages=len(batch.messages), retry_s=backoff_s
                )
                self._stopping.wait(backoff_s)
                backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
            else:
                self._recording_fault = ""
                self.stats.batches += 1
                self.stats.recorded += len(batch.messages)
                return publications
        return None

    def _acknowledge(self, batch: Sequence[Received]) -> None:
        for connection, group in groupby(batch, key=lambda parked: parked.connection):
            mids = [mid for parked in group for mid in parked.burst.mids if mid]
            if connection.send(mids):
                self.stats.acknowledged += len(mids)
            else:
                self.stats.void += len(mids)

    def _answer(self, publications: Sequence[Publication]) -> None:
        connection = self._connection
        if connection is not None and connection.send((), publications):
            self.stats.replies += len(publications)
        else:
            self.stats.replies_lost += len(publications)

    def _release(self, batch: _Batch) -> None:
        stats = self.stats
        with self._changed:
            stats.queue_messages -= len(batch.messages)
            stats.queue_bytes -= sum(parked.burst.size for parked in batch.parked)
            if stats.queue_bytes <= self._queue_bytes // 2:
                if self._connection is not None:
                    self._connection.read(True)
                self._changed.notify_all()
