"""Each projection is passed what it looks at, once, in order, and told the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine

from coldchain.db.engine import make_engine
from coldchain.domain.telemetry import Telemetry
from coldchain.projections.follow import Follower
from coldchain.services.recorded import Recorded
from coldchain_ledger.entry import Entry
from coldchain_ledger.memory import MemoryStore


class Seen:
    """What a projection was passed: indices and ledger time, call by call."""

    tables: Sequence[str] = ()

    def __init__(self, name: str, *, takes_telemetry: bool) -> None:
        self.name, self.takes_telemetry = name, takes_telemetry
        self.calls: list[tuple[list[int], int]] = []

    def apply(self, _connection: Any, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        self.calls.append(([item.index for item in batch], ledger_time_us))

    def reset(self) -> None:
        self.calls = []


def recorded(index: int) -> Recorded:
    """Of every three entries the middle one is no telemetry."""
    kind = "identity" if index % 3 == 1 else "telemetry"
    entry = Entry(kind, "polar", 10 * index, "application/json", f"k/{index}", "signed", (), b"{}")
    return Recorded(1, index, entry, Telemetry("T1", 1, index, ()) if kind == "telemetry" else None)


def follower(engine: Engine, *projections: Seen) -> Follower:
    def never(*_: Any) -> Recorded:
        raise AssertionError("everything is offered")

    return Follower(engine, MemoryStore(), projections, never)


def offer(following: Follower, *indices: int) -> None:
    following.offer([(index, 2, lambda index=index: recorded(index)) for index in indices])  # type: ignore[misc]
    following.catch_up()


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = make_engine(migrated_url)
    yield engine
    engine.dispose()


def test_a_projection_that_looks_at_no_telemetry_is_passed_the_rest_and_the_time(engine: Engine) -> None:
    whole, rest = Seen("whole", takes_telemetry=True), Seen("rest", takes_telemetry=False)
    following = follower(engine, whole, rest)
    offer(following, 0, 1, 2)
    offer(following, 3)
    assert whole.calls == [([0, 1, 2], 20), ([3], 30)]
    assert rest.calls == [([1], 20), ([], 30)]
    assert following.position() == (4, 30)


def test_one_that_is_behind_is_passed_all_and_the_others_only_what_is_new(engine: Engine) -> None:
    offer(follower(engine, Seen("whole", takes_telemetry=True), Seen("rest", takes_telemetry=False)), 0, 1, 2)
    whole, rest, late = (Seen(name, takes_telemetry=name != "rest") for name in ("whole", "rest", "late"))
    following = follower(engine, whole, rest, late)
    offer(following, *range(5))
    assert late.calls == [([0, 1, 2, 3, 4], 40)]
    assert (whole.calls, rest.calls) == ([([3, 4], 40)], [([4], 40)])
    assert following.position() == (5, 40)
