"""The life of a finding: suspected -> asked -> explained | disputed | standing (domain §3); what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

from coldchain.domain.continuity import Opportunity, Rules
from coldchain.domain.exceptions import CUSTOMS, Circumstances, Claim, Decision, Ruling, covered_by, ruling
from coldchain.domain.segments import BROKEN_AUTHORISED, BROKEN_PENDING, BROKEN_UNEXPLAINED, UNOBSERVED
from coldchain.domain.severity import Severity, rank, severity_of

State = Literal["suspected", "asked", "explained", "disputed", "standing"]
_VERDICT: dict[State, str] = {
    "suspected": UNOBSERVED,
    "asked": BROKEN_PENDING,
    "explained": BROKEN_AUTHORISED,
    "disputed": BROKEN_PENDING,
    "standing": BROKEN_UNEXPLAINED,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """The question put to the holder, a fact of the ledger; its deadline runs from the entry's own `at`."""

    rule: str
    subject: str
    from_us: int
    to_us: int
    deadline_s: int
    asked: str
    at_us: int
    entry: int = -1
    channel: str | None = None
    """None: of questions that do not say which channel they mean."""

    @property
    def due_us(self) -> int:
        return self.at_us + self.deadline_s * 1_000_000

    def about(self, rule: str, it: Opportunity) -> bool:
        """An opportunity whose bounds moved after it was asked about is still the one that was asked about."""
        overlaps = (it.to_us is None or self.from_us <= it.to_us) and it.from_us <= self.to_us
        return self.rule == rule and self.subject == it.subject and self.channel in (None, it.channel) and overlaps


class Answer(NamedTuple):
    """A claim that speaks of the finding, and why it does or does not explain it."""

    claim: str
    code: str
    by: str
    lacking: tuple[str, ...]
    ruling: Ruling
    ruled_by: str
    late: bool
    """Recorded after the deadline of the question."""
    reported_late: bool = False
    """An emergency that was reported later than the rules allow (E7)."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """An opportunity as it stands at one ledger time."""

    rule: str
    """Code and rule version."""
    opportunity: Opportunity
    state: State
    lacks: str
    asked: str = ""
    deadline_s: int | None = None
    due_us: int | None = None
    """When the answer is due by ledger time; None where no clock runs."""
    answers: tuple[Answer, ...] = ()
    entries: tuple[int, ...] = ()
    """Ledger indices of the question, claims and rulings."""
    grades: tuple[str, ...] = ()
    """Evidence grades of the claims and confirmations that explain it."""
    supervised: bool = False
    """Under customs' supervision at the time."""

    @property
    def verdict(self) -> str:
        return _VERDICT[self.state]

    def detail(self) -> dict[str, Any]:
        """The verdict's own explanation, facts only: equal whenever the same facts are recorded."""
        it = self.opportunity
        return {
            "answers": [answer._asdict() for answer in self.answers],
            "ask": it.askable and self.state == "suspected" and not self.asked,
            "asked": self.asked,
            "confirmed": it.confirmed,
            "deadline_s": self.deadline_s,
            "evidence": list(it.why),
            "extra": list(it.extra),
            "holder": it.holder,
            "lacks": self.lacks,
            "missing": list(it.missing),
            "places": list(it.places),
            "seen": list(it.seen),
            "supervised": self.supervised,
            "suspected": list(it.suspected),
            "units": list(it.units),
        }


def judge(
    it: Opportunity,
    asks: Iterable[Ask],
    claims: Iterable[Claim],
    decisions: Sequence[Decision],
    ledger_time_us: int,
    rules: Rules,
    facts: Circumstances = Circumstances(),
) -> Judgement:
    """Where the opportunity stands when the newest ledger time is `ledger_time_us` (design §2.2)."""
    rule = f"{it.code} {rules.version}"
    own = [ask for ask in asks if (it.confirmed or it.askable) and ask.about(rule, it)]
    ask = min(own, key=lambda ask: (ask.at_us, ask.entry), default=None)
    slack_us = rules.cover_us if it.code == "B5" else 0
    spoken = sorted((c for c in claims if c.covers(it.names, it.from_us, it.to_us, slack_us)), key=lambda c: c.claim_id)
    ruled = [(claim, *ruling(claim, decisions, CUSTOMS if it.code == "B6" else "")) for claim in spoken]
    answers = tuple(
        Answer(
            claim=claim.claim_id,
            code=claim.code,
            by=claim.by,
            lacking=(*_wrong(claim, it), *claim.lacking(facts), *_unnamed(claim, it)),
            ruling=how,
            ruled_by=decision.by if decision else "",
            late=ask is not None and claim.at_us > ask.due_us,
            reported_late=claim.code == "E7" and claim.reported_us() > claim.to_us + rules.report_us,
        )
        for claim, how, decision in ruled
    )
    state, lacks, clock_runs = _state(it, ask, answers, ledger_time_us)
    entries = {claim.entry for claim in spoken} | {decision.entry for _, _, decision in ruled if decision}
    explains = {answer.claim for answer in answers if answer.ruling == "confirmed" and not answer.lacking}
    return Judgement(
        rule=rule,
        opportunity=it,
        state=state,
        lacks=lacks,
        asked=ask.asked if ask else "",
        deadline_s=ask.deadline_s if ask else None,
        due_us=ask.due_us if ask and clock_runs else None,
        answers=answers,
        entries=tuple(sorted(entries | ({ask.entry} if ask else set()))),
        grades=tuple(
            grade
            for claim, _, decision in ruled
            if decision and claim.claim_id in explains
            for grade in (claim.grade, decision.grade)
        ),
        supervised=facts.supervised,
    )


def _wrong(claim: Claim, it: Opportunity) -> tuple[str, ...]:
    """An exception explains what the handling it tells of can do to goods, and nothing else."""
    return () if claim.code in covered_by(it.code, it.channel) else (f"an exception that covers {it.code}",)


def _unnamed(claim: Claim, it: Opportunity) -> tuple[str, ...]:
    """A claim that lists cases explains those and no others."""
    if not any(unit.startswith("case:") for unit in claim.units):
        return ()
    return tuple(sorted({*it.extra, *it.missing}.difference(claim.units)))


def _state(it: Opportunity, ask: Ask | None, answers: Sequence[Answer], now_us: int) -> tuple[State, str, bool]:
    """(state, what is missing, whether the deadline's clock runs)."""
    full = [answer for answer in answers if not answer.lacking]
    rulings = {answer.ruling for answer in full}
    wants = "; ".join(f"claim {a.claim} ({a.code}) lacks {', '.join(a.lacking)}" for a in answers if a.lacking)
    if "confirmed" in rulings:
        return "explained", "", False
    if not it.confirmed:
        return "suspected", "; ".join(filter(None, (it.lacks, wants))), False
    if "refused by authority" in rulings:
        return "standing", wants, False
    if "refused" in rulings:
        return "disputed", "an authority's ruling: the other party refused the claim", False
    if ask is None:
        return "suspected", "; ".join(filter(None, (it.lacks or "the question to the holder", wants))), False
    if any(answer.ruling == "open" and not answer.late for answer in full):
        return "asked", "the other party or an authority to confirm or refuse the claim", False
    if now_us > ask.due_us:
        return "standing", wants or ("" if full else "an answer"), False
    return "asked", wants or "an answer", True


# What was published


class Current(NamedTuple):
    """A row of the verdict table, as the emitter compares it."""

    rule: str
    subject: str
    channel: str
    from_us: int
    to_us: int | None
    verdict: str
    state: str
    detail: str
    weakest_grade: str
    entries: tuple[int, ...]

    @property
    def severity(self) -> Severity:
        return severity_of(self.rule, self.verdict, self.detail)


class Published(NamedTuple):
    """The last entry of one finding id."""

    finding: str
    n: int
    rule: str
    subject: str
    channel: str
    from_us: int
    to_us: int | None
    verdict: str
    state: str
    entry: int
    """Ledger index of that entry."""
    first_entry: int
    """Ledger index of the id's first entry: the older of two ids."""
    at_us: int = 0
    """Ledger time of `entry`."""
    stated_severity: str = ""
    """Empty: as its rule and verdict have it by themselves."""

    @property
    def severity(self) -> str:
        return self.stated_severity or severity_of(self.rule, self.verdict)


WITHDRAWN = "withdrawn"
SETTLED = ("explained", "closed")
"""States in which a finding asks nothing of anybody any more, though it stands."""
Event = Literal["raised", "escalated", "de-escalated", "closed", "superseded", "withdrawn"]
EVENTS: tuple[Event, ...] = ("raised", "escalated", "de-escalated", "closed", "superseded", "withdrawn")


class Change(NamedTuple):
    """What the next entry of a finding has to say: `row`, or that it is withdrawn."""

    finding: str
    n: int
    before: Published | None
    row: Current | None

    @property
    def event(self) -> Event:
        """What happened to the finding, the gravest first: one that grew more serious while it ended has escalated.

        raised: new, or open again. superseded: bounds, state or verdict are others, and it is as serious as before.
        """
        if self.row is None:
            return "withdrawn"
        if self.before is None or self.before.state == WITHDRAWN:
            return "raised"
        worse = rank(self.row.severity) - rank(self.before.severity)
        if worse > 0:
            return "escalated"
        is_settled, was_settled = self.row.state in SETTLED, self.before.state in SETTLED
        if is_settled != was_settled:
            return "closed" if is_settled else "raised"
        return "de-escalated" if worse < 0 else "superseded"


def changes(current: Iterable[Current], published: Iterable[Published]) -> list[Change]:
    """The difference between what is concluded now and what was said last; empty where nothing differs.

    A segment that moved, grew or swallowed another keeps the oldest id that overlaps it (design §4.10); an id nothing
    overlaps any more is withdrawn. A concluded segment that comes back takes up its old id.
    """
    last = {item.finding: item for item in published}
    by_lane: dict[tuple[str, str, str], list[Published]] = {}
    for item in sorted(last.values(), key=lambda item: item.first_entry):
        if item.state != WITHDRAWN:
            by_lane.setdefault((item.rule, item.subject, item.channel), []).append(item)
    taken: set[str] = set()
    found = []
    for row in sorted(current, key=lambda row: row[:4]):
        before = _heir(row, by_lane.get(row[:3], ()), taken)
        name = before.finding if before else _new_id(row, taken, last)
        before = last.get(name)
        taken.add(name)
        if before is None or _differs(row, before):
            found.append(Change(name, before.n + 1 if before else 1, before, row))
    gone = [item for lane in by_lane.values() for item in lane if item.finding not in taken]
    return found + [Change(item.finding, item.n + 1, item, None) for item in gone]


def _differs(row: Current, said: Published) -> bool:
    return (said.from_us, said.to_us, said.verdict, said.state, said.severity) != (*row[3:7], row.severity)


def finding_id(rule: str, subject: str, channel: str, from_us: int, again: int = 0) -> str:
    """32 hex digits over what the finding was about when first published."""
    text = "\n".join((rule, subject, channel, str(from_us), *([str(again)] if again else ())))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _heir(row: Current, lane: Sequence[Published], taken: set[str]) -> Published | None:
    return next((item for item in lane if item.finding not in taken and _overlap(row, item)), None)


def _overlap(row: Current, item: Published) -> bool:
    if row.from_us == item.from_us:
        return True
    row_goes_on = row.to_us is None or item.from_us < row.to_us
    return row_goes_on and (item.to_us is None or row.from_us < item.to_us)


def _new_id(row: Current, taken: set[str], last: Mapping[str, Published]) -> str:
    """Its own hash; the next free one where a segment that has since moved away still carries that."""
    names = (finding_id(row.rule, row.subject, row.channel, row.from_us, again) for again in count())
    return next(name for name in names if name not in taken and (name not in last or last[name].state == WITHDRAWN))
