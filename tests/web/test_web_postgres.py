"""The same story in PostgreSQL is told with the same words."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from coldchain.settings import Settings, load_settings
from opening import new_core
from web.serving import Served
from web.story import DEVICE, PALLET, START, TRUCK, Clock, tell

ANSWERS = (
    "/healthz",
    "/v1/devices",
    "/v1/devices?limit=1",
    f"/v1/devices/{DEVICE}/series?limit=100",
    "/v1/findings?status=all",
    "/v1/findings?status=open&rule=CN",
    f"/v1/units/{PALLET}",
    f"/v1/trace?id={PALLET}",
    "/v1/rejects",
)
PAGES = ("/", "/findings?show=all", "/units", f"/units/{PALLET}", f"/units/{TRUCK}", "/devices", f"/devices/{DEVICE}")


def answers(client: httpx.Client) -> dict[str, str]:
    """Keys are random in every ledger, and with them what they sign; a forged message is bytes of its own time."""
    found = {path: client.get(path) for path in ANSWERS}
    assert {path: response.status_code for path, response in found.items()} == dict.fromkeys(ANSWERS, 200)
    return {path: re.sub(r"localhost/[0-9a-f]{8}", "localhost", response.text) for path, response in found.items()}


def told_by(served: Served, settings: Settings) -> dict[str, str]:
    """What programs are told of the story from a ledger of its own; its pages are there, too."""
    clock = Clock(START)
    with new_core(settings, clock=clock) as core:
        tell(core, clock)
        ports = served.stand_on(core)
        with served.client() as client:
            client.headers["authorization"] = f"Bearer {core.operator_token}"
            found = answers(client)
            client.get(f"/login?code={ports.access.issue_code()}")
            assert {path: client.get(path).status_code for path in PAGES} == dict.fromkeys(PAGES, 200)
    return found


def test_both_databases_give_the_same_answers(served: Served, migrated_postgres_url: str, tmp_path: Path) -> None:
    on_sqlite = told_by(served, load_settings(dir=tmp_path / "sqlite"))
    assert told_by(served, load_settings(dir=tmp_path / "postgresql", database=migrated_postgres_url)) == on_sqlite
