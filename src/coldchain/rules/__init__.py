"""Rules shipped with this release, one file a version: temperature packs, and what continuity is judged by."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from coldchain.domain.continuity.model import RULES_KIND, Rules, parse_rules
from coldchain.domain.rulepacks import RulePack, parse_pack


@cache
def shipped_packs() -> tuple[RulePack, ...]:
    """Every shipped pack, by name and version. They hold where the ledger records no pack of that name and version."""
    packs = (parse_pack(stated) for stated in shipped_documents() if not is_continuity(stated))
    return tuple(sorted(packs, key=lambda pack: (pack.name, pack.version)))


@cache
def shipped_rules() -> tuple[Rules, ...]:
    """Every shipped version of the continuity rules, oldest first. They hold as packs do."""
    rules = (parse_rules(stated) for stated in shipped_documents() if is_continuity(stated))
    return tuple(sorted(rules, key=lambda one: one.number))


def shipped_documents() -> list[dict[str, Any]]:
    """The same as stated, for their `rules` entries."""
    texts = (file.read_text("utf-8") for file in files(__name__).iterdir() if file.name.endswith(".toml"))
    return [tomllib.loads(text) for text in texts]


def is_continuity(stated: dict[str, Any]) -> bool:
    return stated.get("kind") == RULES_KIND
