"""Lawful exceptions E1 and E11: claimed by one party, confirmed by the other or by an authority (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

AUTHORITIES = frozenset({"inspector", "customs"})
"""Roles that end a dispute."""

_TIME_LIMIT = 2**53
"""Integers stay below it, where every JSON reader and both databases agree (ledger §2.1)."""
_MAX_DIGITS = 9
"""Of the number of a decision: 32 bits hold it."""

Needs = tuple[tuple[str, ...], ...]
"""Each inner tuple is one thing needed, any of its fields will do."""

MINIMUM: Mapping[str, Needs] = {
    "E1": (("date",), ("office",), ("order_no", "notice_photo"), ("old_seal",), ("new_seal",)),
    "E11": (("work_order", "waybill"), ("place",), ("count_before",), ("count_after",)),
}
"""Without these the break is not authorised. Codes that are not listed are recorded and authorise nothing."""

_ON_CONDITION: Mapping[str, tuple[tuple[str, Needs], ...]] = {
    "E11": (
        ("holder_changes", (("tally_from",), ("tally_to",))),
        ("supervised", (("customs_permission",),)),
    ),
}
"""What is needed beside, where the claim itself states the condition."""


class ClaimError(ValueError):
    """A document that is no exception claim, or an order that decides none; the text says which field."""


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

    def lacking(self) -> tuple[str, ...]:
        """The fields of the minimum evidence that are not there, alternatives joined by `|`."""
        if self.code not in MINIMUM:
            return (f"a rule for {self.code}",)
        needs = list(MINIMUM[self.code])
        for condition, more in _ON_CONDITION.get(self.code, ()):
            if self.evidence.get(condition):
                needs += more
        return tuple("|".join(fields) for fields in needs if not any(_stated(self.evidence.get(f)) for f in fields))

    def covers(self, names: Iterable[str], from_us: int, to_us: int | None, slack_us: int = 0) -> bool:
        """Whether it speaks of one of these units or places at an overlapping time."""
        upto = from_us if to_us is None else to_us
        in_time = self.from_us - slack_us <= upto and from_us <= self.to_us + slack_us
        return in_time and not {*self.units, *self.places}.isdisjoint(names)


@dataclass(frozen=True, slots=True)
class Decision:
    """An order that confirms or refuses a claim; the highest `n` of those entitled to decide holds."""

    claim_id: str
    n: int
    confirmed: bool
    by: str
    role: str
    at_us: int
    entry: int = -1


Ruling = Literal["open", "confirmed", "refused", "refused by authority"]


def ruling(claim: Claim, decisions: Iterable[Decision]) -> tuple[Ruling, Decision | None]:
    """Where the claim stands. Nobody confirms his own claim; once an authority ruled, only authorities rule again."""
    entitled = [d for d in decisions if d.claim_id == claim.claim_id and d.by != claim.by]
    if not entitled:
        return "open", None
    last = max(entitled, key=lambda d: (d.role in AUTHORITIES, d.n))
    if last.confirmed:
        return "confirmed", last
    return ("refused by authority" if last.role in AUTHORITIES else "refused"), last


def parse_claim(body: Mapping[str, Any], by: str, at_us: int, entry: int = -1) -> Claim:
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
    )


def parse_decision(body: Mapping[str, Any], key: str, by: str, at_us: int, entry: int = -1) -> Decision:
    """The ruling an order states, under its key `order/claim-decision/<claim>/<n>`; `by` as for a claim. ClaimError."""
    decision = _field(body, "decision", str)
    if decision not in ("confirmed", "refused"):
        raise ClaimError(f"decision: expected confirmed or refused, found {decision!r}")
    n = key.rpartition("/")[2]
    if not (n.isascii() and n.isdecimal() and len(n) <= _MAX_DIGITS):
        raise ClaimError(
            f"key: expected order/claim-decision/<claim>/<n>, n of 1 to {_MAX_DIGITS} digits, found {key!r}"
        )
    return Decision(
        claim_id=_field(body, "claim", str),
        n=int(n),
        confirmed=decision == "confirmed",
        by=by,
        role=_field(body, "role", str, ""),
        at_us=at_us,
        entry=entry,
    )


def _stated(value: Any) -> bool:
    """A count of 0 is a statement; an empty text or list is none, nor is `false`."""
    return bool(value) or (value == 0 and not isinstance(value, bool))


def _field(body: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = body.get(name)
    value = default if value is None else value
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ClaimError(f"{name}: expected {kind.__name__}, found {value!r}")
    if isinstance(value, int) and abs(value) >= _TIME_LIMIT:
        raise ClaimError(f"{name}: expected an integer below 2^53, found {value!r}")
    if isinstance(value, str) and not value.isprintable():
        raise ClaimError(f"{name}: expected text without control characters, found {value!r}")
    return value


def _texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ClaimError(f"{name}: expected a list of subject names, found {values!r}")
    return tuple(sorted(set(values)))
