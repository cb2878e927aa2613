"""What the server records by itself: passing time, a clock that stepped back, index roots, questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core, open_core
from coldchain.db.tables.events import finding
from coldchain.settings import load_settings
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.errors import StoreError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.keys import parse_vkey
from integration.hostile import NOW_S, Clock, Door
from opening import new_core

DAY_US = 86_400_000_000


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    clock = Clock()
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        yield Door(core, clock)


def kinds(core: Core) -> Counter[str]:
    with core.store.snapshot() as snapshot:
        return Counter(parse_entry(data).kind for data in snapshot.entries(0, core.log.edge().size))


def test_a_quiet_day_is_recorded_once_and_gets_an_index_root(door: Door) -> None:
    door.core.settle()
    before = kinds(door.core)
    door.clock.now_us += DAY_US
    door.core.settle()
    door.core.settle()
    after = kinds(door.core)
    assert (after["time"] - before["time"], after["index"] - before["index"]) == (1, 1)
    assert fsck(door.core.store, parse_vkey(door.core.log.vkey)).ok, "the index root recomputes"


def test_silence_is_judged_by_ledger_time(door: Door) -> None:
    door.offer(door.truck.reading())
    door.core.settle()
    assert rules(door.core) == set()
    door.clock.now_us += DAY_US
    door.core.settle()
    assert rules(door.core) == {"CN-frozen gap"}


def test_a_site_that_falls_silent_altogether_is_found_out_without_another_message(door: Door) -> None:
    """Nobody moves ledger time but the ledger itself; once everybody is known to be silent it rests."""
    door.offer(door.truck.reading())
    told_after = 0
    for minute in range(1, 121):
        door.clock.now_us += 60_000_000
        door.core.settle()
        if not told_after and rules(door.core) == {"CN-frozen gap"}:
            told_after = minute
    assert told_after == 40, "ten minutes that the rules allow, then half an hour in which they may still come"
    assert kinds(door.core)["time"] <= 4


def test_a_clock_that_steps_back_while_running_is_a_finding_told_once(door: Door) -> None:
    door.offer(door.truck.reading())
    door.core.settle()
    door.clock.now_us -= 3_600_000_000
    door.core.settle()
    door.core.settle()
    assert rules(door.core) == {"log clock stepped back"}
    assert kinds(door.core)["time"] == 1


def test_a_step_back_is_told_though_the_clock_was_a_little_behind_before(door: Door) -> None:
    """A batch recorded between a look at the clock and one at the ledger puts the clock behind by milliseconds."""
    door.offer(door.truck.reading())
    door.clock.now_us -= 1_000
    door.core.settle()
    assert rules(door.core) == set()
    door.clock.now_us -= 3_600_000_000
    door.core.settle()
    assert rules(door.core) == {"log clock stepped back"}


def test_a_ledger_whose_clock_is_behind_at_the_start_is_not_opened(door: Door, tmp_path: Path) -> None:
    early = Clock()
    early.now_us = NOW_S * 1_000_000 - DAY_US
    with pytest.raises(StoreError, match="behind"), open_core(load_settings(dir=tmp_path / "data"), clock=early):
        pass


def rules(core: Core) -> set[str]:
    with core.engine.connect() as connection:
        return set(connection.scalars(select(finding.c.rule).where(finding.c.current, finding.c.state != "withdrawn")))
