"""The page of a finding: how serious it is, what it affects, its life, and the form to acknowledge it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coldchain.bootstrap.core import Core
from coldchain.db.queries_notices import look
from coldchain.domain.findings import EVENTS
from coldchain.domain.notices import Selection
from coldchain.services.app_ports import AppPorts
from coldchain.services.notices import Channel, message
from coldchain.services.principals import issue_token
from coldchain.settings import load_settings
from coldchain.web.i18n import load_words
from coldchain.web.notices import notice_text
from coldchain_ledger.entry import parse_entry
from integration.test_finding_commands import Site
from opening import new_core
from web.serving import Served
from web.story import HOUR, MINUTE, PALLET, START, TRUCK, Clock


class Browser:
    """A person's, signed in with the operator's link, which names nobody."""

    def __init__(self, core: Core, http: httpx.Client, ports: AppPorts) -> None:
        self.core = core
        self.http = http
        self.ports = ports
        self.sign_in(f"/login?code={ports.access.issue_code()}")
        ids = re.findall(r'href="/findings/([0-9a-f]{32})">Too warm', http.get("/findings?show=all&lang=en").text)
        self.breach = ids[0]

    def read(self, language: str = "en") -> str:
        return self.http.get(f"/findings/{self.breach}", params={"lang": language}).text

    def sign_in(self, path: str) -> None:
        self.http.cookies.clear()
        assert self.http.get(path).status_code == 200

    def token(self, org: str, role: str) -> tuple[dict[str, str], str]:
        """Header and id of a new one, of a registered organisation."""
        self.core.register("org", {"id": org, "roles": [role], "label": "", "names": []})
        secret, kept = issue_token(self.core.registry.directory, org, role, (), "", None, self.core.clock())
        self.core.tokens.keep(kept)
        return {"authorization": f"Bearer {secret}"}, kept.id

    def recorded(self) -> dict[str, Any]:
        """The newest acknowledgement, as its entry has it."""
        with self.core.store.snapshot() as snapshot:
            entries = (parse_entry(snapshot.entry(index)) for index in reversed(range(snapshot.edge().size)))
            found = next(one for one in entries if one.key.startswith("ack/"))
        return {**json.loads(found.payload), "entry_by": found.by}

    def send(self, **fields: str) -> httpx.Response:
        (seen,) = re.findall(r'name="seen" value="(\d+)"', self.read())
        answer = self.http.post(f"/findings/{self.breach}/acknowledgement", data={"seen": seen, **fields})
        self.core.follower.catch_up()
        return answer


@pytest.fixture
def browser(own_story: Core, served: Served) -> Iterator[Browser]:
    ports = served.stand_on(own_story)
    with served.client(headers={"accept": "text/html"}) as http:
        yield Browser(own_story, http, ports)


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


def test_an_officer_acknowledges_in_the_name_and_role_of_customs_and_under_the_name_on_the_link(
    browser: Browser,
) -> None:
    customs, _ = browser.token("customs-sh", "customs")
    link = browser.http.post("/v1/sign-in-links", json={"name": "Wang Fang"}, headers=customs).json()
    browser.sign_in(link["path"])
    page = browser.read()
    assert "customs-sh (customs), Wang Fang" in page
    assert 'name="name"' not in page, "nobody is asked for a name that is known"
    assert browser.send(comment="sampled", name="Somebody Else").status_code == 303
    entry = browser.recorded()
    assert [entry[field] for field in ("by", "entry_by", "role")] == ["customs-sh", "customs-sh", "customs"]
    assert browser.core.sealed.open(entry["name_sealed"]) == "Wang Fang"
    assert re.search(r"customs-sh \(customs\), Wang Fang: sampled", browser.read())
    assert "customs-sh (海关), Wang Fang" in browser.read("zh_Hans")
    browser.http.post("/report", data={"about": PALLET, "format": "csv"})
    with browser.core.store.snapshot() as snapshot:
        assert parse_entry(snapshot.entry(snapshot.edge().size - 1)).by == "customs-sh"


def test_the_operators_link_for_a_person_records_that_person(browser: Browser) -> None:
    token = {"authorization": f"Bearer {browser.core.operator_token}"}
    browser.sign_in(browser.http.post("/v1/sign-in-links", json={"name": " Li Wei "}, headers=token).json()["path"])
    browser.send(comment="door closed")
    entry = browser.recorded()
    assert (entry["by"], entry["role"]) == (browser.core.log.origin, "operator")
    assert browser.core.sealed.open(entry["name_sealed"]) == "Li Wei"


def test_a_session_ends_with_the_token_that_made_its_link(browser: Browser) -> None:
    customs, token_id = browser.token("customs-sh", "customs")
    browser.sign_in(browser.http.post("/v1/sign-in-links", headers=customs).json()["path"])
    assert browser.http.get("/").status_code == 200
    assert browser.core.tokens.revoke(token_id, browser.core.clock())
    assert browser.http.get("/").status_code == 401
    answer = browser.http.post(f"/findings/{browser.breach}/acknowledgement", data={"comment": "x", "seen": "1"})
    assert answer.status_code == 401


def test_an_auditor_reads_the_pages_and_acknowledges_nothing(browser: Browser) -> None:
    auditor, _ = browser.token("checker", "auditor")
    browser.sign_in(browser.http.post("/v1/sign-in-links", headers=auditor).json()["path"])
    page = browser.read()
    assert "You are signed in to read only." in page
    assert "/acknowledgement" not in page
    size = browser.core.log.edge().size
    answer = browser.http.post(f"/findings/{browser.breach}/acknowledgement", data={"comment": "x", "seen": "1"})
    assert (answer.status_code, browser.core.log.edge().size) == (403, size)


def test_no_link_is_made_for_those_who_may_not_see_everything_nor_for_a_name_nobody_has(browser: Browser) -> None:
    carrier, _ = browser.token("haul", "carrier")
    assert browser.http.post("/v1/sign-in-links", headers=carrier).status_code == 403
    customs, _ = browser.token("customs-sh", "customs")
    for name, status in (("a\nb", 409), ("x" * 101, 422)):
        assert browser.http.post("/v1/sign-in-links", json={"name": name}, headers=customs).status_code == status


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


@pytest.fixture
def filled(tmp_path: Path, served: Served) -> Iterator[tuple[Site, httpx.Client]]:
    """A truck that was silent, as far as was known, until what it had measured came late; and somebody signed in."""
    clock = Clock(START)
    with new_core(load_settings(dir=tmp_path / "d"), clock=clock) as core:
        site = Site(core, clock)
        site.hear(START + HOUR, START + 2 * HOUR)
        site.pass_until(START + 2 * HOUR + MINUTE)
        ports = served.stand_on(core)
        with served.client(headers={"accept": "text/html"}) as http:
            assert http.get(f"/login?code={ports.access.issue_code()}").status_code == 200
            yield site, http


BEGUN, WITHDRAWN_AT = "2026-03-02 08:59:00", "2026-03-02 10:01:00"


def plain(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize(("language", "word", "lasting"), [("en", "withdrawn", "still"), ("zh_Hans", "撤回", "至今")])
def test_a_withdrawn_finding_ended_with_its_withdrawal_and_lasts_on_no_page(
    filled: tuple[Site, httpx.Client], language: str, word: str, lasting: str
) -> None:
    _, http = filled
    listed = plain(http.get("/findings", params={"show": "settled", "lang": language}).text)
    assert f"{BEGUN} – {word} {WITHDRAWN_AT}" in listed
    (finding, _) = re.findall(r'href="/findings/([0-9a-f]{32})">', http.get("/findings?show=settled").text)
    head, _, life = plain(http.get(f"/findings/{finding}", params={"lang": language}).text).partition(
        load_words()[language]("finding.life")
    )
    assert f"{BEGUN} – {word} {WITHDRAWN_AT}" in head
    assert f"{BEGUN} – {word} {WITHDRAWN_AT}" in life
    assert f"{BEGUN} – {load_words()[language]('time.lasting_then')}" in life, "as it was said then"
    device = plain(http.get("/devices/d1", params={"lang": language}).text)
    assert f"{BEGUN} – {word} {WITHDRAWN_AT}" in device
    assert f"{BEGUN} – {lasting}" not in listed + head + life + device


def test_a_finding_that_stands_lasts(filled: tuple[Site, httpx.Client]) -> None:
    site, http = filled
    site.pass_until(START + 3 * HOUR)
    (finding, _) = re.findall(r'href="/findings/([0-9a-f]{32})">', http.get("/findings").text)
    page = plain(http.get(f"/findings/{finding}?lang=en").text)
    assert page.count("2026-03-02 09:59:00 – still") == 2, "above, and where it was published"


def test_a_message_of_a_withdrawal_says_when_it_was(filled: tuple[Site, httpx.Client]) -> None:
    site, _ = filled
    core = site.core
    channel = Channel("shift", "webhook", "http://example.com/", Selection(events=("withdrawn",)), 0, 0)
    _, queued = look(core.engine, core.store, 0, [channel], 0)
    items = [json.loads(one.item) for one in queued]
    assert [item["to"] for item in items] == [None, None], "of two probes"
    body = json.loads(message("log", "shift", items, 0).body)
    assert notice_text(load_words()["en"], body)[1].count(f"{BEGUN} – withdrawn {WITHDRAWN_AT} UTC") == 2
