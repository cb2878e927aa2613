"""The one emitter of findings: what is concluded now against what was published last (design §4.10)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from coldchain.domain.findings import WITHDRAWN, Change, Current, Published, changes
from coldchain.domain.pacing import Lane, Touched, lane_of, publishable_us
from coldchain.services.chores import canonical
from coldchain_ledger.entry import MAX_PAYLOAD
from coldchain_ledger.log import Draft

MAX_LISTED = 256
"""Evidence entries named by a finding; a breach of days has thousands, and an entry ends at 65,535 bytes. The first and
the last half are named, and how many there are."""
MOST_NAMED = (256, 64, 16)
"""Items kept of each list of a detail that does not fit: a truck may have carried thousands of units. The verdict has
all of them, and so has whoever recomputes it at `basis`. With the last, any detail fits."""
MAX_SUBJECTS = 100
"""Units named beside the subject, so that their chains lead to the finding."""


class Affected(NamedTuple):
    """What was in the places a finding is about, meanwhile, as known when it is published."""

    places: tuple[str, ...]
    units: tuple[str, ...]
    """Outer before inner."""
    units_total: int
    is_all: bool
    """False where there were more units than anybody counted."""
    quantities: tuple[tuple[str, str, int | None], ...]
    """(goods, measure, thousandths at most): None where nobody can tell. Measure "" is cases."""

    def stated(self) -> dict[str, Any]:
        return {
            "places": list(self.places),
            "units": list(self.units[:MAX_LISTED]),
            "units_total": self.units_total,
            "units_all_counted": self.is_all,
            "quantities": [list(line) for line in self.quantities[:MAX_LISTED]],
            "quantities_total": len(self.quantities),
        }


FindAffected = Callable[[str, int, int | None], Affected | None]
"""(subject, from, to) -> None where the subject is no place and no device."""


def _nobody(_subject: str, _from_us: int, _to_us: int | None) -> None:
    return None


def finding_entries(
    by: str,
    current: Iterable[Current],
    published: Iterable[Published],
    basis: int,
    affected: FindAffected = _nobody,
) -> list[Draft]:
    """Entries that bring the published findings to the current verdicts; none where they agree.

    basis: tree size both were read at. Two emitters at once do no harm: they write the same keys, and the log takes the
    first. Never called by a rebuild.
    """
    return [_draft(by, change, basis, affected) for change in changes(current, published)]


class Round(NamedTuple):
    """What to do about the lanes that were looked at."""

    drafts: list[Draft]
    spoken: frozenset[Lane]
    """Lanes of these drafts: to be looked at again once they are recorded."""
    held: dict[Lane, int]
    """Lanes of which nothing is said now, and the ledger time from which something is."""
    agreed: frozenset[Lane]
    """Lanes published as they are."""


def paced_entries(
    by: str,
    current: Iterable[Current],
    published: Iterable[Published],
    basis: int,
    touched: Mapping[Lane, Touched],
    upto_us: int,
    affected: FindAffected = _nobody,
) -> Round:
    """`finding_entries` within the lanes touched, of which `current` and `published` are all; without the changes that
    have to settle first when ledger time is `upto_us` (`domain.pacing`)."""
    differing: dict[Lane, list[Change]] = {}
    for change in changes(current, published):
        differing.setdefault(lane_of(change), []).append(change)
    due_us = {lane: [publishable_us(one, touched[lane]) for one in found] for lane, found in differing.items()}
    said = {
        lane: [one for one, t_us in zip(found, due_us[lane], strict=True) if t_us <= upto_us]
        for lane, found in differing.items()
    }
    return Round(
        drafts=[_draft(by, change, basis, affected) for found in said.values() for change in found],
        spoken=frozenset(lane for lane, found in said.items() if found),
        held={lane: min(due_us[lane]) for lane, found in said.items() if not found},
        agreed=frozenset(touched.keys() - differing.keys()),
    )


def _draft(by: str, change: Change, basis: int, affected: FindAffected) -> Draft:
    said = change.row or change.before
    assert said is not None
    detail = json.loads(change.row.detail) if change.row else {}
    met = affected(said.subject, said.from_us, said.to_us) if change.row else None
    body: dict[str, Any] = {
        "v": 1,
        "id": change.finding,
        "n": change.n,
        "rule": said.rule,
        "subject": said.subject,
        "channel": said.channel,
        "from": said.from_us,
        "to": said.to_us,
        "verdict": said.verdict,
        "state": said.state if change.row else WITHDRAWN,
        "event": change.event,
        "severity": said.severity,
        "basis": basis,
        "supersedes": change.before.entry if change.before else None,
        "detail": detail,
        **_evidence(change.row),
        **({"affected": met.stated()} if met else {}),
    }
    for most in MOST_NAMED:
        if len(canonical(body)) <= MAX_PAYLOAD:
            break
        body["detail"] = _cut(detail, most)
        if met:
            body["affected"] = met._replace(units=met.units[:most], quantities=met.quantities[:most]).stated()
    return Draft(
        kind="finding",
        by=by,
        type="application/json",
        key=f"finding/{change.finding}/{change.n}",
        grade="derived",
        subjects=_subjects(said.subject, detail, met.units if met else ()),
        payload=canonical(body),
    )


def _cut(value: Any, most: int) -> Any:
    """Lists and texts shortened, and of each list in an object how long it was."""
    if isinstance(value, dict):
        lengths = {
            f"{name}_total": len(one) for name, one in value.items() if isinstance(one, list) and len(one) > most
        }
        return {name: _cut(one, most) for name, one in value.items()} | lengths
    if isinstance(value, list):
        return [_cut(one, most) for one in value[:most]]
    return value[: 4 * most] if isinstance(value, str) else value


def _evidence(row: Current | None) -> dict[str, Any]:
    if row is None:
        return {"entries": [], "entries_total": 0}
    half = MAX_LISTED // 2
    listed = row.entries if len(row.entries) <= MAX_LISTED else (*row.entries[:half], *row.entries[-half:])
    return {"entries": list(listed), "entries_total": len(row.entries), "weakest_grade": row.weakest_grade}


def _subjects(subject: str, detail: dict[str, Any], met: Sequence[str]) -> tuple[str, ...]:
    beside = {unit for name in ("extra", "missing", "units") for unit in detail.get(name, ())}
    return tuple(sorted({subject, *[*sorted(beside), *met][:MAX_SUBJECTS]}))
