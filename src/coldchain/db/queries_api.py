"""What the HTTP side reads: plain SQL in one place, lists by keyset and never more than a page."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, func, or_, select

from coldchain.db.tables.cursor import cursor
from coldchain.db.tables.events import finding, unit_segment
from coldchain.db.tables.side import rejected
from coldchain.db.tables.telemetry import (
    channel,
    device,
    device_key,
    device_mounting,
    device_state,
    segment,
)
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.findings import SETTLED, WITHDRAWN
from coldchain.domain.severity import SEVERITIES, rank
from coldchain_ledger.store import Store

CLOSED = (*SETTLED, WITHDRAWN)
"""States in which a finding asks nothing of anybody any more."""

Rows = Sequence[Any]


class NotKnown(Exception):
    """There is nothing by that name or number; the text says what was looked for."""


class BadQuery(Exception):
    """A parameter that no answer fits; the text names it."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How far ledger and projections are."""

    size: int
    at_us: int
    root: bytes
    folded: int
    """Entries that every projection has seen."""

    @property
    def lag(self) -> int:
        return max(0, self.size - self.folded)


def ledger_state(engine: Engine, store: Store, log: int) -> LedgerState:
    """One reading of both. Cursors are read first, so that the lag is never too small."""
    with engine.connect() as connection:
        folded = connection.scalar(select(func.min(cursor.c.next_index)).where(cursor.c.log == log)) or 0
    with store.snapshot() as snapshot:
        edge = snapshot.edge()
    if edge is None:
        raise NotKnown("this log was not created yet")
    return LedgerState(edge.size, edge.at_us, edge.root, folded)


# Paging


def encode_cursor(*key: int | str) -> str:
    """Where the next page starts, as one opaque word."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(text: str, *types: type) -> tuple[Any, ...]:
    """The key `encode_cursor` was given. Raises BadQuery for any other text."""
    try:
        key = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise BadQuery("query cursor: not one that this server gave") from error
    if not isinstance(key, list) or tuple(map(type, key)) != types or not all(map(_storable, key)):
        raise BadQuery("query cursor: not one that this list gave")
    return tuple(key)


def _storable(part: int | str) -> bool:
    """Whether a database takes it in a comparison."""
    return part.isprintable() if isinstance(part, str) else abs(part) < 2**63


def page(connection: Connection, query: Select[Any], limit: int, key: str) -> tuple[Rows, str | None]:
    """At most `limit` rows, and the cursor of the next page where there is one; `key` is the column paged by."""
    rows = connection.execute(query.limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], encode_cursor(getattr(rows[limit - 1], key))


# Devices

_DEVICE = select(
    device,
    device_state.c.boot,
    device_state.c.seq,
    device_state.c.last_us,
    device_state.c.battery,
    device_state.c.at_us,
).outerjoin(device_state, device_state.c.device_no == device.c.device_no)


def devices(connection: Connection, after: str | None, limit: int, org: str | None = None) -> tuple[Rows, str | None]:
    """Devices by name, with their newest message; of one organisation, or of all."""
    query = _DEVICE.order_by(device.c.device)
    if org is not None:
        query = query.where(device.c.org == org)
    if after is not None:
        query = query.where(device.c.device > decode_cursor(after, str)[0])
    return page(connection, query, limit, "device")


def device_row(connection: Connection, name: str) -> Row[Any]:
    """Raises NotKnown."""
    row = connection.execute(_DEVICE.where(device.c.device == name)).one_or_none()
    if row is None:
        raise NotKnown(f"no device {name!r}")
    return row


def is_device(connection: Connection, name: str) -> bool:
    return connection.scalar(select(device.c.device_no).where(device.c.device == name)) is not None


def probes(connection: Connection, device_nos: Iterable[int]) -> Mapping[int, list[Row[Any]]]:
    """Temperature probes of each device, by name, each with its newest reading and its state at the newest time the
    ledger knows. Of a probe that fell silent the fold stands where its readings ended (`lost`); the segment that is
    open tells what holds since."""
    found: dict[int, list[Row[Any]]] = {}
    c, s = channel.c, segment.c
    still = and_(s.device_no == c.device_no, s.channel == c.channel, s.to_us.is_(None))
    judged = func.coalesce(s.state, c.state).label("state"), func.coalesce(s.from_us, c.since_us).label("since_us")
    columns = (c.device_no, c.channel, *judged, c.last_us, c.last_mc)
    query: Select[Any] = select(*columns).outerjoin_from(channel, segment, still)
    for row in connection.execute(query.where(c.device_no.in_(list(device_nos))).order_by(c.channel)):
        found.setdefault(row.device_no, []).append(row)
    return found


def device_keys(connection: Connection, name: str) -> Rows:
    """Every key the device ever had, in the order they were enrolled."""
    query = select(device_key).where(device_key.c.device == name).order_by(device_key.c.enrolled_index)
    return connection.execute(query).all()


def mountings(connection: Connection, device_no: int) -> Rows:
    """Where the device was, oldest first."""
    query = select(device_mounting).where(device_mounting.c.device_no == device_no)
    return connection.execute(query.order_by(device_mounting.c.at_us)).all()


def conspicuous_segments(connection: Connection, device_no: int, from_us: int, to_us: int) -> Rows:
    """Stretches of any probe within [from, to) that are not in range."""
    c = segment.c
    query = select(segment).where(c.device_no == device_no, c.state != "in_range", c.from_us < to_us)
    return connection.execute(query.where(or_(c.to_us.is_(None), c.to_us > from_us))).all()


class Posting(NamedTuple):
    """A device at a place from one time to another; to_us None: it still is there."""

    device: str
    profile: str
    from_us: int
    to_us: int | None


def devices_at(connection: Connection, place: str) -> list[Posting]:
    """Every device that was ever mounted there. Its first mounting also holds before it was recorded."""
    c = device_mounting.c
    ever_there = select(c.device_no).where(c.place == place)
    query = (
        select(device_mounting, device.c.device)
        .join(device, device.c.device_no == c.device_no)
        .where(c.device_no.in_(ever_there))
        .order_by(device.c.device, c.at_us)
    )
    found = []
    for name, mounted in groupby(connection.execute(query).all(), key=lambda row: row.device):
        rows = list(mounted)
        starts = [0, *(row.at_us for row in rows[1:])]
        ends = [*starts[1:], None]
        found += [
            Posting(name, row.profile, from_us, to_us)
            for row, from_us, to_us in zip(rows, starts, ends, strict=True)
            if row.place == place
        ]
    return found


# Findings


class Only(NamedTuple):
    """The published findings that whoever asks may see."""

    where: ColumnElement[bool]
    """All of them, and some more."""
    shown: Callable[[Connection, Rows], Rows]
    """Of rows of `finding` that `where` lets pass, those."""


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """What of the published findings is wanted; None: no matter."""

    current: bool = True
    """The newest entry of each, else every entry."""
    is_open: bool | None = None
    subject: str | None = None
    state: str | None = None
    verdict: str | None = None
    rule: str | None = None
    """How its name starts."""
    severity: str | None = None
    """As serious as that at least."""
    only: Only | None = None


def findings(connection: Connection, wanted: FindingFilter, after: str | None, limit: int) -> tuple[Rows, str | None]:
    """Published findings, the newest first."""
    query = _those(wanted).order_by(finding.c.entry.desc())
    following = after
    found: list[Row[Any]] = []
    while True:
        rest = query if following is None else query.where(finding.c.entry < decode_cursor(following, int)[0])
        rows, following = page(connection, rest, limit, "entry")
        found += _shown(connection, wanted.only, rows)
        if following is None or len(found) >= limit:
            break
    return found[:limit], encode_cursor(found[limit - 1].entry) if len(found) > limit else following


class Told(NamedTuple):
    """What was published since."""

    rows: Rows
    upto: int
    """Entry to go on after."""
    is_all: bool


def findings_after(connection: Connection, wanted: FindingFilter, after: int, limit: int) -> Told:
    """Those of the next `limit` published after a ledger entry, in the order of the ledger."""
    query = _those(wanted).where(finding.c.entry > after).order_by(finding.c.entry).limit(limit)
    rows = connection.execute(query).all()
    return Told(_shown(connection, wanted.only, rows), rows[-1].entry if rows else after, len(rows) < limit)


def _shown(connection: Connection, only: Only | None, rows: Rows) -> Rows:
    return rows if only is None else only.shown(connection, rows)


def _those(wanted: FindingFilter) -> Select[Any]:
    c = finding.c
    query = select(finding)
    if wanted.current:
        query = query.where(c.current)
    if wanted.is_open is not None:
        query = query.where(c.state.not_in(CLOSED) if wanted.is_open else c.state.in_(CLOSED))
    for column, value in ((c.subject, wanted.subject), (c.state, wanted.state), (c.verdict, wanted.verdict)):
        if value is not None:
            query = query.where(column == value)
    if wanted.rule is not None:
        query = query.where(c.rule.startswith(wanted.rule, autoescape=True))
    if wanted.severity is not None:
        query = query.where(c.severity.in_(SEVERITIES[rank(wanted.severity) :]))
    return query if wanted.only is None else query.where(wanted.only.where)


def finding_life(connection: Connection, finding_id: str, only: Only | None = None) -> Rows:
    """Every published entry of one finding, oldest first; those that whoever asks may see. Raises NotKnown."""
    query = select(finding).where(finding.c.finding == finding_id).order_by(finding.c.n)
    rows = _shown(connection, only, connection.execute(query if only is None else query.where(only.where)).all())
    if not rows:
        raise NotKnown(f"no finding {finding_id!r}")
    return rows


def count_open_findings(connection: Connection, subject: str | None = None) -> int:
    """How many findings are open, in all or about one subject."""
    query = select(func.count()).where(finding.c.current, finding.c.state.not_in(CLOSED))
    if subject is not None:
        query = query.where(finding.c.subject == subject)
    return connection.scalar(query) or 0


# Units


def units_seen(connection: Connection, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """Pallets with at least two observations, by name."""
    query = select(unit_segment.c.unit).distinct().order_by(unit_segment.c.unit)
    if after is not None:
        query = query.where(unit_segment.c.unit > decode_cursor(after, str)[0])
    rows, following = page(connection, query, limit, "unit")
    return [row.unit for row in rows], following


def units_in_question(connection: Connection, limit: int) -> list[str]:
    """Pallets whose continuity is not simply whole, the newest first."""
    c = verdict.c
    query = (
        select(c.subject)
        .where(c.source == "continuity", or_(c.subject.startswith("sscc:"), c.subject.startswith("hu:")))
        .group_by(c.subject)
        .order_by(func.max(c.from_us).desc(), c.subject)
        .limit(limit)
    )
    return list(connection.scalars(query))


def segment_verdicts(connection: Connection, units: Iterable[str]) -> Mapping[str, list[str]]:
    """The different verdicts of each unit's segments."""
    c = unit_segment.c
    found: dict[str, list[str]] = {}
    for row in connection.execute(select(c.unit, c.verdict).distinct().where(c.unit.in_(list(units)))):
        found.setdefault(row.unit, []).append(row.verdict)
    return found


# Refused messages


def rejects(connection: Connection, device_name: str | None, after: str | None, limit: int) -> tuple[Rows, str | None]:
    """Messages refused at the door, the newest first; without their bytes."""
    columns = [column for column in rejected.columns if column.name != "data"]
    query = select(*columns).order_by(rejected.c.id.desc())
    if device_name is not None:
        query = query.where(rejected.c.device == device_name)
    if after is not None:
        query = query.where(rejected.c.id < decode_cursor(after, int)[0])
    return page(connection, query, limit, "id")
