"""A thread of the server with work of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger("coldchain.worker")

RETRY_S = 1.0
GIVE_WAY_S = 0.25
"""As long as one transaction of the follower: between the two of them they share the core."""


class Worker:
    """A thread that takes steps while there is something to do, and looks again when woken or after a while."""

    def __init__(
        self, name: str, step: Callable[[], bool], idle_s: float, pause_s: float = 0.0, rests: float = 0.0
    ) -> None:
        """step: one piece of work, False where no more waits; when it raises, it is tried again.

        idle_s: longest time between two looks when nobody wakes it. pause_s: least time from one look to the next.
        rests: times as long as a step took it waits before the next one, so that it takes a share of the time alone.
        """
        self._step = step
        self._idle_s, self._pause_s, self._rests = idle_s, pause_s, rests
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

    def ending(self) -> bool:
        """Whether the thread is to end: a step that takes long asks."""
        return self._stopping.is_set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._idle_s)
            self._wake.clear()
            try:
                while self._take_step() and not self._stopping.is_set():
                    continue
                self.fault = ""
                self._idle.set()
            except Exception as error:
                # The database's own words: SQLAlchemy adds the statement and its values, and /healthz is for everyone.
                self.fault = f"{type(error).__name__}: {str(getattr(error, 'orig', None) or error).strip()}"
                log.exception("failed, will be tried again", work=self._thread.name)
                self._stopping.wait(RETRY_S)
            self._stopping.wait(self._pause_s)

    def _take_step(self) -> bool:
        began = time.monotonic()
        more = self._step()
        if more and self._rests:
            self._stopping.wait(self._rests * (time.monotonic() - began))
        return more
