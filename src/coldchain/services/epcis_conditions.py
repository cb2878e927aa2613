"""What a query asks of an event. An event meets a query when it meets every condition."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """One of the fields has one of the values, or one that starts like one of `starts`."""

    fields: tuple[str, ...]
    values: tuple[str, ...]
    starts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Numbers:
    """One of the fields has a number that compares so with one of the values."""

    fields: tuple[str, ...]
    comparison: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class When:
    """The event's own time, or the time it was recorded, microseconds."""

    column: str
    comparison: str
    t_us: int


@dataclass(frozen=True, slots=True)
class Exists:
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """The place is one of these, or below one of them by the master data of documents (EPCIS 2.0 §6.5)."""

    field: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasAttribute:
    """The master data of the event's place has one of the attributes, with one of the values if any are given."""

    field: str
    attributes: tuple[str, ...]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    conditions: tuple[Condition, ...]


Condition = Texts | Numbers | When | Exists | Within | HasAttribute | Either


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted, in which order, and how many at most."""

    conditions: tuple[Condition, ...] = ()
    order_by: str = ""
    """`eventTime`, `recordTime`, an extension field as indexed; empty: as recorded."""
    descending: bool = False
    limit: int | None = None
    max_count: int | None = None
    by: str | None = None
    """Only events that this organisation sent; None: everybody's."""
