"""What programs are told, from a ledger with a story."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from coldchain.bootstrap.http import create_app
from coldchain.services.app_ports import AppPorts
from coldchain_ledger.keys import parse_vkey
from coldchain_ledger.verify import log_policy, verify_dossier
from web.serving import Served
from web.story import DEVICE, PALLET, TRUCK, Told

SERIES = f"/v1/devices/{DEVICE}/series"
WHOLE_TRIP = {"from": "2026-03-02T08:00:00Z", "to": "2026-03-02T14:00:00Z"}


def ask(client: httpx.Client, path: str, **parameters: Any) -> Any:
    response = client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def pages(client: httpx.Client, path: str, **parameters: Any) -> Iterator[list[Any]]:
    """The items of every page of a list."""
    cursor: dict[str, str] = {}
    while True:
        page = ask(client, path, **parameters, **cursor)
        assert page.keys() == {"items", "next"}
        yield page["items"]
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}


def test_devices_are_listed_by_name_with_what_they_last_said(operator: httpx.Client) -> None:
    room, truck = ask(operator, "/v1/devices")["items"]
    assert (room["device"], truck["device"]) == ("r1-ctl", DEVICE)
    assert (truck["place"], truck["profile"], truck["grade"]) == (TRUCK, "CN-frozen", "signed")
    assert truck["last_sampled_at"] == "2026-03-02T13:59:00Z"
    assert [(probe["probe"], probe["last_mc"]) for probe in truck["probes"]] == [("box", -20500), ("return", -19250)]


def test_one_device_shows_its_keys_and_where_it_was(operator: httpx.Client) -> None:
    device = ask(operator, f"/v1/devices/{DEVICE}")
    assert [(key["kid"], key["revoked_index"]) for key in device["keys"]] == [(f"{DEVICE}#1", None)]
    assert [mounting["place"] for mounting in device["mountings"]] == [TRUCK]
    assert device["open_findings"] == 2, "it fell silent on both probes"
    states = {(probe["state"], probe["since"], probe["last_at"]) for probe in device["probes"]}
    assert states == {("unknown", "2026-03-02T13:59:00Z", "2026-03-02T13:59:00Z")}, (
        "and neither reads in range any more"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/v1/devices",
        "/v1/findings?status=all",
        "/v1/rejects",
        f"{SERIES}?probe=box",
        f"{SERIES}?probe=box&resolution=hour",
    ],
)
def test_pages_of_one_item_add_up_to_the_whole_list(operator: httpx.Client, path: str) -> None:
    path, _, query = path.partition("?")
    parameters = dict(part.split("=") for part in query.split("&")) if query else {}
    whole = [item for page in pages(operator, path, **parameters) for item in page]
    single = list(pages(operator, path, **parameters, limit=1))[:400]
    assert whole
    assert [len(page) for page in single] == [1] * len(whole)
    assert [item for page in single for item in page] == whole


def test_a_series_holds_every_reading_once_in_order_of_time(operator: httpx.Client) -> None:
    readings = [item for page in pages(operator, SERIES, limit=37, **WHOLE_TRIP) for item in page]
    assert len({(r["probe"], r["at"]) for r in readings}) == len(readings) == 2 * 360
    assert readings == sorted(readings, key=lambda r: (r["at"], r["probe"]))
    assert sum(r["mc"] == -4500 for r in readings) == 40
    assert {r["quality"] for r in readings} == {""}


def test_a_series_is_cut_to_the_time_and_probe_asked_for(operator: httpx.Client) -> None:
    span = {"from": "2026-03-02T09:59:30+01:00", "to": "2026-03-02T10:02:00+01:00"}
    readings = ask(operator, SERIES, probe="box", **span)["items"]
    assert [r["at"] for r in readings] == ["2026-03-02T09:00:00Z", "2026-03-02T09:01:00Z"]
    assert ask(operator, SERIES, probe="bo", **WHOLE_TRIP) == {"items": [], "next": None}


def test_a_series_ends_at_the_newest_reading_by_default(operator: httpx.Client) -> None:
    assert ask(operator, SERIES, limit=10_000)["items"][-1]["at"] == "2026-03-02T13:59:00Z"


def test_findings_are_filtered_by_what_they_are(operator: httpx.Client) -> None:
    current = ask(operator, "/v1/findings")["items"]
    still, settled = (ask(operator, "/v1/findings", status=status)["items"] for status in ("open", "settled"))
    assert {f["id"] for f in current} == {f["id"] for f in still} | {f["id"] for f in settled}
    assert [f["rule"] for f in settled] == ["CN-frozen transport limit"]
    (broken,) = ask(operator, "/v1/findings", rule="P2")["items"]
    assert broken["state"] == "standing"
    for field in ("subject", "state", "verdict"):
        assert broken in ask(operator, "/v1/findings", **{field: broken[field]})["items"]
    assert ask(operator, "/v1/findings", rule="%")["items"] == []


def test_a_finding_tells_its_life_and_what_it_rests_on(operator: httpx.Client) -> None:
    (broken,) = ask(operator, "/v1/findings", rule="P2")["items"]
    finding = ask(operator, f"/v1/findings/{broken['id']}")
    assert [entry["state"] for entry in finding["life"]] == ["suspected", "asked", "standing"]
    assert [entry["current"] for entry in finding["life"]] == [False, False, True]
    assert finding["detail"]["missing"] == ["case:16901234500018/007", "case:16901234500018/008"]
    for index in finding["entries"]:
        assert operator.get(f"/log/receipt/{index}").status_code == 200


@pytest.mark.parametrize(
    "spelling", [PALLET, "urn:epc:id:sscc:6901234.1500000002", "https://id.gs1.org/00/169012345000000025"]
)
def test_a_unit_is_known_under_every_spelling_of_its_identifier(operator: httpx.Client, spelling: str) -> None:
    unit = ask(operator, f"/v1/units/{spelling}")
    assert (unit["id"], unit["verdict"]) == (PALLET, "BROKEN_UNEXPLAINED")
    assert {row["state"] for row in unit["temperature"]} >= {"in_range", "breach"}
    assert [stay["parent"] for stay in unit["inside"]] == [TRUCK]


def test_a_trace_leads_to_the_truck_and_the_cases(operator: httpx.Client) -> None:
    trace = ask(operator, "/v1/trace", id=PALLET)
    reached = {hop["unit"] for hop in trace["forward"]}
    assert {TRUCK, "case:16901234500018/001", "case:16901234500018/017"} <= reached


@pytest.mark.parametrize("about", [PALLET, f"dev:{DEVICE}", TRUCK])
def test_evidence_verifies_offline_against_the_logs_key(operator: httpx.Client, told: Told, about: str) -> None:
    response = operator.get("/v1/evidence", params={"id": about})
    assert response.headers["content-type"] == "application/jsonl"
    assert response.headers["content-disposition"].startswith('attachment; filename="')
    report = verify_dossier(io.BytesIO(response.content), log_policy(parse_vkey(told.core.log.vkey)))
    assert report.exit_code == 0


def test_evidence_about_a_finding_verifies_too(operator: httpx.Client, told: Told) -> None:
    (broken,) = ask(operator, "/v1/findings", rule="P2")["items"]
    dossier = operator.get("/v1/evidence", params={"id": broken["id"]}).content
    assert verify_dossier(io.BytesIO(dossier), log_policy(parse_vkey(told.core.log.vkey))).exit_code == 0


def test_a_refused_message_is_listed_with_its_reason(operator: httpx.Client) -> None:
    (refused,) = ask(operator, "/v1/rejects", device=DEVICE)["items"]
    assert refused["reason"] == "bad-signature"
    assert ask(operator, "/v1/rejects", device="nobody")["items"] == []


def test_health_compares_the_ledger_with_what_was_folded(client: httpx.Client, told: Told) -> None:
    size = told.core.log.edge().size
    assert ask(client, "/healthz") == {"ledger_size": size, "folded": size, "lag": 0}


def test_metrics_count_messages_and_requests(
    operator: httpx.Client, told: Told, served: Served, ports: AppPorts
) -> None:
    served.app = create_app(ports)  # one that has answered nobody yet
    operator.get("/v1/devices/nobody")
    operator.get("/no/such/path")
    text = operator.get("/metrics").text
    assert f"coldchain_ledger_entries {float(told.core.log.edge().size)}" in text
    assert 'coldchain_messages_total{kind="refused:bad-signature"} 1.0' in text
    assert 'route="/v1/devices/{device}",status="404"} 1.0' in text
    assert 'coldchain_http_requests_total{method="any",route="none",status="404"} 1.0' in text


def test_every_route_and_every_error_is_in_the_document(operator: httpx.Client) -> None:
    document = ask(operator, "/openapi.json")
    assert {"/healthz", "/metrics", "/log/checkpoint", "/v1/devices", "/v1/units/{unit}"} <= document["paths"].keys()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["description"], path
            assert ("401" in operation["responses"]) == path.startswith(("/v1", "/epcis", "/metrics"))
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert response["content"].keys() == {"application/problem+json"}, (path, status)


def test_answers_have_no_defaults(operator: httpx.Client) -> None:
    for name, schema in ask(operator, "/openapi.json")["components"]["schemas"].items():
        if name not in (
            "Problem",
            "LinkOrder",
            "AcknowledgementOrder",
            "ReportOrder",
            "SignInOrder",
        ):  # what is asked may leave out what has a default
            assert set(schema["required"]) == schema["properties"].keys(), name
            assert not any("default" in field for field in schema["properties"].values()), name


def test_two_apps_in_one_process_count_apart(operator: httpx.Client, served: Served, ports: AppPorts) -> None:
    operator.get("/v1/devices")
    served.app = create_app(ports)
    assert 'route="/v1/devices"' not in operator.get("/metrics").text


def test_hours_of_a_probe_tell_its_extremes_and_how_much_is_unknown(operator: httpx.Client) -> None:
    hours = ask(operator, SERIES, **WHOLE_TRIP, resolution="hour", probe="box")["items"]
    assert [hour["from"] for hour in hours] == [f"2026-03-02T{hour:02}:00:00Z" for hour in range(8, 14)]
    warm = hours[3]
    assert (warm["readings"], warm["min"], warm["max"], warm["probe"]) == (60, -20_500, -4_500, "box")
    assert (warm["mean"], warm["first_at"], warm["first"]) == (-9_833.333333333334, warm["from"], -4_500)
    assert [hour["gap_share"] for hour in hours[:-1]] == [0] * 5
    (day,) = ask(operator, SERIES, **WHOLE_TRIP, resolution="day", channel="temp/box")["items"]
    assert (day["readings"], day["to"]) == (sum(hour["readings"] for hour in hours), "2026-03-03T00:00:00Z")


def test_how_finely_a_time_is_told_follows_from_its_length(operator: httpx.Client) -> None:
    ends = {"raw": "2026-03-02T14:00:00Z", "hour": "2026-03-20T00:00:00Z", "day": "2026-12-01T00:00:00Z"}
    for resolution, to in ends.items():
        span = {"from": WHOLE_TRIP["from"], "to": to, "limit": 2_000}
        assert ask(operator, SERIES, **span, resolution="auto") == ask(operator, SERIES, **span, resolution=resolution)


def test_single_readings_of_other_channels_are_asked_for_in_vain(operator: httpx.Client) -> None:
    answer = operator.get(SERIES, params={"channel": "rh/box"})
    assert answer.status_code == 422
    assert "resolution" in answer.json()["detail"]
