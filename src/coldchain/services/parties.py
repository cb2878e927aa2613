"""Registering parties, checked against what is registered already; and ruling on what an unentitled party stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coldchain.domain.entitlement import Bar, DecisionError, Statement, decision_key, may_decide, read_decision
from coldchain.domain.parties import Directory, PartyError, Registration, read_registration
from coldchain.services.chores import canonical
from coldchain.services.identity import CommandRefused
from coldchain.services.principals import Principal
from coldchain.services.registry import Registry
from coldchain_ledger.log import Draft

MAX_REASON = 1_000


def registration(directory: Directory, op: str, stated: Mapping[str, Any], now_us: int) -> Registration:
    """The next version of what is stated; the newest itself where it says the same. Without `from_us` it holds from now
    on: nobody loses by it the right he had.

    Raises CommandRefused for an order that is malformed or names what is not registered.
    """
    before = directory.latest(op, str(stated.get("id")))
    if before is not None and _same(before, stated):
        return before
    n = before.n + 1 if before else 1
    body = {
        "v": 1,
        "op": op,
        "n": n,
        **stated,
        "from_us": now_us if stated.get("from_us") is None else stated["from_us"],
    }
    try:
        version = read_registration(body)
    except PartyError as error:
        raise CommandRefused(str(error)) from error
    _check(directory, version)
    return version


OF_DEVICES = ("mount", "fitting")
"""What is registered of a device rather than of a party or place."""


def check_device(registry: Registry, device: str) -> None:
    """Raises CommandRefused for a device that nobody enrolled or mapped: what is stated of it would hold of none."""
    if registry.latest(device) is None and registry.sources.latest(device) is None:
        raise CommandRefused(f"device {device!r} is not enrolled, nor mapped behind a gateway: coldchain device list")


def _same(before: Registration, stated: Mapping[str, Any]) -> bool:
    numbered = {"v": 1, "op": before.op, "n": before.n, "from_us": before.from_us}
    given = {name: value for name, value in stated.items() if value is not None or name != "from_us"}
    return before.stated == {**numbered, **given}


def registered(by: str, version: Registration) -> Draft:
    """The `identity` entry of a version."""
    return Draft(
        kind="identity",
        by=by,
        type="application/json",
        key=version.key,
        grade="declared",
        subjects=version.subjects,
        payload=canonical(version.stated),
    )


def _check(directory: Directory, version: Registration) -> None:
    """What a version names has to be registered, and one name to call only one organisation."""
    for field in ("org", "agent"):
        org = version.stated.get(field)
        if org is not None and directory.latest("org", org) is None:
            raise CommandRefused(f"organisation {org!r} is not registered: coldchain party org add --id {org}")
    if version.op == "room" and directory.latest("site", version.id.partition("/")[0]) is None:
        raise CommandRefused(f"site {version.id.partition('/')[0]!r} is not registered: coldchain party site add")
    for name in version.stated.get("names", ()):
        if (called := directory.org_called(name)) not in (name, version.id):
            raise CommandRefused(f"{name} is what {called!r} is called already")


def event_ruling(
    directory: Directory, it: Statement, bar: Bar, principal: Principal, body: Mapping[str, Any], n: int
) -> Draft:
    """The order by which an event of an unentitled party counts (`"decision": "confirmed"`) or stays without effect
    (`"refused"`); n: how many-th on this event. Raises CommandRefused where the principal has no say in it."""
    if not may_decide(directory, it, bar, principal.org, principal.role):
        raise CommandRefused(
            f"event {it.key} is about {bar.name} of {bar.owner}: {principal.org} as {principal.role} has no say in it"
        )
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise CommandRefused(f"reason: expected text of at most {MAX_REASON} characters, found {reason!r:.100}")
    stated = {"v": 1, "order": "event-decision", "event": it.key, "decision": body.get("decision"), "n": n}
    try:
        ruling = read_decision({**stated, "role": principal.role}, principal.org)
    except DecisionError as error:
        raise CommandRefused(str(error)) from error
    return Draft(
        kind="order",
        by=principal.org,
        type="application/json",
        key=decision_key(ruling.event, n),
        grade="declared",
        subjects=(bar.name,),
        payload=canonical({**stated, "by": principal.org, "role": principal.role, "reason": reason}),
    )
