"""Rules shipped with this release, one file a version: temperature packs, and what continuity is judged by."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from coldchain.domain.continuity.model import RULES_KIND, Rules, parse_rules
from coldchain.domain.profiles import PROFILE_KIND, Profile, parse_profile
from coldchain.domain.rulepacks import PACK_KIND, RulePack, parse_pack

CASES = ".cases.toml"


@cache
def shipped_packs() -> tuple[RulePack, ...]:
    """Every shipped pack, by name and version. They hold where the ledger records no pack of that name and version."""
    packs = (parse_pack(stated) for stated in shipped_documents() if stated.get("kind", PACK_KIND) == PACK_KIND)
    return tuple(sorted(packs, key=lambda pack: (pack.name, pack.version)))


@cache
def shipped_profiles() -> tuple[Profile, ...]:
    """Every shipped profile, by name and version. They hold as packs do."""
    profiles = (parse_profile(stated) for stated in shipped_documents() if stated.get("kind") == PROFILE_KIND)
    return tuple(sorted(profiles, key=lambda profile: (profile.name, profile.version)))


@cache
def shipped_rules() -> tuple[Rules, ...]:
    """Every shipped version of the continuity rules, oldest first. They hold as packs do."""
    rules = (parse_rules(stated) for stated in shipped_documents() if is_continuity(stated))
    return tuple(sorted(rules, key=lambda one: one.number))


def shipped_documents() -> list[dict[str, Any]]:
    """The same as stated, for their `rules` entries."""
    named = sorted(file.name for file in files(__name__).iterdir() if file.name.endswith(".toml"))
    shipped = (name for name in named if not name.endswith(CASES))
    return [tomllib.loads((files(__name__) / name).read_text("utf-8")) for name in shipped]


def shipped_cases() -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Example cases of shipped packs, by name and version; they stand beside the packs, which are never edited."""
    documents = [
        tomllib.loads(file.read_text("utf-8")) for file in files(__name__).iterdir() if file.name.endswith(CASES)
    ]
    return {(stated["name"], stated["version"]): stated["cases"] for stated in documents}


def parse_document(stated: dict[str, Any]) -> RulePack | Profile | Rules:
    """What a `rules` entry states, whatever its kind. Raises RulePackError or RulesError."""
    kind = stated.get("kind", PACK_KIND)
    if kind == RULES_KIND:
        return parse_rules(stated)
    if kind == PROFILE_KIND:
        return parse_profile(stated)
    return parse_pack(stated)


def is_continuity(stated: dict[str, Any]) -> bool:
    return stated.get("kind") == RULES_KIND
