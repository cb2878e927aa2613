"""Clauses of shipped rules in other languages. Released packs are never edited, so these stand beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def clauses(language: str) -> Mapping[str, str]:
    """By the clause as its pack states it; of Chinese standards in their own words as far as they are known to us.
    Empty for a language that has none. What a ledger's own packs state is told as they state it."""
    file = files("coldchain.rules") / f"clauses_{language}.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}
