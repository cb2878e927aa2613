"""What gateways and platforms send: read exactly, below zero above all, and refused with DecodeError alone."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.formats import FORMATS, NAMES, choose, format_named, read_recorded
from coldchain.decoders.vendor_json import moment_us, unix_us
from coldchain.domain.uplinks import Raw, Report, Uplink, source_name

T_S = 1_772_400_000
T_US = T_S * 1_000_000
WHEN = "2026-03-01T21:20:00Z"

CHIRPSTACK = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2026-03-01T21:20:00.775023242+00:00",
    "deviceInfo": {"tenantName": "acme", "deviceName": "reefer 7", "devEui": "A84041000181C061"},
    "fCnt": 4,
    "fPort": 2,
    "data": "AQ==",
    "object": {"TempC_SHT": -18.25, "probes": [{"c": -0.5}, {"c": -40}], "door": True},
    "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -57, "location": {"latitude": 36.1}}],
}
TTN = {
    "end_device_ids": {"device_id": "reefer-7", "application_ids": {"application_id": "cold"}},
    "received_at": "2026-03-01T21:20:01.5Z",
    "uplink_message": {
        "session_key_id": "AXBSH1Pk6Z0G166XdzJwDA==",
        "f_port": 2,
        "decoded_payload": {"temperature": -21.06},
        "received_at": WHEN,
        "locations": {"frm-payload": {"latitude": 36.0671, "longitude": -120.3826}},
    },
}
THINGSBOARD = {
    "Reefer 7": [
        {"ts": T_S * 1000, "values": {"supply": -25.5, "return": "-19.1"}},
        {"ts": T_S * 1000 + 60_000, "values": {"supply": 4294967270}},
    ],
    "Room A": [{"ts": T_S * 1000, "values": {"t": -0.04}}],
}
FLESPI = {
    "ident": "352625333222111",
    "timestamp": T_S + 0.25,
    "server.timestamp": T_S + 3_600,
    "message.buffered.status": True,
    "position.latitude": -36.5,
    "position.longitude": 120.25,
    "position.speed": 36,
    "ble.sensor.temperature.1": -17.9,
}
SENML = [
    {"bn": "urn:dev:mac:0024befffe804ff1/", "bt": T_S, "bu": "Cel", "n": "temp/air", "v": -18.5},
    {"n": "temp/box", "t": 60, "v": -20},
    {"bn": "truck-8:", "n": "door/rear", "u": "/", "vb": True},
]
DCSA = {
    "metadata": {"eventID": "3cecb101-7a1a-43a4-9d62-e88a131651e2", "eventCreatedDateTime": "2026-03-01T22:00:00Z"},
    "payload": {
        "reeferEventTypeCode": "MEAS",
        "eventDateTime": "2026-03-02T05:20:00+08:00",
        "equipmentReference": "MORU0714983",
        "geoLocation": {"latitude": "-36.0671", "longitude": "120.3826"},
        "measurements": {"temperatureUnit": "FAH", "returnAirTemperature": -0.4, "relativeHumidity": 80},
        "setpoint": {"temperatureUnit": "CEL", "temperatureSetpoint": -18},
    },
}
EXAMPLES: dict[str, Any] = {
    "senml": SENML,
    "chirpstack": CHIRPSTACK,
    "ttn": TTN,
    "thingsboard": THINGSBOARD,
    "flespi": FLESPI,
    "dcsa": DCSA,
}


def read(name: str, body: Any) -> Uplink:
    return format_named(name).read(json.dumps(body).encode())


def values(report: Report) -> dict[str, Any]:
    return {raw.name: raw.value for raw in report.readings}


def test_every_format_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(NAMES) - {"jtt808", "sparkplug"}  # no JSON, and tested by themselves


def test_a_chirpstack_event_is_its_codecs_object_at_the_time_of_the_frame() -> None:
    uplink = read("chirpstack", CHIRPSTACK)
    (report,) = uplink.reports
    assert uplink.message_id == "a84041000181c061/3ac7e3c4-4401-4b8d-9386-a5c902f9202d"
    assert (report.source, report.t_us) == ("a84041000181c061", T_US + 775_023)
    assert values(report) == {
        "TempC_SHT": Decimal("-18.25"),
        "probes.0.c": Decimal("-0.5"),
        "probes.1.c": Decimal(-40),
        "door": True,
    }


def test_a_chirpstack_event_without_codec_says_nothing_and_is_one_message_all_the_same() -> None:
    uplink = read("chirpstack", {name: value for name, value in CHIRPSTACK.items() if name != "object"})
    assert uplink.reports[0].readings == ()
    assert uplink.notes == ("undecoded",)
    assert uplink.placed


def test_a_ttn_uplink_is_named_by_session_and_counter_whose_zero_is_left_out() -> None:
    uplink = read("ttn", TTN)
    assert uplink.message_id == "reefer-7/AXBSH1Pk6Z0G166XdzJwDA==/0"
    assert uplink.reports == (
        Report(
            "reefer-7",
            T_US,
            (
                Raw("temperature", Decimal("-21.06")),
                Raw("lat", Decimal("36.0671"), canonical=True),
                Raw("lon", Decimal("-120.3826"), canonical=True),
            ),
        ),
    )


def test_what_was_simulated_in_a_console_was_never_measured() -> None:
    uplink = read("ttn", {**TTN, "simulated": True})
    assert uplink.reports[0].readings == ()
    assert uplink.notes == ("simulated",)


def test_a_thingsboard_gateway_speaks_of_many_devices_and_times() -> None:
    uplink = read("thingsboard", THINGSBOARD)
    assert uplink.message_id == ""
    assert [(report.source, report.t_us) for report in uplink.reports] == [
        ("Reefer 7", T_US),
        ("Reefer 7", T_US + 60_000_000),
        ("Room A", T_US),
    ]
    assert values(uplink.reports[0]) == {"supply": Decimal("-25.5"), "return": "-19.1"}


def test_thingsboard_values_without_a_time_are_of_no_time() -> None:
    assert not read("thingsboard", {"Room A": [{"t": -18}]}).placed


def test_a_flespi_message_keeps_the_devices_own_time_and_metres_per_second() -> None:
    uplink = read("flespi", FLESPI)
    (report,) = uplink.reports
    assert (report.source, report.t_us) == ("352625333222111", T_US + 250_000)
    assert uplink.notes == ("buffered",)
    assert report.readings == (
        Raw("lat", Decimal("-36.5"), canonical=True),
        Raw("lon", Decimal("120.25"), canonical=True),
        Raw("speed", Decimal(10), "m/s", canonical=True),
        Raw("ble.sensor.temperature.1", Decimal("-17.9")),
    )


def test_the_time_flespi_received_a_message_never_stands_in_for_the_devices() -> None:
    assert not read("flespi", {name: value for name, value in FLESPI.items() if name != "timestamp"}).placed


def test_a_dcsa_event_is_about_its_container_in_the_units_it_states() -> None:
    uplink = read("dcsa", DCSA)
    (report,) = uplink.reports
    assert uplink.message_id == "3cecb101-7a1a-43a4-9d62-e88a131651e2"
    assert (report.source, report.t_us) == ("MORU0714983", T_US)
    said = {raw.name: raw for raw in report.readings}
    assert said["lat"] == Raw("lat", Decimal("-36.0671"), canonical=True)
    assert said["measurements.returnAirTemperature"] == Raw(
        "measurements.returnAirTemperature", Decimal("-0.4"), "degF"
    )
    assert said["setpoint.temperatureSetpoint"].unit == "Cel"
    assert said["measurements.relativeHumidity"].unit == ""


def test_dcsa_events_may_be_flat_or_a_list_and_a_retraction_says_nothing() -> None:
    flat = {**DCSA["metadata"], **DCSA["payload"]}
    assert read("dcsa", flat) == read("dcsa", DCSA)
    assert [report.source for report in read("dcsa", [DCSA, flat]).reports] == ["MORU0714983"] * 2
    retraction = {"metadata": {"eventID": "x", "retractedEventID": DCSA["metadata"]["eventID"]}}
    assert read("dcsa", retraction) == Uplink("x", (), ("retraction",))


def test_a_senml_pack_speaks_for_whoever_its_base_names_name() -> None:
    uplink = read("senml", SENML)
    assert uplink.reports == (
        Report("mac:0024befffe804ff1", T_US, (Raw("temp/air", Decimal("-18.5"), "Cel", True),)),
        Report("mac:0024befffe804ff1", T_US + 60_000_000, (Raw("temp/box", Decimal(-20), "Cel", True),)),
        Report("truck-8", T_US, (Raw("door/rear", True, "/", True),)),
    )


def test_a_senml_pack_of_relative_times_says_nothing_of_when() -> None:
    assert not read("senml", [{"n": "temp/air", "u": "Cel", "t": -60, "v": -18}]).placed


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_recorded_type_leads_to_the_decoder_that_read_it(name: str) -> None:
    payload = json.dumps(EXAMPLES[name]).encode()
    assert read_recorded(format_named(name).media_type, payload) == format_named(name).read(payload)


@pytest.mark.parametrize(
    ("content_type", "topic", "expected"),
    [
        ("", "", "senml"),
        ("application/json", "", "senml"),
        ("application/vnd.ttn.v3+json; charset=utf-8", "", "ttn"),
        ("", "application/0a1b/device/a84041000181c061/event/up", "chirpstack"),
        ("", "v3/cold@ttn/devices/reefer-7/up", "ttn"),
        ("", "v1/gateway/telemetry", "thingsboard"),
        ("", "flespi/message/gw/channels/4/352625333222111", "flespi"),
        ("application/vnd.flespi.message+json", "v1/gateway/telemetry", "flespi"),
    ],
)
def test_content_type_comes_before_topic_and_topic_before_what_the_gateway_is_registered_with(
    content_type: str, topic: str, expected: str
) -> None:
    assert choose("senml", content_type, topic).name == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WHEN, T_US),
        ("2026-03-02T05:20:00+08:00", T_US),
        ("2026-03-01T21:20:00.1234567Z", T_US + 123_456),
        ("2026-03-01T21:20:00", 0),
        ("2026-02-30T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        (None, 0),
    ],
)
def test_only_a_moment_with_its_offset_is_a_time(text: object, expected: int) -> None:
    assert moment_us(text) == expected


@pytest.mark.parametrize(
    "value", [Decimal("NaN"), Decimal("Infinity"), Decimal("1e999999"), Decimal(-1), True, "1", None]
)
def test_what_is_no_unix_time_is_none(value: object) -> None:
    assert unix_us(value) == 0


def test_subject_names_of_sources_are_short_plain_and_never_the_same_for_two() -> None:
    names = [source_name("g" * 64, source) for source in ("", "a84041", "Room A", "Room B", "冷库", "x" * 500)]
    assert all(len(name.encode()) <= 128 for name in names)
    assert len(set(names)) == len(names)


_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from([WHEN, T_S, T_S * 1000])
)
_KEYS = st.one_of(
    st.text(max_size=10),
    st.sampled_from(sorted({key for body in (CHIRPSTACK, TTN, TTN["uplink_message"], FLESPI, *SENML) for key in body})),
    st.sampled_from(["ts", "values", "devEui", "device_id", "ident", "v", "vs", "t", "bt", "bver"]),
)
_ANY = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_KEYS, inner, max_size=6), max_leaves=25
)


def _holds(form: Any, payload: bytes) -> None:
    """Only DecodeError comes out, and what comes out else is an uplink of plain values."""
    try:
        uplink = form.read(payload)
    except DecodeError:
        return
    for report in uplink.reports:
        assert 0 <= report.t_us < 253_402_300_800_000_000
        report.source.encode()
        for raw in report.readings:
            assert raw.value is None or isinstance(raw.value, (Decimal, bool, str))
            raw.name.encode()


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_an_uplink_or_a_decode_error(payload: bytes) -> None:
    for form in FORMATS:
        _holds(form, payload)


@given(_ANY)
def test_json_of_any_kind_is_an_uplink_or_a_decode_error(body: Any) -> None:
    for form in FORMATS:
        _holds(form, json.dumps(body).encode())


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_a_message_with_any_one_member_changed_is_an_uplink_or_a_decode_error(name: str, data: st.DataObject) -> None:
    body = json.loads(json.dumps(EXAMPLES[name]))
    at = body
    while isinstance(at, (dict, list)) and at:
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], (dict, list)) or data.draw(st.booleans()):
            at[key] = data.draw(_ANY)
            break
        at = at[key]
    _holds(format_named(name), json.dumps(body).encode())


@given(st.decimals(-90, 60, places=3), st.sampled_from(["chirpstack", "ttn", "thingsboard", "flespi", "senml"]))
def test_a_number_below_zero_comes_out_digit_for_digit(value: Decimal, name: str) -> None:
    text = f"{value:f}"
    uplink = f'"uplink_message":{{"received_at":"{WHEN}","decoded_payload":{{"t"'
    bodies = {
        "chirpstack": f'{{"deviceInfo":{{"devEui":"a"}},"time":"{WHEN}","object":{{"t":{text}}}}}',
        "ttn": f'{{"end_device_ids":{{"device_id":"a"}},{uplink}:{text}}}}}}}',
        "thingsboard": f'{{"a":[{{"ts":{T_S}000,"values":{{"t":{text}}}}}]}}',
        "flespi": f'{{"ident":"a","timestamp":{T_S},"t":{text}}}',
        "senml": f'[{{"bn":"a/","bt":{T_S},"n":"t","v":{text}}}]',
    }
    (report,) = format_named(name).read(bodies[name].encode()).reports
    assert (report.source, report.t_us) == ("a", T_US)
    assert str(report.readings[0].value) == str(Decimal(text))
