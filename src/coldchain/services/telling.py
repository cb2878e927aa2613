"""Telling receivers side by side: whoever hangs keeps nobody else waiting, and the end of the program least of all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait

_AT_ONCE = 64
"""Receivers that may be waited for at the same time."""
_OF_ONE = 8
"""Of these, so many may be one server: what else it is to be told waits until it answers or its time limit passes."""
_PATIENCE_S = 0.5
"""Longest wait of a round for the first one to answer; later rounds note what the others said."""


class Tellers:
    """One thread for each thing that is being told, made as it is needed.

    They are daemons: a program that ends leaves them, which loses nothing, for what they told is not noted as told and
    is told again under the same id. Used by one thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._telling: dict[str, tuple[str, Future[bool]]] = {}
        """By channel or subscription, each one thing at a time: the server told, and what comes of it."""
        self._begun = False

    def can_tell(self, key: str, server: str) -> bool:
        """Nothing is being told under that key, and neither too much at all nor too much to that server."""
        told = Counter(one for one, _ in self._telling.values())
        return key not in self._telling and told.total() < _AT_ONCE and told[server] < _OF_ONE

    def tell(self, key: str, server: str, telling: Callable[[], bool]) -> None:
        """Begin; what `telling` returns or raises is heard by a later `heard`. Only where `can_tell`."""
        future: Future[bool] = Future()
        self._telling[key] = (server, future)
        self._begun = True
        threading.Thread(target=_run, args=(telling, future), name=f"{self._name} {key}", daemon=True).start()

    def wait_a_little(self) -> None:
        """For the first answer, where something was begun since the last time."""
        if self._begun:
            wait(self._futures(), _PATIENCE_S, FIRST_COMPLETED)
        self._begun = False

    def heard(self) -> bool:
        """Whether one that ended since was true. Raises what went wrong in it."""
        ended = [key for key, (_, future) in self._telling.items() if future.done()]
        futures = [self._telling.pop(key)[1] for key in ended]
        return any(list(map(Future.result, futures)))

    def finish(self, patience_s: float | None = None) -> bool:
        """What is being told is told, or refused, or left to itself when that takes longer; then as `heard`."""
        wait(self._futures(), patience_s)
        return self.heard()

    def _futures(self) -> list[Future[bool]]:
        return [future for _, future in self._telling.values()]


def _run(telling: Callable[[], bool], future: Future[bool]) -> None:
    try:
        future.set_result(telling())
    except BaseException as error:  # noqa: BLE001  whoever hears of it raises it
        future.set_exception(error)
