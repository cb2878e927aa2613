"""What pages say of findings about goods, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from coldchain.web.i18n import LANGUAGES, load_words
from coldchain.web.reasons import Conclusion, reasons, title
from integration.consignment import Sender, put, record_pack
from web.epcis_scene import Repository
from web.serving import Served
from web.story import PALLET, cases

PACK = {"pack": "QF", "version": 1, "clause": "c", "verified": True, "affected": [PALLET]}
FOUND: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("QF budget", {"above_mc": -15_000, "max_s": 1800, "single": False}, ("−15.0 °C", "30")),
    ("QF budget", {"above_mc": -15_000, "max_s": 600, "single": True}, ("−15.0 °C", "10")),
    ("USP MKT", {"max_mc": 8_000, "window_s": 86_400, "mkt_mc": 9_400}, ("24", "8.0 °C", "9.4 °C")),
    (
        "QF pre-cooling",
        {"precool_mc": -18_000, "max_gap_s": 1800, "readings": [{"mc": -4_000}]},
        ("−4.0 °C", "−18.0 °C"),
    ),
    ("QF pre-cooling gap", {"precool_mc": -18_000, "max_gap_s": 1800, "readings": []}, ("30", "−18.0 °C")),
    ("QF handover temperature", {"handover_mc": -15_000, "max_mc": -9_100, "by": "polar"}, ("−9.1 °C", "polar")),
]


@pytest.mark.parametrize("language", ["en", "zh_Hans"])
@pytest.mark.parametrize(("rule", "detail", "words"), FOUND)
def test_a_finding_about_goods_is_told_with_its_figures(
    language: str, rule: str, detail: dict[str, Any], words: tuple[str, ...]
) -> None:
    t = load_words()[language]
    it = Conclusion(rule, PALLET, "", 0, None, "breach", "open", {**PACK, **detail})
    first = reasons(t, it)[0]
    assert all(word in first.text for word in words), first.text
    assert first.units == PACK["affected"]
    assert title(t, it) != rule


def test_the_page_of_a_pallet_shows_what_is_left_of_its_budget(repository: Repository, served: Served) -> None:
    core = repository.core
    record_pack(core)
    truck = Sender(core, "a", "veh:A")
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 5, "veh:A", [PALLET])
    core.admission.admit(truck.steadily(0, 120, -20, {(30, 50): -9}))
    core.settle()
    ports = served.stand_on(core)
    with served.client(headers={"accept": "text/html"}) as visitor:
        assert visitor.get(f"/login?code={ports.access.issue_code()}").status_code == 200
        pages = {language: visitor.get(f"/units/{PALLET}", params={"lang": language}) for language in LANGUAGES}
    for language, answer in pages.items():
        assert answer.status_code == 200
        words, page = load_words()[language].texts, " ".join(answer.text.split())
        assert words["unit.exposure"] in page
        spent, left = (words["time.min"].format(n=minutes) for minutes in (20, 10))
        assert f"<td>{spent}</td><td>{left}</td>" in page
        assert "−9.0 °C" in page
        assert words["exposure.air"] in page
