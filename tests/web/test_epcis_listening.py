"""Streams of a named query as WebSockets, and what becomes of streams and subscriptions when a token opens no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from coldchain.services.principals import issue_token
from web.epcis_scene import BASE, Repository, document, event
from web.test_epcis_subscriptions import Receiver, Teller, receiver

__all__ = ["receiver"]
ADDRESS = f"{BASE}/queries/loads/events"


class Party:
    """A program of an organisation, with a token of its own."""

    def __init__(self, repository: Repository, org: str, *roles: str) -> None:
        self.repository, self.org, core = repository, org, repository.core
        core.register("org", {"id": org, "roles": list(roles)})
        self.is_now(*roles)
        self.use(roles[0])

    def use(self, role: str) -> str:
        core = self.repository.core
        core.refresh_registry()
        token, self.kept = issue_token(core.registry.directory, self.org, role, (), "", None, core.clock())
        core.tokens.keep(self.kept)
        self.headers = {"authorization": f"Bearer {token}"}
        return self.kept.id

    def is_now(self, *roles: str) -> None:
        self.repository.core.register("org", {"id": self.org, "roles": list(roles)})
        self.repository.core.follower.catch_up()

    def revoke(self) -> None:
        assert self.repository.core.tokens.revoke(self.kept.id, self.repository.core.clock())

    def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        return self.repository.http.request(method, f"{BASE}{path}", headers=self.headers, **body)

    def queries(self) -> None:
        made = self.ask("POST", "/queries", json={"name": "loads", "query": {"EQ_bizStep": ["loading"]}})
        assert made.status_code == 201, made.text

    def subscribes(self, receiver: Receiver) -> str:
        made = self.ask("POST", "/queries/loads/subscriptions", json={"dest": receiver.address, "stream": True})
        assert made.status_code == 201, made.text
        return made.headers["location"].removeprefix(BASE)


@pytest.fixture
def party(repository: Repository) -> Party:
    one = Party(repository, "checker", "auditor", "carrier")
    one.queries()
    return one


def listening(repository: Repository, headers: Any, query: str = "stream=true") -> ClientConnection:
    address = str(repository.http.base_url).replace("http", "ws", 1).rstrip("/")
    return connect(f"{address}{ADDRESS}?{query}", additional_headers=headers, open_timeout=20)


def told(socket: ClientConnection) -> list[str]:
    events = json.loads(socket.recv(timeout=20))["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return [one["eventID"].removeprefix("urn:uuid:") for one in events]


def load(number: int) -> dict[str, Any]:
    return event(number, bizStep="loading")


def test_a_websocket_tells_what_the_query_finds_from_then_on(repository: Repository, party: Party) -> None:
    repository.capture(document(load(1)))
    with listening(repository, party.headers) as socket:
        assert socket.response is not None
        assert socket.response.headers["GS1-EPCIS-Version"] == "2.0.0"
        repository.capture(document(event(2), load(3)))
        assert told(socket) == ["3"]
        socket.send("nobody listens to what a receiver says")
        socket.send(b"\x00")
        repository.capture(document(load(4)))
        assert told(socket) == ["4"]
    with listening(repository, party.headers, "stream=true&initialRecordTime=2020-01-01T00:00:00Z") as socket:
        assert told(socket) == ["1", "3", "4"]


def refusals(party: Party) -> Iterator[tuple[dict[str, str], str, int]]:
    yield {}, "stream=true", 401
    yield {"authorization": "Bearer nobody's"}, "stream=true", 401
    yield party.headers, "stream=maybe", 400
    yield party.headers, "", 400
    yield party.headers, "stream=true&EQ_bizStep=x", 400


def test_a_websocket_is_refused_like_any_other_request(repository: Repository, party: Party) -> None:
    for headers, query, status in refusals(party):
        with pytest.raises(InvalidStatus) as refused, listening(repository, headers, query):
            pass
        answer = refused.value.response
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert party.ask("DELETE", "/queries/loads").status_code == 204
    with pytest.raises(InvalidStatus) as refused, listening(repository, party.headers):
        pass
    assert refused.value.response.status_code == 404


def test_a_websocket_closes_when_its_token_is_revoked(repository: Repository, party: Party) -> None:
    with listening(repository, party.headers) as socket:
        party.revoke()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "token" in closed.value.rcvd.reason) == (1008, True)
    with pytest.raises(InvalidStatus), listening(repository, party.headers):
        pass


def test_server_sent_events_end_when_their_token_is_revoked(repository: Repository, party: Party) -> None:
    with repository.http.stream("GET", ADDRESS, params={"stream": "true"}, headers=party.headers) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        party.revoke()
        assert [line for line in lines if line] == []


def test_whoever_may_see_its_own_goods_only_hears_of_no_others_from_its_colleagues_query(
    repository: Repository, party: Party
) -> None:
    party.use("carrier")
    with listening(repository, party.headers) as socket:
        repository.capture(document(load(1)))
        party.ask("POST", "/capture", json=document(load(2)))
        repository.settle()
        assert told(socket) == ["2"]


def test_a_subscription_of_a_revoked_token_is_told_no_more_and_says_so(
    repository: Repository, party: Party, receiver: Receiver
) -> None:
    path = party.subscribes(receiver)
    teller = Teller(repository)
    repository.capture(document(load(1)))
    teller.tell()
    assert receiver.ids() == [["1"]]
    assert party.ask("GET", path).json()["state"] == "active"
    party.revoke()
    party.use("auditor")
    shown = party.ask("GET", path).json()
    assert (shown["state"], shown["fault"].partition(":")[0]) == ("stopped", "stopped")
    repository.capture(document(load(2)))
    teller.tell()
    teller.tell(1_000_000_000)
    assert receiver.ids() == [["1"]]
    (listed,) = party.ask("GET", "/queries/loads/subscriptions").json()
    assert (listed["state"], "revoked" in listed["fault"]) == ("stopped", True)


def test_a_subscription_does_not_keep_a_role_that_its_maker_lost(
    repository: Repository, party: Party, receiver: Receiver
) -> None:
    path = party.subscribes(receiver)
    party.is_now("carrier")
    repository.capture(document(load(1)))
    teller = Teller(repository)
    teller.tell()
    assert receiver.ids() == []
    assert party.ask("GET", path).status_code == 401, "the token speaks for a role that is gone"
    party.use("carrier")
    shown = party.ask("GET", path).json()
    assert (shown["state"], "auditor" in shown["fault"]) == ("stopped", True)


def test_nobody_subscribes_to_more_than_it_may_see(repository: Repository, party: Party, receiver: Receiver) -> None:
    party.use("carrier")
    body = {"dest": receiver.address, "stream": True}
    assert party.ask("POST", "/queries/loads/subscriptions", json=body).status_code == 403


def test_the_operators_own_subscription_goes_on(repository: Repository, receiver: Receiver) -> None:
    query = {"name": "loads", "query": {"EQ_bizStep": ["loading"]}}
    assert repository.http.post(f"{BASE}/queries", json=query).status_code == 201
    body = {"dest": receiver.address, "stream": True}
    repository.http.post(f"{BASE}/queries/loads/subscriptions", json=body)
    repository.capture(document(load(1)))
    Teller(repository).tell()
    assert receiver.ids() == [["1"]]
