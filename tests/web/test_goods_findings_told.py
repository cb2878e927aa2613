"""What pages say of findings about goods, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from coldchain.web.i18n import load_words
from coldchain.web.reasons import Conclusion, reasons, title

PACK = {"pack": "QF", "version": 1, "clause": "c", "verified": True, "affected": ["sscc:169012345000000025"]}
FOUND: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("QF budget", {"above_mc": -15_000, "max_s": 1800, "single": False}, ("−15.0 °C", "30")),
    ("QF budget", {"above_mc": -15_000, "max_s": 600, "single": True}, ("−15.0 °C", "10")),
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
    it = Conclusion(rule, "sscc:169012345000000025", "", 0, None, "breach", "open", {**PACK, **detail})
    first = reasons(t, it)[0]
    assert all(word in first.text for word in words), first.text
    assert first.units == PACK["affected"]
    assert title(t, it) != rule
