"""The door for trucks that speak JT/T 808: they register, authenticate, report where they are and how cold it is.

A report is answered when it is in the ledger, so a terminal keeps what was not. Registered are terminals that a mapping
names. Phone number and code are all that the protocol knows of identity, both in the clear: what comes in here is of
transport grade, and belongs behind a private network of the operator (APN, VPN).
"""

from __future__ import annotations

import asyncio
import hmac
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import structlog

from coldchain.decoders import jtt808
from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jtt808 import Frame
from coldchain.services.messages import Inbound, Reply

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/vnd.jtt808"
MAX_FRAME = 4_096
"""A body has 1,023 bytes at most, and escaping doubles them."""
MAX_CONNECTIONS = 1_000
MAX_BATCH = 500
IDLE_S = 600.0
"""Terminals send a heartbeat every few minutes; who is silent longer is cut off."""
LOGIN_S = 60.0
"""Time to authenticate: until then a connection costs us and is nobody's."""
_OK, _FAILED, _WRONG, _UNSUPPORTED = range(4)
"""Results of a general answer (0x8001)."""
_UNKNOWN_TERMINAL = 4
"""Result of a registration (0x8100): no such terminal in the database."""


class Terminals(NamedTuple):
    """What the door asks of the server; called from its own threads."""

    topic: Callable[[], str]
    """Where the reports of terminals go, "" while the gateway is not registered or closed."""
    known: Callable[[str], bool]
    """Whether a terminal of this phone number is mapped."""
    admit: Callable[[Sequence[Inbound]], Sequence[Reply | None]]
    """Records a batch. Raises what recording raises; nothing is answered then."""


class _Waiting(NamedTuple):
    inbound: Inbound
    outcome: asyncio.Future[bool]


class Door:
    """Listens from `started` on. Codes are made of the secret and the phone number, so a restart changes none."""

    def __init__(self, host: str, port: int, terminals: Terminals, secret: bytes) -> None:
        self._host, self._port = host, port
        self._terminals = terminals
        self._secret = secret
        self._connections = 0
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(MAX_CONNECTIONS)
        self.address: tuple[str, int] = ("", 0)

    @contextmanager
    def started(self) -> Iterator[Door]:
        """Raises OSError where the port is taken."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._connected, self._host, self._port, limit=MAX_FRAME))
        self.address = server.sockets[0].getsockname()[:2]
        thread = threading.Thread(target=_run, args=(loop, server, self._record()), name="jtt808")
        thread.start()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def code(self, phone: str) -> bytes:
        """What the terminal authenticates with."""
        return hmac.digest(self._secret, phone.encode(), "sha256")[:16].hex().encode()

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._connections >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                await self._converse(reader, writer)
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Frame by frame, each answered before the next is read: who sends faster than we record waits."""
        phone, serial = "", 0
        while True:
            data = await asyncio.wait_for(_frame(reader), IDLE_S if phone else LOGIN_S)
            try:
                frame = jtt808.read_frame(data)
            except DecodeError as error:
                log.info("not a JT/T 808 frame", why=str(error))
                return
            message, body = await self._answer(frame, data, phone == frame.phone)
            if message == jtt808.ANSWER and body[-1] == _OK and frame.message == jtt808.AUTHENTICATE:
                phone = frame.phone
            writer.write(jtt808.write_frame(message, frame, serial, body))
            await writer.drain()
            serial = (serial + 1) & 0xFFFF

    async def _answer(self, frame: Frame, data: bytes, authenticated: bool) -> tuple[int, bytes]:
        """(message, body). Raises ConnectionError where a report could not be recorded, so that it comes again."""
        if frame.message == jtt808.REGISTER:
            known = await asyncio.to_thread(self._terminals.known, frame.phone)
            head = struct.pack(">HB", frame.serial, _OK if known else _UNKNOWN_TERMINAL)
            return jtt808.REGISTERED, head + (self.code(frame.phone) if known else b"")
        result = _UNSUPPORTED
        if not frame.plain:
            result = _UNSUPPORTED
        elif frame.message == jtt808.AUTHENTICATE:
            result = _OK if await self._authentic(frame) else _FAILED
        elif not authenticated:
            result = _FAILED
        elif frame.message in (jtt808.HEARTBEAT, jtt808.LOGOUT):
            result = _OK
        elif frame.message in (jtt808.LOCATION, jtt808.LOCATIONS):
            result = await self._report(data)
        return jtt808.ANSWER, struct.pack(">HHB", frame.serial, frame.message, result)

    async def _authentic(self, frame: Frame) -> bool:
        """2019: a byte of length before the code, IMEI and version behind it."""
        stated = frame.body[1 : 1 + frame.body[0]] if frame.versioned and frame.body else frame.body
        known = await asyncio.to_thread(self._terminals.known, frame.phone)
        return known and hmac.compare_digest(stated, self.code(frame.phone))

    async def _report(self, data: bytes) -> int:
        topic = self._terminals.topic()
        if not topic:
            return _FAILED
        waiting = _Waiting(Inbound(topic, data, MEDIA_TYPE), asyncio.get_running_loop().create_future())
        await self._waiting.put(waiting)
        return _OK if await waiting.outcome else _WRONG

    async def _record(self) -> None:
        """One transaction for whatever waits meanwhile."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                replies = await asyncio.to_thread(self._terminals.admit, [one.inbound for one in batch])
            except Exception:
                log.exception("reports of trucks not recorded, nothing answered", reports=len(batch))
                for one in batch:
                    if not one.outcome.done():
                        one.outcome.set_exception(ConnectionError("not recorded"))
                continue
            for one, reply in zip(batch, replies, strict=True):
                if not one.outcome.done():
                    one.outcome.set_result(reply is not None and reply.kind == "ack")


async def _frame(reader: StreamReader) -> bytes:
    """From flag to flag; two flags that touch are one end and one beginning."""
    await reader.readuntil(b"\x7e")
    content = await reader.readuntil(b"\x7e")
    while content == b"\x7e":
        content = await reader.readuntil(b"\x7e")
    return b"\x7e" + content


def _run(loop: asyncio.AbstractEventLoop, server: asyncio.Server, recording: Coroutine[Any, Any, None]) -> None:
    asyncio.set_event_loop(loop)
    recorder = loop.create_task(recording)
    loop.run_forever()
    server.close()
    tasks = [recorder, *(task for task in asyncio.all_tasks(loop) if task is not recorder)]
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
