"""Pages of the past: a unit at an earlier moment, and as it was believed when the ledger was shorter."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import httpx
import pytest

from coldchain_ledger.entry import parse_entry
from web.story import DEVICE, HOUR, OTHER, PALLET, START, TRUCK, Told

PAGE = f"/units/{PALLET}"


def text(hours: float) -> str:
    return datetime.fromtimestamp(START / 1e6 + hours * 3600, UTC).strftime("%Y-%m-%d %H:%M")


def where(page: str, label: str) -> str:
    return re.search(rf"<dt>{label}</dt><dd>(.*?)</dd>", page, re.DOTALL)[1]


def readings(page: str) -> dict[str, list[int]]:
    return json.loads(re.search(r'<script type="application/json" id="readings">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture(scope="module")
def before_the_end(told: Told) -> int:
    """The ledger's size when the truck had driven for two hours and a half."""
    with told.core.store.snapshot() as snapshot:
        times = [parse_entry(snapshot.entry(index)).at_us for index in range(snapshot.edge().size)]
    return sum(1 for at_us in times if at_us < START + 2.5 * HOUR)


def test_at_an_earlier_moment_the_page_shows_that_moment_and_says_so(visitor: httpx.Client) -> None:
    page = visitor.get(PAGE, params={"at": text(3.5)}).text
    assert "A page of the past." in page
    assert f"It tells of {text(3.5)}:00 UTC" in page
    assert "It is told from all that is recorded today" in page
    assert TRUCK in where(page, "Where then")
    assert TRUCK not in where(visitor.get(PAGE).text, "Where now"), "it was unloaded at last"
    assert f"{text(6)}:" not in page[page.index("What was recorded") :], "no event of later is listed"
    assert max(readings(page)["times"]) <= START / 1e6 + 3.5 * 3600
    assert f"{text(3.5)}:00</time></span></div>" in page.replace("\n", ""), "the strip ends there"


@pytest.mark.parametrize("spelled", [text(3.5), text(3.5).replace(" ", "T") + ":00Z", "2026-03-02T19:30:00+08:00"])
def test_a_moment_may_be_written_as_the_pages_write_it_or_with_its_offset(visitor: httpx.Client, spelled: str) -> None:
    assert f"It tells of {text(3.5)}:00 UTC" in visitor.get(PAGE, params={"at": spelled}).text


def test_a_page_as_believed_earlier_knows_nothing_of_what_came_later(
    visitor: httpx.Client, before_the_end: int
) -> None:
    page = visitor.get(PAGE, params={"as_of": before_the_end}).text
    assert f"what was believed when the ledger had {before_the_end} entries, up to {text(2.5)[:12]}" in page
    assert f"From {before_the_end} ledger entries, the newest recorded {text(2.5)[:12]}" in page, (
        "the foot of the page says the same"
    )
    assert TRUCK in where(page, "Where now")
    for later in ("broken", "cases are gone", "Too warm", "/findings/", "<title>("):
        assert later not in page, later
    assert max(readings(page)["times"]) < START / 1e6 + 2.5 * 3600
    assert "broken, unexplained" in visitor.get(PAGE).text


def test_both_together_are_the_moment_as_it_was_believed_then(visitor: httpx.Client, before_the_end: int) -> None:
    page = visitor.get(PAGE, params={"as_of": before_the_end, "at": text(1)}).text
    assert "It is told from all that is recorded today" not in page
    assert "what was believed when" in page
    ahead = visitor.get(PAGE, params={"as_of": before_the_end, "at": text(5)}).text
    assert "The ledger does not reach that moment: the newest time in it is 2026-03-02 10:" in ahead


def test_links_on_a_page_of_the_past_keep_to_it(visitor: httpx.Client, before_the_end: int) -> None:
    page = visitor.get(PAGE, params={"as_of": before_the_end, "at": text(1)}).text
    kept = f"?at=2026-03-02T09%3A00%3A00Z&amp;as_of={before_the_end}"
    assert f'href="/units/{TRUCK}{kept}"' in page
    assert f'href="/devices/{DEVICE}"' in page
    assert f'href="{PAGE}">Show it as of now' in page
    assert re.search(
        rf'name="at" value="2026-03-02T09:00:00Z">\s*<input type="hidden" name="as_of" value="{before_the_end}"', page
    )


def test_the_chart_of_the_days_before_keeps_to_the_past(visitor: httpx.Client) -> None:
    page = visitor.get(PAGE, params={"at": text(3.5), "until": START + 2 * HOUR}).text
    assert max(readings(page)["times"]) <= START / 1e6 + 2 * 3600
    assert "A page of the past." in page


def test_an_empty_form_is_the_page_of_now(visitor: httpx.Client) -> None:
    page = visitor.get(PAGE, params={"at": "", "as_of": ""}).text
    assert "A page of the past." not in page
    assert "broken, unexplained" in page


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"at": "yesterday"}, 422, "&#39;yesterday&#39;, expected a time"),
        ({"at": "1969-12-31"}, 422, "expected a time since 1970"),
        ({"as_of": "ten"}, 422, "&#39;ten&#39;, expected a number of ledger entries"),
        ({"as_of": "0"}, 409, "as of 0 entries: expected 1 to"),
        ({"as_of": "1"}, 404, "within its first 1 entries"),
    ],
)
def test_a_past_that_cannot_be_shown_is_refused_with_a_reason(
    visitor: httpx.Client, asked: dict[str, str], status: int, said: str
) -> None:
    answer = visitor.get(PAGE, params=asked)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_chinese_pages_of_the_past_say_so_too(visitor: httpx.Client) -> None:
    page = visitor.get(f"/units/{OTHER}", params={"at": text(1), "lang": "zh_Hans"}).text
    assert "这是过去的页面。" in page
    assert "当时所在" in page
