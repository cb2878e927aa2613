"""The page of a container shows its goods, seals, boards and contradictions to a person, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from coldchain.settings import load_settings
from opening import new_core
from web.serving import Served
from web.story import START, epcis

BOX, PALLET, LOT = "cont:CSQU3054383", "sscc:169012345000000025", "lot:1974/beef/2026-01-10"
OWN = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"coldchain": "urn:coldchain:vocabulary:"}]


def counted(minute: int, action: str, parent: str, cases: float, **more: object) -> bytes:
    goods = [{"epcClass": f"urn:coldchain:{LOT}", "quantity": cases}]
    body = epcis(START + minute * 60_000_000, action, parent, [], childQuantityList=goods, **more)
    return body.replace(b'"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"', OWN_JSON)


OWN_JSON = str(OWN).replace("'", '"').encode()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, served: Served) -> Iterator[httpx.Client]:
    directory: Path = tmp_path_factory.mktemp("goods") / "data"
    with new_core(load_settings(dir=directory)) as core:
        seal = {"seal": "CN123456", "issuer": "COSCO", "act": "applied", "state": "intact"}
        board = "grai:06901234510010PLT0000001"
        core.capture("polar", counted(0, "ADD", BOX, 1200, **{"coldchain:seals": [seal]}))
        core.capture(
            "polar", counted(1, "ADD", PALLET, 60, **{"coldchain:board": board, "coldchain:linkedFrom": [BOX]})
        )
        core.capture("polar", counted(2, "OBSERVE", PALLET, 58))
        core.capture("polar", counted(3, "DELETE", PALLET, 59))
        core.settle()
        ports = served.stand_on(core)
        with served.client(headers={"accept": "text/html"}) as client:
            assert client.get(f"/login?code={ports.access.issue_code()}").status_code == 200
            yield client


def shown(page: httpx.Client, unit: str, language: str = "en") -> str:
    response = page.get(f"/units/{unit}", headers={"accept-language": language})
    assert response.status_code == 200
    return " ".join(response.text.split())


def test_a_container_shows_its_goods_and_its_seal(page: httpx.Client) -> None:
    text = shown(page, BOX)
    assert '<span class="num">1140</span> cases' in text
    assert "CN123456" in text
    assert "applied, intact" in text


def test_a_pallet_shows_its_board_and_what_contradicts(page: httpx.Client) -> None:
    text = shown(page, PALLET)
    assert "grai:06901234510010PLT0000001" in text
    assert "A count differs from the record" in text
    assert "58 stated, 60 to 60 on record" in text
    assert "An event that was never sent" in text


def test_a_lot_shows_where_it_is_in_chinese_too(page: httpx.Client) -> None:
    text = shown(page, LOT, "zh")
    assert "各批货物数量" in text
    assert BOX in text


def test_a_lot_shows_whether_it_adds_up(page: httpx.Client) -> None:
    text = shown(page, LOT)
    assert "Does it add up?" in text
    assert '<td class="num">1200</td>' in text
    assert "数量是否相符" in shown(page, LOT, "zh")


def test_a_container_has_no_balance_of_its_own(page: httpx.Client) -> None:
    assert "Does it add up?" not in shown(page, BOX)
