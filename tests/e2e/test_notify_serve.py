"""A running server tells of findings, and one that was killed goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.serving import Server, run
from integration.receivers import WebhookReceiver, serving
from web.story import HOUR, START, at, epcis

LONG_AGO = ("--from", "2020-01-01")


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    one = WebhookReceiver()
    with serving(one.server):
        yield one


@pytest.fixture
def directory(tmp_path: Path, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of one organisation, another one that states things about it, and a channel."""
    monkeypatch.setenv("COLDCHAIN_WEBHOOKS_PRIVATE", "true")
    data = ("--dir", str(tmp_path / "data"))
    run("party", "org", "add", "--id", "polar", "--role", "warehouse", *LONG_AGO, *data)
    run("party", "org", "add", "--id", "thief", "--role", "carrier", *LONG_AGO, *data)
    run("party", "site", "add", "--id", "w9", "--org", "polar", *LONG_AGO, *data)
    run("notify", "add", "shift", "--webhook", receiver.address, "--rule", "unentitled", "--window", "0", *data)
    return tmp_path / "data"


def state_something(server: Server, token: str, number: int) -> None:
    """An event of a party that has no say in it: a finding."""
    body = epcis(START + number * HOUR, "ADD", f"veh:T{number}", [f"hu:thief/{number}"], readPoint=at("loc:w9/dock"))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    assert httpx.post(f"{server.http}/epcis/v2/capture", content=body, headers=headers).status_code == 202


def published(server: Server, token: str) -> list[tuple[str, int]]:
    asked = {"rule": "unentitled", "status": "all", "limit": 200}
    answer = httpx.get(f"{server.http}/v1/findings", params=asked, headers={"authorization": f"Bearer {token}"})
    items: list[dict[str, Any]] = answer.json()["items"]
    return sorted((item["id"], item["n"]) for item in items)


def test_every_finding_is_told_once_by_a_server_that_is_killed_again_and_again(
    directory: Path, receiver: WebhookReceiver, free_port: Callable[[], int]
) -> None:
    thief = run("token", "create", "--org", "thief", "--role", "carrier", "--dir", str(directory))["token"]
    operator = run("token", "show", "--dir", str(directory))["token"]
    with closing(Server(directory, free_port(), free_port())) as server:
        for number, pause_s in enumerate((0.0, 0.3, 0.9)):
            server.start()
            state_something(server, thief, number)
            time.sleep(pause_s)  # the kill falls before, amid or after what it interrupts
            server.kill()
        server.start()
        state_something(server, thief, 3)
        deadline = time.monotonic() + 60
        while len({change for items in receiver.items() for change in items}) < 4:
            assert time.monotonic() < deadline, server.log()[-4000:]
            time.sleep(0.05)
        told = sorted(change for items in receiver.items() for change in items)
        assert told == published(server, operator)
        assert len(told) == len(set(told)) == 4
        server.terminate()
