"""What broken sensors say is a fault and never a temperature, whichever format and mapping it comes through."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from coldchain.decoders.formats import NAMES, format_named
from coldchain.decoders.senml import decode_senml
from coldchain.domain.mappings import Sources, read_map
from coldchain.domain.telemetry import Sample
from coldchain.projections.series import run_items
from unit.sparkplug_payloads import DOUBLE, STRING, metric, payload

T_S = 1_772_400_000
T_US = T_S * 1_000_000
SENTINELS = (-127, -127.0, 85, 85.0, 200.3, 327.67, 6553.4, 6553.5, 65535, 4294967294, -273.15, "###", "open", None)
WHEN = "2026-03-01T21:20:00Z"
FORMS: dict[str, Any] = {
    "senml": lambda v: [{"bn": "s", "bt": T_S, "n": "T", **({"vs": v} if isinstance(v, str) else {"v": v})}],
    "chirpstack": lambda v: {"time": WHEN, "deviceInfo": {"devEui": "s"}, "object": {"T": v}},
    "ttn": lambda v: {
        "end_device_ids": {"device_id": "s"},
        "uplink_message": {"decoded_payload": {"T": v}, "received_at": WHEN},
    },
    "thingsboard": lambda v: {"s": [{"ts": T_S * 1000, "values": {"T": v}}]},
    "flespi": lambda v: {"ident": "s", "timestamp": T_S, "T": v},
    "dcsa": lambda v: {
        "metadata": {"eventID": "e"},
        "payload": {"eventDateTime": WHEN, "equipmentReference": "s", "measurements": {"T": v}},
    },
}
RAW = {"dcsa": "measurements.T"}


def mapped(form: str, body: bytes, topic: str = "", **channel: Any) -> Sample:
    """The one sample of a source `s` whose raw `T` is a probe of the air."""
    sources = Sources()
    line = {"raw": RAW.get(form, "T"), "name": "temp/air", **channel}
    stated = {"device": "d", "n": 1, "gateway": "g", "org": "o", "site": "s", "channels": [line]}
    uplink = format_named(form).uplink(body, topic)[1]
    for source in {report.source for report in uplink.reports}:
        assert sources.add(read_map({**stated, "source": source}))
    said = [one for one in sources.samples("g", uplink.reports)["d"] if one.name == "temp/air"]
    assert len(said) == 1
    return said[0]


def test_every_format_of_probes_is_asked_here() -> None:
    assert set(NAMES) == {*FORMS, "sparkplug", "jtt808"}  # the last has integers alone, as a mapping scales them


@pytest.mark.parametrize("value", SENTINELS, ids=repr)
@pytest.mark.parametrize("form", FORMS)
def test_a_sentinel_is_no_temperature_in_any_json(form: str, value: Any) -> None:
    assert mapped(form, json.dumps(FORMS[form](value)).encode()).quality in ("fault", "bad-type")
    assert mapped(form, json.dumps(FORMS[form](-18.5)).encode()) == Sample("temp/air", T_US, -18_500)


@pytest.mark.parametrize("value", SENTINELS, ids=repr)
def test_a_sentinel_is_no_temperature_in_sparkplug(value: Any) -> None:
    metrics = metric(value, STRING if isinstance(value, str) else DOUBLE, name="T")
    sample = mapped("sparkplug", payload(T_S * 1000, 0, metrics), "spBv1.0/g/NDATA/n")
    assert sample.quality in ("fault", "bad-type")


@pytest.mark.parametrize("value", SENTINELS, ids=repr)
def test_a_sentinel_in_a_signed_message_is_a_time_without_a_reading(value: Any) -> None:
    record = {"n": "temp/air", "t": T_S, **({"vs": value} if isinstance(value, str) else {"v": value})}
    (run,) = decode_senml(json.dumps([record]).encode(), "d", 1, 0).runs
    assert run_items(run) == [(T_US, None)]


@pytest.mark.parametrize(
    ("raw", "channel"),
    [
        (65535, {"scale": "0.1"}),
        (65534, {"scale": "0.1"}),
        (4294967294, {"scale": "0.1"}),
        (32767, {"scale": "0.01", "bits": 16}),
        (-1270, {"scale": "0.1"}),
        (850, {"scale": "0.1"}),
        (185, {"unit": "degF"}),
        (0, {"unit": "K"}),
    ],
)
def test_a_sentinel_is_known_in_the_units_of_the_wire(raw: int, channel: dict[str, Any]) -> None:
    assert mapped("flespi", json.dumps(FORMS["flespi"](raw)).encode(), **channel).quality == "fault"


@pytest.mark.parametrize("offset", ["-0.4", "0.4", "-10", "10"])
@pytest.mark.parametrize("said", [85.0, -127.0])
def test_a_correction_makes_no_reading_of_a_sentinel(offset: str, said: float) -> None:
    assert mapped("flespi", json.dumps(FORMS["flespi"](said)).encode(), offset=offset).quality == "fault"
    corrected = mapped("flespi", json.dumps(FORMS["flespi"](-18.5)).encode(), offset=offset)
    assert corrected == Sample("temp/air", T_US, int((Decimal("-18.5") + Decimal(offset)) * 1000))


def test_an_offset_of_the_wires_own_spelling_is_no_correction() -> None:
    assert mapped("flespi", json.dumps(FORMS["flespi"](90)).encode(), offset="-40") == Sample("temp/air", T_US, 50_000)
