"""Registering parties, checked against what is registered already; and ruling on what an unentitled party stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coldchain.domain.parties import Directory, PartyError, Registration, read_registration
from coldchain.services.chores import canonical
from coldchain.services.identity import CommandRefused
from coldchain_ledger.log import Draft


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
