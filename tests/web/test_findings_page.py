"""The page of a finding: how serious it is, what it affects, its life, and the form to acknowledge it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from coldchain.bootstrap.core import Core, open_core
from coldchain.bootstrap.http import create_app
from coldchain.bootstrap.ports import app_ports
from coldchain.domain.findings import EVENTS
from coldchain.settings import load_settings
from coldchain.web.i18n import load_words
from web.serving import Served
from web.story import PALLET, START, TRUCK, Clock, tell


class Browser:
    def __init__(self, core: Core, http: httpx.Client) -> None:
        self.core = core
        self.http = http
        ids = re.findall(r'href="/findings/([0-9a-f]{32})">Too warm', http.get("/findings?show=all&lang=en").text)
        self.breach = ids[0]

    def read(self, language: str = "en") -> str:
        return self.http.get(f"/findings/{self.breach}", params={"lang": language}).text

    def send(self, **fields: str) -> httpx.Response:
        (seen,) = re.findall(r'name="seen" value="(\d+)"', self.read())
        answer = self.http.post(f"/findings/{self.breach}/acknowledgement", data={"seen": seen, **fields})
        self.core.follower.catch_up()
        return answer


@pytest.fixture
def browser(tmp_path: Path, served: Served) -> Iterator[Browser]:
    clock = Clock(START)
    with open_core(load_settings(dir=tmp_path / "data"), create=True, clock=clock) as core:
        tell(core, clock)
        ports = app_ports(core, lambda: None, lambda: "")
        served.app = create_app(ports)
        with httpx.Client(base_url=served.address, headers={"accept": "text/html"}) as http:
            http.get(f"/login?code={ports.access.issue_code()}")
            yield Browser(core, http)


def test_a_finding_tells_its_severity_its_life_and_what_was_there(browser: Browser) -> None:
    text = browser.read()
    for said in ("alarm", "raised ·", "What was there", TRUCK, PALLET, "Nobody has acknowledged this yet."):
        assert said in text, said
    chinese = browser.read("zh_Hans")
    for said in ("报警", "提出 ·", "受影响的货物", "尚无人确认。"):
        assert said in chinese, said


def test_a_person_acknowledges_with_a_comment_and_the_page_shows_it(browser: Browser) -> None:
    answer = browser.send(comment="unloaded <b>into</b> room 2", name="Li Wei")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/findings/{browser.breach}?noted")
    text = browser.http.get(answer.headers["location"]).text
    for said in ("Recorded.", "unloaded &lt;b&gt;into&lt;/b&gt; room 2", "Li Wei", "(operator)"):
        assert said in text, said
    assert "acknowledged</span>" in browser.http.get("/findings?show=all").text


def test_without_a_comment_nothing_is_recorded_and_what_was_typed_stays(browser: Browser) -> None:
    size = browser.core.log.edge().size
    answer = browser.send(comment="   ", name="Li Wei")
    assert answer.status_code == 422
    assert "Not recorded." in answer.text
    assert browser.core.log.edge().size == size


def test_what_no_form_of_ours_sends_is_refused(browser: Browser) -> None:
    address = f"/findings/{browser.breach}/acknowledgement"
    for body in (b"comment=fine", b"comment=fine&seen=x", b"\xff\xfe", b"&".join(b"a=b" for _ in range(30))):
        assert browser.http.post(address, content=body).status_code == 422, body


def test_nobody_who_is_not_signed_in_acknowledges_anything(browser: Browser) -> None:
    browser.http.cookies.clear()
    answer = browser.http.post(f"/findings/{browser.breach}/acknowledgement", data={"comment": "x", "seen": "1"})
    assert answer.status_code == 401


def test_every_event_of_a_life_has_its_word() -> None:
    for words in load_words().values():
        assert all(words.has(f"happened.{event}") for event in EVENTS)
