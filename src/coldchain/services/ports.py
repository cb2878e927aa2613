"""What the use cases ask of the outside world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from coldchain.services.recorded import Recorded

Clock = Callable[[], int]
"""Now, integer microseconds since the epoch, UTC."""


class Projection(Protocol):
    """A derived view: a fold over ledger entries.

    Its rows are facts (equal for every order of arrival) but for columns marked `info={"provenance": True}`.
    """

    name: str
    tables: Sequence[str]

    def apply(self, connection: Any, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        """Fold the batch, in ledger order, inside the caller's transaction. ledger_time_us: newest `at` so far, this
        batch included. Every entry of every kind is passed; a projection picks its own."""
        ...

    def reset(self) -> None:
        """Forget every in-memory cache (after a rollback, before a rebuild)."""
        ...
