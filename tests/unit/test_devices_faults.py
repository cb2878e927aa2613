"""Faults bend exactly what they say, compose, and repeat for a seed."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain_devices.config import FaultSpec
from coldchain_devices.events import EventWriter
from coldchain_devices.faults import (
    AGAIN_WITHIN_US,
    SENTINELS,
    on_the_way,
    repalletize,
    sentinel,
    skewed_clock,
    stuck,
    take_out,
)
from coldchain_devices.goods import Pallet, Product, check_digit
from coldchain_devices.plan import Action, Copy, Forgery, Link, Publish, passed_on
from coldchain_devices.portal import ReadPoint, TagReader, passage
from coldchain_devices.senml import Exact, Reading, pack
from coldchain_devices.signer import Alg, Chain, DeviceKey, seal

BEEF = Product("6901234", "150001", "LOT-1", "beef")
MINUTE_US = 60_000_000


@pytest.fixture
def readings() -> list[Reading]:
    return [Reading(name, "Cel", t_s, value) for t_s, value in enumerate((-20.0, -20.1, -20.2)) for name in ("a", "b")]


MESSAGES = [Publish(n * MINUTE_US, "d1", "senml+json", b"[]", n * MINUTE_US) for n in range(100)]


def on_its_way(kind: str, value: float = 0.0, seed: str = "s") -> list[Action]:
    """To the messages of d1, one a minute, from minute 20 to 60."""
    return on_the_way(FaultSpec(kind, "d1", 0, 0, "", value), MESSAGES, 20 * MINUTE_US, 60 * MINUTE_US, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", SENTINELS)
def test_a_sentinel_shows_on_its_channel_for_its_time_only(readings: list[Reading], value: float) -> None:
    bent = sentinel("a", value, 1, 3)(readings)
    assert [r.value for r in bent if r.name == "a"] == [-20.0, value, value]
    assert [r for r in bent if r.name == "b"] == [r for r in readings if r.name == "b"]


def test_a_stuck_sensor_repeats_what_it_showed_first_even_over_messages(readings: list[Reading]) -> None:
    fault = stuck("a", 1, 10)
    first, second = fault(readings), fault([Reading("a", "Cel", 9, -5.0), Reading("a", "Cel", 10, -6.0)])
    assert [r.value for r in first if r.name == "a"] == [-20.0, -20.1, -20.1]
    assert [r.value for r in second] == [-20.1, -6.0]


def test_a_skewed_clock_moves_every_channel(readings: list[Reading]) -> None:
    assert [r.t_s for r in skewed_clock(-3600, 1, 3)(readings)] == [0, 0, -3599, -3599, -3598, -3598]


def test_offline_cuts_the_link_for_its_time() -> None:
    assert on_its_way("offline") == [Link(20 * MINUTE_US, "d1", up=False), Link(60 * MINUTE_US, "d1", up=True)]


@given(st.text(max_size=5), st.floats(0, 1))
def test_duplicates_are_a_share_of_the_messages_and_come_after_them(seed: str, share: float) -> None:
    copies = on_its_way("duplicates", share, seed)
    assert copies == on_its_way("duplicates", share, seed)
    numbers = [copy.nth for copy in copies if isinstance(copy, Copy)]
    assert len(numbers) == len(copies)
    assert numbers == sorted(set(numbers) & set(range(20, 60)))
    assert all(0 <= copy.at_us - MESSAGES[n].at_us <= AGAIN_WITHIN_US for copy, n in zip(copies, numbers, strict=True))
    assert len(on_its_way("duplicates", 1.0, seed)) == 40
    assert on_its_way("duplicates", 0.0, seed) == []


def test_shuffled_messages_overtake_each_other_while_the_device_hears_no_answer() -> None:
    down, *copies, up = on_its_way("shuffled", 900.0)
    assert [down, up] == on_its_way("offline")
    late = {copy.nth: copy.at_us - MESSAGES[copy.nth].at_us for copy in copies if isinstance(copy, Copy)}
    assert list(late) == list(range(20, 60))
    assert all(0 <= late_us <= 900_000_000 for late_us in late.values())
    assert [copy.at_us for copy in copies] != sorted(copy.at_us for copy in copies)
    assert max(copy.at_us for copy in copies) <= up.at_us


def test_a_replayed_message_comes_once_more_at_the_end() -> None:
    assert on_its_way("replayed") == [Copy(60 * MINUTE_US, "d1", 20)]


def test_forgeries_stand_beside_the_messages_they_imitate() -> None:
    assert on_its_way("forged") == [Forgery(n * MINUTE_US, "d1", n) for n in range(20, 60)]


@pytest.mark.parametrize("alg", ["EdDSA", "ES256"])
def test_a_copy_is_the_same_bytes_and_a_forgery_all_but_the_signature(alg: Alg) -> None:
    first, after = seal(DeviceKey.derive(b"d1", alg), "d1#1", Chain(1, 0, b""), b"[]", "senml+json")
    sent = [first, seal(DeviceKey.derive(b"d1", alg), "d1#1", after, b"[]", "senml+json")[0]]
    assert passed_on(Copy(0, "d1", 1), sent, alg) == sent[1]
    forgery = passed_on(Forgery(0, "d1", 1), sent, alg)
    assert (forgery.boot, forgery.seq) == (1, 1)
    assert forgery.jws.rpartition(b".")[0] == sent[1].jws.rpartition(b".")[0]
    assert len(forgery.jws) == len(sent[1].jws)
    assert forgery.jws != sent[1].jws


@given(st.integers(0, 20), st.text(max_size=5))
def test_repalletizing_swaps_as_many_each_way(cases: int, seed: str) -> None:
    a, b = Pallet.of(1, BEEF, 20), Pallet.of(2, BEEF, 20)
    before = {*a.cases}, {*b.cases}
    from_a, from_b = repalletize(a, b, cases, seed)
    assert len(set(from_a)) == len(set(from_b)) == cases
    assert {*a.cases} == before[0] - {*from_a} | {*from_b}
    assert {*b.cases} == before[1] - {*from_b} | {*from_a}
    assert len(a.cases) == len(b.cases) == 20


def test_cases_taken_out_are_gone() -> None:
    pallet = Pallet.of(1, BEEF, 20)
    taken = take_out(pallet, 2, "s")
    assert len(taken) == 2
    assert len(pallet.cases) == 18
    assert not {*taken} & {*pallet.cases}


@given(st.integers(), st.floats(0, 1), st.floats(0, 1))
def test_a_portal_never_repeats_an_accident_at_the_next_passage(seed: int, missed: float, stray: float) -> None:
    reader = TagReader(str(seed), missed, stray)
    pallet, beside = Pallet.of(1, BEEF, 20), [Pallet.of(2, BEEF, 20)]
    reads = [{*reader.read(pallet, beside)} for _ in range(4)]
    differences = [read ^ {*pallet.cases} for read in reads]
    assert all(not one & other for one, other in pairwise(differences))
    assert all(read <= {*pallet.cases, *beside[0].cases} for read in reads)


def test_rates_are_what_they_say() -> None:
    reader = TagReader("s", missed=0.01, stray=0.01)
    load = [Pallet.of(n, BEEF, 20) for n in range(1, 4)]
    missed = strays = 0
    for _ in range(500):
        for pallet in load:
            read = {*reader.read(pallet, [other for other in load if other is not pallet])}
            missed += len({*pallet.cases} - read)
            strays += len(read - {*pallet.cases})
    assert missed / 30_000 == pytest.approx(0.01, abs=0.002)
    assert strays / 30_000 == pytest.approx(0.01, abs=0.002)
    assert (reader.missed_reads, reader.stray_reads) == (missed, strays)


def test_a_pallet_of_which_no_tag_answers_makes_no_event() -> None:
    reader = TagReader("s", missed=1.0, stray=0.0)
    at = ReadPoint("p", "loc:s/dock-1", "loc:s")
    assert passage(EventWriter(1), reader, at, 0, Pallet.of(1, BEEF, 3), [], "loading") is None


def test_a_passage_is_one_observed_aggregation() -> None:
    pallet = Pallet.of(1, BEEF, 2)
    body = passage(
        EventWriter(1),
        TagReader("s", 0, 0),
        ReadPoint("p", "loc:s/dock-1", "room:s/a"),
        1_772_409_600_250_000,
        pallet,
        [],
        "storing",
    )
    assert body is not None
    (event,) = json.loads(body)["epcisBody"]["eventList"]
    assert event.pop("eventID").startswith("urn:uuid:")
    assert event == {
        "type": "AggregationEvent",
        "action": "OBSERVE",
        "bizStep": "storing",
        "parentID": "urn:epc:id:sscc:6901234.1000000001",
        "childEPCs": ["urn:epc:id:sgtin:6901234.150001.01001", "urn:epc:id:sgtin:6901234.150001.01002"],
        "readPoint": {"id": "urn:coldchain:loc:s/dock-1"},
        "bizLocation": {"id": "urn:coldchain:room:s/a"},
        "eventTime": "2026-03-02T00:00:00.250Z",
        "eventTimeZoneOffset": "+08:00",
    }


def test_check_digits_are_those_of_gs1_examples() -> None:
    assert check_digit("6901234500011"[:-1]) == "1"  # the GLN, SSCC and GTIN of domain §2
    assert check_digit("169012345000000025"[:-1]) == "5"
    assert BEEF.gtin == "16901234500018"
    assert Pallet.of(500_000_002, BEEF, 1).sscc == "169012345000000025"


def test_a_pack_has_one_base_time_and_every_kind_of_value() -> None:
    body = pack(
        [
            Reading("temp/box", "Cel", 1_772_409_660, -17.9),
            Reading("door/rear", "", 1_772_409_600, True),
            Reading("seal/rear", "", 1_772_409_600, 'HY"22'),
            Reading("x/raw", "", 1_772_409_600, Exact("-0.500")),
        ]
    )
    assert b'"v":-0.500' in body
    assert json.loads(body) == [
        {"bt": 1_772_409_600, "n": "temp/box", "u": "Cel", "t": 60, "v": -17.9},
        {"n": "door/rear", "vb": True},
        {"n": "seal/rear", "vs": 'HY"22'},
        {"n": "x/raw", "v": -0.5},
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_pack_never_holds_what_json_has_no_word_for(value: float) -> None:
    with pytest.raises(ValueError, match="SenML has no"):
        pack([Reading("temp/box", "Cel", 0, value)])
    with pytest.raises(ValueError, match="needs a reading"):
        pack([])


@pytest.mark.parametrize("text", ["", "NA", "01", "1.", ".5", "+1", "1,5", "0x1", "１"])
def test_only_json_numbers_pass_as_exact(text: str) -> None:
    with pytest.raises(ValueError, match="not a JSON number"):
        Exact(text)
