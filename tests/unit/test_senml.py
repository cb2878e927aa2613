"""SenML into samples: exact below zero, one meaning whichever reader reads it, and a word for whatever has none."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.decoders import senml
from coldchain.decoders.senml import decode_senml
from coldchain.domain.telemetry import Sample, Telemetry, runs_of

T = 1_760_000_000
T_US = T * 1_000_000


def decode(body: str | bytes, device: str = "TRUCK-1") -> Telemetry:
    return decode_senml(body.encode() if isinstance(body, str) else body, device, 1, 7)


def one(name: str, value: str, unit: str | None = "Cel", field: str = "v") -> Sample:
    """The sample of one record; value as JSON text."""
    stated = "" if unit is None else f'"u":"{unit}",'
    (sample,) = decode(f'[{{"n":"{name}",{stated}"bt":{T},"{field}":{value}}}]').samples
    return sample


@pytest.mark.parametrize(
    ("literal", "unit", "mc"),
    [
        ("-18", "Cel", -18_000),
        ("-17.9", "Cel", -17_900),
        ("-0.1", "Cel", -100),
        ("-0.0004", "Cel", 0),
        ("-0", "Cel", 0),
        ("-18.0005", "Cel", -18_000),
        ("-18.0015", "Cel", -18_002),
        ("-18.00050000000000000000000001", "Cel", -18_001),
        ("-18.00049999999999999999999999", "Cel", -18_000),
        ("-1.85e1", "Cel", -18_500),
        ("-2.125", None, -2_125),
        ("255.15", "K", -18_000),
        ("233.15", "K", -40_000),
        ("-0.4", "degF", -18_000),
        ("-40", "°F", -40_000),
        ("1e-999999999", "Cel", 0),
    ],
)
def test_temperatures_are_exact_below_zero(literal: str, unit: str | None, mc: int) -> None:
    assert one("temp/air", literal, unit) == Sample("temp/air", T_US, mc, "")


@given(st.decimals(-90, 80, places=6))
def test_every_decimal_becomes_its_nearest_milli_degree(value: Decimal) -> None:
    sample = one("temp/air", f"{value:f}")
    assert sample.value == int((value * 1000).to_integral_value(ROUND_HALF_EVEN))


@pytest.mark.parametrize(
    ("literal", "quality"),
    [
        ("NaN", "not-finite"),
        ("Infinity", "not-finite"),
        ("-Infinity", "not-finite"),
        ("1e999", "not-finite"),
        ("-1e999999999999999999999", "not-finite"),
        ("1" + "0" * 5_000, "not-finite"),
        ("null", "bad-type"),
        ('"-18"', "bad-type"),
        ('"###"', "bad-type"),
        ("true", "bad-type"),
        ("[-18]", "bad-type"),
        ("-127", "fault"),
        ("85", "fault"),
        ("85.0", "fault"),
        ("200.3", "fault"),
        ("327.67", "fault"),
        ("6553.5", "fault"),
        ("4294967294", "fault"),
        ("-273.15", "fault"),
        ("1e200", "fault"),
    ],
)
def test_what_no_sensor_measures_is_a_quality_and_never_a_temperature(literal: str, quality: str) -> None:
    sample = one("temp/air", literal)
    assert (sample.t_us, sample.quality) == (T_US, quality)
    assert quality == "fault" or sample.value is None


def test_a_fault_keeps_what_the_sensor_said_as_far_as_it_is_a_number_at_all() -> None:
    assert [one("temp/air", literal).value for literal in ("-127", "85.0", "1e200")] == [-127_000, 85_000, None]


@pytest.mark.parametrize(
    ("record", "sample"),
    [
        ('"n":"lat","v":31.2304167', Sample("lat", T_US, 312_304_167)),
        ('"n":"lon","v":-121.4737021', Sample("lon", T_US, -1_214_737_021)),
        ('"n":"lat","v":91', Sample("lat", T_US, 910_000_000, "fault")),
        ('"n":"rh/1","u":"%RH","v":-1', Sample("rh/1", T_US, -1.0, "fault")),
        ('"n":"rh/1","u":"%RH","v":81.5', Sample("rh/1", T_US, 81.5)),
        ('"n":"door/rear","vb":true', Sample("door/rear", T_US, True)),
        ('"n":"door/rear","v":1', Sample("door/rear", T_US, None, "bad-type")),
        ('"n":"seal/1","vs":"CN123"', Sample("seal/1", T_US, "CN123")),
        ('"n":"seal/1","vs":"\\ud800"', Sample("seal/1", T_US, None, "bad-type")),
        ('"n":"rfid/1","vs":"é"', Sample("rfid/1", T_US, "é")),
        ('"n":"battery","u":"%EL","v":40', Sample("battery", T_US, 40.0)),
        ('"n":"setpoint","u":"Cel","v":-20', Sample("setpoint", T_US, -20_000)),
        ('"n":"temp/air","u":"V","v":-20', Sample("temp/air", T_US, None, "bad-type")),
        ('"n":"temp/air","v":-20,"vb":true', Sample("temp/air", T_US, None, "bad-type")),
        ('"n":"temp/air"', Sample("temp/air", T_US, None, "bad-type")),
        ('"n":"fuel","v":3', Sample("x/fuel", T_US, 3.0)),
        ('"n":"temp","v":3', Sample("x/temp", T_US, 3.0)),
        ('"n":"t é","v":3', Sample("x/unreadable", T_US, None, "bad-type")),
        ('"n":5,"v":3', Sample("x/unreadable", 0, None, "bad-type")),
        ('"n":"temp/air","u":"Cel","v":-1,"t":"x"', Sample("temp/air", 0, -1_000, "bad-time")),
        ('"n":"temp/air","u":"Cel","v":-1,"t":0.000001', Sample("temp/air", T_US + 1, -1_000)),
        ('"n":"temp/air","u":"Cel","v":-1,"t":-60', Sample("temp/air", T_US - 60_000_000, -1_000)),
        ('"n":"temp/air","u":"Cel","v":-1,"t":-1700000000', Sample("temp/air", 0, -1_000, "bad-time")),
        ('"n":"temp/air","u":"Cel","v":-1,"t":1e300', Sample("temp/air", 0, -1_000, "bad-time")),
        ('"n":"temp/air","u":"Cel","v":-1,"t":NaN', Sample("temp/air", 0, -1_000, "bad-time")),
        ('"n":"temp/air","u":"Cel","bv":-20,"v":0.5', Sample("temp/air", T_US, -19_500)),
        ('"n":"TRUCK-1/temp/air","v":-1', Sample("temp/air", T_US, -1_000)),
        ('"n":"urn:dev:mac:0024befffe804ff1:temp/air","v":-1', Sample("temp/air", T_US, -1_000)),
    ],
)
def test_each_name_has_one_meaning_and_one_unit(record: str, sample: Sample) -> None:
    assert decode(f'[{{"bt":{T},{record}}}]').samples == (sample,)


def test_base_values_hold_until_they_change() -> None:
    body = (
        f'[{{"bn":"TRUCK-1:","bt":{T},"bu":"Cel"}},{{"n":"temp/air","v":-18}},{{"n":"rh/1","u":"%RH","v":80,"t":1}},'
        f'{{"bn":"","bt":{T + 60},"n":"temp/box","v":-19}}]'
    )
    assert decode(body).samples == (
        Sample("temp/air", T_US, -18_000),
        Sample("rh/1", T_US + 1_000_000, 80.0),
        Sample("temp/box", T_US + 60_000_000, -19_000),
    )


def test_rfc_8428_example_with_relative_times_is_bad_time_in_a_signed_pack() -> None:
    body = '[{"bn":"urn:dev:ow:10e2073a01080063:","bu":"%RH","n":"rh/1","v":20},{"n":"rh/1","t":-10,"v":21}]'
    assert [(sample.t_us, sample.quality) for sample in decode(body).samples] == [(0, "bad-time"), (0, "bad-time")]


@pytest.mark.parametrize(
    ("body", "quality"),
    [
        (b"", "invalid-senml"),
        (b"\xff\xfe", "invalid-senml"),
        (b"{}", "invalid-senml"),
        (b"[1]", "invalid-senml"),
        (b'[{"n":"temp/air","v":-18}', "invalid-senml"),
        (b'[{"bn":5,"n":"a","v":1}]', "invalid-senml"),
        (b'[{"bver":11,"n":"a","v":1}]', "invalid-senml"),
        (b'[{"n":"a","v":1,"must_":1}]', "invalid-senml"),
        (b"[" * 100_000, "invalid-senml"),
        (b'[{"x":' + b"[" * 100_000, "invalid-senml"),
        (b"[]", "empty"),
        (b'[{"bn":"a","bt":1760000000}]', "empty"),
    ],
)
def test_a_pack_without_samples_says_why(body: bytes, quality: str) -> None:
    assert decode(body) == Telemetry("TRUCK-1", 1, 7, (), (quality,))


names = st.sampled_from(
    ["temp/air", "setpoint", "rh/1", "door/1", "lat", "lon", "speed", "seal/1", "x/a", "fuel", "", "é"]
)
numbers = st.sampled_from(
    [
        "-18",
        "-18.25",
        "-18.0005",
        "-18.00051",
        "0.29",
        "85.0",
        "-127",
        "1e301",
        "1e299",
        "104.9",
        "179.99999995",
        "5e-324",
    ]
)
records = st.fixed_dictionaries(
    {},
    optional={
        "n": names.map(json.dumps),
        "u": st.sampled_from(["Cel", "K", "%RH", ""]).map(json.dumps),
        "v": numbers,
        "vb": st.sampled_from(["true", "false"]),
        "vs": st.sampled_from(['"a"', '"\\u00e9"']),
        "t": st.sampled_from(["0", "1.5", "-3", "0.1234567", "1e13"]),
        "bn": st.sampled_from(['""', '"TRUCK-1/"']),
        "bt": st.sampled_from([str(T), f"{T}.25", "5"]),
        "bu": st.sampled_from(['"Cel"', '""']),
        "bver": st.sampled_from(["10", "5"]),
    },
)


@given(st.lists(records, min_size=1, max_size=6))
def test_both_readers_mean_the_same_wherever_the_typed_one_dares(pack: list[dict[str, str]]) -> None:
    body = f"[{','.join('{' + ','.join(f'{json.dumps(k)}:{v}' for k, v in r.items()) + '}' for r in pack)}]".encode()
    try:
        typed = senml._typed(body, "TRUCK-1")
    except (senml._Unusual, msgspec.MsgspecError, OverflowError):
        return
    assert typed == runs_of(senml._exact(body, "TRUCK-1"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["n", "u", "v", "t", "bt", "bn", "vb", "vs"]), inner)
    ),
)


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_nothing_a_device_sends_raises(body: Any) -> None:
    telemetry = decode(body)
    assert telemetry.samples or telemetry.quality
