"""Who is who, and whose word counts: projections of `identity` entries, events and the decisions on them."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from coldchain.db.tables import metadata

_PROVENANCE = {"provenance": True}

party = Table(
    "party",
    metadata,
    Column("op", String(16), primary_key=True),
    Column("id", String(160), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("from_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Every version of every registration (`coldchain.domain.parties`). body: the order as recorded, canonical JSON."""

unentitled = Table(
    "unentitled",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("rule", String(8), nullable=False),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("refused", Integer, nullable=False),
    Index("ix_unentitled_name", "name"),
    sqlite_with_rowid=False,
)
"""Events that are recorded and move nothing: their sender had no right to the `place` or `unit` called `name`, which
was `owner`'s. refused: 1 once who may decide said that the event stays without effect."""

restated = Table(
    "restated",
    metadata,
    Column("key", String(32), primary_key=True, info=_PROVENANCE),
    sqlite_with_rowid=False,
)
"""Events recorded earlier whose standing the newest batch changed, so that what was folded from them is folded again in
the same transaction. Emptied by the next batch; no derived fact, so not compared after a rebuild."""
