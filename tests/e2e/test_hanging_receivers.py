"""SIGTERM beside receivers that take a message and say nothing: what they were told is told by the next server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from coldchain.db.engine import make_engine
from coldchain.db.tables.side import epcis_subscription
from e2e.serving import Server, run
from integration.receivers import WebhookReceiver, serving
from web.story import START, at, epcis

LONG_AGO = ("--from", "2020-01-01")


@pytest.fixture
def silent() -> Iterator[tuple[WebhookReceiver, WebhookReceiver]]:
    """Of a notification channel, and of a subscription."""
    pair = WebhookReceiver(), WebhookReceiver()
    with ExitStack() as stack:
        for one in pair:
            one.answering.clear()
            stack.enter_context(serving(one.server))
            stack.callback(one.answering.set)
        yield pair


def faults(directory: Path) -> list[tuple[str, int]]:
    engine = make_engine(f"sqlite:///{directory / 'coldchain.db'}")
    with engine.connect() as connection:
        rows = connection.execute(select(epcis_subscription.c.fault, epcis_subscription.c.failures)).all()
    engine.dispose()
    return [(row.fault, row.failures) for row in rows]


def until(true: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, server.log()[-4000:]
        time.sleep(0.05)


def test_a_server_ends_beside_receivers_that_hang_and_the_next_one_tells_them_again(
    tmp_path: Path,
    silent: tuple[WebhookReceiver, WebhookReceiver],
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLDCHAIN_WEBHOOKS_PRIVATE", "true")
    channel, subscriber = silent
    directory = tmp_path / "data"
    data = ("--dir", str(directory))
    for org in ("polar", "thief"):
        run("party", "org", "add", "--id", org, "--role", "warehouse", *LONG_AGO, *data)
    run("party", "site", "add", "--id", "w9", "--org", "polar", *LONG_AGO, *data)
    run("notify", "add", "shift", "--webhook", channel.address, "--rule", "unentitled", "--window", "0", *data)
    operator = run("token", "show", *data)["token"]
    thief = run("token", "create", "--org", "thief", "--role", "warehouse", *data)["token"]
    with closing(Server(directory, free_port(), free_port())) as server:
        server.start()
        with httpx.Client(base_url=f"{server.http}/epcis/v2", headers={"authorization": f"Bearer {operator}"}) as http:
            assert http.post("/queries", json={"name": "all", "query": {}}).status_code == 201
            made = http.post("/queries/all/subscriptions", json={"dest": subscriber.address, "stream": True})
            assert made.status_code == 201
            event = epcis(START, "ADD", "veh:T1", ["hu:thief/1"], readPoint=at("loc:w9/dock"))
            stated = {"authorization": f"Bearer {thief}", "content-type": "application/json"}
            assert http.post("/capture", content=event, headers=stated).status_code == 202
        until(lambda: len(channel.told) == len(subscriber.told) == 1, server)
        server.terminate()
        (kept,) = run("notify", "list", *data)["items"]
        assert (kept["fault"], kept["sending"]) == ("", 1), "nobody waited for its time limit to pass"
        assert faults(directory) == [("", 0)]
        for one in silent:
            one.answering.set()
        server.start()
        until(lambda: len(channel.told) == len(subscriber.told) == 2, server)
        server.terminate()
    assert channel.told[0][1] == channel.told[1][1]
    assert len(channel.items()) == 1, "under the same key"
    events = [json.loads(body)["epcisBody"]["queryResults"]["resultsBody"]["eventList"] for _, body in subscriber.told]
    assert events[0] == events[1]
    (kept,) = run("notify", "list", *data)["items"]
    assert (kept["sending"], kept["sent"]) == (0, 1)
