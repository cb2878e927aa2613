"""Sparkplug B: who speaks by topic, what by birth certificate, and numbers below zero as their datatype means them."""

from __future__ import annotations

import struct
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.formats import format_named, read_recorded
from coldchain.decoders.sparkplug import read
from coldchain.domain.births import Births, signed
from coldchain.domain.uplinks import Birth, Follows, Raw, Report
from coldchain.mqtt.answers import answers
from coldchain.services.messages import Reply
from coldchain.services.rebirth import Rebirths
from unit.sparkplug_payloads import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT32,
    metric,
    number,
    payload,
    varint,
)

T_MS = 1_772_400_000_000
T_US = T_MS * 1_000
TOPIC = "spBv1.0/plant/DDATA/edge/reefer"
BIRTH = "spBv1.0/plant/DBIRTH/edge/reefer"


def one(*metrics: bytes, topic: str = TOPIC) -> Report:
    (report,) = read(payload(T_MS, 0, *metrics), topic).reports
    return report


@pytest.mark.parametrize(
    ("value", "datatype", "more", "expected"),
    [
        (-18, INT8, {}, -18),
        (-18, INT8, {"bits": 8}, -18),
        (-1850, INT16, {}, -1850),
        (-1850, INT16, {"bits": 16}, -1850),
        (-2, INT32, {}, -2),
        (-2, INT64, {}, -2),
        (4294967294, UINT32, {}, 4294967294),
        (127, INT8, {}, 127),
        (-18.1, FLOAT, {}, Decimal("-18.1")),
        (-18.05, DOUBLE, {}, Decimal("-18.05")),
        (True, BOOLEAN, {}, True),
        ("open", STRING, {}, "open"),
        (None, FLOAT, {}, None),
    ],
)
def test_a_value_is_what_its_datatype_means(
    value: object, datatype: int, more: dict[str, int], expected: object
) -> None:
    (raw,) = one(metric(value, datatype, name="t", **more)).readings
    assert raw == Raw("t", expected)  # type: ignore[arg-type]


def test_a_number_that_is_none_is_no_decimal() -> None:
    (raw,) = one(metric(float("nan"), FLOAT, name="t")).readings
    assert isinstance(raw.value, Decimal)
    assert raw.value.is_nan()


@given(st.floats(-90, 60, width=32))
def test_a_float_is_the_decimal_a_sensor_meant(value: float) -> None:
    (raw,) = one(metric(value, FLOAT, name="t")).readings
    assert struct.pack("<f", float(raw.value)) == struct.pack("<f", value) or abs(float(raw.value) - value) < 1e-4  # type: ignore[arg-type]


def test_a_metrics_own_time_counts_and_history_is_told() -> None:
    late = metric(-18, INT8, name="t", t_ms=T_MS - 60_000, historical=True)
    uplink = read(payload(T_MS, 3, late, metric(-17, INT8, name="t")), TOPIC)
    assert [(report.t_us, report.said_us) for report in uplink.reports] == [(T_US - 60_000_000, T_US), (T_US, T_US)]
    assert uplink.notes == ("buffered",)


def test_a_birth_names_what_later_messages_number() -> None:
    born = read(payload(T_MS, 0, metric(-18, INT16, name="air", alias=7), metric(name="door", alias=8)), BIRTH)
    assert born.births == (
        Birth(
            "plant/edge/reefer",
            T_US,
            {"air": ("air", INT16), "alias.7": ("air", INT16), "door": ("door", 0), "alias.8": ("door", 0)},
        ),
    )
    births = Births()
    births.add("gw", born.births[0])
    assert list(births.read("gw", one(metric(-1850, alias=7, wire=INT16, bits=16)))) == [Raw("air", Decimal(-1850))]
    assert list(births.read("gw", one(metric(5, alias=9, wire=INT16)))) == [Raw("alias.9", Decimal(5))]


def test_a_name_without_a_datatype_gets_that_of_the_birth() -> None:
    births = Births()
    births.add("gw", Birth("plant/edge/reefer", T_US, {"air": ("air", INT8)}))
    assert list(births.read("gw", one(metric(238, name="air", wire=INT16)))) == [Raw("air", Decimal(-18))]


def test_the_birth_in_force_is_of_the_messages_time_in_any_order_of_arrival() -> None:
    certificates = [
        Birth("s", t_us, {"alias.1": (name, 0)}) for t_us, name in ((10, "a"), (20, "b"), (20, "c"), (30, "a"))
    ]
    for order in permutations(certificates):
        births = Births()
        for birth in order:
            births.add("gw", birth)
        said = [Report("s", 1, (Raw("alias.1", None),), t_us) for t_us in (5, 10, 19, 20, 29, 30)]
        assert [raw.name for report in said for raw in births.read("gw", report)] == [
            "alias.1",
            "a",
            "a",
            "c",
            "c",
            "a",
        ]


def test_the_same_certificate_again_changes_nothing() -> None:
    births, names = Births(), {"alias.1": ("a", 1)}
    assert births.add("gw", Birth("s", 10, names))
    assert not births.add("gw", Birth("s", 10, names))
    assert not births.add("gw", Birth("s", 20, names))
    assert births.add("gw", Birth("s", 15, {"alias.1": ("b", 1)}))


def test_a_death_says_nothing_and_one_without_a_time_cannot_be_placed() -> None:
    death = read(payload(T_MS, 0), "spBv1.0/plant/NDEATH/edge")
    assert (death.notes, death.placed) == (("death",), True)
    assert not read(number(3, 1), "spBv1.0/plant/NDEATH/edge").placed


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "spBv1.0/plant/DDATA/edge",
        "spBv1.0/plant/NDATA/edge/reefer",
        "spBv1.0/plant/NCMD/edge",
        "spAv1.0/p/NDATA/e",
        "spBv1.0//NDATA/e",
        "spBv1.0/STATE/host",
        "spBv1.0/p/NDATA/" + "e" * 300,
    ],
)
def test_a_topic_that_names_no_speaker_is_refused(topic: str) -> None:
    with pytest.raises(DecodeError, match="topic"):
        read(payload(T_MS, 0), topic)


def test_the_type_of_an_entry_keeps_the_topic() -> None:
    data = payload(T_MS, 0, metric(-18, INT8, name="t"))
    media_type, uplink = format_named("sparkplug").uplink(data, TOPIC)
    assert media_type == f"application/vnd.sparkplug.b; topic={TOPIC}"
    assert read_recorded(media_type, data) == uplink


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_message_or_a_decode_error(data: bytes) -> None:
    for topic in (TOPIC, BIRTH):
        try:
            uplink = read(data, topic)
        except DecodeError:
            continue
        assert all(report.t_us >= 0 for report in uplink.reports)


@given(st.data())
def test_a_message_with_any_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(payload(T_MS, 1, metric(-18.5, FLOAT, name="air", alias=1), metric(-3, INT64, name="n")))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(whole[: data.draw(st.integers(0, len(whole)))]), BIRTH)
    except DecodeError as error:
        assert str(error)  # noqa: PT017 (either is right)


def test_numbers_without_end_and_wires_nobody_uses_are_refused() -> None:
    for broken in (b"\x80" * 11, varint(2 << 3 | 3), chunk_beyond := varint(2 << 3 | 2) + varint(100) + b"x"):
        with pytest.raises(DecodeError):
            read(broken, TOPIC)
    assert chunk_beyond


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from([INT8, INT16, INT32, INT64]))
def test_every_integer_comes_back_from_its_unsigned_wrap(value: int, datatype: int) -> None:
    bits = {INT8: 8, INT16: 16, INT32: 32, INT64: 64}[datatype]
    value = (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    for width in {bits, max(bits, 32)}:
        assert signed(Decimal(value % 2**width), datatype) == value


def test_a_node_is_asked_for_its_birth_until_it_comes_and_not_too_often() -> None:
    rebirths, second = Rebirths(), 1_000_000
    asked = [rebirths.ask("gw", Follows("g/e", seq, False), seq * second) for seq in range(0, 200, 10)]
    assert [place * 10 for place, one in enumerate(asked) if one] == [0, 60, 120, 180]
    assert not rebirths.ask("gw", Follows("g/e", 0, True), 300 * second)
    assert not any(rebirths.ask("gw", Follows("g/e", n % 256, False), (300 + n) * second) for n in range(1, 600))


@pytest.mark.parametrize(
    ("order", "asks"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], []),
        ([2, 1, 3, 4, 5, 6, 7, 8, 9], []),
        ([1, 4, 3, 2, 5, 6, 7, 8, 9], []),
        ([1, 2, 2, 1, 3, 4, 5, 6, 7], []),
        ([1, 3, 4, 5, 6, 7, 8, 9, 10], [7]),
        ([1, 3, 4, 5, 6, 2, 7, 8, 9], []),
    ],
)
def test_a_message_that_stays_away_leads_to_a_rebirth_and_one_that_is_overtaken_does_not(
    order: list[int], asks: list[int]
) -> None:
    rebirths = Rebirths()
    rebirths.ask("gw", Follows("g/e", 0, True), 0)
    heard = [
        rebirths.ask("gw", Follows("g/e", seq, False), (100 + place) * 1_000_000) for place, seq in enumerate(order)
    ]
    assert [place + 1 for place, one in enumerate(heard) if one] == asks


def test_the_request_is_a_sparkplug_command_to_the_node() -> None:
    reply = Reply("cc/v1/o/s/gw", "ack", None, None, 7, rebirth="plant/edge")
    ((topic, command),) = answers([reply])
    assert topic == "cc/v1/o/s/gw/cmd/spBv1.0/plant/NCMD/edge"
    (report,) = read(payload(T_MS, 0) + command, "spBv1.0/plant/NDATA/edge").reports
    assert report.readings == (Raw("Node Control/Rebirth", True),)
