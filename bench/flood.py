"""A truck that was out of reach for 17 days, and then all at once: 100,000 readings that are late.

The newest message comes first, so that whatever follows is late: in order, as a device empties its buffer, and
shuffled, as a broker may redeliver. Both must end in the rows that the same messages leave in order.

Found by profiling a shuffled flood: a batch of 500 messages touches most of 70 cells of time, each read back as full
as it has become. A third of the time went into asking the tables again for the entries a verdict rests on, though the
cells were at hand, and a fifth into folding calm readings one by one; the collector of cycles took as much.
"""

from __future__ import annotations

import gc
import random
import tempfile
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from bench.rows import Row
from coldchain.bootstrap.core import Core, open_core
from coldchain.db.tables import telemetry
from coldchain.db.tables.verdicts import verdict
from coldchain.projections.follow import digests
from coldchain.services.identity import Enrolment, enrol
from coldchain.services.messages import Inbound
from coldchain.settings import load_settings
from coldchain_devices.senml import Reading, pack
from coldchain_devices.signer import Chain, DeviceKey, seal

PROBES = ("front", "middle", "rear", "return")
EACH = 5
"""Readings of a probe in a message, one a minute."""
START_S = 1_735_689_600
"""2025-01-01T00:00:00Z"""
AT_ONCE = 500
TARGET_S = 5
FACTS = (telemetry.segment, telemetry.channel, telemetry.channel_snapshot, verdict)


def rows(messages: int) -> list[Row]:
    """Seconds until the last reading is judged and published, by order of arrival."""
    gc.set_threshold(100_000, 20, 100)  # as the server does
    key = DeviceKey.derive(b"bench flood")
    told = _told(key, messages)
    rest = told[:-1]
    orders = {
        "in order": told,
        "late, in order": [told[-1], *rest],
        "late, shuffled": [told[-1], *random.Random(3).sample(rest, len(rest))],
    }
    taken = {name: _play(key, order) for name, order in orders.items()}
    in_order_s, facts = taken.pop("in order")
    readings = f"{messages * EACH * len(PROBES):,} readings"
    found = [
        Row(
            f"{readings} in order",
            in_order_s,
            "s",
            note=f"{messages:,} signed messages of one truck, {AT_ONCE} at once",
        )
    ]
    for name, (seconds, others) in taken.items():
        assert others == facts, f"{name}: other rows than in order"
        target = TARGET_S * messages / 5_000
        found.append(
            Row(
                f"{readings} {name}", seconds, "s", "in order", in_order_s, seconds / in_order_s,
                f"< {TARGET_S} s of 100,000", seconds < target,
            )
        )  # fmt: skip
    return found


def _told(key: DeviceKey, count: int) -> list[bytes]:
    """Signed messages, in order: cold, too warm for two hours of each day, the door open now and then."""
    chance, chain, messages = random.Random(11), Chain(1, 0, b""), []
    for n in range(count):
        first_s = START_S + n * EACH * 60
        base = -12 if n % 288 in range(200, 224) else -21
        said = [
            Reading(f"temp/{probe}", "Cel", first_s + step * 60, round(base + chance.uniform(-1, 1), 2))
            for probe in PROBES
            for step in range(EACH)
        ]
        said.append(Reading("door/rear", "", first_s, n % 48 == 0))
        signed, chain = seal(key, "truck-1#1", chain, pack(said), "senml+json")
        messages.append(signed.jws)
    return messages


def _play(key: DeviceKey, messages: Sequence[bytes]) -> tuple[float, dict[str, str]]:
    """Seconds from the first message to the last finding, and the digests of what was concluded."""
    now_us = (START_S + len(messages) * EACH * 60) * 1_000_000
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        settings = load_settings(dir=Path(directory) / "d")
        with open_core(settings, create=True, clock=lambda: now_us) as core:
            core.log.append([enrol(core.registry, "operator", _enrolment(key))[1]])
            began = time.perf_counter()
            for start in range(0, len(messages), AT_ONCE):
                batch = messages[start : start + AT_ONCE]
                replies = core.admission.admit([Inbound("cc/v1/bench/fleet/truck-1/up", jws) for jws in batch])
                assert all(reply is not None and reply.kind == "ack" for reply in replies)
                core.settle()
            core.settle(everything=True)
            return time.perf_counter() - began, _facts(core)


def _facts(core: Core) -> dict[str, str]:
    return digests(core.engine, FACTS, facts_only=True)


def _enrolment(key: DeviceKey) -> Enrolment:
    public_key = b64encode(key.public_spki()).decode()
    return Enrolment("bench", "fleet", "truck-1", "EdDSA", public_key, place="veh:truck-1")
