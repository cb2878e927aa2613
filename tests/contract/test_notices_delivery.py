"""Every change that a channel is to be told of reaches it exactly once, wherever processes die."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete

from coldchain.db import notices
from coldchain.db.engine import writing
from coldchain.db.notices import SqlNotices
from coldchain.db.tables.notices import notice_channel, notice_cursor, notice_message, notice_outbox
from coldchain.domain.notices import Selection, Waiting
from coldchain.services.notices import Channel, Message, Notifier, Queued
from coldchain.services.signed_posts import NotDelivered
from exploring import examples

CHANNELS = ("shift", "boss")
LOOKED_AT = 3
"""Findings in one look: a backlog takes several."""
FATES = ("well", "dies before", "dies after", "refused", "answer lost")
MARKS = ("well", "well", "dies before", "dies after")


class Died(Exception):
    """The process ends here; what is not in the database is gone."""


class Fate:
    """What happens to the next sends and the next notes of what was done, as drawn; then all goes well."""

    def __init__(self, sends: Sequence[str], marks: Sequence[str]) -> None:
        self._sends, self._marks = list(sends), list(marks)

    def of_send(self) -> str:
        return self._sends.pop(0) if self._sends else "well"

    def of_mark(self) -> str:
        return self._marks.pop(0) if self._marks else "well"


class Mortal:
    """`SqlNotices` of a process that may die before or after each of its transactions."""

    def __init__(self, kept: SqlNotices, fate: Fate) -> None:
        self._kept = kept
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._kept, name)
        if name not in ("queue", "put", "sent", "not_sent"):
            return method

        def noted(*arguments: Any) -> Any:
            fate = self._fate.of_mark()
            if fate == "dies before":
                raise Died
            found = method(*arguments)
            if fate == "dies after":
                raise Died
            return found

        return noted


class World:
    def __init__(self, engine: Engine) -> None:
        self.kept = SqlNotices(engine)
        with writing(engine) as connection:
            for table in (notice_outbox, notice_message, notice_channel, notice_cursor):
                connection.execute(delete(table))
        for name in CHANNELS:
            self.kept.add(
                Channel(name, "webhook", "http://example.com/", Selection(), 0, 0, "s" * 20, window_s=5, per_hour=4)
            )
        self.now_us = 10**15
        self.published: list[tuple[str, int, str]] = []
        """(finding, n, place), the place in the list being its ledger entry."""
        self.received: list[tuple[str, Message]] = []
        self.fate = Fate((), ())

    def look(self, cursor: int, channels: Sequence[Channel], now_us: int) -> tuple[int, Sequence[Queued]]:
        found = []
        upto = min(cursor + LOOKED_AT, len(self.published))
        for entry in range(cursor, upto):
            finding, n, place = self.published[entry]
            item = json.dumps({"id": finding, "n": n, "severity": "alarm"})
            for channel in channels:
                found.append(Queued(channel.name, Waiting(finding, n, entry, place, "alarm", now_us), item))
        return upto, found

    def send(self, channel: Channel, message: Message, _now_us: int) -> None:
        fate = self.fate.of_send()
        if fate == "dies before":
            raise Died
        if fate == "refused":
            raise NotDelivered("503")
        self.received.append((channel.name, message))
        if fate == "dies after":
            raise Died
        if fate == "answer lost":
            raise NotDelivered("connection reset")

    def live(self) -> None:
        """One process, until there is nothing more to do or it dies."""
        process = Notifier(Mortal(self.kept, self.fate), self.look, self.send, lambda: self.now_us, "log")  # type: ignore[arg-type]
        try:
            while process.step() or process.finish():
                continue
        except Died:
            with suppress(Died):  # what was on its way when the process died
                process.finish()

    def told(self) -> dict[str, Counter[tuple[str, int]]]:
        """By channel, what a receiver that collapses repeated keys was told, and how often."""
        found = {name: Counter[tuple[str, int]]() for name in CHANNELS}
        for channel, body in {(channel, message.id): message.body for channel, message in self.received}.items():
            found[channel[0]].update((item["id"], item["n"]) for item in json.loads(body)["items"])
        return found


rounds = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("fgh"), st.sampled_from(("veh:1", "veh:2"))), max_size=4),
        st.lists(st.sampled_from(FATES), max_size=4),
        st.lists(st.sampled_from(MARKS), max_size=5),
        st.integers(0, 4_000),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=rounds)
def test_each_change_is_told_exactly_once_whenever_processes_die(engine: Engine, history: Any) -> None:
    world = World(engine)
    numbers: Counter[str] = Counter()
    for published, sends, marks, later_s in history:
        for finding, place in published:
            numbers[finding] += 1
            world.published.append((finding, numbers[finding], place))
        world.fate = Fate(sends, marks)
        world.live()
        world.now_us += later_s * 1_000_000
    world.fate = Fate((), ())
    for _ in range(12):  # hours without an accident
        world.live()
        world.now_us += 3_600 * 1_000_000
    wanted = Counter({(finding, n): 1 for finding, n, _ in world.published})
    assert world.told() == dict.fromkeys(CHANNELS, wanted)
    bodies: dict[str, set[str]] = {}
    for _, message in world.received:
        bodies.setdefault(message.id, set()).add(message.body)
    assert all(len(one) == 1 for one in bodies.values()), "under one key always the same is sent"


def test_what_is_critical_is_looked_at_however_much_else_waits(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "AT_ONCE", 5)
    world = World(engine)
    rows = [
        Queued("shift", Waiting(f"f{n}", 1, n, "veh:1", "critical" if n == 20 else "warning", 0), "{}")
        for n in range(21)
    ]
    world.kept.queue(0, 21, rows)
    assert [one.entry for one, _ in world.kept.waiting("shift")] == [20, 0, 1, 2, 3]
    assert world.kept.waiting("boss") == []


def test_a_message_that_arrived_before_the_crash_comes_again_under_its_key(engine: Engine) -> None:
    world = World(engine)
    world.published.append(("f", 1, "veh:1"))
    world.live()
    world.now_us += 5_000_000
    world.fate = Fate(["dies after"], [])
    world.live()
    world.live()
    keys = [message.id for channel, message in world.received if channel == "boss"]
    assert len(keys) == 2
    assert len(set(keys)) == 1
