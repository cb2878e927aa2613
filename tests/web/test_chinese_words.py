"""What the pages and papers say in Chinese of words that come from standards: business steps, dispositions, clauses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from coldchain.bootstrap.reports import make_report, rendered
from coldchain.decoders.epcis_vocabulary import BIZ_STEP, DISPOSITION, ERROR_REASON, Vocabulary
from coldchain.rules import shipped_documents
from coldchain.rules.clauses import clauses
from coldchain.web.i18n import LANGUAGES, load_words
from web.story import PALLET, Told

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def stated(document: Any) -> Iterator[str]:
    """Every clause at any depth."""
    if isinstance(document, dict):
        yield from (value for name, value in document.items() if name == "clause")
        yield from (clause for value in document.values() for clause in stated(value))
    elif isinstance(document, list):
        yield from (clause for value in document for clause in stated(value))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("kind", "vocabulary"), [("step", BIZ_STEP), ("disp", DISPOSITION), ("error", ERROR_REASON)])
def test_every_word_of_the_vocabulary_is_told_and_no_other(kind: str, vocabulary: Vocabulary, language: str) -> None:
    texts = load_words()[language].texts
    known = {key.partition(".")[2]: text for key, text in texts.items() if key.startswith(f"{kind}.")}
    assert known.keys() == vocabulary.words
    assert all(bool(CHINESE.search(text)) == (language == "zh_Hans") for text in known.values())
    assert [text for text, n in Counter(known.values()).items() if n > 1] == [], "two words would read alike"


def test_every_clause_of_a_shipped_pack_is_told_in_chinese_with_the_same_figures() -> None:
    told = clauses("zh_Hans")
    assert told.keys() == set(stated(shipped_documents()))
    for english, chinese in told.items():
        assert CHINESE.search(chinese), english
        figures = [set(re.findall(r"(?<![\w-])-?\d+", text)) for text in (english, chinese)]
        assert figures[0] == figures[1], english


def test_a_chinese_page_tells_steps_and_clauses_in_chinese(visitor: httpx.Client) -> None:
    page = visitor.get(f"/units/{PALLET}", params={"lang": "zh_Hans"}).text
    for said in ("装载 · 观测", "装箱 · 加入", "GB 31605-2020：需冷冻的食品，运输过程中温度不高于 -18 °C"):
        assert said in page, said
    for left in ("loading", "OBSERVE", "carried at or below"):
        assert left not in page, left
    assert "loading · observed" in visitor.get(f"/units/{PALLET}", params={"lang": "en"}).text


def test_a_clause_and_a_step_of_ones_own_are_told_as_they_are_stated() -> None:
    words = load_words()["zh_Hans"]
    assert words.clause("企业标准 Q/JD 7：-20 °C") == "企业标准 Q/JD 7：-20 °C"
    assert words.word("step", "urn:acme:step:glazing") == "urn:acme:step:glazing"


def test_a_chinese_report_tells_the_clause_and_the_state_in_chinese(told: Told) -> None:
    document = make_report(told.core, PALLET)
    assert document is not None
    table = rendered(document, "csv", "zh", None).decode("utf-8-sig")
    assert "GB 31605-2020：需冷冻的食品，运输过程中温度不高于 -18 °C" in table
    assert "中断（未解释）" in table
    assert "BROKEN" not in table
    assert "carried at or below -18 °C" in rendered(document, "csv", "en", None).decode("utf-8-sig")
