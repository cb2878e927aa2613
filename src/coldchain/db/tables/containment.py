"""What was in what by number and weight, which seals and boards belonged to what, and statements that contradict."""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from coldchain.db.tables import metadata


def _time_key(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


quantity_step = Table(
    "quantity_step",
    metadata,
    Column("parent", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    _time_key("time_us"),
    Column("act", String(8), primary_key=True),
    Column("key", String(32), primary_key=True),
    Column("amount_milli", BigInteger, nullable=False),
    Column("maybe", Boolean, nullable=False),
    Index("ix_quantity_step_key", "key"),
    sqlite_with_rowid=False,
)
"""What each event that counts does to which line (`coldchain.domain.quantities.Step`)."""

quantity_span = Table(
    "quantity_span",
    metadata,
    Column("parent", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    _time_key("from_us"),
    Column("to_us", BigInteger),
    Column("least_milli", BigInteger, nullable=False),
    Column("most_milli", BigInteger),
    Column("why", Text, nullable=False),
    Index("ix_quantity_span_item", "item", "to_us"),
    Index("ix_quantity_span_parent", "parent", "to_us"),
    sqlite_with_rowid=False,
)
"""Between least and most thousandths of the goods were in parent during [from_us, to_us). most NULL: unknown. to_us
NULL: as far as is known they still are. why: JSON list of event keys."""

containment_conflict = Table(
    "containment_conflict",
    metadata,
    Column("item", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("parent", Text, primary_key=True),
    Column("other", Text, primary_key=True),
    Column("rule", String(32), primary_key=True),
    _time_key("from_us"),
    _time_key("to_us"),
    Column("stated_milli", BigInteger),
    Column("least_milli", BigInteger),
    Column("most_milli", BigInteger),
    Column("why", Text, nullable=False),
    Index("ix_containment_conflict_parent", "parent"),
    sqlite_with_rowid=False,
)
"""Statements that contradict each other (`domain.containment.Conflict`, `domain.quantities.Fault`). item: the unit, or
the goods; the amounts are NULL for units. why: JSON list of event keys."""

seal_fact = Table(
    "seal_fact",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("seal", String(40), primary_key=True),
    Column("key", String(32), primary_key=True),
    Column("act", String(8), primary_key=True),
    Column("issuer", String(40), primary_key=True),
    Column("klass", String(1), primary_key=True),
    Column("state", String(10), primary_key=True),
    Column("time_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Index("ix_seal_fact_seal", "seal"),
    Index("ix_seal_fact_key", "key"),
    sqlite_with_rowid=False,
)
"""Every statement about a seal in an event that counts (`coldchain.domain.seals.SealFact`)."""

board_fact = Table(
    "board_fact",
    metadata,
    Column("load", Text, primary_key=True),
    Column("board", Text, primary_key=True),
    Column("key", String(32), primary_key=True),
    Column("act", String(8), primary_key=True),
    Column("time_us", BigInteger, nullable=False),
    Column("point", Text, nullable=False),
    Column("by", Text, nullable=False),
    Index("ix_board_fact_board", "board"),
    Index("ix_board_fact_key", "key"),
    sqlite_with_rowid=False,
)
"""Every statement about a load and its board in an event that counts (`coldchain.domain.boards.BoardFact`)."""

goods_fact = Table(
    "goods_fact",
    metadata,
    Column("item", Text, primary_key=True),
    Column("key", String(32), primary_key=True),
    Column("hs", String(13), primary_key=True),
    Column("product", Text, primary_key=True),
    Column("time_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Index("ix_goods_fact_key", "key"),
    sqlite_with_rowid=False,
)
"""Every statement of the kind of goods in an event that counts (`coldchain.domain.commodities.GoodsFact`)."""
