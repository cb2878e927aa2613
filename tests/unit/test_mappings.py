"""What raw names mean: scaled exactly, below zero above all, and by the version of the day."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.mappings import DeviceMap, MapError, Sources, read_channel, read_gateway, read_map
from coldchain.domain.telemetry import Sample
from coldchain.domain.units import units_of
from coldchain.domain.uplinks import Raw, RawValue, Report

T_US = 1_772_400_000_000_000


def mapping(*channels: dict[str, Any], **stated: Any) -> DeviceMap:
    body = {
        "device": "REEFER-7",
        "n": 1,
        "gateway": "gw",
        "source": "a84041",
        "org": "acme",
        "site": "fleet",
        "channels": list(channels),
    }
    return read_map({**body, **stated})


def one(value: RawValue, wire_unit: str = "", **channel: Any) -> Sample:
    stated = {"raw": "T", "name": "temp/air", **channel}
    return mapping(stated).sample(Raw("T", value, wire_unit), T_US)


@pytest.mark.parametrize(
    ("value", "channel", "mc"),
    [
        (Decimal("-18.25"), {}, -18_250),
        (Decimal(-180), {"scale": "0.1"}, -18_000),
        (Decimal(65356), {"scale": "0.1", "bits": 16}, -18_000),
        (Decimal(4294967116), {"scale": "0.1", "bits": 32}, -18_000),
        (Decimal(238), {"bits": 8}, -18_000),
        (Decimal(16777036), {"scale": "0.1", "bits": 24}, -18_000),
        (Decimal(32767), {"scale": "0.001", "bits": 16}, 32_767),
        (Decimal(25515), {"scale": "0.01", "unit": "K"}, -18_000),
        (Decimal(-4), {"scale": "0.1", "unit": "degF"}, -18_000),
        (Decimal(220), {"scale": "0.1", "offset": "-40"}, -18_000),
        ("-17.9", {}, -17_900),
        (" -17.9 ", {}, -17_900),
        (Decimal("-0.0004"), {}, 0),
    ],
)
def test_temperatures_below_zero_are_exact_whatever_the_wire_made_of_them(
    value: RawValue, channel: dict[str, Any], mc: int
) -> None:
    assert one(value, **channel) == Sample("temp/air", T_US, mc)


@given(st.integers(-32_768, 32_767))
def test_any_16_bit_temperature_comes_back_from_its_unsigned_wrap(tenths: int) -> None:
    wrapped = Decimal(tenths % 65_536)
    sample = one(wrapped, scale="0.01", bits=16)
    assert sample.value == tenths * 10 or sample.quality == "fault"


@pytest.mark.parametrize(
    ("value", "quality"),
    [
        (Decimal(65535), "fault"),
        (Decimal("6553.5"), "fault"),
        (Decimal(4294967294), "fault"),
        (Decimal(-127), "fault"),
        (Decimal(85), "fault"),
        (Decimal("NaN"), "not-finite"),
        (Decimal("1e999999"), "not-finite"),
        (None, "bad-type"),
        (True, "bad-type"),
        ("open circuit", "bad-type"),
        ("1e5", "bad-type"),
    ],
)
def test_what_no_sensor_measures_is_a_quality(value: RawValue, quality: str) -> None:
    assert one(value).quality == quality


def test_a_unit_of_the_wire_holds_until_the_mapping_names_another() -> None:
    assert one(Decimal("255.15"), "K").value == -18_000
    assert one(Decimal("255.15"), "degF", unit="K").value == -18_000


@pytest.mark.parametrize("unit", units_of("temp/air") or ())
def test_every_unit_a_temperature_can_be_stated_in_is_converted(unit: str) -> None:
    assert one(Decimal("20"), unit=unit).quality in ("", "fault")  # 20 K is read, and believed of no sensor
    assert one(Decimal("20"), unit="V").quality == "bad-type"


@pytest.mark.parametrize(
    ("value", "true", "expected"),
    [
        (True, "", True),
        (Decimal(0), "", False),
        (Decimal(1), "", True),
        ("open", "open", True),
        ("shut", "open", False),
        (Decimal(0), "0", True),
        (False, "false", True),
    ],
)
def test_a_door_is_open_by_whatever_word_its_vendor_has(value: RawValue, true: str, expected: bool) -> None:
    assert one(value, name="door/rear", true=true) == Sample("door/rear", T_US, expected)


@pytest.mark.parametrize("value", [None, Decimal(2), "open"])
def test_a_door_of_no_known_state_is_neither_open_nor_shut(value: RawValue) -> None:
    assert one(value, name="door/rear").quality == "bad-type"


def test_what_is_not_mapped_keeps_its_name_and_what_the_format_fixes_its_meaning() -> None:
    version = mapping()
    assert version.sample(Raw("TempC", Decimal(-18)), T_US) == Sample("x/TempC", T_US, -18.0)
    assert version.sample(Raw("battery", Decimal(3)), T_US).name == "x/battery"
    assert version.sample(Raw("lat", Decimal("36.5"), canonical=True), T_US) == Sample("lat", T_US, 365_000_000)


def test_a_reading_without_a_time_is_kept_as_such() -> None:
    assert mapping().sample(Raw("lat", Decimal(36), canonical=True), 0).quality == "bad-time"


def test_history_is_read_by_the_mapping_of_its_day() -> None:
    sources = Sources()
    for n, from_us, scale in ((1, 50, "1"), (2, 1_000, "0.1"), (3, 1_000, "0.01"), (4, 500, "10")):
        assert sources.add(mapping({"raw": "T", "name": "x/t", "scale": scale}, n=n, from_us=from_us))

    def read_at(t_us: int) -> object:
        return sources.samples("gw", [Report("a84041", t_us, (Raw("T", Decimal(1)),))])["REEFER-7"][0].value

    assert [read_at(t_us) for t_us in (1, 499, 500, 999, 1_000, 2_000)] == [1.0, 1.0, 10.0, 10.0, 10.0, 10.0]


def test_a_source_stays_the_device_it_was_first_mapped_to() -> None:
    sources = Sources()
    assert sources.add(mapping())
    assert not sources.add(mapping(device="OTHER"))
    assert sources.device("gw", "a84041") == "REEFER-7"
    assert sources.latest("OTHER") is None


def test_a_gateway_may_speak_for_itself() -> None:
    sources = Sources()
    sources.add(mapping(source="gw"))
    assert "REEFER-7" in sources.samples("gw", [Report("", T_US, ())])


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"device": "a b"}, "device"),
        ({"n": 0}, "n: "),
        ({"source": ""}, "source"),
        ({"place": "truck 7"}, "place"),
        ({"from_us": -1}, "from_us"),
        ({"channels": "T=temp/air"}, "channels"),
        ({"channels": [{"raw": "T", "name": "temp/a"}, {"raw": "T", "name": "temp/b"}]}, "each raw name once"),
        ({"channels": [{"raw": "T", "name": "temperature"}]}, "name"),
        ({"channels": [{"raw": "T", "name": "temp/air", "scale": 0.1}]}, "scale"),
        ({"channels": [{"raw": "T", "name": "temp/air", "scale": "1e9"}]}, "scale"),
        ({"channels": [{"raw": "T", "name": "temp/air", "bits": 12}]}, "bits"),
        ({"channels": [{"raw": "T", "name": "temp/air", "factor": "2"}]}, "factor"),
    ],
)
def test_a_mapping_that_means_nothing_is_told_by_its_field(stated: dict[str, Any], told: str) -> None:
    with pytest.raises(MapError, match=told):
        mapping(**stated)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = (
    "device",
    "n",
    "gateway",
    "source",
    "org",
    "site",
    "place",
    "profile",
    "from_us",
    "channels",
    "format",
    "closed",
)


@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON), _JSON)
def test_orders_of_any_content_are_read_or_told(changed: dict[str, Any], channel: Any) -> None:
    good = {"device": "d", "n": 1, "gateway": "g", "source": "s", "org": "o", "site": "s", "format": "senml"}
    for read, body in ((read_map, {**good, **changed}), (read_gateway, {**good, **changed}), (read_channel, channel)):
        with suppress(MapError):
            read(body)
