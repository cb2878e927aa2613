"""`coldchain serve`: broker, subscriber, followers and web server, started in order and ended in reverse."""

from __future__ import annotations

import gc
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import structlog
import uvicorn

from coldchain.bootstrap import patience
from coldchain.bootstrap.brokers import Address, Brokers, parse_address, running_server
from coldchain.bootstrap.core import Core
from coldchain.bootstrap.epcis import delivery
from coldchain.bootstrap.http import create_app
from coldchain.bootstrap.notices import notifier
from coldchain.bootstrap.ports import app_ports
from coldchain.bootstrap.secrets import SetupError
from coldchain.bootstrap.trucks import truck_door
from coldchain.bootstrap.worker import Worker
from coldchain.mqtt.subscriber import Subscriber
from coldchain.services.admit import Begun
from coldchain.services.app_ports import AppPorts
from coldchain.services.messages import Reply

log = structlog.get_logger("coldchain.server")

SWITCH_S = 0.000_5
TURN_S = 10.0
"""Longest wait for a command that follows the ledger itself."""
BROKER_S = 5.0
"""Longest wait for the broker before the server says that it is ready without it."""
IDLE_S = 1.0
"""Longest time between two looks at the ledger when nothing says that it grew."""
CAPTURE_IDLE_S = 1.0
"""Capture jobs wake their worker; a crashed server's jobs, and those of another process, are found so late."""
DELIVERY_IDLE_S = 0.5
"""Longest time from what was derived to who is told of it."""
PARTING_S = 0.5
"""Longest wait at the end for a receiver that is being told: the next server tells it again under the same id."""
Finish = Callable[[Begun], list[Reply | None]]
PACKING_RESTS = 3
"""Times as long as it packs cells that are over, it leaves them: at six in the morning those of all devices are due."""
COMPACT_IDLE_S = 1.0
"""Longest time from a bundle that is old enough to its being compressed."""
COMPACT_RESTS = 19
"""Times as long as a bundle takes until the next: a twentieth of the time, more than a thousand entries a second."""
PAUSE_S = 0.05
"""Least time between two rounds of conclusions: a burst is concluded once."""


def run(core: Core, *, as_json: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises SetupError or BrokerError naming what is in the way."""
    _end_by_signal()
    with ExitStack() as stack:
        _take_turn(stack, core)
        tune()
        server = stack.enter_context(Running(core).started())
        server.await_broker()
        server.serve_http(lambda: _ready_line(server, as_json))


def _take_turn(stack: ExitStack, core: Core) -> None:
    """A command may be bringing the projections to the tip: it is waited for, another server is not."""
    deadline = time.monotonic() + TURN_S
    while not stack.enter_context(core.alone()):
        if running_server(core.settings.dir) or time.monotonic() > deadline:
            raise SetupError(f"another server runs on {core.settings.dir}: stop it first")
        time.sleep(0.1)


def tune() -> None:
    """Settings of the interpreter for a process that lives long and whose threads pass work to each other."""
    # A thread that comes back from a system call waits so long for one that computes: the web's and the network's do
    # often. How many messages a second are taken does not depend on it (the same from 0.2 to 5 ms).
    sys.setswitchinterval(SWITCH_S)
    # What is loaded stays, and a batch makes thousands of objects without a cycle: looking for them took a tenth.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _ready_line(server: Running, as_json: bool) -> None:
    addresses, fault = server.addresses(), server.broker_fault()
    if as_json:
        line = json.dumps({"ready": True, **addresses, "mqtt_fault": fault})
    else:
        line = f"ready {addresses['http']} {addresses['mqtt']}" + (
            f"  (not connected, trying on: {fault})" if fault else ""
        )
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Ingest:
    """Broker and subscriber of one core; `finish` records what admission has begun."""

    def __init__(self, core: Core, finish: Finish) -> None:
        self._core = core
        self._finish = finish
        self._brokers = Brokers(core.settings, core.engine)
        self.mqtt: Address = ("", 0)
        """Where devices connect, once started."""
        self.subscriber: Subscriber | None = None

    @contextmanager
    def started(self) -> Iterator[Ingest]:
        settings = self._core.settings
        with self._brokers.running() as (self.mqtt, credentials):
            self.subscriber = Subscriber(
                self.mqtt,
                credentials,
                self._finish,
                begin=self._core.admission.begin,
                batch_messages=settings.batch_messages,
                linger_s=settings.batch_ms / 1_000,
                queue_bytes=settings.queue_bytes,
            )
            self.subscriber.start()
            try:
                yield self
            finally:
                self.subscriber.stop()


class Running:
    """The parts of a server that live at the same time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._http = listen(parse_address(core.settings.http, "--http"))
        self._trucks: Address | None = None
        self._packing_from = 0.0
        """When the next cells may be packed, by the monotonic clock."""
        self._following = Worker("following", self._follow, IDLE_S, PAUSE_S)
        self._ingest = Ingest(core, self._admit)
        self._capturing = Worker("capturing", self._capture, CAPTURE_IDLE_S)
        core.follower.give_way, core.follower.ending = self._capturing.give_way, self._following.ending
        self._notifier = notifier(core.settings, core.engine, core.store, core.log.origin, core.clock)
        self._notifying = Worker("notifying", self._notifier.step, DELIVERY_IDLE_S)
        self._ports = app_ports(
            core,
            lambda: self._ingest.subscriber,
            self._fault,
            wake=self._wake,
        )
        maker, private = self._ports.access.standing, core.settings.webhooks_private
        self._delivery = delivery(core.engine, core.store, core.clock, maker, private=private)
        self._delivering = Worker("delivering", self._delivery.step, DELIVERY_IDLE_S)
        self._compacting = Worker("compacting", core.store.compact, COMPACT_IDLE_S, rests=COMPACT_RESTS)

    @contextmanager
    def started(self) -> Iterator[Running]:
        with ExitStack() as stack:
            stack.callback(self._http.close)
            stack.enter_context(self._core.readers.running(self._core.settings.readers))
            stack.enter_context(self._following.started())
            stack.enter_context(self._capturing.started())
            stack.callback(self._delivery.finish, PARTING_S)
            stack.enter_context(self._delivering.started())
            stack.callback(self._notifier.finish, PARTING_S)
            stack.enter_context(self._notifying.started())
            stack.enter_context(self._compacting.started())
            stack.enter_context(self._ingest.started())
            self._trucks = stack.enter_context(truck_door(self._core, self._following.wake))
            stack.enter_context(announced(self._core.settings.dir, self.addresses()))
            yield self

    def _fault(self) -> str:
        """Of what works in the background, the first that does not; "" where all does."""
        workers = (self._following, self._capturing, self._delivering, self._notifying, self._compacting)
        return next((worker.fault for worker in workers if worker.fault), "")

    def _wake(self) -> None:
        self._capturing.wake()
        self._following.wake()

    def _admit(self, begun: Begun) -> list[Reply | None]:
        """Admission, after which there is something to follow."""
        replies = self._core.admission.finish(begun)
        self._following.wake()
        return replies

    def _follow(self) -> bool:
        """Projections, conclusions and chores, all that is due; of what may wait, some in each round.

        Where it fails nothing is lost: rows and cursors rolled back together, the next round folds the same entries.
        """
        self._core.settle()
        began = time.monotonic()
        if began >= self._packing_from and self._core.history.step():
            ended = time.monotonic()
            self._packing_from = ended + PACKING_RESTS * (ended - began)
        return False

    def _capture(self) -> bool:
        """Some capture jobs done; True while more may wait."""
        if not self._core.epcis.step():
            return False
        self._following.wake()
        return True

    def broker_fault(self) -> str:
        """Why no message can come in from the broker, which is tried for ever; empty when they can."""
        subscriber = self._ingest.subscriber
        return subscriber.fault if subscriber is not None else "not started"

    def await_broker(self) -> None:
        """Until messages can come in, but not for ever: pages and proofs do without a broker."""
        deadline = time.monotonic() + BROKER_S
        while self.broker_fault() and time.monotonic() < deadline:
            time.sleep(0.01)

    def addresses(self) -> dict[str, str]:
        found = {"http": _url("http", self._http.getsockname()), "mqtt": _url("mqtt", self._ingest.mqtt)}
        return {**found, "jtt808": _url("tcp", self._trucks)} if self._trucks is not None else found

    def serve_http(self, on_ready: Callable[[], None]) -> None:
        """Serve the web until a signal says stop; calls `on_ready` once requests are answered."""
        serve_pages(self._ports, self._http, on_ready)


def _url(scheme: str, address: Sequence[object]) -> str:
    host = str(address[0])
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{address[1]}"


def serve_pages(ports: AppPorts, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Answer requests on the listener until SIGTERM or Ctrl-C, either of which ends the process with exit code 0."""
    _end_by_signal()  # uvicorn takes the signal first, finishes, and raises it again for us
    config = uvicorn.Config(
        create_app(ports),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        http=patience.Patient,
        timeout_keep_alive=patience.IDLE_S,
        limit_concurrency=patience.CONNECTIONS,
        h11_max_incomplete_event_size=64 * 1024,
        ws="websockets-sansio",
        ws_max_size=1024,  # receivers have nothing to say
    )
    _Uvicorn(config, on_ready).run(sockets=[listener])


def _end_by_signal() -> None:
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, _leave)


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


class _Uvicorn(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def listen(address: Address) -> socket.socket:
    """Raises SetupError naming the port when it is taken."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # Stated in full: asyncio turns Nagle's delay off, 40 ms an answer, only for sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(256)
    except OSError as error:
        listener.close()
        where = f"{address[0]}:{address[1]}"
        raise SetupError(
            f"cannot listen on {where} for http: {error.strerror}; choose another with --http or COLDCHAIN_HTTP"
        ) from error
    return listener


@contextmanager
def announced(directory: Path, addresses: dict[str, str]) -> Iterator[None]:
    """`server.json` tells the commands that run beside us where we are, and of which version."""
    path = directory / "server.json"
    path.write_text(json.dumps({**addresses, "version": version("coldchain")}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
