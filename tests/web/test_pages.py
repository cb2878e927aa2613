"""Every page, in both languages, over a ledger with a story."""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

import coldchain.web
from coldchain.settings import load_settings
from coldchain.web.i18n import LANGUAGES, load_words
from coldchain.web.reasons import _DEVICE_RULES, CONTINUITY
from coldchain.web.status import LOOKS
from coldchain_ledger.keys import parse_vkey
from coldchain_ledger.verify import log_policy, verify_dossier
from opening import new_core
from web.serving import Served
from web.story import DEVICE, OTHER, PALLET, START, TRUCK, Clock, Told

WEB = Path(coldchain.web.__file__).parent
PAGES = {
    "/": "board.html",
    "/findings": "findings.html",
    "/findings?show=settled": "findings.html",
    "/units": "units.html",
    f"/units/{PALLET}": "unit.html",
    f"/units/{OTHER}": "unit.html",
    f"/units/{TRUCK}": "unit.html",
    "/units/case:16901234500018/017": "unit.html",
    f"/trace/{PALLET}": "trace.html",
    "/devices": "devices.html",
    f"/devices/{DEVICE}": "device.html",
    f"/devices/{DEVICE}?until={START}": "device.html",
    "/login": "sign_in.html",
    "/problems/not-found": "problem.html",
}
VOID = {"meta", "link", "br", "input", "path", "circle"}


class Page(HTMLParser):
    """A page taken apart; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.data: dict[str, str] = {}
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.data[self._open[-1]] = self.data.get(self._open[-1], "") + data

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_and_needs_nothing_from_elsewhere(visitor: httpx.Client, path: str, language: str) -> None:
    response = visitor.get(path, params={**httpx.URL(path).params, "lang": language})
    assert response.status_code == 200
    assert "default-src 'self'" in response.headers["content-security-policy"]
    page = Page(response.text)
    assert ("html", "lang", language.replace("_", "-")) in page.attributes
    links = [value for value in page.values("src", "href", "action", "content") if not value.startswith("width=")]
    assert links
    assert all(link.startswith(("/", "#", "?", "0; url=/")) and not link.startswith("//") for link in links)
    assert not [name for _, name, _ in page.attributes if name == "style" or name.startswith("on")]
    assert "None" not in response.text
    assert "undefined" not in response.text.lower()


def test_every_template_is_rendered_by_some_test(visitor: httpx.Client) -> None:
    (broken,) = re.findall(r"/findings/([0-9a-f]{32})", visitor.get(f"/units/{PALLET}").text)
    assert visitor.get(f"/findings/{broken}").status_code == 200
    seen = {*PAGES.values(), "finding.html", "signed_in.html", "base.html", "macros.html", "exposure.html"}
    seen |= {"answer.html", "answered.html"}  # tests/web/test_answer_links.py
    assert seen == {path.name for path in (WEB / "templates").iterdir()}


def test_every_finding_ever_published_can_be_told_in_both_languages(visitor: httpx.Client, told: Told) -> None:
    ids = set(re.findall(r"/findings/([0-9a-f]{32})", visitor.get("/findings?show=all").text))
    assert len(ids) >= 4
    for one in ids:
        for language in LANGUAGES:
            assert visitor.get(f"/findings/{one}?lang={language}").status_code == 200


def test_the_board_counts_what_is_open_in_its_title_and_links_to_it(visitor: httpx.Client) -> None:
    page = Page(visitor.get("/").text)
    assert page.data["title"] == "(4) Board · Cold chain"
    assert f"/units/{PALLET}" in page.values("href")
    assert f"/devices/{DEVICE}" in page.values("href")


def test_the_worst_pallet_comes_first(visitor: httpx.Client) -> None:
    text = visitor.get("/").text
    assert text.index("broken, unexplained") < text.index("All times are UTC")
    units = re.findall(r'href="/units/(sscc:\d+)"', text[text.index("<h2>Pallets") :])
    assert units[0] == PALLET


def test_a_pallet_tells_in_plain_words_what_is_wrong_and_why(visitor: httpx.Client) -> None:
    text = visitor.get(f"/units/{PALLET}").text
    for said in (
        "broken, unexplained",
        "Blank: nothing is recorded to judge by.",
        "2 cases are on it that were not:",
        "2 cases are gone:",
        "polar was asked and has 72 hours of ledger time to answer.",
        "No sufficient answer came in time",
        "Warmer than −18.0 °C for 15 minutes or longer; the warmest reading was −4.5 °C.",
    ):
        assert said in text
    assert "/log/receipt/" in text


def test_a_trace_leads_to_what_held_it_and_to_what_it_met_by_grade(visitor: httpx.Client, told: Told) -> None:
    assert f'href="/trace/{PALLET}"' in visitor.get(f"/units/{PALLET}").text
    traced = told.core.trace(PALLET)
    assert traced is not None
    page = visitor.get(f"/trace/{PALLET}").text
    assert f'href="/units/{TRUCK}"' in page[page.index("Where it went") :]
    for grade, words in (("G1", "the same case or pallet"), ("G3", "the same vehicle, or the same room")):
        n = sum(1 for contact in traced["contacts"] if contact["grade"] == grade)
        assert (f"{grade}: {words}" in page) == (n > 0), grade
    assert "追溯" in visitor.get(f"/trace/{PALLET}?lang=zh_Hans").text
    assert visitor.get("/trace/sscc:169012345000000049").status_code == 404


def test_the_chart_draws_what_the_table_below_it_says(visitor: httpx.Client) -> None:
    text = visitor.get(f"/units/{PALLET}").text
    data = json.loads(re.search(r'<script type="application/json" id="readings">(.*?)</script>', text, re.DOTALL)[1])
    warmest, coldest = (line["values"] for line in data["lines"])
    assert (max(v for v in warmest if v), min(v for v in coldest if v)) == (-4.5, -20.5)
    assert data["limits"] == [-18.0]
    assert [end - begin for begin, end in data["breaches"]] == [40 * 60]
    table = text[text.index('<script type="application/json"') :]
    assert "−4.5 °C" in table
    assert "−20.5 °C" in table


def test_how_to_check_it_names_the_key_and_a_dossier_that_verifies(visitor: httpx.Client, told: Told) -> None:
    text = visitor.get(f"/units/{PALLET}").text
    assert f"--log-vkey '{told.core.log.vkey}'" in html.unescape(text)
    link = re.search(r'href="(/evidence\?id=[^"]+)"', text)
    assert link
    dossier = visitor.get(link[1]).content
    assert verify_dossier(io.BytesIO(dossier), log_policy(parse_vkey(told.core.log.vkey))).exit_code == 0


@pytest.mark.parametrize("spelling", [PALLET, "https://id.gs1.org/00/169012345000000025"])
def test_looking_up_any_spelling_leads_to_the_page(visitor: httpx.Client, spelling: str) -> None:
    assert visitor.get("/find", params={"id": spelling}).headers["location"] == f"/units/{PALLET}"
    assert visitor.get("/find", params={"id": DEVICE}).headers["location"] == f"/devices/{DEVICE}"
    assert visitor.get("/find", params={"id": "nonsense"}).status_code == 422


def test_what_somebody_else_wrote_is_never_markup(visitor: httpx.Client) -> None:
    response = visitor.get("/units/veh:<script>alert(1)<%2Fscript>")
    assert response.status_code == 404
    assert "<script>alert" not in response.text


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("fr, en;q=0.2, zh;q=0.1", "en"),
        ("de;q=nonsense, zh-TW", "zh-Hans"),
        ("en;q=0, zh;q=0.1", "zh-Hans"),
    ],
)
def test_the_browsers_language_is_taken(client: httpx.Client, wanted: str, got: str) -> None:
    assert f'<html lang="{got}">' in client.get("/login", headers={"accept-language": wanted}).text


def test_a_chosen_language_is_remembered(client: httpx.Client) -> None:
    client.get("/login?lang=zh_Hans")
    assert '<html lang="zh-Hans">' in client.get("/login").text
    assert '<html lang="zh-Hans">' in client.get("/login?lang=tlh").text


def test_both_catalogues_say_the_same_things() -> None:
    english, chinese = (words.texts for words in load_words().values())
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese[key])), key


def test_no_word_of_a_catalogue_is_missing_and_none_is_left_over() -> None:
    code = "\n".join(path.read_text() for path in (*(WEB / "templates").iterdir(), *WEB.glob("*.py")))
    known = load_words()["en"].texts.keys()
    sections = {key.partition(".")[0] for key in known}
    quoted = set(re.findall(r"""["']([a-z]+\.[A-Za-z0-9_.]+)["']""", code))
    used = {word for word in quoted if word.partition(".")[0] in sections and not word.endswith((".html", ".js"))}
    composed = {
        "problem.",
        "why.",
        "rule.",
        "life.",
        "status.",
        "grade.",
        "kind.",
        "seal.",
        "contradiction.",
        "calibration.",
        "probe.",
        "happened.",
        "left.",
        "role.",
        "step.",
        "disp.",
        "action.",
        "error.",
        "time.",
        "trace.",
    }
    prefixes = composed | {word for word in used if word.endswith(".")}
    assert used - prefixes <= known
    assert {key for key in known - used if not key.startswith(tuple(prefixes))} == set()
    assert {f"status.{word}" for word in LOOKS} <= known
    assert {
        f"rule.{kind}" for kind in (*_DEVICE_RULES.values(), *CONTINUITY, "limit", "low_limit", "silence", "fault")
    } <= known
    assert {f"why.{code}" for code in CONTINUITY} <= known


def test_vendored_files_are_what_their_list_says(client: httpx.Client) -> None:
    for line in (WEB / "static" / "sha256sums.txt").read_text().splitlines():
        digest, name = line.split()
        assert re.search(r"\d+\.\d+\.\d+", name), "the version stands in the name"
        response = client.get(f"/static/{name}")
        assert hashlib.sha256(response.content).hexdigest() == digest
        assert "immutable" in response.headers["cache-control"]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme: int) -> None:
    css = (WEB / "static" / "coldchain.css").read_text()
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]
    colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    pairs = [(text, ground) for text in ("ink", "quiet", "link") for ground in ("ground", "paper", "sunk")]
    pairs += [(tone, f"{tone}-ground") for tone in ("good", "note", "mute", "warn", "bad")]
    pairs += [("paper", "link"), ("note", "note-ground")]
    for text, ground in pairs:
        light, dark = sorted((luminance(colour[text]), luminance(colour[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_an_empty_ledger_teaches_the_next_step(tmp_path: Path, served: Served) -> None:
    with new_core(load_settings(dir=tmp_path / "data"), clock=Clock(START)) as core:
        ports = served.stand_on(core)
        with served.client() as client:
            client.get(f"/login?code={ports.access.issue_code()}")
            text = client.get("/").text
            assert all(client.get(path).status_code == 200 for path in ("/findings", "/units", "/devices"))
    assert "coldchain device enrol" in text
    assert Page(text).data["title"] == "Board · Cold chain"
