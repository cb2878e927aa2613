"""Who is who at any moment: a fold over versions, the same in any order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.parties import Directory, PartyError, Registration, read_registration, schedule
from coldchain.services.identity import CommandRefused
from coldchain.services.parties import registered, registration

NOW = 1_772_438_400_000_000


def version(op: str, name: str, n: int = 1, from_us: int = 0, **stated: Any) -> Registration:
    return read_registration({"v": 1, "op": op, "id": name, "n": n, "from_us": from_us, **stated})


def org(name: str, *roles: str, n: int = 1, from_us: int = 0, **stated: Any) -> Registration:
    return version("org", name, n, from_us, roles=list(roles or ("carrier",)), **stated)


def site(name: str, owner: str, n: int = 1, from_us: int = 0, **stated: Any) -> Registration:
    return version("site", name, n, from_us, org=owner, **stated)


def test_a_place_belongs_to_whoever_registered_its_site_from_then_on() -> None:
    known = Directory([site("w1", "polar", from_us=100), site("w1", "frost", n=2, from_us=200)])
    places = ("loc:w1", "loc:w1/dock-1", "room:w1/a")
    assert [{known.owner(place, t) for place in places} for t in (99, 100, 199, 200)] == [
        {""}, {"polar"}, {"polar"}, {"frost"}
    ]  # fmt: skip
    assert known.owner("loc:w11", 300) == "", "another site whose name begins the same"


def test_a_correction_from_the_same_time_takes_the_place_of_the_mistake() -> None:
    known = Directory([site("w1", "polar", from_us=100), site("w1", "frost", n=2, from_us=100)])
    assert known.owner("loc:w1", 150) == "frost"


def test_a_vehicle_belongs_to_who_runs_it() -> None:
    known = Directory([version("vehicle", "T1", org="haul", kind="trailer", plate="ab" * 32)])
    assert (known.owner("veh:T1", 5), known.owner("veh:T2", 5)) == ("haul", "")


def test_an_agent_acts_until_it_is_told_to_stop() -> None:
    known = Directory([version("agent", "polar/temp", org="polar", agent="temp", from_us=10, to_us=20)])
    assert [known.acts_for("temp", "polar", t) for t in (9, 10, 19, 20)] == [False, True, True, False]
    assert not known.acts_for("polar", "temp", 15), "the other way round it does not hold"


def test_an_organisation_is_known_by_its_names_and_credit_code_unless_two_share_one() -> None:
    known = Directory(
        [
            org("polar", uscc="91350100M000100Y43", names=["loc:6901234500011", "code:pgln/both"]),
            org("frost", names=["code:pgln/both"]),
        ]
    )
    assert known.org_called("code:org/anybody") == "anybody"
    assert known.org_called("loc:6901234500011") == known.org_called("code:uscc/91350100M000100Y43") == "polar"
    assert known.org_called("code:pgln/both") == "code:pgln/both"


def test_roles_and_uses_are_those_of_the_moment() -> None:
    known = Directory(
        [
            org("port", "customs", from_us=100),
            org("port", "warehouse", n=2, from_us=200),
            site("y1", "port", uses=["devanning", "cold-store"], from_us=100),
        ]
    )
    assert [known.is_authority("port", t) for t in (50, 150, 250)] == [False, True, False]
    assert known.uses("room:y1/a", 150) == {"devanning", "cold-store"}
    assert known.uses("room:y1/a", 50) == frozenset()


@pytest.mark.parametrize(
    ("op", "body", "said"),
    [
        ("org", {"id": "a b", "roles": ["carrier"]}, "id: expected 1 to 64"),
        ("org", {"id": "a", "roles": []}, "at least one of operator"),
        ("org", {"id": "a", "roles": ["king"]}, "found 'king'"),
        ("org", {"id": "a", "roles": ["carrier"], "uscc": "91350100M000100Y44"}, "check character 3"),
        ("org", {"id": "a", "roles": ["carrier"], "names": ["loc:6901234500012"]}, "check digit 1"),
        ("site", {"id": "6901234500012", "org": "a"}, "check digit 1"),
        ("site", {"id": "w1", "org": "a", "uses": ["castle"]}, "found 'castle'"),
        ("site", {"id": "w1", "org": "a", "lat_e7": 1}, "lon_e7: expected an integer"),
        ("site", {"id": "w1", "org": "a", "lat_e7": 1, "lon_e7": 2, "radius_m": 0}, "geofence"),
        ("vehicle", {"id": "T1", "org": "a", "kind": "boat"}, "found 'boat'"),
        ("vehicle", {"id": "T1", "org": "a", "kind": "rigid", "plate": "沪A12345"}, "never the plate itself"),
        ("room", {"id": "w1"}, "<site>/<room>"),
        ("mount", {"id": "d1", "place": "sscc:1"}, "found 'sscc:1'"),
        ("fitting", {"id": "d1", "probes": {"box1": "goods"}}, "product or air"),
        ("agent", {"id": "a/b", "org": "a", "agent": "c"}, "expected a/c"),
        ("king", {"id": "a"}, "op: expected one of"),
    ],
)
def test_a_malformed_registration_is_refused_and_says_what_was_expected(
    op: str, body: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(PartyError) as refused:
        read_registration({"v": 1, "op": op, "n": 1, "from_us": 0, **body})
    assert said in str(refused.value)


def test_a_registration_names_its_subjects_and_its_key() -> None:
    one = version("mount", "dev1", n=3, place="room:w1/a")
    assert (one.key, one.subjects) == ("identity/mount/dev1/3", ("dev:dev1", "room:w1/a"))
    assert site("w1", "polar").subjects == ("code:org/polar", "loc:w1")


def test_what_was_said_already_is_no_new_version() -> None:
    known = Directory([org("polar")])
    stated = {"id": "w1", "org": "polar", "uses": ["cold-store"]}
    first = registration(known, "site", stated, NOW)
    assert (first.n, first.from_us) == (1, NOW), "a right somebody had is not lost for the past"
    known.add(first)
    assert registration(known, "site", stated, NOW + 1) is first
    moved = registration(known, "site", {**stated, "org": "polar", "uses": []}, NOW + 1)
    assert (moved.n, registered("log", moved).key) == (2, "identity/site/w1/2")


def test_whoever_is_named_has_to_be_registered_first() -> None:
    known = Directory([org("polar", names=["loc:6901234500011"])])
    for op, stated in (
        ("site", {"id": "w1", "org": "nobody"}),
        ("room", {"id": "w9/a"}),
        ("agent", {"id": "polar/nobody", "org": "polar", "agent": "nobody"}),
        ("org", {"id": "frost", "roles": ["carrier"], "names": ["loc:6901234500011"]}),
    ):
        with pytest.raises(CommandRefused):
            registration(known, op, stated, NOW)


versions = st.lists(
    st.builds(site, st.just("w1"), st.sampled_from(["a", "b", "c"]), st.integers(1, 5), st.integers(0, 9)),
    max_size=6,
    unique_by=lambda one: one.n,
)


@given(versions, st.randoms())
def test_any_order_of_versions_gives_the_same_owner_at_every_moment(found: list[Registration], draw: Any) -> None:
    straight, shuffled = Directory(found), Directory(draw.sample(found, len(found)) + found)
    assert [straight.owner("loc:w1", t) for t in range(11)] == [shuffled.owner("loc:w1", t) for t in range(11)]


@given(versions)
def test_a_schedule_says_the_same_as_asking_at_every_moment(found: list[Registration]) -> None:
    known, turns = Directory(found), schedule(found)
    for t in range(11):
        holds = [turn for turn in turns if turn.from_us <= t]
        assert known.at("site", "w1", t) == (holds[-1] if holds else None)
