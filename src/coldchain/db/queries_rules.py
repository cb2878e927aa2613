"""What the recorded packs and profiles ask for at a place, by the newest of everything: for pages that draw limits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from coldchain.db.tables.parties import party
from coldchain.db.tables.telemetry import rule_pack, rule_profile
from coldchain.domain.parties import site_of
from coldchain.domain.profiles import parse_profile
from coldchain.domain.rulepacks import Stage, pack_for, parse_pack, stage_of

NEWEST_US = 2**62


def stage_rules(connection: Connection, wanted: Iterable[tuple[str, str]]) -> list[Stage]:
    """Of each (profile or pack, place) that is judged."""
    packs = [parse_pack(json.loads(body)) for body in connection.scalars(select(rule_pack.c.body))]
    profiles = [parse_profile(json.loads(body)) for body in connection.scalars(select(rule_profile.c.body))]
    found = []
    for profile, place in sorted(set(wanted)):
        site = _site(connection, site_of(place))
        stage = stage_of(place, frozenset(site.get("uses", ())))
        pack = pack_for(profile, site.get("country", ""), NEWEST_US, packs, profiles, stage)
        if pack is not None:
            found.append(pack.stages[pack.stage_for(stage)])
    return found


def _site(connection: Connection, site: str) -> Mapping[str, Any]:
    """The newest registration; empty where nobody registered it."""
    c = party.c
    body = connection.scalar(select(c.body).where(c.op == "site", c.id == site).order_by(c.n.desc()).limit(1))
    stated: Mapping[str, Any] = {} if body is None else json.loads(body)
    return stated
