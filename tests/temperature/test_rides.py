"""Every case of goods in docs/temperature-cases.md, through the server: messages, loadings, unloadings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldchain.bootstrap.core import Core
from coldchain.db import queries_events as q
from coldchain.settings import load_settings
from coldchain.web.formats import micros
from integration.consignment import Sender, put, record_pack
from opening import new_core
from temperature.cases import DOCUMENT, STAGE, values
from web.story import HOUR, MINUTE, PALLET, START, Clock, epcis

_CASE = re.compile(r"^## (\d+\. [^\n]+)\n(?:(?!^## ).)*?```ride\n(.*?)```", re.MULTILINE | re.DOTALL)
RIDES = _CASE.findall(DOCUMENT.read_text("utf-8"))

LOT = "lot:16901234500018/L1"


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    with new_core(load_settings(dir=tmp_path / "d"), clock=Clock(START + 8 * HOUR)) as core:
        yield core


@pytest.mark.parametrize(("title", "text"), RIDES, ids=[title for title, _ in RIDES])
def test_goods_come_out_as_it_is_written(core: Core, title: str, text: str) -> None:
    expected = ""
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "budget":
            allowed, above = re.fullmatch(r"(\d+) above (-?\d+)", rest).groups()  # type: ignore[union-attr]
            one = {"above_mc": int(above) * 1000, "max_s": int(allowed) * 60, "clause": "case"}
            record_pack(core, name="case", stages={"transport": STAGE}, budgets=[one])
        elif word == "mkt":
            most, window = rest.split(" in ")
            mkt = {"max_mc": int(most) * 1000, "window_s": int(window) * 3600, "clause": "case"}
            record_pack(core, name="case", stages={"transport": STAGE}, budgets=[], mkt=mkt)
        elif word == "truck":
            drive(core, *rest.split(" ", 1))
        elif word == "goods":
            ride(core, rest)
        elif word == "loose":
            count(core, rest)
        elif word == "=>":
            expected = rest
    core.settle()
    if "\nloose " in text:
        assert over(core) == expected
        return
    document = core.inspect(PALLET)
    assert document is not None
    (exposure,) = document["exposure"]
    if (mkt := exposure["mkt"]) is not None:
        assert kinetic(mkt) == expected
        assert published(core) == (["case MKT"] if mkt["exceeded"] else [])
    else:
        (budget,) = exposure["budgets"]
        assert told(budget) == expected


def drive(core: Core, truck: str, text: str) -> None:
    sender = Sender(core, f"gw-{truck}", f"veh:{truck}", "case")
    said = [(int(minute), float(value)) for minute, _, value in values("box", text)]
    replies = core.admission.admit([sender.says([one]) for one in said])
    assert all(reply is not None and reply.kind == "ack" for reply in replies)


def ride(core: Core, text: str) -> None:
    """`A 0-60, B 60-120`: in which truck from when to when."""
    for truck, first, last in re.findall(r"(\w+) (\d+)-(\d+)", text):
        put(core, int(first), f"veh:{truck}", [PALLET])
        put(core, int(last), f"veh:{truck}", [PALLET], action="DELETE", step="unloading")


def count(core: Core, text: str) -> None:
    """`A 0 +10, 20 -4`: into which truck, or out of it, when, and how many cases of a lot."""
    truck, _, said = text.partition(" ")
    for minute, sign, cases in re.findall(r"(\d+) ([+-])(\d+)", said):
        held = [{"epcClass": f"urn:coldchain:{LOT}", "quantity": int(cases)}]
        action, step = ("ADD", "loading") if sign == "+" else ("DELETE", "unloading")
        event = epcis(START + int(minute) * MINUTE, action, f"veh:{truck}", [], bizStep=step, childQuantityList=held)
        core.capture("polar", event)


def over(core: Core) -> str:
    with core.engine.connect() as connection:
        found = [one for one in q.published(connection) if one.subject == LOT and one.rule == "case budget"]
    said = (f"exceeded {(one.from_us - START) / MINUTE:g} {one.channel.split()[-1]}" for one in found)
    return ", ".join(sorted(said)) or "nothing exceeded"


def told(budget: dict[str, Any]) -> str:
    words = [f"spent {budget['spent_s'] / 60:g}"]
    if budget["exceeded"] is not None:
        words.append(f"exceeded {(micros(budget['exceeded']) - START) / MINUTE:g}")
    return ", ".join([*words, f"verdict {budget['verdict']}"])


def kinetic(mkt: dict[str, Any]) -> str:
    words = [f"mkt {mkt['mkt_mc'] / 1000:.1f}"]
    if mkt["exceeded"] is not None:
        words.append(f"exceeded {(micros(mkt['exceeded']) - START) / MINUTE:.1f}")
    return ", ".join([*words, f"verdict {mkt['verdict']}"])


def published(core: Core) -> list[str]:
    """The pack's findings about the pallet."""
    with core.engine.connect() as connection:
        return [one.rule for one in q.published(connection) if one.subject == PALLET and one.rule.startswith("case")]
