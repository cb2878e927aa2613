"""Every case of docs/temperature-cases.md comes out as it is written there, however its samples arrive."""

from __future__ import annotations

import pytest

from coldchain.domain.rulepacks import parse_pack
from temperature import reference as plain
from temperature.cases import Case, read_cases, told
from temperature.playing import MINUTE, START, messages_of, pack_of

CASES = read_cases()


def test_there_are_as_many_cases_as_the_document_numbers() -> None:
    assert [case.number for case in CASES] == list(range(1, len(CASES) + 1))
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", [case for case in CASES if len(case.packs) == 1], ids=str)
def test_the_second_implementation_says_the_same(case: Case) -> None:
    pack = parse_pack(pack_of(case, 0))
    rule, quality = pack.stages["transport"], pack.quality
    said: dict[str, list[tuple[int, object]]] = {}
    for message in messages_of(case.samples, size=6):
        for run in message.runs:
            values = [None] * len(run.times) if run.quality else run.values
            said.setdefault(run.name, []).extend(zip(run.times, values, strict=True))
    still = [
        span
        for name, samples in said.items()
        if name == "defrost" or name.startswith("door/")
        for span in plain.openings(
            dict(sorted(samples)), rule.defrost_cap_s if name == "defrost" else rule.door_cap_s, rule.max_gap_s
        )
    ]
    items = {name: plain.items_of(samples) for name, samples in said.items() if name.startswith("temp/")}
    found = {}
    for name, own in items.items():
        usable = plain.without_spikes(own, rule, quality)
        stuck = plain.stuck_spans(usable, [items[other] for other in items if other != name], rule, quality)
        segments = plain.pieces(usable, rule, START + round(case.now * MINUTE), still=still, stuck=stuck)
        found[name.removeprefix("temp/")] = [_told(one) for one in segments]
    assert {probe: found[probe] for probe in case.expected} == case.expected


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
