"""Findings over HTTP and by command: whom they affect, how serious they are, and who took note of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from coldchain.bootstrap.core import Core
from coldchain.cli import group
from coldchain.services.principals import issue_token
from coldchain_ledger.entry import parse_entry
from web.serving import Served
from web.story import DEVICE, PALLET, TRUCK, Told


class Desk:
    """A ledger of one's own with the story told, asked with the operator's token."""

    def __init__(self, core: Core, http: httpx.Client) -> None:
        self.core = core
        self.http = http

    def breach(self) -> dict[str, Any]:
        (found,) = self.http.get("/v1/findings", params={"rule": "CN-frozen transport limit"}).json()["items"]
        return dict(found)

    def detail(self, finding: str) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/findings/{finding}").json())

    def acknowledge(self, finding: str, **said: Any) -> httpx.Response:
        answer = self.http.post(f"/v1/findings/{finding}/acknowledgement", json=said)
        self.core.follower.catch_up()
        return answer

    def token(self, org: str, role: str, *scopes: str) -> str:
        self.core.register("org", {"id": org, "roles": [role], "label": "", "names": []})
        secret, kept = issue_token(self.core.registry.directory, org, role, scopes, "", None, self.core.clock())
        self.core.tokens.keep(kept)
        return secret


@pytest.fixture
def desk(own_story: Core, served: Served) -> Iterator[Desk]:
    served.stand_on(own_story)
    with served.client(headers={"authorization": f"Bearer {own_story.operator_token}"}) as http:
        yield Desk(own_story, http)


def test_a_breach_in_a_truck_names_what_was_in_it_meanwhile(desk: Desk) -> None:
    found = desk.detail(desk.breach()["id"])
    assert (found["subject"], found["severity"], found["event"]) == (
        f"dev:{DEVICE}",
        "alarm",
        found["life"][-1]["event"],
    )
    affected = found["affected"]
    assert affected["places"] == [TRUCK]
    assert affected["units"][0] == PALLET, "outer before inner"
    assert affected["units_total"] == len(affected["units"]) > 1
    assert affected["units_all_counted"] is True
    with desk.core.store.snapshot() as snapshot:
        assert found["index"] in snapshot.indices(PALLET), "the pallet's own chain leads to the finding"
        assert json.loads(parse_entry(snapshot.entry(found["index"])).payload)["affected"] == affected


def test_findings_are_listed_by_how_serious_they_are_at_least(desk: Desk) -> None:
    by_severity = {
        severity: {
            one["severity"] for one in desk.http.get("/v1/findings", params={"severity": severity}).json()["items"]
        }
        for severity in ("warning", "alarm", "critical")
    }
    assert by_severity == {
        "warning": {"warning", "alarm", "critical"},
        "alarm": {"alarm", "critical"},
        "critical": {"critical"},
    }
    assert desk.http.get("/v1/findings", params={"severity": "loud"}).status_code == 422


def test_an_acknowledgement_is_an_entry_and_shows_with_its_comment(desk: Desk) -> None:
    breach = desk.breach()
    before = desk.detail(breach["id"])
    assert (before["acknowledged"], before["acknowledgements"]) == ("", [])
    answer = desk.acknowledge(breach["id"], comment=" unloaded into room 2 ", name="Li Wei")
    assert answer.status_code == 201
    found = desk.detail(breach["id"])
    assert found["acknowledged"] == "acknowledged"
    (ack,) = found["acknowledgements"]
    assert (ack["comment"], ack["name"], ack["role"], ack["seen"]) == (
        "unloaded into room 2",
        "Li Wei",
        "operator",
        breach["index"],
    )
    with desk.core.store.snapshot() as snapshot:
        entry = parse_entry(snapshot.entry(answer.json()["index"]))
    assert (entry.kind, entry.key, entry.subjects) == ("order", f"ack/{breach['id']}/1", (f"dev:{DEVICE}",))
    assert b"Li Wei" not in entry.payload, "a name is sealed"
    unchanged = ("state", "verdict", "n", "severity", "entries", "affected")
    assert {name: found[name] for name in unchanged} == {name: before[name] for name in unchanged}


def test_an_acknowledgement_changes_no_verdict_and_survives_a_rebuild(desk: Desk) -> None:
    breach = desk.breach()
    desk.acknowledge(breach["id"], comment="seen")
    desk.acknowledge(breach["id"], comment="seen by the second shift, too")
    rebuilt = desk.core.follower.rebuild()
    assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()
    desk.core.settle()
    assert [one["comment"] for one in desk.detail(breach["id"])["acknowledgements"]] == [
        "seen",
        "seen by the second shift, too",
    ]


def test_two_at_once_are_both_recorded(desk: Desk) -> None:
    breach = desk.breach()["id"]
    for comment in ("first", "second"):  # nobody follows the ledger between the two
        assert desk.http.post(f"/v1/findings/{breach}/acknowledgement", json={"comment": comment}).status_code == 201
    desk.core.follower.catch_up()
    assert [(one["n"], one["comment"]) for one in desk.detail(breach)["acknowledgements"]] == [
        (1, "first"),
        (2, "second"),
    ]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 422),
        ({"comment": ""}, 422),
        ({"comment": "   "}, 409),
        ({"comment": "x" * 2_001}, 422),
        ({"comment": "a\0b"}, 409),
        ({"comment": "fine", "name": "a\nb"}, 409),
        ({"comment": "fine", "seen": 0}, 409),
        ({"comment": "fine", "by": "somebody"}, 422),
    ],
)
def test_one_that_says_nothing_is_refused_and_leaves_nothing(desk: Desk, said: dict[str, Any], status: int) -> None:
    breach, size = desk.breach()["id"], desk.core.log.edge().size
    answer = desk.acknowledge(breach, **said)
    assert answer.status_code == status, answer.text
    assert desk.core.log.edge().size == size


def test_a_finding_that_does_not_exist_is_not_acknowledged(desk: Desk) -> None:
    assert desk.acknowledge("0" * 32, comment="seen").status_code == 404


def test_only_who_may_state_things_and_see_the_finding_may_acknowledge_it(desk: Desk) -> None:
    breach = desk.breach()["id"]
    tokens = {
        "an auditor reads alone": (desk.token("auditor-1", "auditor"), 403),
        "a party sees nothing of others": (desk.token("stranger", "carrier"), 404),
        "customs sees all": (desk.token("customs-1", "customs"), 201),
    }
    for who, (token, status) in tokens.items():
        desk.http.headers["authorization"] = f"Bearer {token}"
        answer = desk.acknowledge(breach, comment="noted")
        assert answer.status_code == status, (who, answer.text)
    desk.http.headers["authorization"] = f"Bearer {desk.core.operator_token}"
    (ack,) = desk.detail(breach)["acknowledgements"]
    assert (ack["by"], ack["role"]) == ("customs-1", "customs")


def test_commands_list_show_and_acknowledge(desk: Desk, told: Told) -> None:
    breach, directory = desk.breach()["id"], str(desk.core.settings.dir)

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(group, ["finding", *words, "--dir", directory])
        assert result.exit_code == code, (words, result.output, result.exception)
        return result.output

    assert breach in run("list", "--status", "current", "--severity", "alarm")
    assert run("ack", breach, "--comment", "called the driver")
    shown = run("show", breach)
    assert "called the driver" in shown
    assert PALLET in shown
    assert "raised  alarm  breach" in shown
    run("ack", breach, "--comment", " ", code=1)
    run("show", "0" * 32, code=2)


# As a stream


def events(lines: Iterator[str], count: int) -> list[tuple[int, dict[str, Any]]]:
    """(id, data) of the next events."""
    found, index = [], 0
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            index = int(value)
        elif name == "data":
            found.append((index, json.loads(value)))
            if len(found) == count:
                break
    return found


def test_a_stream_goes_on_after_the_entry_told_last_and_tells_what_is_published(desk: Desk) -> None:
    listed = desk.http.get("/v1/findings", params={"status": "all", "limit": 200}).json()["items"][::-1]
    with desk.http.stream("GET", "/v1/findings/stream", headers={"last-event-id": "0"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer.iter_lines(), len(listed))
    assert [index for index, _ in told] == [one["index"] for one in listed]
    assert [{**data, "current": None} for _, data in told] == [{**one, "current": None} for one in listed]
    resumed = {"last-event-id": str(told[0][0])}
    with desk.http.stream("GET", "/v1/findings/stream", headers=resumed) as answer:
        assert events(answer.iter_lines(), 1) == told[1:2]


def test_a_stream_tells_what_was_asked_for_and_what_the_token_may_see(desk: Desk) -> None:
    chosen = {"severity": "alarm", "rule": "CN-frozen"}
    with desk.http.stream("GET", "/v1/findings/stream", params=chosen, headers={"last-event-id": "0"}) as answer:
        ((_, first),) = events(answer.iter_lines(), 1)
    assert (first["rule"], first["severity"]) == ("CN-frozen transport limit", "alarm")
    assert desk.http.get("/v1/findings/stream", params={"colour": "red"}).status_code == 422
    token = desk.token("stranger", "carrier")
    headers = {"authorization": f"Bearer {token}", "last-event-id": "0"}
    with desk.http.stream("GET", "/v1/findings/stream", headers=headers) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        assert events(itertools.islice(lines, 1), 1) == []


def test_a_stream_ends_when_its_token_is_revoked(desk: Desk) -> None:
    token = desk.token("customs-1", "customs")
    headers = {"authorization": f"Bearer {token}"}
    with desk.http.stream("GET", "/v1/findings/stream", headers=headers) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        assert desk.core.tokens.revoke(token.partition(".")[0], desk.core.clock())
        assert [line for line in lines if line] == []
