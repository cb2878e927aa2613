"""Every error has one shape, and every `type` is a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from coldchain.api.edge import MAX_BODY, Edge
from coldchain.api.problems import PROBLEMS, failure_of, problem_response
from coldchain.services.app_ports import AppPorts
from coldchain_ledger.errors import StoreError
from web.serving import Served
from web.story import DEVICE


def check(response: httpx.Response, slug: str) -> None:
    """The one assertion for the error shape of every endpoint."""
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert {"type", "title", "status", "detail", "instance"} <= body.keys() <= {*body.keys(), "errors"}
    assert (body["type"], body["status"]) == (f"/problems/{slug}", response.status_code)
    assert PROBLEMS[slug].status == response.status_code
    assert unquote(body["instance"]) == response.request.url.path
    assert body["instance"].isascii()
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/nothing", "not-found"),
        ("/v1/nothing", "not-found"),
        ("/v1/devices/nobody", "not-found"),
        ("/v1/devices/nobody/series", "not-found"),
        ("/v1/findings/ffffffffffffffffffffffffffffffff", "not-found"),
        ("/v1/units/sscc:169012345000000995", "not-found"),
        ("/v1/trace?id=veh:NOBODY", "not-found"),
        ("/v1/evidence?id=veh:NOBODY", "not-found"),
        ("/log/receipt/999999", "not-found"),
        ("/log/tile/0/999", "not-found"),
        ("/log/blob/" + "0" * 64, "not-found"),
        ("/problems/nothing", "not-found"),
        ("/static/nothing", "not-found"),
        ("/static/..%2fsite.py", "not-found"),
        ("/v1/devices?limit=0", "malformed"),
        ("/v1/devices?limit=201", "malformed"),
        ("/v1/devices?cursor=nonsense", "malformed"),
        ("/v1/devices?cursor=WzFd", "malformed"),
        ("/v1/devices?colour=red", "malformed"),
        ("/v1/devices/a%00b", "malformed"),
        ("/v1/findings?status=some", "malformed"),
        ("/v1/findings?cursor=WzE4NDQ2NzQ0MDczNzA5NTUxNjE2XQ", "malformed"),
        (f"/v1/devices/{DEVICE}/series?from=yesterday", "malformed"),
        (f"/v1/devices/{DEVICE}/series?from=2026-03-02T08:00:00", "malformed"),
        (f"/v1/devices/{DEVICE}/series?to=1772438400", "malformed"),
        ("/v1/units/sscc:169012345000000026", "malformed"),
        ("/v1/units/nonsense", "malformed"),
        ("/v1/trace", "malformed"),
        ("/v1/evidence?id=", "malformed"),
        ("/v1/rejects?before=1", "malformed"),
        ("/log/receipt/-1", "malformed"),
        ("/log/receipt/18446744073709551616", "malformed"),
        ("/log/blob/xyz", "malformed"),
    ],
)
def test_a_request_that_has_no_answer_says_why(operator: httpx.Client, path: str, slug: str) -> None:
    check(operator.get(path), slug)


def test_a_malformed_parameter_is_named(operator: httpx.Client) -> None:
    errors = operator.get("/v1/devices?limit=0&colour=red").json()["errors"]
    assert {error["where"] for error in errors} == {"query limit", "query colour"}


@pytest.mark.parametrize("path", ["/v1/devices", "/log/checkpoint", "/healthz", "/"])
def test_another_method_is_told_which_ones_there_are(operator: httpx.Client, path: str) -> None:
    response = operator.delete(path)
    check(response, "method-not-allowed")
    assert response.headers["allow"] == "GET"


def test_a_large_body_is_refused_before_it_is_read(operator: httpx.Client) -> None:
    check(operator.post("/v1/sign-in-links", content=b"x" * (MAX_BODY + 1)), "too-large")


def test_a_body_of_undeclared_length_is_counted(client: httpx.Client, served: Served) -> None:
    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            continue

    def answer(request: Request, error: Exception) -> Response:
        return problem_response(failure_of(error), request.url.path)

    served.app = Edge(reader, answer, lambda scope, status, seconds: None)
    check(client.post("/", content=iter([b"x" * MAX_BODY, b"x"])), "too-large")


@pytest.fixture
def broken(ports: AppPorts, served: Served) -> Callable[[Exception], None]:
    """Call it with what every unit's page is to fail with."""

    def break_it(error: Exception) -> None:
        def fail(about: str, at_us: int | None, as_of: int | None) -> None:
            raise error

        served.stand_on(replace(ports, inspect=fail))

    return break_it


def test_a_fault_of_ours_is_logged_and_tells_nothing_of_its_inside(
    operator: httpx.Client, broken: Callable[[Exception], None]
) -> None:
    error = ZeroDivisionError("secret of the inside")
    broken(error)
    with capture_logs() as logged:
        response = operator.get("/v1/units/veh:T1")
    check(response, "internal")
    assert "secret" not in response.text
    assert [(line["path"], line["exc_info"]) for line in logged] == [("/v1/units/veh:T1", error)]


@pytest.mark.parametrize("error", [StoreError("disk"), OperationalError("SELECT", {}, Exception("disk"))])
def test_a_ledger_that_cannot_be_read_is_no_fault_of_the_request(
    operator: httpx.Client, broken: Callable[[Exception], None], error: Exception
) -> None:
    broken(error)
    with capture_logs():
        response = operator.get("/v1/units/veh:T1")
    check(response, "unavailable")
    assert "disk" not in response.text


def test_a_person_gets_the_error_as_a_page(visitor: httpx.Client) -> None:
    missing = visitor.get("/units/veh:NOBODY")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "text/html; charset=utf-8"
    assert "veh:NOBODY" in missing.text


def test_not_ready_says_which_part(client: httpx.Client, ports: AppPorts, served: Served) -> None:
    served.stand_on(replace(ports, faults=lambda: {"mqtt": "broker refused the connection"}))
    with capture_logs():
        response = client.get("/healthz")
    check(response, "unavailable")
    assert response.json()["detail"] == "mqtt: broker refused the connection"


@pytest.mark.parametrize("slug", PROBLEMS)
def test_every_type_is_a_page_in_both_languages(client: httpx.Client, slug: str) -> None:
    english, chinese = (client.get(f"/problems/{slug}", params={"lang": language}) for language in ("en", "zh_Hans"))
    assert english.status_code == chinese.status_code == 200
    assert PROBLEMS[slug].title in english.text
    assert f"/problems/{slug}" in chinese.text
    assert PROBLEMS[slug].title not in chinese.text


@pytest.mark.parametrize(
    "path", ["/healthz", "/log/checkpoint", "/v1/devices", "/openapi.json", "/", "/v1/devices/none"]
)
def test_head_is_answered_as_get_without_the_body(operator: httpx.Client, path: str) -> None:
    got, asked = operator.get(path), operator.head(path)
    assert (asked.status_code, asked.content) == (got.status_code, b"")
    for name in ("content-length", "content-type"):
        assert asked.headers[name] == got.headers[name]


def test_asking_what_is_behind_a_link_that_works_once_does_not_use_it(client: httpx.Client, ports: AppPorts) -> None:
    link = f"/login?code={ports.access.issue_code()}"
    assert client.head(link).status_code == 405
    assert client.get(link).status_code == 200
