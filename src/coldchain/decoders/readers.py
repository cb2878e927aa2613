"""Verifying and decoding signed messages, in processes beside the server.

That is four fifths of a message's cost and needs nothing but the message and its key. Threads would not do: a signature
lets the interpreter lock go for 67 µs, and to get it back from a thread that computes takes up to 5 ms (measured with
the projections running: 1,700 messages/s in threads, 60 % of one core used).

A reader holds nothing. One that dies costs its share of one batch, which is read here instead; one whose server dies
finds its socket closed and ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from coldchain.decoders.content import Content, read
from coldchain.decoders.jws import Envelope, load_key
from coldchain.domain.blocks import Block
from coldchain.domain.telemetry import Run, Telemetry
from coldchain.services.registry import Key

log = structlog.get_logger(__name__)

LEAST = 32
"""Messages below which it takes longer to hand them over than to read them."""
_LENGTH = 4
_KEYS = 65_536

Claims = Sequence[tuple[Envelope, Key]]


class _Question(msgspec.Struct, array_like=True):
    public_key: str
    envelope: Envelope


class _Answer(msgspec.Struct, array_like=True):
    genuine: bool
    runs: tuple[Run, ...] = ()
    quality: tuple[str, ...] = ()
    block: Block | None = None
    """None for other types than SenML."""


_encode = msgspec.msgpack.Encoder().encode
_questions = msgspec.msgpack.Decoder(list[_Question]).decode
_answers = msgspec.msgpack.Decoder(list[_Answer]).decode


class Readers:
    """Reads batches: in this process, or while `running` in others that share the work evenly."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    @contextmanager
    def running(self, count: int) -> Iterator[None]:
        """`count` processes, which end with this or with us."""
        with self._lock:
            for _ in range(count):
                self._start()
        try:
            yield
        finally:
            with self._lock:
                self._end()

    def read(self, claims: Claims) -> list[Content | None]:
        """What each message says, in order; None for one whose signature does not hold under its key."""
        with self._lock:
            if len(claims) < LEAST or not self._sockets:
                return _read_here(claims)
            return self._read_there(claims)

    def _read_there(self, claims: Claims) -> list[Content | None]:
        share = -(-len(claims) // len(self._sockets))
        shares = [claims[start : start + share] for start in range(0, len(claims), share)]
        asked = list(zip(shares, self._sockets, strict=False))
        try:
            for part, reader in asked:
                questions = [_Question(key.stated["public_key"], envelope) for envelope, key in part]
                _send(reader, _encode(questions))
            return [content for part, reader in asked for content in _contents(part, _receive(reader))]
        except (OSError, EOFError) as error:
            # What others answer to this batch would be taken for answers to the next, so all of them start anew.
            log.error("a reader ended, starting all again", why=str(error))
            count = len(self._sockets)
            self._end()
            for _ in range(count):
                self._start()
            return _read_here(claims)

    def _start(self) -> None:
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
            process.wait()
        self._sockets, self._processes = [], []


def _read_here(claims: Claims) -> list[Content | None]:
    return [read(envelope, key.public_key) for envelope, key in claims]


def _contents(claims: Claims, answers: bytes) -> Iterator[Content | None]:
    for (envelope, _), answer in zip(claims, _answers(answers), strict=True):
        if not answer.genuine:
            yield None
        elif answer.block is None:
            yield Content(envelope)
        else:
            said = Telemetry(envelope.device, envelope.boot, envelope.seq, answer.runs, answer.quality)
            yield Content(envelope, said, answer.block)


def _send(to: socket.socket, data: bytes) -> None:
    to.sendall(len(data).to_bytes(_LENGTH, "big") + data)


def _receive(source: socket.socket) -> bytes:
    """Raises EOFError where the other side has ended."""
    head = source.recv(_LENGTH, socket.MSG_WAITALL)
    length = int.from_bytes(head, "big")
    data = source.recv(length, socket.MSG_WAITALL) if len(head) == _LENGTH else b""
    if len(head) < _LENGTH or len(data) < length:
        raise EOFError("the other side has ended")
    return data


# The reader's side


@lru_cache(_KEYS)
def _loaded(alg: str, public_key: str) -> Any:
    return load_key(alg, public_key)


def _answer(question: _Question) -> _Answer:
    envelope = question.envelope
    content = read(envelope, _loaded(envelope.alg, question.public_key))
    if content is None:
        return _Answer(False)
    said = content.telemetry
    return _Answer(True) if said is None else _Answer(True, said.runs, said.quality, content.block)


def main() -> None:
    """Answer until the server closes its end, which it also does by dying."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server says when it is over
    with socket.socket(fileno=os.dup(0)) as server:
        while True:
            try:
                questions = _questions(_receive(server))
            except (EOFError, OSError):
                return
            _send(server, _encode([_answer(question) for question in questions]))


if __name__ == "__main__":
    main()
