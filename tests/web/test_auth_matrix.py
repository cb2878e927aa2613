"""Who may see what: every route of the app, asked by nobody, by a stranger, and by those it is for."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from prometheus_client import CollectorRegistry

from coldchain import api, web
from coldchain.services.access import MAX_FAILURES
from coldchain.services.app_ports import AppPorts
from web.story import DEVICE, PALLET, Told

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/log/checkpoint"),
    ("GET", "/log/tile/{tile:path}"),
    ("GET", "/log/receipt/{index}"),
    ("GET", "/log/blob/{sha256}"),
    ("GET", "/login"),
    ("GET", "/problems/{slug}"),
    ("GET", "/static/{name}"),
    ("GET", "/answer/{secret}"),
    ("POST", "/answer/{secret}"),
}
GUESSED = {("GET", "/answer/{secret}"), ("POST", "/answer/{secret}")}
"""Public for whoever knows the secret; who guesses is slowed down."""
VALUES = {
    "{tile:path}": "0/000.p/1",
    "{index}": "0",
    "{sha256}": "0" * 64,
    "{slug}": "not-found",
    "{device}": DEVICE,
    "{finding}": "0" * 32,
    "{unit:path}": PALLET,
    "{kind}": "orgs",
    "{secret}": "guess",
    "{form}": "csv",
    "{party:path}": "polar",
    "{capture_id}": "1",
    "{event_id:path}": "urn:uuid:1",
    "{value:path}": "shipping",
    "{token}": "t",
    "/queries/{name}": "/queries/loads",
    "{subscription_id}": "1",
    "{name}": "coldchain.css",
}


def routes(ports: AppPorts) -> Iterator[APIRoute]:
    for router in (*api.routes(ports, CollectorRegistry()), *web.routes(web.site(ports, {}))):
        for route in router.routes:
            if isinstance(route, APIWebSocketRoute):
                assert route.path == "/epcis/v2/queries/{name}/events", "its refusals are tested with it"
                continue
            assert isinstance(route, APIRoute)
            yield route


def address_of(path: str) -> str:
    for name, value in VALUES.items():
        path = path.replace(name, value)
    assert "{" not in path, f"give a value for {path}"
    return path


@pytest.fixture
def asked(ports: AppPorts) -> list[tuple[str, str, str]]:
    """(method, route, address) of every route."""
    found = [(method, route.path, address_of(route.path)) for route in routes(ports) for method in route.methods]
    return [*found, ("GET", "/openapi.json", "/openapi.json")]


def test_without_a_credential_only_the_public_list_answers(
    client: httpx.Client, asked: list[tuple[str, str, str]]
) -> None:
    statuses = {(method, path): client.request(method, address).status_code for method, path, address in asked}
    assert {route for route, status in statuses.items() if status != 401} == PUBLIC


def test_a_wrong_token_opens_nothing(client: httpx.Client, asked: list[tuple[str, str, str]]) -> None:
    headers = {"authorization": "Bearer " + "x" * 40, "cookie": "coldchain_session=" + "x" * 43}
    statuses = {(m, path): client.request(m, address, headers=headers).status_code for m, path, address in asked}
    assert {route for route, status in statuses.items() if status not in (401, 429)} == PUBLIC - GUESSED


def test_the_token_opens_what_is_for_programs_and_no_page(operator: httpx.Client) -> None:
    for path in ("/v1/devices", "/v1/findings", "/metrics", "/openapi.json"):
        assert operator.get(path).status_code == 200, path
    assert operator.get("/").status_code == 401


def test_a_session_opens_pages_and_nothing_for_programs(visitor: httpx.Client) -> None:
    for path in ("/", "/findings", "/units", "/devices"):
        assert visitor.get(path).status_code == 200, path
    assert visitor.get("/v1/devices").status_code == 401


def test_a_stranger_in_a_browser_is_told_how_to_get_a_link(client: httpx.Client) -> None:
    response = client.get("/", headers={"accept": "text/html"})
    assert response.status_code == 401
    assert "coldchain token link" in response.text


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: httpx.Client, ports: AppPorts) -> None:
    response = client.get(f"/login?code={ports.access.issue_code()}")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie, "over plain loopback HTTP a secure cookie would never come back"
    assert response.headers["cache-control"] == "no-store"


def test_the_operator_makes_a_link_that_works_once(operator: httpx.Client, told: Told) -> None:
    link = operator.post("/v1/sign-in-links").json()
    assert operator.get(link["path"]).status_code == 200
    again = operator.get(link["path"])
    assert again.status_code == 401
    assert again.json()["type"] == "/problems/unauthorised"


def test_signing_out_ends_the_session(visitor: httpx.Client) -> None:
    secret = visitor.cookies["coldchain_session"]
    assert visitor.post("/logout").headers["location"] == "/login"
    visitor.cookies.set("coldchain_session", secret)
    assert visitor.get("/").status_code == 401


def test_guessing_is_slowed_down(client: httpx.Client, told: Told) -> None:
    for _ in range(MAX_FAILURES):
        assert client.get("/v1/devices", headers={"authorization": "Bearer guess"}).status_code == 401
    for headers in ({"authorization": "Bearer guess"}, {"authorization": f"Bearer {told.core.operator_token}"}):
        response = client.get("/v1/devices", headers=headers)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0
