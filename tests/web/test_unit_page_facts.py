"""The page of a unit: who it is, what it rests on, what it cannot say, and readings of long ago."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from coldchain.bootstrap.core import Core
from coldchain.services.inspect_parts import LIMITS
from coldchain.settings import load_settings
from coldchain.web.i18n import load_words
from opening import new_core
from web.serving import Served
from web.story import DEVICE, HOUR, MINUTE, PALLET, START, TRUCK, Clock, Sender, cases, epcis, temperatures

DAY = 24 * HOUR
CASE = cases(1)[0]
ROOM = "room:s1/a"
LATE = "sscc:169012345000000063"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """Goods that were measured for an hour, and a ledger that goes on for most of a year."""
    clock = Clock(START)
    directory: Path = tmp_path_factory.mktemp("facts") / "data"
    with new_core(load_settings(dir=directory), clock=clock) as core:
        sender, truck = Sender(core, DEVICE, ROOM), Sender(core, "t1-other", TRUCK)
        core.capture("polar", commissioning(CASE))
        core.capture("polar", epcis(START, "ADD", PALLET, [CASE], bizStep="packing"))
        core.capture("polar", epcis(START, "ADD", ROOM, [PALLET], bizStep="storing"))
        clock.now_us = START + HOUR
        core.admission.admit([sender.message(temperatures(START, 60))])
        clock.now_us = START + 5 * HOUR
        core.admission.admit([truck.message(temperatures(START + 2 * HOUR, 180))])
        core.capture("polar", epcis(START + 3 * HOUR + 20 * MINUTE, "ADD", TRUCK, [LATE], bizStep="loading"))
        core.settle()
        clock.now_us = START + 265 * DAY
        core.capture("polar", epcis(clock.now_us, "ADD", TRUCK, ["sscc:169012345000000056"]))
        core.settle()
        yield core


def commissioning(case: str) -> bytes:
    document = json.loads(epcis(START, "ADD", PALLET, [], bizStep="commissioning", ilmd={"cbvmda:lotNumber": "L1"}))
    (event,) = document["epcisBody"]["eventList"]
    del event["parentID"], event["childEPCs"]
    event |= {"type": "ObjectEvent", "epcList": [f"urn:coldchain:{case}"]}
    return json.dumps(document).encode()


@pytest.fixture
def reader(core: Core, served: Served) -> Iterator[httpx.Client]:
    ports = served.stand_on(core)
    with served.client(headers={"accept": "text/html"}) as client:
        client.get(f"/login?code={ports.access.issue_code()}")
        yield client


def test_what_was_measured_long_ago_is_drawn_and_can_be_reported(reader: httpx.Client) -> None:
    page = reader.get(f"/units/{PALLET}").text
    assert 'id="readings"' in page, "the chart ends with the newest reading, not months later"
    assert f'name="about" value="{PALLET}"' in page


def test_goods_that_came_into_air_that_was_too_warm_already_are_told_why(reader: httpx.Client) -> None:
    page = reader.get(f"/units/{LATE}").text
    assert "Warmer than −18.0 °C for 15 minutes or longer" in page


def test_a_case_tells_its_lot_and_is_in_no_lot_but_in_places(reader: httpx.Client) -> None:
    page = reader.get(f"/units/{CASE}").text
    assert re.search(r'<dt>Lot</dt><dd><a class="id" href="/units/lot:16901234500018/L1"', page)
    where = re.search(r"<dt>Where now</dt><dd>(.*?)</dd>", page, re.DOTALL)[1]
    assert PALLET in where
    assert ROOM in where
    assert "lot:" not in where


def test_a_room_is_not_asked_where_it_is_nor_whether_it_was_kept_whole(reader: httpx.Client) -> None:
    page = reader.get(f"/units/{ROOM}").text
    for nonsense in ("Where now", "Kept whole", "not in a vehicle or room"):
        assert nonsense not in page, nonsense
    lot = reader.get("/units/lot:16901234500018/L1").text
    assert "not measured" not in lot


def test_a_page_says_on_what_it_stands_and_what_it_cannot_say(reader: httpx.Client) -> None:
    page = reader.get(f"/units/{PALLET}").text
    assert re.search(r"<dt>Weakest evidence</dt><dd>[^<]+</dd>", page)
    assert "What this page cannot say" in page
    assert LIMITS["temperature"] in page
    chinese = reader.get(f"/units/{PALLET}?lang=zh_Hans").text
    assert "本页不能说明的" in chinese
    assert "264 天" in chinese, "lengths of time are told in the page's language"


def test_every_limit_is_told_in_chinese() -> None:
    words = load_words()["zh_Hans"]
    for text in LIMITS.values():
        for part in text.split("; "):
            assert re.search(r"[\u4e00-\u9fff]", words.sentence(part)), part
