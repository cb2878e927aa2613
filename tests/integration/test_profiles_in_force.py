"""What judges a device by its profile: the country and use of its site, and packs and profiles of the day."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.db.tables.telemetry import segment
from coldchain.db.tables.verdicts import verdict
from coldchain.projections.regimes import rules_in_force
from coldchain.services.chores import rule_entries
from coldchain.settings import load_settings
from opening import new_core
from web.story import HOUR, MINUTE, START, Clock, Sender


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    settings = load_settings(dir=tmp_path / "d", database=url)
    with new_core(settings, clock=Clock(START + 24 * HOUR)) as core:
        core.register("org", {"id": "polar", "roles": ["warehouse"]})
        yield core


def site(core: Core, country: str, from_us: int = 0, uses: tuple[str, ...] = ()) -> None:
    core.register("site", {"id": "w1", "org": "polar", "uses": list(uses), "country": country, "from_us": from_us})


def breaches(core: Core) -> list[str]:
    core.settle(everything=True)
    with core.engine.connect() as connection:
        c = verdict.c
        return list(connection.scalars(select(c.rule).where(c.verdict == "breach").order_by(c.from_us, c.rule)))


def conclusions(core: Core) -> list[Any]:
    core.settle(everything=True)
    with core.engine.connect() as connection:
        return sorted(map(tuple, connection.execute(select(segment.c.from_us, segment.c.to_us, segment.c.state))))


def hear(core: Core, device: Sender, celsius: float, hours: int = 2) -> None:
    """A reading every five minutes, of one temperature."""
    times = range(START, START + hours * HOUR + 1, 5 * MINUTE)
    core.admission.admit([device.message([{"n": "temp/box", "t": t / 1e6, "u": "Cel", "v": celsius} for t in times])])


def test_goods_for_sale_in_europe_may_be_warmer_than_in_a_chinese_store(core: Core) -> None:
    hear(core, Sender(core, "d1", "room:w1/a", "quick-frozen"), -14.0)
    assert breaches(core) == ["Codex-quick-frozen storage limit"], "no country is known yet"
    site(core, "CN")
    assert breaches(core) == ["CN-frozen storage limit"]
    site(core, "FR")
    assert breaches(core) == ["EU-quick-frozen storage limit"]
    site(core, "FR", uses=("retail",))
    assert breaches(core) == []
    with core.engine.connect() as connection:
        (regime,) = rules_in_force(connection, [("room:w1/a", "quick-frozen", START, START + 1)])
    assert (regime.pack, regime.stage, regime.rule and regime.rule.limit_mc) == ("EU-quick-frozen", "retail", -12_000)


def test_a_site_is_judged_by_what_it_was_registered_as_at_the_time(core: Core) -> None:
    hear(core, Sender(core, "d1", "room:w1/a", "quick-frozen"), -14.0, hours=4)
    site(core, "FR", uses=("retail",))
    site(core, "CN", from_us=START + 2 * HOUR)
    assert breaches(core) == ["CN-frozen storage limit"]
    with core.engine.connect() as connection:
        (from_us,) = connection.scalars(select(verdict.c.from_us).where(verdict.c.verdict == "breach"))
    assert from_us == START + 2 * HOUR


def test_a_recorded_profile_judges_what_was_heard_before_it(core: Core) -> None:
    hear(core, Sender(core, "d1", "room:w1/a", "frozen-food"), -14.0)
    assert breaches(core) == ["CN-frozen storage limit"]
    stated = {"kind": "profile", "name": "frozen-food", "version": 2, "clause": "test", "verified": False}
    choices = [{"pack": "WHO-type-II", "to_us": START + HOUR}, {"pack": "warehouse-practice"}]
    core.log.append(rule_entries(core.log.origin, [{**stated, "packs": choices}]))
    assert breaches(core) == ["warehouse-practice storage limit"]
    with core.engine.connect() as connection:
        assert connection.scalars(select(verdict.c.from_us).where(verdict.c.verdict == "breach")).all() == [
            START + HOUR
        ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_it_does_not_matter_what_was_recorded_first(core: Core, order: tuple[int, ...]) -> None:
    device = Sender(core, "d1", "room:w1/a", "quick-frozen")
    steps = (
        lambda: hear(core, device, -14.0, hours=4),
        lambda: site(core, "FR", from_us=START, uses=("retail",)),
        lambda: core.register("mount", {"id": "d1", "place": "room:w1/b", "from_us": START + 3 * HOUR}),
    )
    for place in order:
        steps[place]()
        conclusions(core)
    assert conclusions(core) == [(START, START + 4 * HOUR, "in_range"), (START + 4 * HOUR, None, "unknown")]
    assert all(same.before == same.after for same in core.follower.rebuild().values())
