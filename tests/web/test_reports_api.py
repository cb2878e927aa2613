"""Reports over HTTP and by the command: figures, files in both languages, and the entry that says they were issued."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from openpyxl import load_workbook
from pypdf import PdfReader

from coldchain.bootstrap.core import Core, open_core
from coldchain.bootstrap.reports import make_report, rendered
from coldchain.cli import group
from coldchain.papers.report_sheets import report_csv
from coldchain.services.identity import CommandRefused
from coldchain.services.report import digest
from coldchain.settings import load_settings
from coldchain_ledger.entry import parse_entry
from opening import new_core
from web.serving import Served
from web.story import DEVICE, END, MINUTE, PALLET, START, TRUCK, Clock, Sender, at, epcis

HOUR = "2026-03-02T09:00:00Z", "2026-03-02T13:00:00Z"


@pytest.fixture(scope="module")
def core(story_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """A ledger of our own: issuing a report records it."""
    directory = shutil.copytree(story_directory, tmp_path_factory.mktemp("reports") / "data")
    with open_core(load_settings(dir=directory, public_url="https://cold.example/"), clock=Clock(END)) as core:
        yield core


@pytest.fixture
def client(core: Core, served: Served) -> Iterator[httpx.Client]:
    served.stand_on(core)
    with served.client() as client:
        client.headers["authorization"] = f"Bearer {core.operator_token}"
        yield client


def figures(client: httpx.Client, about: str, **more: Any) -> dict[str, Any]:
    answer = client.get("/v1/reports", params={"about": about, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def issued(client: httpx.Client, **order: Any) -> tuple[bytes, int]:
    answer = client.post("/v1/reports", json={"about": TRUCK, **order})
    assert answer.status_code == 200, answer.text
    return answer.content, int(answer.headers["coldchain-entry"])


def test_a_trip_tells_its_warm_forty_minutes_and_accounts_for_all_of_its_time(client: httpx.Client) -> None:
    document = figures(client, TRUCK)
    (stay,) = document["stays"]
    (excursion,) = document["excursions"]
    probes = {probe["probe"]: probe for probe in stay["probes"]}
    warm = probes[excursion["probe"]]
    assert document["verdict"] == stay["verdict"] == warm["verdict"] == "breach"
    assert warm["breach_s"] == excursion["seconds"] > 0
    assert excursion["extreme_mc"] == warm["max_mc"]
    begun, ended = (datetime.fromisoformat(stay[end]) for end in ("from", "to"))
    for probe in probes.values():
        spent = sum(probe[f"{state}_s"] for state in ("in_range", "breach", "unknown", "unjudged"))
        assert spent == (ended - begun).total_seconds()
    assert [rule["pack"] for rule in document["rules"]] == ["CN-frozen"]
    assert any(one["verdict"] == "breach" for one in document["findings"])


def test_a_consignment_is_told_wherever_it_was(client: httpx.Client) -> None:
    document = figures(client, PALLET)
    assert document["about"] == PALLET
    assert TRUCK in {stay["place"] for stay in document["stays"]}
    assert document["verdict"] in ("breach", "unknown")


def test_a_period_cuts_everything_to_itself(client: httpx.Client) -> None:
    document = figures(client, TRUCK, **{"from": HOUR[0], "to": HOUR[1], "above": [-15, -12]})
    assert (document["from"], document["to"]) == HOUR
    assert all(HOUR[0] <= point["t"] <= HOUR[1] for line in document["chart"] for point in line["points"])
    levels = [above["mc"] for above in document["stays"][0]["probes"][0]["above"]]
    assert levels == [-18_000, -15_000, -12_000]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"about": "sscc:169012345000009999"}, 404),
        ({"about": "dev:nobody"}, 404),
        ({"about": TRUCK, "from": HOUR[1], "to": HOUR[0]}, 409),
        ({"about": TRUCK, "from": "2020-01-01T00:00:00Z", "to": HOUR[0]}, 409),
        ({"about": TRUCK, "above": "warm"}, 422),
        ({"about": TRUCK, "format": "pdf"}, 422),
    ],
)
def test_what_cannot_be_reported_says_why(client: httpx.Client, query: dict[str, str], status: int) -> None:
    answer = client.get("/v1/reports", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_file_is_recorded_by_the_hash_of_its_figures_and_once(core: Core, client: httpx.Client) -> None:
    _, entry = issued(client, format="csv")
    with core.store.snapshot() as snapshot:
        recorded = json.loads(parse_entry(snapshot.entry(entry)).payload)
    document = figures(client, TRUCK)
    assert recorded["sha256"] == digest(document)
    assert (recorded["about"], recorded["verdict"]) == (TRUCK, "breach")
    assert issued(client, format="xlsx", lang="zh")[1] == entry


@pytest.mark.parametrize(("lang", "words"), [("en", ("Probes", "breach")), ("zh", ("测点", "超限"))])
def test_tables_have_the_figures_in_both_languages(client: httpx.Client, lang: str, words: tuple[str, str]) -> None:
    probe = figures(client, TRUCK)["stays"][0]["probes"][0]
    rows = list(csv.reader(io.StringIO(issued(client, format="csv", lang=lang)[0].decode("utf-8-sig"))))
    place = rows.index([words[0]])
    told = dict(zip(rows[place + 1], rows[place + 2], strict=True))
    assert str(probe["max_mc"] / 1000) in told.values()
    assert words[1] in told.values()
    book = load_workbook(io.BytesIO(issued(client, format="xlsx", lang=lang)[0]))
    sheet = book[words[0]]
    assert [cell.value for cell in sheet[1]] == rows[place + 1]
    assert probe["max_mc"] / 1000 in [cell.value for cell in sheet[2]]


@pytest.mark.parametrize(("lang", "page"), [("en", "Page 1 of"), ("zh", "第 1 页")])
def test_a_pdf_has_pages_with_numbers_a_receipt_and_the_address_to_check_it(
    core: Core, client: httpx.Client, lang: str, page: str
) -> None:
    data, entry = issued(client, lang=lang)
    pages = [one.extract_text() for one in PdfReader(io.BytesIO(data)).pages]
    assert page in pages[0]
    text = "\n".join(pages)
    assert f"https://cold.example/log/receipt/{entry}" in text
    proof = core.log.receipt(entry).decode().splitlines()
    assert proof[:2] == ["c2sp.org/tlog-proof@v1", f"index {entry}"]
    assert all(line in text for line in proof[:2])
    assert TRUCK in text


def test_a_name_that_a_spreadsheet_would_run_is_text(client: httpx.Client) -> None:
    document = figures(client, TRUCK)
    document["stays"][0]["place"] = "=cmd()"
    assert "'=cmd()" in report_csv(document, "en", None).decode("utf-8-sig")


def test_the_command_writes_the_file_and_says_its_entry(core: Core, tmp_path: Path) -> None:
    out = tmp_path / "trip.pdf"
    ran = CliRunner().invoke(
        group, ["report", TRUCK, "--dir", str(core.settings.dir), "--out", str(out), "--lang", "zh", "--json"]
    )
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert out.read_bytes().startswith(b"%PDF")
    assert told["path"] == str(out)
    assert told["report"]["verdict"] == "breach"
    assert isinstance(told["entry"], int)


def test_the_pages_of_a_unit_and_a_device_make_the_file_in_their_language(core: Core, served: Served) -> None:
    ports = served.stand_on(core)
    with served.client() as visitor:
        visitor.get(f"/login?code={ports.access.issue_code()}")
        for about, page in ((PALLET, f"/units/{PALLET}"), (f"dev:{DEVICE}", f"/devices/{DEVICE}")):
            assert f'name="about" value="{about}"' in visitor.get(page).text
            made = visitor.post("/report", data={"about": about, "format": "csv"}, headers={"accept-language": "zh"})
            assert (made.status_code, made.headers["content-type"].partition(";")[0]) == (200, "text/csv")
            assert made.content.decode("utf-8-sig").startswith("温度报告")
        assert visitor.post("/report", data={"about": PALLET, "format": "exe"}).status_code == 422
        assert visitor.post("/report", data={"about": "sscc:169012345000009999", "format": "pdf"}).status_code == 404


def test_a_report_made_on_a_page_of_the_past_ends_where_the_page_does(core: Core, served: Served) -> None:
    ports = served.stand_on(core)
    with served.client() as visitor:
        visitor.get(f"/login?code={ports.access.issue_code()}")
        order = {"about": PALLET, "format": "csv", "at": HOUR[0], "as_of": "200"}
        made = visitor.post("/report", data=order).content.decode("utf-8-sig")
        assert visitor.post("/report", data={**order, "as_of": "many"}).status_code == 422
    document = make_report(core, PALLET, (None, START + 60 * MINUTE), as_of=200)
    assert document is not None
    assert digest(document) in made
    assert (document["to"], document["ledger"]["size"]) == (HOUR[0], 200)


def test_a_late_reading_changes_todays_report_and_not_what_was_believed_before(tmp_path: Path) -> None:
    clock = Clock(START)
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        truck = Sender(core, "t9-gw", "veh:T9")
        early, warm, after = (truck.message(pack(*span)) for span in ((0, 60, -20), (60, 100, -5), (100, 140, -20)))
        clock.now_us = START + 140 * MINUTE
        core.admission.admit([early, after])
        core.settle()
        before, size = make_report(core, "dev:t9-gw"), core.log.edge().size
        core.admission.admit([warm])
        core.settle()
        now, then = make_report(core, "dev:t9-gw"), make_report(core, "dev:t9-gw", as_of=size)
    assert before is not None
    assert now is not None
    assert (before["verdict"], now["verdict"]) == ("unknown", "breach")
    assert then == before


def test_what_befell_a_truck_after_the_goods_had_left_it_is_not_told_of_them(tmp_path: Path) -> None:
    clock = Clock(START)
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        truck = Sender(core, "t9-gw", "veh:T9")
        for minute, action, where in ((0, "ADD", "veh:T9"), (60, "DELETE", "veh:T9"), (61, "ADD", "room:s1/a")):
            core.capture("polar", epcis(START + minute * MINUTE, action, where, [PALLET]))
        clock.now_us = START + 140 * MINUTE
        core.admission.admit([truck.message(pack(0, 80, -20)), truck.message(pack(80, 140, -5))])
        core.settle()
        goods, vehicle = make_report(core, PALLET), make_report(core, "veh:T9", (START, START + 140 * MINUTE))
    assert goods is not None
    assert vehicle is not None
    assert [(stay["place"], stay["verdict"]) for stay in goods["stays"]] == [
        ("veh:T9", "in_range"),
        ("room:s1/a", "unknown"),
    ]
    assert [one["verdict"] for one in vehicle["findings"]] == ["breach"]
    assert goods["findings"] == []


def pack(from_m: int, to_m: int, celsius: float) -> list[dict[str, object]]:
    times = range(START + from_m * MINUTE, START + to_m * MINUTE, 5 * MINUTE)
    return [{"n": "temp/box", "t": t_us / 1e6, "u": "Cel", "v": celsius} for t_us in times]


def test_a_consignment_of_drugs_tells_its_budget_and_its_mean_kinetic_temperature(tmp_path: Path) -> None:
    clock = Clock(START)
    loaded = epcis(START, "ADD", "veh:V1", [PALLET], bizStep="loading", bizLocation=at("loc:s1"))
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        van = Sender(core, "v1-gw", "veh:V1", "USP-controlled-cold")
        core.capture("polar", loaded)
        clock.now_us = START + 200 * MINUTE
        core.admission.admit(
            [van.message(pack(0, 60, 5)), van.message(pack(60, 160, 12)), van.message(pack(160, 200, 5))]
        )
        core.settle()
        document = make_report(core, PALLET)
        assert document is not None
        table = rendered(document, "csv", "en", None).decode("utf-8-sig")
        assert rendered(document, "pdf", "zh", None).startswith(b"%PDF")
    (exposure,) = document["exposure"]
    (budget,) = exposure["budgets"]
    assert (budget["above_mc"], budget["spent_s"], budget["verdict"]) == (8_000, 100 * 60, "kept")
    row = next(line for line in table.splitlines() if line.startswith("USP-controlled-cold v1,8.0,"))
    assert row.split(",")[2:4] == ["1440.0", "100.0"]


DAY = 24 * 60 * MINUTE


def stored(core: Core, at_us: int, action: str, where: str) -> None:
    core.capture("polar", epcis(at_us, action, where, [PALLET]))


def test_goods_in_store_for_years_are_reported_on_for_the_last_400_days_and_that_it_is_a_part_is_said(
    tmp_path: Path,
) -> None:
    clock = Clock(START)
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        room = Sender(core, "r1-ctl", "room:s1/a")
        stored(core, START - 900 * DAY, "ADD", "room:s1/a")
        core.admission.admit([room.message(pack(0, 60, -20))])
        clock.now_us = START + 60 * MINUTE
        core.settle()
        document = make_report(core, PALLET)
        assert document is not None
        since = make_report(core, PALLET, (START - 900 * DAY, None))
        until = make_report(core, PALLET, (None, START - 500 * DAY))
        with pytest.raises(CommandRefused, match="a period of 900 days"):
            make_report(core, PALLET, (START - 900 * DAY, START))
        tables = {lang: rendered(document, "csv", lang, None).decode("utf-8-sig") for lang in ("en", "zh")}
    newest = document["ledger"]["time"]
    assert document["to"] == document["whole"]["to"] == newest
    assert days(document["from"], document["to"]) == 400
    assert document["whole"]["from"] == "2023-09-14T08:00:00Z"
    (stay,) = document["stays"]
    (probe,) = stay["probes"]
    assert probe["readings"] == 12
    assert since is not None
    assert until is not None
    assert (since["from"], days(since["from"], since["to"])) == ("2023-09-14T08:00:00Z", 400)
    assert (until["to"], days(until["from"], until["to"])) == ("2024-10-18T08:00:00Z", 400)
    for lang, said in (
        ("en", "A part of the whole time,2023-09-14T08:00:00Z"),
        ("zh", "仅为全程中的一段，全程,2023-09-14"),
    ):
        assert said in tables[lang].replace('"', ""), lang


def days(begun: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds() / 86_400


def test_goods_gone_for_years_are_reported_on_for_all_of_their_life(tmp_path: Path) -> None:
    clock = Clock(START)
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        stored(core, START - 900 * DAY, "ADD", "veh:T9")
        stored(core, START - 899 * DAY, "DELETE", "veh:T9")
        core.settle()
        document = make_report(core, PALLET)
    assert document is not None
    assert days(document["from"], document["to"]) == 1
    assert document["whole"] == {"from": document["from"], "to": document["to"]}


def test_the_default_period_of_a_room_and_a_vehicle_ends_where_the_asked_one_does(tmp_path: Path) -> None:
    clock = Clock(START)
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        room, truck = Sender(core, "r1-ctl", "room:s1/a"), Sender(core, "t9-gw", "veh:T9")
        for day in (0, 100):
            stored(core, START + day * DAY, "ADD", "veh:T9")
            stored(core, START + day * DAY + 60 * MINUTE, "DELETE", "veh:T9")
            clock.now_us = START + day * DAY + 90 * MINUTE
            span = day * 24 * 60, day * 24 * 60 + 60
            core.admission.admit([sender.message(pack(*span, -20)) for sender in (room, truck)])
        core.settle()
        store, trip = (make_report(core, name, (None, START + 30 * MINUTE)) for name in ("room:s1/a", "veh:T9"))
    assert store is not None
    assert trip is not None
    assert (store["to"], days(store["from"], store["to"])) == ("2026-03-02T08:30:00Z", 30)
    assert (trip["from"], trip["to"]) == ("2026-03-02T08:00:00Z", "2026-03-02T08:30:00Z")
