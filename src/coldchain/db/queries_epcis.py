"""Conditions of an EPCIS query as SQL, pages of its answer by ledger position, and which values there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, literal, or_, select

from coldchain.db.queries_api import BadQuery, decode_cursor, encode_cursor
from coldchain.db.tables.epcis import PLACES, epcis_attribute, epcis_child, epcis_event, epcis_number, epcis_text
from coldchain.services.epcis_conditions import (
    Condition,
    Either,
    Exists,
    HasAttribute,
    Numbers,
    Query,
    Texts,
    When,
    Within,
)
from coldchain.services.epcis_query import QueryTooComplex

MAX_SORTED = 20_000
"""Events that are sorted by an extension field at most: there is no index in that order."""

COMMON = 2_000
"""Events with a value from which on they are not collected before the page is made."""

_event, _text, _number = epcis_event.c, epcis_text.c, epcis_number.c
_FOUND = (_event.seq, _event.event_id, _event.at_us)


class QueryTooLarge(Exception):
    """More events than the query said it would take; the text has both numbers."""


@dataclass(frozen=True, slots=True)
class Found:
    """One event of an answer: where its JSON is, and when it was recorded."""

    seq: int
    event_id: str
    at_us: int

    @property
    def entry(self) -> int:
        return self.seq // PLACES

    @property
    def place(self) -> int:
        """In the entry's document, from 0."""
        return self.seq % PLACES


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, and the token of the page after them."""

    events: Sequence[Found]
    token: str | None


def newest_seq(connection: Connection) -> int:
    """Of the newest event; -1 where there is none."""
    found = connection.scalar(select(func.max(_event.seq)))
    return -1 if found is None else int(found)


def query_page(connection: Connection, query: Query, per_page: int, token: str | None = None) -> Page:
    """The first page, or the one after the page that gave the token.

    All pages are of what was recorded when the first was read, whatever is captured meanwhile: none of it repeats, none
    is missing. Raises BadQuery for a foreign token, QueryTooLarge, QueryTooComplex.
    """
    keys, types = _order(query)
    if token is None:
        newest, left, after = newest_seq(connection), query.limit, None
        _check_size(connection, query, newest)
    else:
        newest, remaining, *after_key = decode_cursor(token, int, int, *([str] * len(keys)))
        left, after = (None if remaining < 0 else remaining), _unpacked(after_key, types)
    wanted = per_page if left is None else min(per_page, left)
    statement = _matching(connection, query, select(*_FOUND, *keys), newest)
    if after is not None:
        statement = statement.where(_beyond(keys, after, descending=query.descending))
    order = [key.desc() if query.descending else key.asc() for key in keys]
    rows = connection.execute(statement.order_by(*order).limit(wanted + 1)).all()
    kept = rows[:wanted]
    rest = None if left is None else left - len(kept)
    following = None
    if len(rows) > wanted and rest != 0:
        following = encode_cursor(newest, -1 if rest is None else rest, *map(_packed, kept[-1][len(_FOUND) :]))
    return Page([Found(*row[: len(_FOUND)]) for row in kept], following)


def query_after(connection: Connection, query: Query, after: int, newest: int, limit: int) -> list[Found]:
    """Matching events recorded beyond `after` and up to `newest`, in the order of recording, at most `limit`."""
    statement = _matching(connection, query, select(*_FOUND), newest, after)
    rows = connection.execute(statement.order_by(_event.seq).limit(limit)).all()
    return [Found(*row) for row in rows]


def seq_before(connection: Connection, at_us: int) -> int:
    """Of the newest event recorded before a time; -1 where there is none."""
    found = connection.scalar(select(func.max(_event.seq)).where(_event.at_us < at_us))
    return -1 if found is None else int(found)


def known_texts(connection: Connection, field: str, texts: Iterable[str]) -> set[str]:
    """Which of the texts some event has in the field."""
    wanted = sorted(set(texts))
    query = select(_text.text).where(_text.field == field, _text.text.in_(wanted)).distinct()
    return set(connection.scalars(query)) if wanted else set()


def any_event(connection: Connection, query: Query) -> bool:
    """Whether there is an event that meets the query."""
    statement = _matching(connection, query, select(_event.seq), newest_seq(connection))
    return connection.execute(statement.limit(1)).first() is not None


def values_of(connection: Connection, fields: Sequence[str], after: str, limit: int) -> list[str]:
    """Different values of the fields beyond `after`, in byte order; each costs a look at the index, however common."""
    found: list[str] = []
    while len(found) < limit:
        nexts = [
            connection.scalar(select(func.min(_text.text)).where(_text.field == field, _text.text > after))
            for field in fields
        ]
        known = [text for text in nexts if text is not None]
        if not known:
            break
        after = min(known, key=str.encode)
        found.append(after)
    return found


# Order


def _order(query: Query) -> tuple[list[ColumnElement[Any]], tuple[type, ...]]:
    """The columns an answer is ordered by, the position last, and their types in a token."""
    if query.order_by in ("", "recordTime"):  # positions grow with the time of recording (ledger §3.6)
        return [_event.seq], (int,)
    if query.order_by == "eventTime":
        return [_event.event_time_us, _event.seq], (int, int)
    field = query.order_by
    amount = select(func.min(_number.value)).where(
        _number.seq == _event.seq, _number.field.in_((field, f"{field}@time"))
    )
    text = select(func.min(_text.text)).where(_text.seq == _event.seq, _text.field == field)
    keys = [
        func.coalesce(amount.scalar_subquery(), literal(-1e308)),
        func.coalesce(text.scalar_subquery(), literal("")),
        _event.seq,
    ]
    return keys, (float, str, int)


def _packed(value: Any) -> str:
    """A key in printable text, exactly."""
    if isinstance(value, str):
        return value.encode().hex()
    return value.hex() if isinstance(value, float) else str(value)


def _unpacked(packed: Sequence[str], types: Sequence[type]) -> tuple[Any, ...]:
    try:
        return tuple(_READ[kind](text) for kind, text in zip(types, packed, strict=True))
    except (ValueError, OverflowError) as error:
        raise BadQuery("nextPageToken: not one that this query gave") from error


def _position(text: str) -> int:
    if not -(2**63) <= (found := int(text)) < 2**63:
        raise ValueError(text)
    return found


_READ: dict[type, Callable[[str], Any]] = {
    int: _position,
    float: float.fromhex,
    str: lambda text: bytes.fromhex(text).decode(),
}


def _beyond(keys: Sequence[ColumnElement[Any]], after: Sequence[Any], *, descending: bool) -> ColumnElement[bool]:
    """What follows the row with these keys."""
    cases = []
    for place, (key, value) in enumerate(zip(keys, after, strict=True)):
        same = [one == known for one, known in zip(keys[:place], after[:place], strict=True)]
        cases.append(and_(*same, key < value if descending else key > value))
    return or_(*cases)


def _check_size(connection: Connection, query: Query, newest: int) -> None:
    """Raises QueryTooLarge, QueryTooComplex before anything is read."""
    sorted_by_field = query.order_by not in ("", "eventTime", "recordTime")
    most = min(query.max_count or MAX_SORTED, MAX_SORTED) if sorted_by_field else query.max_count
    if most is None:
        return
    matching = _matching(connection, query, select(_event.seq), newest).limit(most + 1).subquery()
    if (connection.scalar(select(func.count()).select_from(matching)) or 0) <= most:
        return
    if query.max_count is not None and most == query.max_count:
        raise QueryTooLarge(f"more than maxEventCount={most} events match; ask for fewer, or page with perPage")
    raise QueryTooComplex(f"orderBy {query.order_by}: more than {MAX_SORTED} events match; narrow the query")


# Conditions


def _matching(
    connection: Connection, query: Query, statement: Select[Any], newest: int, after: int = -1
) -> Select[Any]:
    span = _Span(connection, after, newest)
    conditions = [_condition(condition, span) for condition in query.conditions]
    conditions += _few_at_time(query, span)
    if query.by is not None:
        conditions.append(_event.by == query.by)
    # Asked in the order of event time, SQLite would still walk along the positions, which it then has to sort.
    position = _event.seq + 0 if query.order_by == "eventTime" else _event.seq
    return statement.where(position > after, position <= newest, *conditions)


def _few_at_time(query: Query, span: _Span) -> list[ColumnElement[bool]]:
    """The events of a narrow stretch of event time by themselves, where another order would pass by all others."""
    stretch = [
        _compared(_event.event_time_us, one.comparison, one.t_us)
        for one in query.conditions
        if isinstance(one, When) and one.column == "event_time_us"
    ]
    if not stretch or query.order_by == "eventTime":
        return []
    found = select(_event.seq).where(*stretch)
    many = span.connection.scalar(select(func.count()).select_from(found.limit(COMMON).subquery()))
    return [] if (many or 0) >= COMMON else [_event.seq.in_(found.correlate(None))]


@dataclass(frozen=True, slots=True)
class _Span:
    """Positions that matter, so that a look into an index reads no more of it."""

    connection: Connection
    after: int
    newest: int

    def of(self, seq: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(seq > self.after, seq <= self.newest)


def _condition(condition: Condition, span: _Span) -> ColumnElement[bool]:
    match condition:
        case Texts(fields, values, starts):
            wanted = _alternatives(values, starts)
            return (
                _is_one_of_many(fields, wanted)
                if not starts and _is_common(fields, wanted, span)
                else _has_text(fields, wanted, span)
            )
        case Numbers(fields, comparison, values):
            wanted = or_(*(_compared(_number.value, comparison, value) for value in values))
            return _event.seq.in_(select(_number.seq).where(_number.field.in_(fields), wanted, span.of(_number.seq)))
        case When(column, comparison, t_us):
            return _compared(_event[column], comparison, t_us)
        case Exists(fields):
            return _has_text(fields, None, span)
        case Within(field, names):
            return _has_text((field,), or_(_text.text.in_(names), _text.text.in_(_below(names))), span)
        case HasAttribute(field, attributes, values):
            return _has_text((field,), _text.text.in_(_described(attributes, values)), span)
        case Either(conditions):
            return or_(*(_condition(one, span) for one in conditions))


def _has_text(fields: Sequence[str], wanted: ColumnElement[bool] | None, span: _Span) -> ColumnElement[bool]:
    found = select(_text.seq).where(_text.field.in_(fields), span.of(_text.seq))
    return _event.seq.in_(found if wanted is None else found.where(wanted))


def _is_common(fields: Sequence[str], wanted: ColumnElement[bool], span: _Span) -> bool:
    """Whether so many events have it that a page of them is found sooner by looking at events one by one."""
    found = select(_text.seq).where(_text.field.in_(fields), wanted, span.of(_text.seq)).limit(COMMON).subquery()
    return (span.connection.scalar(select(func.count()).select_from(found)) or 0) >= COMMON


def _is_one_of_many(fields: Sequence[str], wanted: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same as `_has_text`, asked of each event in turn: a page of a common value ends where it is full."""
    return exists().where(_text.seq == _event.seq, _text.field.in_(fields), wanted)


def _alternatives(values: Sequence[str], starts: Sequence[str]) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = [_text.text.in_(values)] if values else []
    # The column is compared byte by byte, so everything that begins so lies between.
    wanted += [and_(_text.text >= start, _text.text < _next(start)) for start in starts]
    return or_(*wanted)


def _next(start: str) -> str:
    """The least text that is greater than every one that begins so."""
    return start[:-1] + chr(ord(start[-1]) + 1)


def _compared(column: ColumnElement[Any], comparison: str, value: float | int) -> ColumnElement[bool]:
    match comparison:
        case "EQ":
            return column == value
        case "GT":
            return column > value
        case "GE":
            return column >= value
        case "LT":
            return column < value
    return column <= value


def _below(names: Sequence[str]) -> Select[Any]:
    """Everything within the places. UNION leaves out what is there already, so a circle ends."""
    within = select(epcis_child.c.child.label("name")).where(epcis_child.c.parent.in_(names))
    tree = within.cte("places", recursive=True)
    deeper = select(epcis_child.c.child).join(tree, epcis_child.c.parent == tree.c.name)
    return select(tree.union(deeper).c.name)


def _described(attributes: Sequence[str], values: Sequence[str]) -> Select[Any]:
    found = select(epcis_attribute.c.name).where(epcis_attribute.c.attribute.in_(attributes))
    return found.where(epcis_attribute.c.value.in_(values)) if values else found
