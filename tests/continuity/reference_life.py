"""What becomes of a break once every deadline is over, read from domain §3 a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from continuity.reference import MINUTE, Break


def lawful_for(code: str, channel: str) -> set[str]:
    table = {
        "P1": "9 11", "P2": "1 2 3 4 5 6 7 8 9 11", "P3": "5 6 9 11", "P4": "5 6 9 11", "P5": "1 2 3 4 5 6 8 9 11",
        "P6": "9 11", "P7": "1 7 8 10 11", "B1": "1 2 4 5 8 10 11", "B2": "4 5", "B3": "1 3 7 8 10", "B4": "3 7 8 11",
        "B5": "1 2 3 7 8 10 11",
    }  # fmt: skip
    code, _, channel = channel.partition(" ") if code == "B6" else (code, "", channel)
    if code == "P6" and channel.startswith("travel"):
        return set()
    return {f"E{number}" for number in table[code].split()}


def final_state(
    it: Break, papers: Sequence[Mapping[str, Any]], full: Mapping[str, Mapping[str, Any]], held: bool
) -> str:
    """Once every deadline is over and everything was recorded before anybody was asked."""
    answers = []
    sites = {body["id"] for body in papers if body.get("op") == "site"}
    for body in papers:
        names = {*body.get("units", ()), *body.get("places", ())}
        if body.get("doc") != "exception-claim" or names.isdisjoint(it.about):
            continue
        slack = 10 * MINUTE if it.code == "B5" else 0
        if body["from_us"] - slack > it.to_us or it.from_us > body["to_us"] + slack:
            continue
        needs = set(full[body["code"]]) | ({"customs_permission"} if held and body["code"] in ("E7", "E11") else set())
        listed = {name for name in names if name.startswith("case:")}
        whole = needs <= body["evidence"].keys() and body["code"] in lawful_for(it.code, it.channel)
        if body["code"] == "E3" and sites and body["evidence"].get("site") not in sites:
            whole = False
        if whole and not (listed and it.cases - listed):
            answers.append(outcome(body["id"], papers, it.code == "B6"))
    if "confirmed" in answers:
        return "explained"
    if not it.sure:
        return "suspected"
    if "refused by authority" in answers:
        return "standing"
    if "refused" in answers:
        return "disputed"
    if not it.askable:
        return "suspected"
    return "asked" if "open" in answers else "standing"


def outcome(claim: str, papers: Sequence[Mapping[str, Any]], customs_only: bool) -> str:
    about = [body for body in papers if body.get("claim") == claim]
    for ranks in ({"customs", "inspector"}, {"counterparty"}, {None}):
        for body in about:
            yes = body.get("decision", "confirmed") == "confirmed"
            if body.get("role") in ranks and not (customs_only and yes and body.get("role") != "customs"):
                if not yes:
                    return "refused by authority" if "customs" in ranks else "refused"
                return "confirmed"
    return "open"
