"""What is stated of a device's sensors, and what a calibration certificate says at which time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from coldchain.domain.devices import Enrolment, parse_identity
from coldchain.domain.fittings import (
    UNSTATED,
    Calibration,
    Fitting,
    FittingError,
    Mark,
    calibration_at,
    fittings,
    probe_kind,
    read_fitting,
)

ENDS = int(datetime(2027, 5, 2, tzinfo=UTC).timestamp()) * 1_000_000
STATED = {
    "probes": {"box1": "product", "rear": "air"},
    "controller": True,
    "calibration": {"certificate": "CAL-1", "until": "2027-05-01"},
}


def test_an_order_states_probes_controller_and_certificate() -> None:
    assert read_fitting(STATED, 7) == Fitting(7, {"box1": "product", "rear": "air"}, True, Calibration("CAL-1", ENDS))
    assert read_fitting({}) == UNSTATED


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"probes": {"box1": "goods"}}, "product or air"),
        ({"probes": {"box 1": "product"}}, "'box 1'"),
        ({"probes": ["box1"]}, "expected an object"),
        ({"controller": "yes"}, "expected true or false, found 'yes'"),
        ({"calibration": "CAL-1"}, "certificate and until"),
        ({"calibration": {"certificate": "", "until": "2027-05-01"}}, "1 to 200 characters"),
        ({"calibration": {"certificate": "C", "until": "1 May"}}, "a date such as"),
        ({"calibration": {"certificate": "C", "until": "2027-02-30"}}, "found '2027-02-30'"),
        ({"calibration": {"certificate": "C", "until": "9999-12-31"}}, "found '9999-12-31'"),
    ],
)
def test_an_order_that_says_nothing_names_the_field(stated: Mapping[str, Any], said: str) -> None:
    with pytest.raises(FittingError) as refused:
        read_fitting(stated)
    assert said in str(refused.value)


def test_what_nobody_called_a_product_probe_measures_air() -> None:
    history = fittings(read_fitting({"probes": {"box1": "product"}}), [Fitting(100, {"box2": "product"})])
    assert [probe_kind(history, "box1", t_us) for t_us in (0, 99, 100)] == ["product", "product", "air"]
    assert [probe_kind(history, "box2", t_us) for t_us in (99, 100)] == ["air", "product"]
    assert probe_kind((), "box1", 5) == "air"


def test_the_first_fitting_also_holds_before_it_was_stated() -> None:
    first = Fitting(500, controller=True)
    assert fittings(first, [Fitting(900)]) == (Fitting(0, controller=True), Fitting(900))
    assert fittings(first, [Fitting(-5, {"a": "product"})]) == (Fitting(0, {"a": "product"}),)


def test_calibration_is_judged_at_the_time_of_the_reading_by_the_certificate_of_that_time() -> None:
    history = fittings(read_fitting(STATED), [Fitting(ENDS + 100, calibration=Calibration("CAL-2", ENDS + 900))])
    assert calibration_at(history, ENDS - 1) == Mark("valid", "CAL-1", ENDS), "to the end of its last day"
    assert calibration_at(history, ENDS) == Mark("expired", "CAL-1", ENDS)
    assert calibration_at(history, ENDS + 100) == Mark("valid", "CAL-2", ENDS + 900)
    assert calibration_at(history, ENDS + 900) == Mark("expired", "CAL-2", ENDS + 900)
    assert calibration_at((), 5) == Mark("not_shown")


def test_a_device_is_enrolled_whatever_is_wrong_with_what_is_said_of_its_sensors() -> None:
    texts = dict.fromkeys(("device", "kid", "org", "site", "alg", "public_key", "grade", "role"), "x")
    good, bad = (parse_identity({"op": "enrol", **texts, **said}) for said in (STATED, {"controller": 1}))
    assert isinstance(good, Enrolment)
    assert good.fitting == read_fitting(STATED)
    assert isinstance(bad, Enrolment)
    assert bad.fitting == UNSTATED
