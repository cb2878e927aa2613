"""Whatever the rules of continuity say is told in Chinese where the page is Chinese."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import pytest

from coldchain.domain import continuity
from coldchain.domain.exceptions import MINIMUM
from coldchain.services.recorded import Recorded
from coldchain.web.i18n import Words, load_words
from coldchain.web.reasons import Conclusion, reasons
from continuity import test_halts
from continuity import test_scales_bear_out as scales
from continuity.telling import FORMS, Story, in_form
from continuity.test_scenarios_cartons import STORIES as CARTONS
from continuity.test_scenarios_loose import STORIES as LOOSE
from continuity.test_scenarios_pallets import STORIES as PALLETS
from continuity.world import World

CHINESE = load_words()["zh_Hans"]
NAMED = re.compile(r"[a-z]+:\S+|urn:\S+")
ENGLISH = re.compile(r"\b[A-Za-z]{2,}'?s? [a-z]{2,}\b|\b(the|lacks|counted|found|before|then|by|opened|and)\b")


def english_left(text: str) -> str:
    found = ENGLISH.search(NAMED.sub("", text))
    return found.group() if found else ""


def told_in(world: World, t: Words) -> Iterator[str]:
    """Everything a page would say of the world's verdicts and segments."""
    for one in world.verdicts():
        rule = f"{one.code} continuity-2026.1"
        it = Conclusion(rule, one.subject, one.channel, one.from_us, one.to_us, one.verdict, one.state, one.detail)
        yield from (reason.text for reason in reasons(t, it))
    units = {one.subject for one in world.verdicts() if one.subject.startswith(("sscc:", "cont:"))}
    yield from (t.sentence(reason) for unit in units for _, reason in world.segments(unit) if reason)


OTHER: tuple[Sequence[Recorded], ...] = (
    [*test_halts.RIDE, *test_halts.stands(test_halts.ROADSIDE)],
    [
        *scales.RIDE,
        *scales.SHORT,
        scales.weighed(0, 3, *scales.LIGHTER),
    ],
)


def every_story() -> Iterator[Sequence[Recorded]]:
    stories: Sequence[Story] = (*PALLETS, *CARTONS, *LOOSE)
    yield from (in_form(story, form) for story in stories for form in FORMS)
    yield from OTHER


def test_every_story_is_told_without_an_english_sentence(worlds: type[World]) -> None:
    left: dict[str, str] = {}
    count = 0
    for facts in every_story():
        world = worlds()
        world.record(*facts)
        world.settle()
        world.pass_time(100)
        for text in told_in(world, CHINESE):
            count += 1
            if english_left(text):
                left[text] = english_left(text)
    assert count > 300
    assert left == {}


def stated_in_code() -> Iterator[str]:
    """Every text that a rule gives as `seen` or `lacks`, with a name in each of its places; and reasons of segments."""
    folder = Path(str(resources.files(continuity)))
    for path in (*folder.glob("*.py"), *(folder.parent / name for name in ("doors.py", "halts.py", "segments.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            is_stated = isinstance(node, ast.keyword) and node.arg in ("seen", "lacks")
            is_reason = isinstance(node, ast.Return) and path.name == "segments.py"
            if isinstance(node, ast.keyword | ast.Return) and node.value is not None and (is_stated or is_reason):
                yield from texts(node.value)


def texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "N1" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.Tuple):
        yield from (text for one in node.elts for text in texts(one))


def test_every_text_of_the_rules_has_a_chinese_one() -> None:
    found = [text for text in stated_in_code() if " " in text and text != "seal N1 N1"]  # its states: see below
    assert len(found) > 30
    assert {text for text in found if english_left(CHINESE.sentence(text))} == set()


@pytest.mark.parametrize("pieces", MINIMUM.values(), ids=MINIMUM.keys())
def test_each_piece_of_evidence_has_a_chinese_name(pieces: tuple[tuple[str, ...], ...]) -> None:
    for fields in pieces:
        told = CHINESE.sentence(f"claim c1 (E1) lacks {'|'.join(fields)}")
        assert re.fullmatch(r"申请 c1（E1）缺少：[^A-Za-z]+", told), told


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("seal A1 found broken", "封志 A1 已破损"),
        ("seal A1 found, where B2, C3 had been put on", "所见封志为 A1，而所施的是 B2、C3"),
        ("12 cases before, then counted 10 by w1, 11 by w2", "此前 12 箱，其后清点为 10（w1）、11（w2）"),
        ("issued by plant, and again by w1", "由 plant 发放，又由 w1 再次发放"),
        ("an answer; claim c1 (E6) lacks order, residual", "答复；申请 c1（E6）缺少：订单、余量"),
        ("nobody ever says this", "nobody ever says this"),
        ("{claim} of {0} bears it out", "{0} 的 {claim} 印证了这一点"),
    ],
)
def test_names_and_figures_stay_as_they_are(english: str, chinese: str) -> None:
    assert CHINESE.sentence(english) == chinese
    assert load_words()["en"].sentence(english) == english


def test_each_sentence_has_the_same_places_in_both_languages() -> None:
    folder = resources.files("coldchain.web") / "locale"
    for english, chinese in json.loads((folder / "sentences_zh_Hans.json").read_text("utf-8")).items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), english
