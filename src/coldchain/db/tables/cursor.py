"""How far each projection has followed the ledger."""

from sqlalchemy import BigInteger, Column, SmallInteger, String, Table

from coldchain.db.tables import metadata

cursor = Table(
    "cursor",
    metadata,
    Column("projection", String(64), primary_key=True),
    Column("log", SmallInteger, primary_key=True),
    Column("next_index", BigInteger, nullable=False, info={"provenance": True}),
    Column("ledger_time_us", BigInteger, nullable=False, info={"provenance": True}),
)
