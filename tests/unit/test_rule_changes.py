"""What differs between two sets of verdicts, and between two documents."""

from __future__ import annotations

from coldchain.domain.rulechanges import Lane, Verdict, changes, differences

BOX, DOOR = Lane("P limit", "dev:d", "box"), Lane("P limit", "dev:d", "door")


def breach(from_us: int, to_us: int | None, lane: Lane = BOX, critical: bool = False) -> Verdict:
    return Verdict(lane, from_us, to_us, "breach", critical)


def told(before: list[Verdict], after: list[Verdict]) -> list[tuple[str, int, int | None]]:
    return [(one.kind, one.from_us, one.to_us) for one in changes(before, after)]


def test_verdicts_that_stay_are_no_change() -> None:
    assert told([breach(0, 5), breach(9, None)], [breach(9, None), breach(0, 5)]) == []


def test_one_that_overlaps_its_like_has_moved_and_any_other_is_new_or_gone() -> None:
    assert told([breach(0, 5)], [breach(4, 9)]) == [("moved", 0, 9)]
    assert told([breach(0, 5)], [breach(5, 9)]) == [("gone", 0, 5), ("new", 5, 9)]
    assert told([breach(0, 5)], [breach(0, 5, DOOR)]) == [("gone", 0, 5), ("new", 0, 5)]
    assert told([breach(0, 5)], [breach(0, 5)._replace(verdict="unknown")]) == [("gone", 0, 5), ("new", 0, 5)]


def test_one_that_falls_apart_has_moved_and_the_rest_is_new() -> None:
    assert told([breach(0, 9)], [breach(0, 3), breach(6, 9)]) == [("moved", 0, 9), ("new", 6, 9)]


def test_the_same_time_may_be_graver_or_milder() -> None:
    assert told([breach(0, None)], [breach(0, None, critical=True)]) == [("graver", 0, None)]
    assert told([breach(0, 5, critical=True)], [breach(0, 5)]) == [("milder", 0, 5)]


def test_documents_differ_field_by_field() -> None:
    old = {"name": "P", "stages": {"storage": {"limit_mc": -18_000}}, "budgets": [{"max_s": 1}], "places": ["DE", "FR"]}
    new = {"name": "P", "stages": {"storage": {"limit_mc": -15_000, "low_mc": 0}}, "places": ["DE"]}
    assert differences(old, new) == [
        ("stages.storage.limit_mc", -18_000, -15_000),
        ("budgets[1].max_s", 1, None),
        ("places", ["DE", "FR"], ["DE"]),
        ("stages.storage.low_mc", None, 0),
    ]
