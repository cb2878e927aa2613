"""Broker accounts as the database keeps them: what a broker's user file is rendered from, never a password."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, insert, select, update

from coldchain.db.tables.side import broker_account


class StoredAccount(NamedTuple):
    """One account; `role`: device, gateway, server or probe. Empty org, site and device where the role has none."""

    username: str
    role: str
    org: str
    site: str
    device: str
    nats_hash: str
    mosquitto_hash: str


def save_account(connection: Connection, account: StoredAccount, created_us: int) -> None:
    """The account is in force after the commit; one of that user name before it is replaced, and its password dead."""
    connection.execute(delete(broker_account).where(broker_account.c.username == account.username))
    connection.execute(insert(broker_account).values(**account._asdict(), active=True, created_us=created_us))


def close_account(connection: Connection, username: str) -> bool:
    """Whether there was an account in force to close; it is out of force after the commit."""
    found = (broker_account.c.username == username) & broker_account.c.active
    return connection.execute(update(broker_account).where(found).values(active=False)).rowcount > 0


def active_accounts(engine: Engine) -> list[StoredAccount]:
    """Every account in force, by user name."""
    columns = [broker_account.c[name] for name in StoredAccount._fields]
    query = select(*columns).where(broker_account.c.active).order_by(broker_account.c.username)
    with engine.connect() as connection:
        return [StoredAccount(*row) for row in connection.execute(query)]
