"""Why a verdict is what it is, in plain words of the reader's language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from coldchain.web.formats import celsius, utc
from coldchain.web.i18n import Words

_DEVICE_RULES = {
    "gap": "chain_gap",
    "prev-mismatch": "chain_break",
    "clock-backward": "clock_backward",
    "disputed": "disputed",
    "clock": "clock",
    "clock-behind": "clock_behind",
    "clock-fast": "clock_fast",
    "revoked-key": "revoked_key",
}


_ENDINGS = (
    (" low limit", "low_limit"),
    (" limit", "limit"),
    (" pre-cooling gap", "precooling_gap"),
    (" gap", "silence"),
    (" sensor fault", "fault"),
    (" budget", "budget"),
    (" MKT", "mkt"),
    (" pre-cooling", "precooling"),
    (" handover temperature", "handover"),
)
_GOODS = ("budget", "mkt", "precooling", "precooling_gap", "handover")
"""Rules about goods, which name those they are about."""
UNENTITLED = "unentitled event"
CONTINUITY = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "B1", "B2", "B3", "B4", "B5", "B6")


class Reason(NamedTuple):
    """One sentence, and the units it speaks of."""

    text: str
    units: Sequence[str] = ()


class Conclusion(NamedTuple):
    """A verdict row or a published finding, as a page tells it."""

    rule: str
    subject: str
    channel: str
    from_us: int
    to_us: int | None
    verdict: str
    state: str
    detail: Mapping[str, Any]
    due_us: int | None = None
    entries: Sequence[int] = ()
    finding: str = ""
    withdrawn_us: int | None = None
    """When it was published that it does not hold: it lasts no more, though no facts ended it."""

    @property
    def kind(self) -> str:
        """The sort of rule; the rule's own name where it is none that we have words for."""
        first, _, rest = self.rule.partition(" ")
        if first == "device":
            return _DEVICE_RULES.get(rest, rest)
        if first == "quality":
            return f"quality_{rest}"
        if first in CONTINUITY:
            return first
        for ending, kind in _ENDINGS:
            if self.rule.endswith(ending):
                return kind
        return self.rule


def title(t: Words, it: Conclusion) -> str:
    """What the rule is about, in a few words."""
    key = f"rule.{it.kind}"
    return t(key) if t.has(key) else it.rule


def reasons(t: Words, it: Conclusion) -> list[Reason]:
    """What was seen, what was asked and answered, and what is still missing."""
    found = [*_seen(t, it), *_life(t, it)] if it.kind in CONTINUITY else list(_measured(t, it))
    return [*found, Reason(t("life.withdrawn"))] if it.state == "withdrawn" else found


def _measured(t: Words, it: Conclusion) -> Iterator[Reason]:
    """What a device's readings or messages show."""
    key = f"why.{it.kind}"
    if it.kind == "chain_gap" and "upto" not in it.detail:
        key = "why.chain_gap_open"
    if it.kind == "budget" and it.detail["single"]:
        key = "why.budget_single"
    if t.has(key):
        about = it.detail.get("units", ()) if it.kind == UNENTITLED else ()
        yield Reason(t(key, **_figures(it)), it.detail["affected"] if it.kind in _GOODS else about)
    else:
        yield Reason(", ".join(f"{name}: {value}" for name, value in sorted(it.detail.items())))
    yield from _thresholds(t, it)


def _seen(t: Words, it: Conclusion) -> Iterator[Reason]:
    if it.kind == "B5" and it.channel.endswith(" halt"):
        yield Reason(t("why.B5.halt"), it.detail.get("units", ()))
    elif it.kind == "B5" and not it.channel.endswith(" reefer"):
        yield Reason(t("why.B5", door=it.channel), it.detail.get("units", ()))
    elif it.kind == "P2" and not it.channel:
        yield Reason(t("why.P2"))
    else:
        yield Reason(
            t(f"why.{it.kind}.how") if it.kind in ("P2", "B5") else t(f"why.{it.kind}"), it.detail.get("units", ())
        )
    for one in it.detail.get("seen", ()):
        yield Reason(t("why.seen", what=t.sentence(one)))
    for field in ("extra", "missing", "suspected"):
        units = it.detail.get(field, ())
        if units:
            yield Reason(t(f"why.P2.{field}", n=len(units)), units)


def _life(t: Words, it: Conclusion) -> Iterator[Reason]:
    """The question and its answers (domain §3)."""
    asked = it.detail.get("asked", "")
    if asked:
        due = t("life.due", due=utc(it.due_us)) if it.due_us is not None else ""
        yield Reason(t("life.asked_party", party=asked, hours=it.detail["deadline_s"] // 3600) + due)
    for answer in it.detail.get("answers", ()):
        ruling = t("life.ruling." + answer["ruling"].replace(" ", "_"), by=answer["ruled_by"])
        yield Reason(t("life.answer", by=answer["by"], claim=answer["claim"], code=answer["code"]) + ruling)
    if it.detail.get("lacks"):
        yield Reason(t("life.lacks", lacks=t.sentence(it.detail["lacks"])))
    if it.state != "withdrawn":
        yield Reason(t(f"life.{it.state}"))


def _figures(it: Conclusion) -> dict[str, object]:
    detail = it.detail
    if it.kind == "precooling":
        detail = {**detail, "max_mc": max(one["mc"] for one in detail["readings"])}
    return {
        "limit": celsius(detail.get("limit_mc")),
        "max": celsius(detail.get("max_mc")),
        "min": celsius(detail.get("min_mc")),
        "above": celsius(detail.get("above_mc")),
        "precool": celsius(detail.get("precool_mc")),
        "handover": celsius(detail.get("handover_mc")),
        "minutes": detail.get("consecutive_s", detail.get("max_gap_s", detail.get("max_s", 0))) // 60,
        "behind": detail.get("behind_s", 0) // 60,
        "mkt": celsius(detail.get("mkt_mc")),
        "hours": detail.get("window_s", 0) // 3600,
        "boot": detail.get("boot"),
        "seq": detail.get("seq"),
        "upto": detail.get("upto"),
        "copies": detail.get("copies"),
        "spikes": detail.get("spikes"),
        "mean": celsius(detail.get("mean_mc")),
        "siblings": celsius(detail.get("siblings_mc")),
        "equals": ", ".join(detail.get("equals", ())),
        "channel": it.channel,
        "by": detail.get("by"),
        "owner": detail.get("owner"),
    }


def _thresholds(t: Words, it: Conclusion) -> Iterator[Reason]:
    if "clause" in it.detail:
        clause = t.clause(it.detail["clause"])
        yield Reason(t("why.clause", pack=it.detail["pack"], version=it.detail["version"], clause=clause))
        if not it.detail["verified"]:
            yield Reason(t("why.unverified"))
