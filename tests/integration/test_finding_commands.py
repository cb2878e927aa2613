"""`coldchain finding` as lines a person reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from coldchain.bootstrap.core import Core
from coldchain.cli import group
from coldchain.settings import load_settings
from opening import new_core
from web.story import HOUR, MINUTE, START, Clock, Sender, temperatures


class Site:
    """A truck that speaks for an hour and falls silent; nobody else follows its ledger."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self.core, self.clock = core, clock
        self.truck = Sender(core, "d1", "veh:T1")
        self.hear(START, START + HOUR)
        self.pass_until(START + 2 * HOUR)

    def hear(self, from_us: int, now_us: int) -> None:
        self.clock.now_us = now_us
        self.core.admission.admit([self.truck.message(temperatures(from_us, 60))])

    def pass_until(self, now_us: int) -> None:
        self.clock.now_us = now_us
        self.core.settle(everything=True)

    def lines(self, *words: str) -> list[str]:
        done = CliRunner().invoke(group, ["finding", *words, "--dir", str(self.core.settings.dir)])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    clock = Clock(START)
    with new_core(load_settings(dir=tmp_path / "d"), clock=clock) as core:
        yield Site(core, clock)


GAP = "CN-frozen gap  dev:d1 box  2026-03-02T08:59:00Z – "


def test_a_finding_that_stands_is_told_with_its_verdict_and_lasts_until_now(site: Site) -> None:
    line = next(one for one in site.lines("list") if GAP in one)
    assert line.partition("  ")[2] == f"warning   unknown (open)  {GAP}now"


def test_a_gap_that_late_readings_filled_ended_with_its_withdrawal_and_not_now(site: Site) -> None:
    site.hear(START + HOUR, START + 2 * HOUR)
    site.pass_until(START + 2 * HOUR + MINUTE)
    assert not [one for one in site.lines("list") if GAP in one]
    line = next(one for one in site.lines("list", "--status", "settled") if GAP in one)
    finding, _, told = line.partition("  ")
    assert told == f"warning   unknown (withdrawn)  {GAP}withdrawn 2026-03-02T10:01:00Z"
    head, raised, withdrawn = site.lines("show", finding)[:1] + site.lines("show", finding)[-2:]
    assert head == line
    assert (raised.split()[1], withdrawn.split()[1]) == ("raised", "withdrawn")
    assert "lasting" in raised, "as it was said then"


def test_a_gap_that_ended_says_when(site: Site) -> None:
    site.hear(START + 2 * HOUR, START + 3 * HOUR)
    site.pass_until(START + 3 * HOUR + MINUTE)
    (line,) = [one for one in site.lines("list", "--status", "current") if GAP in one]
    assert line.endswith(f"{GAP}2026-03-02T10:00:00Z")
