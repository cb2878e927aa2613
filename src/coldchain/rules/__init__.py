"""Rule packs shipped with this release, one file a version."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from coldchain.domain.rulepacks import RulePack, parse_pack


@cache
def shipped_packs() -> tuple[RulePack, ...]:
    """Every shipped pack, by name and version. They hold where the ledger records no pack of that name and version."""
    return tuple(sorted(map(parse_pack, shipped_documents()), key=lambda pack: (pack.name, pack.version)))


def shipped_documents() -> list[dict[str, Any]]:
    """The same as stated, for their `rules` entries."""
    texts = (file.read_text("utf-8") for file in files(__name__).iterdir() if file.name.endswith(".toml"))
    return [tomllib.loads(text) for text in texts]
