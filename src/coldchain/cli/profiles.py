"""Which profiles and rule packs a device may be enrolled with."""

from __future__ import annotations

import json

from coldchain.bootstrap.core import Core
from coldchain.db.queries_ledger import indices_of_keys
from coldchain.rules import is_continuity, shipped_packs, shipped_profiles
from coldchain.services.identity import CommandRefused
from coldchain_ledger.entry import parse_entry


def check_profile(core: Core, profile: str | None) -> None:
    """None judges nothing. Raises CommandRefused for a name that no profile or pack has: its readings would never be
    judged."""
    known = {pack.name for pack in shipped_packs()} | {one.name for one in shipped_profiles()} | _recorded(core)
    if profile is not None and profile not in known:
        names = ", ".join(sorted(known))
        raise CommandRefused(f"no profile or rule pack is named {profile!r}: expected {names}, or none: judges nothing")


def _recorded(core: Core) -> set[str]:
    """Names of the packs and profiles in the ledger, which the projections may not have met yet."""
    with core.store.snapshot() as snapshot:
        indices = indices_of_keys(snapshot.connection, "rules/")
        packs = [json.loads(parse_entry(snapshot.entry(index)).payload) for index in indices]
    return {pack["name"] for pack in packs if not is_continuity(pack)}
