"""`/v1/rules`: what everything is judged by, with the clause it comes from."""

from __future__ import annotations

import httpx

from coldchain.services.chores import rule_entries
from web.story import Told


def test_every_version_of_every_rule_is_listed_with_its_clause(operator: httpx.Client) -> None:
    listed = operator.get("/v1/rules").json()
    assert listed["next"] is None
    by_name = {one["name"]: one for one in listed["items"]}
    assert by_name["CN-frozen"] == {
        "name": "CN-frozen", "version": 1, "kind": "temperature", "from": "1970-01-01T00:00:00Z", "verified": False,
        "clause": by_name["CN-frozen"]["clause"],
    }  # fmt: skip
    assert {one["kind"] for one in listed["items"]} == {"temperature", "profile", "continuity"}


def test_one_of_them_is_told_version_by_version_with_its_values(operator: httpx.Client, told: Told) -> None:
    (first,) = operator.get("/v1/rules/EU-quick-frozen").json()["items"]
    assert first["verified"] is True
    assert first["values"]["stages"]["transport"]["limit_mc"] == -18_000
    second = {
        "kind": "profile", "name": "vaccines", "version": 2, "clause": "ours", "verified": True, "packs": [
            {"pack": "USP-controlled-cold"}
        ],
    }  # fmt: skip
    told.core.log.append(rule_entries(told.core.log.origin, [second]))
    told.core.follower.catch_up()
    versions = operator.get("/v1/rules/vaccines").json()["items"]
    assert [(one["version"], one["clause"]) for one in versions][1:] == [(2, "ours")]
    assert versions[1]["values"] == {"packs": [{"pack": "USP-controlled-cold"}]}


def test_rules_nobody_recorded_are_not_found(operator: httpx.Client) -> None:
    answer = operator.get("/v1/rules/nothing")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert operator.get("/v1/rules?limit=1").status_code == 422
