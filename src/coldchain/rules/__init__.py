"""Rule packs shipped with this release, one file a version."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from coldchain.domain.rulepacks import RulePack, parse_pack


@cache
def shipped_packs() -> tuple[RulePack, ...]:
    """Every shipped pack, by name and version. They hold where the ledger records no pack of that name and version."""
    texts = (file.read_text("utf-8") for file in files(__name__).iterdir() if file.name.endswith(".toml"))
    return tuple(
        sorted((parse_pack(tomllib.loads(text)) for text in texts), key=lambda pack: (pack.name, pack.version))
    )
