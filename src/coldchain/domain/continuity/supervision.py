"""B6: a confirmed break of goods under customs' supervision, or before their treatment (domain §3).

Supervision is recorded by orders: `{"order": "customs-supervision", "id", "act": "begin" | "release", "units": [names],
"time_us", "kind": "customs" | "treatment"}` under the key `order/customs-supervision/<id>/<n>`. Without a customs feed
they read as shown by whoever recorded them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from coldchain.domain.continuity.model import Opportunity
from coldchain.domain.exceptions import ClaimError
from coldchain.domain.identifiers import IdentifierError, subject_name

ORDER = "customs-supervision"
BEGIN, RELEASE = "begin", "release"
KINDS = ("customs", "treatment")
_LIMIT = 2**53


class Act(NamedTuple):
    """One order about one unit."""

    unit: str
    time_us: int
    act: str
    kind: str
    key: str
    by: str


class Span(NamedTuple):
    """Supervised during [from_us, to_us]; to_us None: not released yet."""

    unit: str
    kind: str
    from_us: int
    to_us: int | None
    by: str
    """Who said that it began."""


def parse_supervision(body: Mapping[str, Any], key: str, by: str) -> tuple[Act, ...]:
    """What an order says of each unit it names. Raises ClaimError naming the field at fault."""
    act, kind, time_us, units = (body.get(name) for name in ("act", "kind", "time_us", "units"))
    if act not in (BEGIN, RELEASE):
        raise ClaimError(f"act: expected {BEGIN} or {RELEASE}, found {act!r}")
    kind = KINDS[0] if kind is None else kind
    if kind not in KINDS:
        raise ClaimError(f"kind: expected {' or '.join(KINDS)}, found {kind!r}")
    if type(time_us) is not int or abs(time_us) >= _LIMIT:
        raise ClaimError(f"time_us: expected microseconds below 2^53, found {time_us!r}")
    if not isinstance(units, list) or not units or not all(isinstance(unit, str) for unit in units):
        raise ClaimError(f"units: expected at least one subject name, found {units!r}")
    if not isinstance(body.get("id"), str) or not key.startswith(f"order/{ORDER}/{body['id']}/"):
        raise ClaimError(f"key: expected order/{ORDER}/<id>/<n>, found {key!r}")
    try:
        names = sorted({subject_name(unit) for unit in units})
    except IdentifierError as error:
        raise ClaimError(f"units: {error}") from error
    return tuple(Act(unit, time_us, act, kind, key, by) for unit in names)


def supervised(acts: Iterable[Act]) -> tuple[Span, ...]:
    """When each unit was supervised, the same for any order and repetition of the acts."""
    spans: list[Span] = []
    begun: dict[tuple[str, str], Act] = {}
    for act in sorted(set(acts), key=lambda one: (one.time_us, one.act != BEGIN, one)):
        lane = act.unit, act.kind
        if act.act == BEGIN:
            begun.setdefault(lane, act)
        elif lane in begun:
            first = begun.pop(lane)
            spans.append(Span(*lane, first.time_us, act.time_us, first.by))
    spans += [Span(*lane, first.time_us, None, first.by) for lane, first in begun.items()]
    return tuple(sorted(spans, key=lambda span: (span.unit, span.kind, span.from_us)))


def under(spans: Iterable[Span], names: Iterable[str], it: Opportunity) -> Span | None:
    """The supervision that lasted from before the break to after it: what may have happened outside it is not B6."""
    wanted = set(names)
    for span in spans:
        if span.unit in wanted and span.from_us <= it.from_us and (span.to_us is None or it.end_us <= span.to_us):
            return span
    return None


def while_supervised(
    found: Sequence[Opportunity], spans: Sequence[Span], names: Iterable[str]
) -> Iterable[Opportunity]:
    """B6 for each confirmed break, beside it: another question, that only customs' confirmation answers."""
    wanted = tuple(names)
    for it in found:
        span = under(spans, wanted, it) if it.confirmed else None
        if span is not None:
            told = f"{span.unit} was under {span.kind} supervision, as shown by {span.by}"
            yield it._replace(code="B6", channel=f"{it.code} {it.channel}".strip(), seen=(*it.seen, told))
