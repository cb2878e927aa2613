"""Rule packs and profiles as the ledger has them, and the shipped ones where it records no such version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from coldchain.db.bulk import put_rows
from coldchain.db.tables.telemetry import rule_pack, rule_profile
from coldchain.domain.profiles import PROFILE_KIND, Profile, parse_profile
from coldchain.domain.rulefields import RulePackError
from coldchain.domain.rulepacks import Mounting, Regime, RulePack, pack_for, parse_pack, regimes
from coldchain.rules import shipped_packs, shipped_profiles
from coldchain.services.chores import canonical


class Rulebook:
    """`load` it, then `record` entries; what it answers is kept until the next one that changes it."""

    def __init__(self) -> None:
        self.packs: dict[tuple[str, int], RulePack] = {(pack.name, pack.version): pack for pack in shipped_packs()}
        self.profiles: dict[tuple[str, int], Profile] = {(one.name, one.version): one for one in shipped_profiles()}
        self._schedules: dict[tuple[Mounting, ...], Sequence[Regime]] = {}

    def load(self, connection: Connection) -> None:
        for body in connection.scalars(select(rule_pack.c.body)):
            self.take(json.loads(body))
        for body in connection.scalars(select(rule_profile.c.body)):
            self.take(json.loads(body))

    def record(self, connection: Connection, body: Any, entry: int) -> bool:
        """Take a `rules` entry into its table; whether it is a pack or profile. Others stay facts without effect."""
        try:
            taken = self.take(body) if isinstance(body, dict) else None
        except RulePackError:
            taken = None
        if taken is None:
            return False
        table = rule_profile if isinstance(taken, Profile) else rule_pack
        put_rows(connection, table, [(taken.name, taken.version, canonical(body).decode(), entry)])
        return True

    def take(self, stated: dict[str, Any]) -> RulePack | Profile:
        """One more version, in memory. Raises RulePackError."""
        self._schedules.clear()
        if stated.get("kind") == PROFILE_KIND:
            profile = parse_profile(stated)
            self.profiles[profile.name, profile.version] = profile
            return profile
        pack = parse_pack(stated)
        self.packs[pack.name, pack.version] = pack
        return pack

    def schedule(self, mountings: Iterable[Mounting]) -> Sequence[Regime]:
        """What judges a device when. Devices that were mounted alike share it."""
        mounted = tuple(mountings)
        if mounted:
            mounted = (mounted[0]._replace(from_us=0), *mounted[1:])
        found = self._schedules.get(mounted)
        if found is None:
            found = self._schedules[mounted] = regimes(self.packs.values(), mounted, self.profiles.values())
        return found

    def pack_for(self, profile: str, region: str, t_us: int, stage: str = "") -> RulePack | None:
        """`domain.rulepacks.pack_for` among all versions known."""
        return pack_for(profile, region, t_us, self.packs.values(), self.profiles.values(), stage)
