"""Lawful exceptions E1 to E11: claimed by one party, confirmed by the other or by an authority (domain §3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

CUSTOMS = "customs"
AUTHORITIES = frozenset({"inspector", CUSTOMS})
"""Roles that end a dispute."""
PAPER = "paper"
"""Role of a confirmation copied from a paper, kept by its hash: weaker than anybody's own word."""

_LIMIT = 2**53
"""Numbers stay below it, where every JSON reader and both databases agree (ledger §2.1)."""
_MAX_DIGITS = 9
"""Of the number of a decision: 32 bits hold it."""
_HEX = frozenset("0123456789abcdef")

Needs = tuple[tuple[str, ...], ...]
"""Each inner tuple is one thing needed, any of its fields will do."""

MINIMUM: Mapping[str, Needs] = {
    "E1": (("date",), ("office",), ("order_no", "notice_photo"), ("old_seal",), ("new_seal",)),
    "E2": (("sheet",), ("who",), ("lot",), ("quantity",), ("stock_before",), ("stock_after",)),
    "E3": (("container",), ("seal_check",), ("site",), ("tally",)),
    "E4": (("case", "lot"), ("case", "count"), ("operator",), ("reason",)),
    "E5": (("site_licence",), ("inputs",), ("outputs",), ("mass_balance",), ("link",)),
    "E6": (("order",), ("lots",), ("counts",), ("residual",)),
    "E7": (("report",), ("vehicle_from",), ("vehicle_to",), ("cause",), ("count",)),
    "E8": (("order",), ("authority",), ("quantity",)),
    "E9": (("old_unit",), ("new_unit",), ("recount",), ("reason",)),
    "E10": (("certificate", "operator"), ("agent",)),
    "E11": (("work_order", "waybill"), ("place",), ("count_before",), ("count_after",)),
}
"""Without these the break is not authorised. Codes that are not listed are recorded and authorise nothing."""

_HOLDER: tuple[str, Needs] = ("holder_changes", (("tally_from",), ("tally_to",)))
_SUPERVISED: tuple[str, Needs] = ("supervised", (("customs_permission",),))
_ON_CONDITION: Mapping[str, tuple[tuple[str, Needs], ...]] = {"E7": (_SUPERVISED,), "E11": (_HOLDER, _SUPERVISED)}
"""What is needed beside, where the claim itself states the condition or the facts do."""

COVERS: Mapping[str, frozenset[str]] = {
    "E1": frozenset(("P2", "P5", "P7", "B1", "B3", "B5")),
    "E2": frozenset(("P2", "P5", "B1", "B5")),
    "E3": frozenset(("P2", "P5", "B3", "B4", "B5")),
    "E4": frozenset(("P2", "P5", "B1", "B2")),
    "E5": frozenset(("P2", "P3", "P4", "P5", "B1", "B2")),
    "E6": frozenset(("P2", "P3", "P4", "P5")),
    "E7": frozenset(("P2", "P7", "B3", "B4", "B5")),
    "E8": frozenset(("P2", "P5", "P7", "B1", "B3", "B4", "B5")),
    "E9": frozenset(("P1", "P2", "P3", "P4", "P5", "P6")),
    "E10": frozenset(("P7", "B1", "B3", "B5")),
    "E11": frozenset(("P1", "P2", "P3", "P4", "P5", "P6", "P7", "B1", "B4", "B5")),
}
"""Which breaks the handling that an exception tells of can have made (domain §3): taking samples leaves a pallet on its
board. Nothing explains travel faster than goods can; B6 is covered by what covers the break it is about."""


class ClaimError(ValueError):
    """A document that is no exception claim, or an order that decides none; the text says which field."""


class Circumstances(NamedTuple):
    """What the facts, not the claim, say about the handling in question."""

    supervised: bool = False
    """Under customs' supervision at the time."""
    registered: Callable[[str], bool] = lambda place: True
    """Whether a place was a registered site then."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`by` says that what happened to these units or at these places in [from_us, to_us] was lawful."""

    claim_id: str
    code: str
    by: str
    units: tuple[str, ...]
    places: tuple[str, ...]
    from_us: int
    to_us: int
    evidence: Mapping[str, Any]
    at_us: int
    """When the ledger received it: whether it came before the deadline."""
    entry: int = -1
    grade: str = "declared"

    def lacking(self, facts: Circumstances = Circumstances()) -> tuple[str, ...]:
        """The fields of the minimum evidence that are not there, alternatives joined by `|`; then what contradicts
        itself."""
        if self.code not in MINIMUM:
            return (f"a rule for {self.code}",)
        needs = list(MINIMUM[self.code])
        for condition, more in _ON_CONDITION.get(self.code, ()):
            if self.evidence.get(condition) or (condition == "supervised" and facts.supervised):
                needs += more
        missing = ["|".join(fields) for fields in needs if not any(_stated(self.evidence.get(f)) for f in fields)]
        return tuple(dict.fromkeys(missing)) or _contradictions(self, facts)

    def covers(self, names: Iterable[str], from_us: int, to_us: int | None, slack_us: int = 0) -> bool:
        """Whether it speaks of one of these units or places at an overlapping time."""
        upto = from_us if to_us is None else to_us
        in_time = self.from_us - slack_us <= upto and from_us <= self.to_us + slack_us
        return in_time and not {*self.units, *self.places}.isdisjoint(names)

    def reported_us(self) -> int:
        """When the handling was reported: as the claim states it (`report` in microseconds), else when the ledger took
        the claim."""
        stated = self.evidence.get("report")
        return stated if type(stated) is int else self.at_us


def covered_by(code: str, channel: str) -> frozenset[str]:
    """The exceptions that can explain a break of this code; for B6 the channel names the break it is about."""
    about, _, rest = channel.partition(" ") if code == "B6" else (code, "", channel)
    if about == "P6" and rest.startswith("travel"):
        return frozenset()
    return frozenset(exception for exception, codes in COVERS.items() if about in codes)


def _contradictions(claim: Claim, facts: Circumstances) -> tuple[str, ...]:
    """What complete evidence says that cannot be: stock that does not fall by the sample, an unregistered site."""
    if claim.code == "E2":
        before, after, taken = (_number(claim.evidence[name]) for name in ("stock_before", "stock_after", "quantity"))
        if before is None or after is None or taken is None or before - after != taken:
            return ("stock_after that falls by quantity",)
    if claim.code == "E3" and not facts.registered(str(claim.evidence["site"])):
        return ("a registered site",)
    return ()


def _number(stated: Any) -> Decimal | None:
    """Of a number, or of one in text, as sheets have it."""
    try:
        number = Decimal(str(stated))
    except InvalidOperation:
        return None
    return number if number.is_finite() and -_LIMIT < number < _LIMIT else None


@dataclass(frozen=True, slots=True)
class Decision:
    """An order that confirms or refuses a claim, or a paper that confirms it; of those entitled to decide an authority
    counts most and a paper least, then the highest `n`."""

    claim_id: str
    n: int
    confirmed: bool
    by: str
    role: str
    at_us: int
    entry: int = -1
    grade: str = "declared"


Ruling = Literal["open", "confirmed", "refused", "refused by authority"]


def ruling(claim: Claim, decisions: Iterable[Decision], only: str = "") -> tuple[Ruling, Decision | None]:
    """Where the claim stands. Nobody confirms his own claim, but he may show a paper that does; once an authority
    ruled, only authorities rule again. only: the role whose confirmation alone counts."""
    entitled = [d for d in decisions if d.claim_id == claim.claim_id and (d.by != claim.by or d.role == PAPER)]
    if only:
        entitled = [d for d in entitled if d.role == only or not d.confirmed]
    if not entitled:
        return "open", None
    last = max(entitled, key=lambda d: (d.role in AUTHORITIES, d.role != PAPER, d.n))
    if last.confirmed:
        return "confirmed", last
    return ("refused by authority" if last.role in AUTHORITIES else "refused"), last


def parse_claim(body: Mapping[str, Any], by: str, at_us: int, entry: int = -1, grade: str = "declared") -> Claim:
    """The claim a document states. `by` is whoever recorded it, whatever the document says. Raises ClaimError."""
    from_us, to_us = _field(body, "from_us", int), _field(body, "to_us", int)
    return Claim(
        claim_id=_field(body, "id", str),
        code=_field(body, "code", str),
        by=by,
        units=_texts(body, "units"),
        places=_texts(body, "places"),
        from_us=from_us,
        to_us=max(from_us, to_us),
        evidence=_field(body, "evidence", dict, {}),
        at_us=at_us,
        entry=entry,
        grade=grade,
    )


def parse_decision(
    body: Mapping[str, Any], key: str, by: str, at_us: int, entry: int = -1, grade: str = "declared"
) -> Decision:
    """The ruling an order states, under its key `order/claim-decision/<claim>/<n>`; `by` as for a claim. ClaimError."""
    decision = _field(body, "decision", str)
    if decision not in ("confirmed", "refused"):
        raise ClaimError(f"decision: expected confirmed or refused, found {decision!r}")
    n = key.rpartition("/")[2]
    if not (n.isascii() and n.isdecimal() and len(n) <= _MAX_DIGITS):
        raise ClaimError(
            f"key: expected order/claim-decision/<claim>/<n>, n of 1 to {_MAX_DIGITS} digits, found {key!r}"
        )
    role = _field(body, "role", str, "")
    if role == PAPER:
        raise ClaimError(f"role: {PAPER!r} is for papers, found it in an order")
    return Decision(_field(body, "claim", str), int(n), decision == "confirmed", by, role, at_us, entry, grade)


def parse_paper(body: Mapping[str, Any], by: str, at_us: int, entry: int = -1) -> tuple[str, Decision]:
    """The SHA-256 of a paper that confirms a claim, and the confirmation, graded `transcribed`. Raises ClaimError."""
    digest = _field(body, "sha256", str)
    if len(digest) != 64 or not _HEX.issuperset(digest):
        raise ClaimError(f"sha256: expected 64 hex digits of the paper kept, found {digest!r}")
    return digest, Decision(_field(body, "claim", str), 0, True, by, PAPER, at_us, entry, "transcribed")


def _stated(value: Any) -> bool:
    """A count of 0 is a statement; an empty text or list is none, nor is `false`."""
    return bool(value) or (value == 0 and not isinstance(value, bool))


def _field(body: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = body.get(name)
    value = default if value is None else value
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ClaimError(f"{name}: expected {kind.__name__}, found {value!r}")
    if isinstance(value, int) and abs(value) >= _LIMIT:
        raise ClaimError(f"{name}: expected an integer below 2^53, found {value!r}")
    if isinstance(value, str) and not value.isprintable():
        raise ClaimError(f"{name}: expected text without control characters, found {value!r}")
    return value


def _texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ClaimError(f"{name}: expected a list of subject names, found {values!r}")
    return tuple(sorted(set(values)))
