"""Named queries and subscriptions in the side tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, func, insert, or_, select, update

from coldchain.db.engine import writing
from coldchain.db.queries_api import NotKnown, decode_cursor, encode_cursor
from coldchain.db.tables.side import epcis_query, epcis_subscription
from coldchain.services.epcis_subscriptions import (
    MAX_QUERIES,
    MAX_SUBSCRIPTIONS,
    NamedQuery,
    NameTaken,
    Subscription,
    SubscriptionRefused,
)

_query, _sub = epcis_query.c, epcis_subscription.c


class SqlSubscriptions:
    """Kept in the database, so that a restart forgets nobody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_query(self, query: NamedQuery) -> None:
        """Raises NameTaken."""
        with writing(self._engine) as connection:
            count = select(func.count()).where(_query.org == query.org)
            if (connection.scalar(count) or 0) >= MAX_QUERIES:
                raise NameTaken(f"{query.org} has {MAX_QUERIES} queries, which is as many as it may have")
            if connection.execute(_one(query.org, query.name)).first() is not None:
                raise NameTaken(f"there is a query named {query.name!r}")
            connection.execute(insert(epcis_query).values(_query_row(query)))

    def remove_query(self, org: str, name: str) -> None:
        """Its subscriptions are gone with it. Raises NotKnown."""
        with writing(self._engine) as connection:
            found = connection.execute(delete(epcis_query).where(_query.org == org, _query.name == name))
            if found.rowcount == 0:
                raise NotKnown(f"no query {name!r}")

    def add(self, subscription: Subscription) -> None:
        """Raises SubscriptionRefused beyond what an organisation may have, NotKnown where the query is gone."""
        with writing(self._engine) as connection:
            count = select(func.count()).where(_sub.org == subscription.org)
            if (connection.scalar(count) or 0) >= MAX_SUBSCRIPTIONS:
                raise SubscriptionRefused(
                    f"{subscription.org} has {MAX_SUBSCRIPTIONS} subscriptions, and may not have more"
                )
            if connection.execute(_one(subscription.org, subscription.query)).first() is None:
                raise NotKnown(f"no query {subscription.query!r}")
            connection.execute(insert(epcis_subscription).values(_subscription_row(subscription)))

    def remove(self, org: str, query: str, subscription: str) -> None:
        """Raises NotKnown."""
        with writing(self._engine) as connection:
            found = connection.execute(delete(epcis_subscription).where(_is(org, query), _sub.id == subscription))
            if found.rowcount == 0:
                raise NotKnown(f"no subscription {subscription!r} to {query!r}")

    def due(self, now_us: int, newest: int) -> list[tuple[Subscription, NamedQuery]]:
        """Those to be looked at now, the longest waiting first; a stream only where newest lies beyond its cursor."""
        query = (
            select(epcis_subscription, _query.body, _query.sees_all, _query.created_us.label("query_us"))
            .join(epcis_query, and_(_query.org == _sub.org, _query.name == _sub.query))
            .where(_sub.due_us <= now_us, or_(~_sub.stream, _sub.cursor < newest))
            .order_by(_sub.due_us, _sub.id)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            (
                _subscription(row),
                NamedQuery(row.org, row.query, json.loads(row.body), bool(row.sees_all), row.query_us),
            )
            for row in rows
        ]

    def advance(self, subscription: Subscription) -> None:
        """Cursor, times and faults as given are durable when it returns; one deleted meanwhile stays deleted."""
        changed = ("cursor", "due_us", "notified_us", "failures", "fault")
        values = {name: getattr(subscription, name) for name in changed}
        with writing(self._engine) as connection:
            connection.execute(update(epcis_subscription).where(_sub.id == subscription.id).values(values))


def named(connection: Connection, org: str, name: str) -> NamedQuery:
    """Raises NotKnown."""
    row = connection.execute(_one(org, name)).one_or_none()
    if row is None:
        raise NotKnown(f"no query {name!r}")
    return _named(row)


def all_named(connection: Connection, org: str, after: str | None, limit: int) -> tuple[list[NamedQuery], str | None]:
    """By name, a page of them."""
    query = select(epcis_query).where(_query.org == org).order_by(_query.name)
    if after is not None:
        query = query.where(_query.name > decode_cursor(after, str)[0])
    found = [_named(row) for row in connection.execute(query.limit(limit + 1))]
    return found[:limit], encode_cursor(found[limit - 1].name) if len(found) > limit else None


def one_subscription(connection: Connection, org: str, query: str, subscription: str) -> Subscription:
    """Raises NotKnown."""
    row = connection.execute(select(epcis_subscription).where(_is(org, query), _sub.id == subscription)).one_or_none()
    if row is None:
        raise NotKnown(f"no subscription {subscription!r} to {query!r}")
    return _subscription(row)


def all_subscriptions(
    connection: Connection, org: str, query: str, after: str | None, limit: int
) -> tuple[list[Subscription], str | None]:
    """Those to one query by id, a page of them."""
    wanted = select(epcis_subscription).where(_is(org, query)).order_by(_sub.id)
    if after is not None:
        wanted = wanted.where(_sub.id > decode_cursor(after, str)[0])
    found = [_subscription(row) for row in connection.execute(wanted.limit(limit + 1))]
    return found[:limit], encode_cursor(found[limit - 1].id) if len(found) > limit else None


def _one(org: str, name: str) -> Any:
    return select(epcis_query).where(_query.org == org, _query.name == name)


def _is(org: str, query: str) -> Any:
    return and_(_sub.org == org, _sub.query == query)


def _query_row(query: NamedQuery) -> Mapping[str, Any]:
    return {
        "org": query.org,
        "name": query.name,
        "sees_all": query.sees_all,
        "body": json.dumps(query.body),
        "created_us": query.created_us,
    }


def _named(row: Row[Any]) -> NamedQuery:
    return NamedQuery(row.org, row.name, json.loads(row.body), bool(row.sees_all), row.created_us)


_COLUMNS = [column.name for column in epcis_subscription.columns]


def _subscription_row(one: Subscription) -> Mapping[str, Any]:
    return {name: getattr(one, name) for name in _COLUMNS} | {"schedule": json.dumps(one.schedule)}


def _subscription(row: Row[Any]) -> Subscription:
    said = {name: getattr(row, name) for name in _COLUMNS}
    flags = {name: bool(said[name]) for name in ("stream", "report_if_empty")}
    return Subscription(**(said | flags | {"schedule": json.loads(row.schedule)}))
