"""Verifying and decoding signed messages, in processes beside the server.

That is two fifths of a message's cost and needs nothing but the message and its key. Threads would not do: a signature
lets the interpreter lock go for 44 µs, and to get it back from a thread that computes takes up to 5 ms (measured with
the projections running: 1,700 messages/s in threads, 60 % of one core used).

A reader holds nothing. One that dies costs its share of one batch, which is read here instead; one whose server dies
finds its socket closed and ends.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from queue import SimpleQueue
from typing import Any

import msgspec
import structlog

from coldchain.decoders.content import Content, Said, read
from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jws import PublicKey, load_key
from coldchain.services.registry import Key

log = structlog.get_logger(__name__)

LEAST = 32
"""Messages below which it takes longer to hand them over than to read them."""
_LENGTH = 4
_KEYS = 65_536

Claims = Sequence[tuple[bytes, Key]]
"""Payloads with the keys that they name."""
Found = Content | str | None
"""What a message says; None where its signature does not hold under the key, and in words what is malformed."""


_NOTHING = msgspec.Raw(msgspec.msgpack.encode(Said()))


class _Question(msgspec.Struct, array_like=True):
    alg: str
    public_key: str
    payload: bytes


class _Answer(msgspec.Struct, array_like=True):
    genuine: bool
    malformed: str = ""
    prev: bytes = b""
    document: bytes = b""
    said: msgspec.Raw = _NOTHING
    """A `Said`."""


_encode = msgspec.msgpack.Encoder().encode
_questions = msgspec.msgpack.Decoder(tuple[int, list[_Question]]).decode
_answers = msgspec.msgpack.Decoder(tuple[int, list[_Answer]]).decode
_said = msgspec.msgpack.Decoder(Said).decode


class Reading:
    """A batch being read."""

    def __init__(self, claims: Claims, number: int) -> None:
        self.claims = claims
        self.number = number
        self.shares: list[tuple[Claims, socket.socket]] = []
        """What was asked of whom; nothing where it is to be read here."""
        self.asked_of = 0
        """Which start of the readers that was."""
        self.contents: list[Found] | None = None


class Readers:
    """Reads batches: in this process, or while `running` in others that share the work evenly."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._asked = 0
        self._started = 0
        """How often they were started: readings asked of those before know that no answer will come."""

    @contextmanager
    def running(self, count: int) -> Iterator[None]:
        """`count` processes, which end with this or with us."""
        with self._lock:
            self._start(count)
        try:
            yield
        finally:
            with self._lock:
                self._end()

    def begin(self, claims: Claims) -> Reading:
        """Readers work on the batch from now on. What is begun first is to be finished first."""
        with self._lock:
            self._asked += 1
            reading = Reading(claims, self._asked)
            if len(claims) >= LEAST and self._sockets:
                self._ask(reading)
            return reading

    def finish(self, reading: Reading) -> list[Found]:
        """Of each message, in order. Asked again, it is the same."""
        with self._lock:
            if reading.contents is None:
                reading.contents = self._answers(reading) or _read_here(reading.claims)
            return reading.contents

    def _ask(self, reading: Reading) -> None:
        claims = reading.claims
        size = -(-len(claims) // len(self._sockets))
        shares = [claims[start : start + size] for start in range(0, len(claims), size)]
        reading.shares = list(zip(shares, self._sockets, strict=False))
        reading.asked_of = self._started
        try:
            for share, reader in reading.shares:
                questions = [_Question(key.alg, key.stated["public_key"], payload) for payload, key in share]
                _send(reader, _encode((reading.number, questions)))
        except OSError as error:
            self._restart(error)

    def _answers(self, reading: Reading) -> list[Found]:
        """Nothing where a reader has ended since it was asked."""
        contents: list[Found] = []
        if reading.asked_of != self._started:
            return contents  # they have been replaced: starting again would cost those asked since their answers, too
        try:
            for share, reader in reading.shares:
                number, answers = _answers(_receive(reader))
                if number != reading.number:
                    raise EOFError(f"a reader answers question {number}, expected {reading.number}")
                contents += _contents(share, answers)
        except (OSError, EOFError) as error:
            self._restart(error)
            return []
        return contents

    def _restart(self, error: Exception) -> None:
        """What others would still answer could be taken for answers to what follows, so all of them start anew."""
        log.error("a reader has ended; all start again", why=str(error))
        count = len(self._sockets)
        self._end()
        self._start(count)

    def _start(self, count: int) -> None:
        self._started += 1
        for _ in range(count):
            ours, theirs = socket.socketpair()
            with theirs:
                # -P: a folder named coldchain where the server was started is not the program.
                command = [sys.executable, "-P", "-m", __name__]
                self._processes.append(subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL))
            self._sockets.append(ours)

    def _end(self) -> None:
        for reader in self._sockets:
            reader.close()
        for process in self._processes:
            process.kill()
            process.wait()
        self._sockets, self._processes = [], []


def _read_here(claims: Claims) -> list[Found]:
    return [_found(payload, key.public_key) for payload, key in claims]


def _found(payload: bytes, public_key: PublicKey) -> Found:
    try:
        return read(payload, public_key)
    except DecodeError as error:
        return str(error)


def _contents(claims: Claims, answers: Sequence[_Answer]) -> Iterator[Found]:
    for (_, key), answer in zip(claims, answers, strict=True):
        if answer.genuine:
            yield Content(key.kid, answer.prev, answer.document, partial(_said, answer.said))
        else:
            yield answer.malformed or None


def _send(to: socket.socket, data: bytes) -> None:
    to.sendall(len(data).to_bytes(_LENGTH, "big") + data)


def _receive(source: socket.socket) -> bytes:
    return _exactly(source, int.from_bytes(_exactly(source, _LENGTH), "big"))


def _exactly(source: socket.socket, length: int) -> bytes:
    """Raises EOFError where the other side has ended."""
    parts: list[bytes] = []
    while length:
        part = source.recv(length, socket.MSG_WAITALL)  # less only after a signal
        if not part:
            raise EOFError("the other side has ended")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


# The reader's side


@lru_cache(_KEYS)
def _loaded(alg: str, public_key: str) -> Any:
    return load_key(alg, public_key)


def _answer(question: _Question) -> _Answer:
    found = _found(question.payload, _loaded(question.alg, question.public_key))
    if found is None:
        return _Answer(False)
    if isinstance(found, str):
        return _Answer(False, found)
    return _Answer(True, "", found.prev, found.document, msgspec.Raw(_encode(found.said())))


def main() -> None:
    """Answer until the server closes its end, which it also does by dying."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when it is over
    gc.set_threshold(100_000)  # what a batch leaves are no cycles; looking for them took 6 of 110 µs a message
    answers: SimpleQueue[bytes] = SimpleQueue()
    with socket.socket(fileno=os.dup(0)) as server:
        threading.Thread(target=_send_all, args=(server, answers), daemon=True).start()
        with suppress(EOFError, OSError):
            while True:
                number, questions = _questions(_receive(server))
                answers.put(_encode((number, [_answer(question) for question in questions])))


def _send_all(server: socket.socket, answers: SimpleQueue[bytes]) -> None:
    """Apart, because the server may ask the next question before it takes the answer: else both would wait to send."""
    with suppress(OSError):
        while True:
            _send(server, answers.get())


if __name__ == "__main__":
    main()
