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
    takes_telemetry: bool
    """Whether readable, signed telemetry is passed to it as well: most look at the rest alone."""

    def apply(self, connection: Any, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        """Fold the batch, in ledger order, inside the caller's transaction. ledger_time_us: newest `at` so far, this
        batch included. Every entry of every kind is passed, but for `takes_telemetry`; a projection picks its own.
        There may be none: time passes all the same."""
        ...

    def reset(self) -> None:
        """Forget every in-memory cache (after a rollback, before a rebuild)."""
        ...
