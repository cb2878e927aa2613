"""Sheets over HTTP: in the sender's name, previewed, recorded, mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coldchain.bootstrap.core import Core
from coldchain.decoders.sheets import read_table
from coldchain.services.principals import issue_token
from coldchain.settings import load_settings
from coldchain_ledger.entry import parse_entry
from opening import new_core
from web.serving import Served

HEAD = "单据号,日期,集装箱号,品名,厂号,批号,箱数"
LINES = ["PL-1,2026-03-01,MORU0714983,牛腱,1974,L1,400", "PL-2,2026-03-01,CSQU3054383,牛腱,1974,L2,800"]
ROLES = {"acme": "importer", "rival": "importer", "checker": "auditor"}

Ask = Callable[..., httpx.Response]


def csv(*lines: str) -> bytes:
    return "\n".join([HEAD, *lines]).encode()


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    with new_core(load_settings(dir=tmp_path / "data")) as core:
        for name, role in ROLES.items():
            core.register("org", {"id": name, "name": "", "roles": [role], "names": []})
        core.settle()
        yield core


@pytest.fixture
def ask(core: Core, served: Served) -> Iterator[Ask]:
    """`ask(org, method, path, …)` with a token of that organisation."""
    served.stand_on(core)
    with served.client() as client:

        def request(org: str, method: str, path: str, **more: Any) -> httpx.Response:
            token, kept = issue_token(core.registry.directory, org, ROLES[org], (), "", None, core.clock())
            core.tokens.keep(kept)
            return client.request(method, path, headers={"authorization": f"Bearer {token}"}, **more)

        yield request


def send(ask: Ask, sheet: bytes, org: str = "acme", **query: str) -> httpx.Response:
    return ask(org, "POST", "/v1/imports", params={"kind": "packing-list", **query}, content=sheet)


def test_a_sheet_is_recorded_in_its_senders_name_and_once(core: Core, ask: Ask) -> None:
    first = send(ask, csv(*LINES)).json()
    assert (first["rows"], first["facts"], first["recorded"]) == (2, 2, 3)
    with core.store.snapshot() as snapshot:
        assert {parse_entry(snapshot.entry(index)).by for index in first["entries"]} == {"acme"}
    again = send(ask, csv(*LINES)).json()
    assert (again["recorded"], again["known"], again["entries"]) == (0, 3, first["entries"])


def test_a_preview_and_a_sheet_with_faults_record_nothing(core: Core, ask: Ask) -> None:
    size = core.log.edge().size
    assert send(ask, csv(*LINES), preview="true").json()["recorded"] == 0
    faulty = send(ask, csv(LINES[0], LINES[1].replace("CSQU3054383", "X"))).json()
    assert [fault["cell"] for fault in faulty["faults"]] == ["C3"]
    assert core.log.edge().size == size
    assert send(ask, csv(LINES[0], LINES[1].replace("CSQU3054383", "X")), rows="good").json()["recorded"] == 2


def test_what_contradicts_an_earlier_sheet_is_a_problem_that_says_so(core: Core, ask: Ask) -> None:
    send(ask, csv(*LINES))
    core.settle()
    answer = send(ask, csv(LINES[0].replace("400", "401")))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "recorded before with other content" in answer.json()["detail"]


def test_each_sender_has_a_map_of_its_own(ask: Ask) -> None:
    sheet = csv(*LINES).replace("集装箱号".encode(), "柜子".encode())
    assert send(ask, sheet).status_code == 409
    assert ask("acme", "GET", "/v1/import-maps/packing-list").json()["n"] == 0
    kept = ask("acme", "PUT", "/v1/import-maps/packing-list", json={"columns": {"柜子": "container"}}).json()
    assert (kept["n"], kept["map"]["columns"]) == (1, {"柜子": "container"})
    assert send(ask, sheet).json()["recorded"] == 3
    assert send(ask, sheet, org="rival").status_code == 409
    refused = ask("acme", "PUT", "/v1/import-maps/packing-list", json={"columns": {"柜子": "box"}})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/refused")
    assert "columns.柜子: expected a field of packing-list" in refused.json()["detail"]


def test_a_template_over_http_is_one_the_import_reads(ask: Ask) -> None:
    answer = ask("acme", "GET", "/v1/import-templates/tally.xlsx", params={"lang": "zh"})
    assert answer.headers["content-disposition"] == 'attachment; filename="tally-zh.xlsx"'
    assert "集装箱号" in read_table(answer.content).rows[0].cells


def test_who_may_not_capture_may_not_import(ask: Ask) -> None:
    assert send(ask, csv(*LINES), org="checker").status_code == 403
    assert ask("checker", "PUT", "/v1/import-maps/tally", json={}).status_code == 403


@pytest.mark.parametrize(
    ("sheet", "query", "status"),
    [
        (b"", {}, 422),
        (b"\x00\x01", {}, 409),
        (b"PK\x03\x04", {}, 409),
        (csv(), {}, 409),
        (csv(*LINES), {"kind": "menu"}, 422),
        (csv(*LINES), {"rows": "some"}, 422),
        (bytes(5 * 1024 * 1024 + 1), {}, 413),
    ],
)
def test_what_is_no_sheet_is_a_problem_and_records_nothing(
    core: Core, ask: Ask, sheet: bytes, query: dict[str, str], status: int
) -> None:
    size = core.log.edge().size
    answer = send(ask, sheet, **query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert core.log.edge().size == size
