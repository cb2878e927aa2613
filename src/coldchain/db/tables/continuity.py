"""What continuity is judged from beside events: rules, ties, facts in extension fields, supervision, positions."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from coldchain.db.tables import metadata

_PROVENANCE = {"provenance": True}


def _time_key(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


continuity_rule = Table(
    "continuity_rule",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Versions of the continuity rules recorded in the ledger. body: canonical JSON."""

continuity_tie = Table(
    "continuity_tie",
    metadata,
    Column("name", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Index("ix_continuity_tie_subject", "subject"),
    sqlite_with_rowid=False,
)
"""Events naming `name` bear on the verdicts about `subject`: its cases wherever they are packed, its boards, what was
in a carton."""

continuity_opportunity = Table(
    "continuity_opportunity",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("code", String(4), primary_key=True),
    Column("channel", Text, primary_key=True),
    _time_key("from_us"),
    Column("to_us", BigInteger),
    Column("data", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What the rules see on each subject by itself, before a fact about another bears it out. data: as JSON."""

event_fact = Table(
    "event_fact",
    metadata,
    Column("name", Text, primary_key=True),
    _time_key("time_us"),
    Column("key", String(32), primary_key=True),
    Index("ix_event_fact_key", "key"),
    sqlite_with_rowid=False,
)
"""Subjects an event names only in our own extension fields: boards, sealed units, cartons and what is in them, old ids;
and `opening <site>` for a site's opening count."""

supervision_act = Table(
    "supervision_act",
    metadata,
    Column("unit", Text, primary_key=True),
    _time_key("time_us"),
    Column("key", Text, primary_key=True),
    Column("act", String(8), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("by", Text, nullable=False),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Orders that begin or end supervision of a unit."""

scale = Table("scale", metadata, Column("device", String(64), primary_key=True), sqlite_with_rowid=False)
"""Devices that ever stated a weight."""

door_position = Table(
    "door_position",
    metadata,
    Column("device", Text, primary_key=True),
    _time_key("t_us"),
    Column("lat_e7", BigInteger, primary_key=True, autoincrement=False),
    Column("lon_e7", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Where a device was, from those of its messages that show a door open: few, and all that openings need."""
