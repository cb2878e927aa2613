"""The findings a dossier carries (ledger §7.3 step 8): what can be said of them without the rules' program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from coldchain_ledger.evidence import Carried
from coldchain_ledger.steps import NotChecked

TOLD = 5
"""Findings named; the rest is counted."""


def check_published(entries: Sequence[Carried]) -> str:
    """Step 8. Always NotChecked: a verdict is recomputed by the rules' program, which no verifier of bytes contains.

    It says what the log published, that this cannot have been changed since, and whether what each rests on is here.
    """
    newest: dict[str, dict[str, Any]] = {}
    for carried in entries:
        if carried.entry.kind == "finding" and (body := _body(carried)) is not None:
            newest[body["id"]] = body
    if not newest:
        raise NotChecked("no finding is carried")
    held = {carried.index for carried in entries}
    rest = {index for body in newest.values() for index in body["entries"]}
    packs = sum(carried.entry.kind == "rules" for carried in entries)
    told = "; ".join(f"{b['rule']} {b['subject']} {b['verdict']} {b['state']}" for b in list(newest.values())[:TOLD])
    more = f" and {len(newest) - TOLD} more" if len(newest) > TOLD else ""
    raise NotChecked(
        f"verdicts are not recomputed here. Published by the log, unchanged since: {told}{more}. Of the {len(rest)}"
        f" entries named as what they rest on, {len(rest & held)} are carried, and {packs} rule packs"
    )


def _body(carried: Carried) -> dict[str, Any] | None:
    """The finding; None where it has another form than this verifier knows."""
    try:
        body = json.loads(carried.entry.payload)
        texts = all(isinstance(body[name], str) for name in ("id", "rule", "subject", "verdict", "state"))
        whole = texts and all(type(index) is int for index in body["entries"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return body if whole else None
