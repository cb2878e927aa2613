"""Profiles: which pack judges which goods, by place and date (docs/temperature.md 5.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coldchain.domain.profiles import Goods, Profile, parse_profile, profile_of
from coldchain.domain.rulefields import RulePackError
from coldchain.domain.rulepacks import Mounting, RulePack, pack_for, parse_pack, regimes

DAY = 86_400_000_000


def _pack(
    name: str, version: int = 1, from_us: int = 0, stages: tuple[str, ...] = ("transport", "storage")
) -> RulePack:
    stage = {"clause": "c", "limit_mc": -18_000, "hysteresis_mc": 500, "consecutive_s": 60, "max_gap_s": 600}
    stated = {"name": name, "version": version, "from_us": from_us, "clause": "c", "verified": False}
    return parse_pack({**stated, "stages": dict.fromkeys(stages, stage)})


def _profile(*choices: dict[str, Any], name: str = "frozen", version: int = 1, **head: Any) -> Profile:
    stated = {"kind": "profile", "name": name, "version": version, "clause": "c", "verified": False}
    return parse_profile({**stated, "packs": list(choices), **head})


WORLD, EUROPE = _pack("World"), _pack("Europe")
FROZEN = _profile({"pack": "World"}, {"pack": "Europe", "places": ["DE", "FR"]})


def _name(pack: RulePack | None) -> str:
    return "" if pack is None else f"{pack.name} {pack.version}"


def test_a_pack_for_the_country_comes_before_one_for_everywhere() -> None:
    packs = (WORLD, EUROPE)
    assert _name(pack_for("frozen", "DE", 0, packs, [FROZEN])) == "Europe 1"
    assert _name(pack_for("frozen", "CN", 0, packs, [FROZEN])) == "World 1"
    assert _name(pack_for("frozen", "", 0, packs, [FROZEN])) == "World 1"


def test_a_pack_chosen_for_some_countries_judges_nowhere_else() -> None:
    only_there = _profile({"pack": "Europe", "places": ["DE"]})
    assert pack_for("frozen", "CN", 0, [EUROPE], [only_there]) is None
    assert pack_for("frozen", "", 0, [EUROPE], [only_there]) is None


def test_a_packs_own_name_is_a_profile_of_that_pack_alone() -> None:
    shadow = _profile({"pack": "Europe"}, name="World")
    assert _name(pack_for("World", "DE", 0, (WORLD, EUROPE), [shadow])) == "World 1"
    assert pack_for("nobody's", "DE", 0, (WORLD, EUROPE), [FROZEN]) is None


def test_the_highest_version_in_force_of_profile_and_pack_counts() -> None:
    packs = (WORLD, _pack("World", 2, from_us=3 * DAY), EUROPE)
    profiles = (FROZEN, _profile({"pack": "Europe"}, version=2, from_us=5 * DAY))
    found = [_name(pack_for("frozen", "", day * DAY, packs, profiles)) for day in (0, 2, 3, 4, 5, 9)]
    assert found == ["World 1", "World 1", "World 2", "World 2", "Europe 1", "Europe 1"]


def test_a_choice_ends_when_it_says() -> None:
    profile = _profile({"pack": "Europe", "from_us": DAY, "to_us": 2 * DAY}, {"pack": "World"})
    found = [_name(pack_for("frozen", "", t_us, (WORLD, EUROPE), [profile])) for t_us in (0, DAY, 2 * DAY - 1, 2 * DAY)]
    assert found == ["World 1", "Europe 1", "Europe 1", "World 1"]


def test_a_pack_that_does_not_know_the_stage_leaves_it_to_the_next() -> None:
    packs = (WORLD, _pack("Europe", stages=("storage",)))
    assert _name(pack_for("frozen", "DE", 0, packs, [FROZEN], "transport")) == "World 1"
    assert _name(pack_for("frozen", "DE", 0, packs, [FROZEN], "storage")) == "Europe 1"


def test_selling_is_storing_where_a_pack_says_nothing_of_it() -> None:
    cabinet = _pack("Cabinet", stages=("storage", "retail"))
    for pack, stage in ((WORLD, "storage"), (cabinet, "retail")):
        (regime,) = regimes([pack], [Mounting(0, "retail", pack.name)])
        assert (regime.pack, regime.stage) == (pack.name, stage)
    assert regimes([_pack("Road", stages=("transport",))], [Mounting(0, "retail", "Road")])[0].rule is None


def test_a_device_is_judged_by_place_and_day_as_its_profile_says() -> None:
    ending = _profile({"pack": "World"}, {"pack": "Europe", "places": ["DE"], "from_us": 2 * DAY, "to_us": 4 * DAY})
    mounted = [Mounting(DAY, "storage", "frozen", "DE"), Mounting(3 * DAY, "storage", "frozen", "CN")]
    found = [(regime.from_us // DAY, regime.pack) for regime in regimes((WORLD, EUROPE), mounted, [ending])]
    assert found == [(0, "World"), (2, "Europe"), (3, "World")]


MEAT = _profile({"pack": "World"}, name="meat", product={"hs": ["0202", "0207"], "words": ["Frozen", "冻"]})
FRESH = _profile({"pack": "World"}, name="fresh", product={"hs": ["0201", "0207"], "words": ["chilled", "冷鲜"]})
QUICK = _profile({"pack": "World"}, name="quick", product={"words": ["deep-frozen", "速冻"]})
DRUGS = _profile({"pack": "World"}, name="drugs", product={"hs": ["300241"], "words": ["vaccine"]})


@pytest.mark.parametrize(
    ("hs", "text", "profile"),
    [
        ("0202300090", "", "meat"),
        ("0201300010", "冻牛肉", "fresh"),  # the code says fresh, whatever a label says
        ("0207140000", "Frozen chicken wings", "meat"),
        ("0207140000", "冷鲜鸡翅", "fresh"),
        ("0207140000", "chicken wings", ""),  # claimed by two: nobody guesses
        ("0207140000", "frozen and chilled", ""),
        ("", "FROZEN shrimps", "meat"),
        ("1902200000", "速冻饺子", "quick"),  # 冻 says nothing beside 速冻
        ("", "deep-frozen, then frozen and chilled", ""),
        ("8703", "vaccine carrier car", "drugs"),
        ("", "", ""),
    ],
)
def test_goods_fall_under_the_profile_their_papers_tell(hs: str, text: str, profile: str) -> None:
    assert profile_of(Goods(hs, text), 0, [MEAT, FRESH, QUICK, DRUGS]) == profile


def test_goods_are_sorted_by_the_profile_in_force_on_the_day() -> None:
    later = replace(DRUGS, version=2, from_us=DAY, hs=("3002",))
    assert [profile_of(Goods("3002150000", ""), t_us, [MEAT, DRUGS, later]) for t_us in (0, DAY)] == ["", "drugs"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "temperature"}, "kind: expected 'profile', found 'temperature'"),
        ({"packs": []}, "frozen: packs: expected at least one"),
        ({"packs": [{"pack": "World", "places": ["UK"]}]}, "frozen packs: places: expected ISO 3166 alpha-2 countries"),
        (
            {"packs": [{"pack": "World", "from_us": 5, "to_us": 5}]},
            "frozen packs: to_us: expected a whole number",
        ),
        ({"packs": [{"places": ["DE"]}]}, "frozen packs: pack: expected a text, found None"),
        ({"product": {"hs": ["02O2"]}}, "frozen product: hs: expected 2 to 13 digits, found '02O2'"),
        ({"limit_mc": 3}, "profile: unknown fields limit_mc"),
        ({"verified": 1}, "frozen: verified: expected true or false, found 1"),
    ],
)
def test_a_profile_that_selects_nothing_is_refused_with_its_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RulePackError, match="^" + said.replace("(", "\\(")):
        _profile({"pack": "World"}, **change)
