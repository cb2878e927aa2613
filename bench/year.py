"""A cold store's year: ten probes every 15 minutes, 3,500 alarms, through admission, ledger, projections and findings.

The year is played in order, from its end, and shuffled; every alarm must be published each time, with the same bounds.
"""

from __future__ import annotations

import random
import tempfile
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select

from bench.rows import Row
from coldchain.bootstrap.core import Core, open_core
from coldchain.db.tables.events import finding
from coldchain.services.identity import Enrolment, enrol
from coldchain.services.messages import Inbound
from coldchain.settings import load_settings
from coldchain_devices.senml import Reading, pack
from coldchain_devices.signer import Chain, DeviceKey, seal

PROBES = 10
STEP_S = 900
START_S = 1_735_689_600
"""2025-01-01T00:00:00Z"""
ALARMS = 350
"""Of each probe in a year."""
WARM = 5
"""Readings of an alarm: an hour, of which 45 minutes confirm it."""
SLOT = 2 * WARM
AT_ONCE = 500
TARGET_S = 60
Message = tuple[int, bytes]
Alarm = tuple[str, int, int | None]


class _Clock:
    def __init__(self) -> None:
        self.now_us = START_S * 1_000_000

    def __call__(self) -> int:
        return self.now_us


def rows(days: int) -> list[Row]:
    """Seconds for so many days in order, and how much longer any other order takes."""
    key = DeviceKey.derive(b"bench year")
    messages, expected = _year(key, days)
    backward, shuffled = messages[::-1], random.Random(5).sample(messages, len(messages))
    in_order_s = _play(key, messages, expected)
    note = (
        f"{len(messages):,} signed messages, {len(messages) * PROBES:,} readings, {len(expected):,} alarms, each found"
    )
    met = in_order_s < TARGET_S * days / 365
    found = [Row("a year of ten probes", in_order_s, "s", target=f"< {TARGET_S} s a year", met=met, note=note)]
    for name, order in (("from its end", backward), ("shuffled", shuffled)):
        seconds = _play(key, order, expected)
        found.append(Row(f"the same {name}", seconds, "s", "in order", in_order_s, seconds / in_order_s))
    return found


def _year(key: DeviceKey, days: int) -> tuple[list[Message], set[Alarm]]:
    """(time in s, JWS) of every message, and what is to be found."""
    chance, count = random.Random(7), days * 86_400 // STEP_S
    warm: list[set[int]] = []
    expected: set[Alarm] = set()
    for probe in range(PROBES):
        places = chance.sample(range(count // SLOT - 1), ALARMS * days // 365)
        warm.append({place * SLOT + step for place in places for step in range(1, WARM + 1)})
        expected |= {(f"p{probe}", _us(place * SLOT + 1), _us(place * SLOT + 1 + WARM)) for place in places}
    chain, messages = Chain(1, 0, b""), []
    for step in range(count):
        t_s = START_S + step * STEP_S
        said = [
            Reading(
                f"temp/p{probe}", "Cel", t_s, round((-14 if step in warm[probe] else -20) + chance.uniform(-1, 1), 2)
            )
            for probe in range(PROBES)
        ]
        signed, chain = seal(key, "store-1#1", chain, pack(said), "senml+json")
        messages.append((t_s, signed.jws))
    return messages, expected


def _us(step: int) -> int:
    return (START_S + step * STEP_S) * 1_000_000


def _play(key: DeviceKey, messages: Sequence[Message], expected: set[Alarm]) -> float:
    """Seconds from the first message to the last finding."""
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        settings = load_settings(dir=Path(directory) / "d")
        with open_core(settings, create=True, clock=clock) as core:
            core.log.append([enrol(core.registry, "operator", _enrolment(key))[1]])
            began = time.perf_counter()
            for start in range(0, len(messages), AT_ONCE):
                batch = messages[start : start + AT_ONCE]
                clock.now_us = max(clock.now_us, *(t_s * 1_000_000 for t_s, _ in batch))
                replies = core.admission.admit([Inbound("cc/v1/bench/store/store-1/up", jws) for _, jws in batch])
                assert all(reply is not None and reply.kind == "ack" for reply in replies)
                core.settle()
            core.settle(everything=True)
            took_s = time.perf_counter() - began
            assert _alarms(core) == expected, "another year was found than was played"
    return took_s


def _enrolment(key: DeviceKey) -> Enrolment:
    public_key = b64encode(key.public_spki()).decode()
    return Enrolment("bench", "store", "store-1", "EdDSA", public_key, place="room:store/a")


def _alarms(core: Core) -> set[Alarm]:
    c = finding.c
    query = select(c.channel, c.from_us, c.to_us).where(c.current, c.state != "withdrawn", c.verdict == "breach")
    with core.engine.connect() as connection:
        return {(channel, from_us, to_us) for channel, from_us, to_us in connection.execute(query)}
