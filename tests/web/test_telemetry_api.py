"""Payloads of vendor platforms over HTTP: recorded as they came, each with its own outcome, in the gateway's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.gateways import map_device
from coldchain.projections.series import readings
from coldchain.services.principals import issue_token
from coldchain.services.transport import gateway_order
from coldchain.settings import load_settings
from coldchain_ledger.entry import parse_entry
from opening import new_core
from unit.sparkplug_payloads import INT8, metric, payload
from web.serving import Served

NOW_S = 1_772_400_000
Ask = Callable[..., httpx.Response]


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    with new_core(load_settings(dir=tmp_path / "data")) as core:
        for name in ("acme", "rival"):
            core.register("org", {"id": name, "name": "", "roles": ["carrier"], "names": []})
        _, draft = gateway_order(
            core.registry, "acme", {"org": "acme", "site": "fleet", "device": "gw", "format": "flespi"}
        )
        assert draft is not None
        core.record(draft)
        yield core


@pytest.fixture
def ask(core: Core, served: Served) -> Iterator[Ask]:
    """`ask(body, org, scopes, …)`: posted with a token of that organisation."""
    served.stand_on(core)
    with served.client() as client:

        def request(body: bytes, org: str = "acme", scopes: tuple[str, ...] = (), **more: Any) -> httpx.Response:
            token, kept = issue_token(core.registry.directory, org, "carrier", scopes, "", None, core.clock())
            core.tokens.keep(kept)
            headers = {"authorization": f"Bearer {token}", "content-type": more.pop("type", "application/json")}
            params = {"gateway": "gw", **more}
            return client.post("/v1/telemetry", params=params, content=body, headers=headers)

        yield request


def message(minute: int, celsius: float = -18.5) -> bytes:
    return json.dumps({"ident": "imei-1", "timestamp": NOW_S + 60 * minute, "t1": celsius}).encode()


def test_a_payload_is_recorded_as_it_came_and_once(core: Core, ask: Ask) -> None:
    first, again = ask(message(0)).json(), ask(message(0)).json()
    assert (first["recorded"], first["refused"]) == (1, 0)
    assert first == again
    with core.store.snapshot() as snapshot:
        entry = parse_entry(snapshot.entry(first["items"][0]["index"]))
    assert (entry.payload, entry.by, entry.grade) == (message(0), "acme", "transport")


def test_a_batch_of_the_past_is_answered_line_by_line(core: Core, ask: Ask) -> None:
    channels = [{"raw": "t1", "name": "temp/air"}]
    map_device(core, {"device": "T7", "gateway": "gw", "source": "imei-1", "channels": channels})
    lines = [message(minute) for minute in range(0, 50, 5)]
    lines[3:3] = [b'{"ident":"imei-1","t1":-18}', b"no json"]
    answer = ask(b"\n".join(lines) + b"\n\n", type="application/x-ndjson").json()
    assert (answer["recorded"], answer["refused"]) == (10, 2)
    assert [item["reason"] for item in answer["items"][2:6]] == ["", "no-time", "malformed-payload", ""]
    core.settle()
    with core.engine.connect() as connection:
        assert [one.value for one in readings(connection, "T7", 0, 2**62, "temp/")] == [-18_500] * 10
    assert core.rejects.listing(10)["kept"] == 2


def test_the_content_type_says_which_format_it_is(core: Core, ask: Ask) -> None:
    pack = json.dumps([{"bn": "imei-1/", "bt": NOW_S, "n": "temp/air", "v": -18}]).encode()
    assert ask(pack).json()["items"][0]["reason"] == "malformed-payload"
    (item,) = ask(pack, type="application/senml+json").json()["items"]
    with core.store.snapshot() as snapshot:
        assert parse_entry(snapshot.entry(item["index"])).type == "application/senml+json"


def test_a_format_that_needs_its_topic_gets_it(core: Core, ask: Ask) -> None:
    data = payload(NOW_S * 1000, 0, metric(-18, INT8, name="Air"))
    (item,) = ask(data, topic="spBv1.0/plant/DDATA/edge/reefer").json()["items"]
    with core.store.snapshot() as snapshot:
        entry = parse_entry(snapshot.entry(item["index"]))
    assert entry.type.endswith("topic=spBv1.0/plant/DDATA/edge/reefer")
    assert "code:source/gw/sha256-" in entry.subjects[0]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"org": "rival"}, 403),
        ({"scopes": ("read",)}, 403),
        ({"gateway": "nobody"}, 404),
    ],
)
def test_only_the_gateways_own_organisation_may_send_for_it(ask: Ask, more: dict[str, Any], status: int) -> None:
    assert ask(message(0), **more).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 422), (b"\n" * 5, 422), (b"{}\n" * 1_001, 422), (b"x" * (2 * 1024 * 1024 + 1), 413)],
)
def test_a_batch_is_bounded(ask: Ask, body: bytes, status: int) -> None:
    assert ask(body, type="application/x-ndjson").status_code == status


def test_a_payload_larger_than_an_entry_is_refused_by_itself(ask: Ask) -> None:
    answer = ask(b" " * 50_000 + message(0) + b"\n" + message(1), type="application/x-ndjson").json()
    assert [item["reason"] for item in answer["items"]] == ["too-large", ""]
