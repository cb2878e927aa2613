"""What works in the background for the EPCIS interface: telling subscribers."""

from __future__ import annotations

from sqlalchemy import Engine

from coldchain.bootstrap.webhooks import Webhooks
from coldchain.db.epcis_subscriptions import SqlSubscriptions
from coldchain.db.queries_epcis import newest_seq
from coldchain.projections.epcis_answers import look_beyond
from coldchain.services.epcis_subscriptions import Delivery, Look, Maker, NamedQuery
from coldchain.services.ports import Clock
from coldchain_ledger.store import Store


def delivery(engine: Engine, store: Store, clock: Clock, maker: Maker, *, private: bool) -> Delivery:
    """Tells subscribers what their queries find."""

    def newest() -> int:
        with engine.connect() as connection:
            return newest_seq(connection)

    def find(query: NamedQuery, cursor: int, subscription: str) -> Look:
        return look_beyond(engine, store, clock, query, cursor, subscription)

    return Delivery(SqlSubscriptions(engine), find, newest, Webhooks(private=private).post, clock, maker)
