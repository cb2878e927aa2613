"""Every case of docs/temperature-cases.md comes out as it is written there, however its samples arrive."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, Engine, Row, select

from coldchain.db.engine import make_engine
from coldchain.db.tables.telemetry import segment
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.rulepacks import RulePack, parse_pack
from integration.telemetry import Device, World
from opening import migrated_file
from temperature import reference as plain
from temperature.cases import Case, read_cases, told
from temperature.playing import MINUTE, START, Sample, messages_of, pack_of, signed

CASES = read_cases()
HOUR_US = 60 * MINUTE


def test_there_are_as_many_cases_as_the_document_numbers() -> None:
    assert [case.number for case in CASES] == list(range(1, len(CASES) + 1))
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", [case for case in CASES if len(case.packs) == 1], ids=str)
def test_the_second_implementation_says_the_same(case: Case) -> None:
    found = expected_of(case, parse_pack(pack_of(case, 0)))
    assert {probe: found[probe] for probe in case.expected} == case.expected


def expected_of(case: Case, pack: RulePack) -> dict[str, list[str]]:
    """By probe, what the second implementation concludes under the one pack."""
    rule, quality = pack.stages["transport"], pack.quality
    said: dict[str, list[tuple[int, Any]]] = {}
    for message in messages_of(case.samples, size=6):
        for run in message.runs:
            values = [None] * len(run.times) if run.quality else run.values
            said.setdefault(run.name, []).extend(zip(run.times, values, strict=True))
    still = [
        span
        for name, samples in said.items()
        if not name.startswith("temp/")
        for span in plain.openings(
            plain.flags_of(samples), rule.defrost_cap_s if name == "defrost" else rule.door_cap_s, rule.max_gap_s
        )
    ]
    items = {name: plain.items_of(samples) for name, samples in said.items() if name.startswith("temp/")}
    found = {}
    for name, own in items.items():
        usable = plain.without_spikes(own, rule, quality)
        stuck = plain.stuck_spans(usable, [items[other] for other in items if other != name], rule, quality)
        segments = plain.pieces(usable, rule, START + round(case.now * MINUTE), still=still, stuck=stuck)
        found[name.removeprefix("temp/")] = [_told(one) for one in segments]
    return found


def _told(one: plain.Piece) -> str:
    def minute(t_us: int | None) -> float | None:
        return None if t_us is None else (t_us - START) / MINUTE

    return told(
        (one.from_us - START) / MINUTE,
        minute(one.to_us),
        one.state,
        one.reason,
        one.limit,
        one.extreme,
        minute(one.confirmed_us),
        minute(one.critical_us),
    )


# The server


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = make_engine(migrated_file(tmp_path_factory.mktemp("cases") / "cases.db"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_server_concludes_it_however_the_samples_arrive(engine: Engine, case: Case) -> None:
    whole = played(engine, case, case.arrivals, size=6)
    assert (whole.segments, whole.findings) == (case.expected, case.findings or whole.findings)
    rng = random.Random(case.number)
    for batch in (1, None):
        assert played(engine, case, rng.sample(case.samples, len(case.samples)), size=1, batch=batch) == whole
    assert played(engine, case, case.samples[::-1], size=4, batch=2) == whole


def test_a_clock_that_is_ahead_is_told_of_whatever_it_measured(engine: Engine) -> None:
    (case,) = [case for case in CASES if case.recorded]
    for samples in (case.samples, case.samples[::-1]):
        played(engine, case, samples, size=4)
        with engine.connect() as connection:
            rows = connection.execute(select(verdict).where(verdict.c.rule == "device clock-fast")).all()
        (row,) = rows
        assert (row.from_us // HOUR_US, row.to_us // HOUR_US) == tuple(
            (START + round(minute * MINUTE)) // HOUR_US + later for minute, later in ((180, 0), (240, 1))
        )


class Concluded(NamedTuple):
    segments: dict[str, list[str]]
    """Of the probes the case tells of."""
    findings: list[str]


def played(engine: Engine, case: Case, samples: Sequence[Sample], size: int, batch: int | None = None) -> Concluded:
    world, device = World(engine), Device()
    for version in range(len(case.packs)):
        world.record("rules", f"rules/case/{version + 1}", json.dumps(pack_of(case, version)).encode(), START)
    world.enrol(device, START, profile="case")
    for start in range(0, len(samples), size):
        part = samples[start : start + size]
        at_us = START + round((max(minute for minute, _, _ in part) + case.recorded) * MINUTE)
        world.hear(signed(device, part), at_us=at_us)
    world.fold(batch, START + round(case.now * MINUTE))
    with engine.connect() as connection:
        segments = {probe: segments_of(connection, probe) for probe in case.expected}
        rows = connection.execute(select(verdict).where(verdict.c.source.in_(("temperature", "quality")))).all()
    return Concluded(segments, sorted(map(_finding, rows)))


def segments_of(connection: Connection, probe: str) -> list[str]:
    """What the table holds of a probe, in the words of the document."""
    c = segment.c
    rows = connection.execute(select(segment).where(c.channel == probe).order_by(c.from_us))
    return [
        told(
            _minute(row.from_us),
            None if row.to_us is None else _minute(row.to_us),
            row.state,
            row.reason,
            row.beyond_limit,
            row.min_mc if row.beyond_limit == "low" else row.max_mc,
            None if row.confirmed_us is None else _minute(row.confirmed_us),
            None if row.critical_us is None else _minute(row.critical_us),
        )
        for row in rows
    ]


def _finding(row: Row[Any]) -> str:
    ends = f"{_minute(row.from_us):g}-{'' if row.to_us is None else f'{_minute(row.to_us):g}'}"
    return f"{row.rule}: {row.channel} {ends} {json.loads(row.detail)['severity']}"


def _minute(t_us: int) -> float:
    return (t_us - START) / MINUTE
