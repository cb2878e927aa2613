"""One unit over HTTP: at any moment, as believed at any ledger size, and clear about what it does not know."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from coldchain.bootstrap import believed
from coldchain.services.app_ports import AppPorts
from coldchain_ledger.entry import parse_entry
from web.story import OTHER, PALLET, TRUCK, Told, cases


def ask(client: httpx.Client, unit: str, **query: Any) -> Any:
    response = client.get(f"/v1/units/{unit}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def recorded_before(ports: AppPorts, key: str) -> int:
    """How many entries the ledger had before the first whose key starts so."""
    with ports.store.snapshot() as snapshot:
        edge = snapshot.edge()
        assert edge is not None
        entries = (parse_entry(data) for data in snapshot.entries(0, edge.size))
        return next(index for index, entry in enumerate(entries) if entry.key.startswith(key))


def test_a_unit_is_where_it_was_at_the_moment_asked_for(operator: httpx.Client) -> None:
    driving = ask(operator, PALLET, at="2026-03-02T10:00:00Z")
    assert driving["position"]["place"] == TRUCK
    assert driving["at"] == "2026-03-02T10:00:00Z"
    assert ask(operator, PALLET)["position"]["chain"] == []
    assert driving["ledger"] == ask(operator, PALLET)["ledger"]
    assert ask(operator, TRUCK, at="2026-03-02T10:00:00Z")["goods"] == [
        {"item": "code:gtin/16901234500018", "measure": "", "named": 8.0, "least": 8.0, "most": 8.0}
    ]


def test_before_a_finding_was_published_nobody_believed_it(operator: httpx.Client, ports: AppPorts) -> None:
    size = recorded_before(ports, "ask/")
    early, late = ask(operator, PALLET, as_of=size), ask(operator, PALLET)
    assert early["ledger"]["size"] == size < late["ledger"]["size"]
    assert {finding["state"] for finding in early["findings"]} == {"suspected"}
    assert {finding["state"] for finding in late["findings"]} == {"suspected", "asked", "standing"}
    assert ask(operator, PALLET, as_of=late["ledger"]["size"]) == late


def test_what_no_entry_names_yet_is_not_found(operator: httpx.Client) -> None:
    for unit, query in (("sscc:169012345000000049", {}), (cases(17)[0], {"as_of": 3})):
        response = operator.get(f"/v1/units/{unit}", params=query)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
        assert unit in response.json()["detail"]


@pytest.mark.parametrize(
    "query", [{"at": "yesterday"}, {"at": "1772438400"}, {"as_of": "0"}, {"as_of": "x"}, {"of": "1"}]
)
def test_a_malformed_question_is_refused(operator: httpx.Client, query: dict[str, str]) -> None:
    response = operator.get(f"/v1/units/{OTHER}", params=query)
    assert response.status_code == 422, response.text
    assert response.json()["errors"]


def test_a_past_that_takes_too_long_or_never_was_is_refused_with_the_reason(
    operator: httpx.Client, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = ask(operator, PALLET)["ledger"]["size"]
    never = operator.get(f"/v1/units/{PALLET}", params={"as_of": size + 1_000})
    assert (never.status_code, never.json()["detail"]) == (
        409, f"as of {size + 1_000} entries: expected 1 to {size}, what the ledger has",
    )  # fmt: skip
    told.core.believed.close()
    monkeypatch.setattr("coldchain.bootstrap.ports.MOST_IN_A_REQUEST", 2)
    long = operator.get(f"/v1/units/{PALLET}", params={"as_of": 5})
    assert long.status_code == 409
    assert "coldchain inspect --as-of 5" in long.json()["detail"]


def test_one_asks_about_the_past_at_a_time(operator: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise believed.Busy("others are asking")

    monkeypatch.setattr(believed.Believed, "at", busy)
    response = operator.get(f"/v1/units/{PALLET}", params={"as_of": 5})
    assert (response.status_code, response.json()["detail"]) == (503, "others are asking")
