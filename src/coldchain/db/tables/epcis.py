"""What EPCIS queries search: one row for each event, and one for each value that can be asked about.

An event's JSON is not repeated here: it is read from its ledger entry. `seq` says where: index · 1024 + the event's
place in its document, so that the order of `seq` is the order of recording.
"""

from sqlalchemy import BigInteger, Column, Float, Index, String, Table, Text

from coldchain.db.tables import metadata
from coldchain.db.tables.ledger import BytewiseText

PLACES = 1_024
"""Events of one entry at most: 48 KiB hold some 700 of the shortest."""

_PROVENANCE = {"provenance": True}


def _seq() -> Column[int]:
    return Column("seq", BigInteger, primary_key=True, autoincrement=False, info=_PROVENANCE)


epcis_event = Table(
    "epcis_event",
    metadata,
    _seq(),
    Column("key", String(32), nullable=False, unique=True),
    Column("event_id", Text, nullable=False),
    Column("event_time_us", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("by", Text, nullable=False),
    Index("ix_epcis_event_event_time_us", "event_time_us", "seq"),
    Index("ix_epcis_event_at_us", "at_us"),
    Index("ix_epcis_event_by", "by", "seq"),
)
"""key: names content and sender. at_us: when it was first recorded, EPCIS's recordTime."""

epcis_text = Table(
    "epcis_text",
    metadata,
    Column("field", BytewiseText, primary_key=True),
    Column("text", BytewiseText, primary_key=True),
    _seq(),
    sqlite_with_rowid=False,
)
"""Names, words and texts of an event by field (services/epcis_fields.py)."""

epcis_number = Table(
    "epcis_number",
    metadata,
    Column("field", BytewiseText, primary_key=True),
    Column("value", Float(53), primary_key=True),
    _seq(),
    sqlite_with_rowid=False,
)
"""Quantities, measures in SI and times in microseconds by field."""

epcis_child = Table(
    "epcis_child",
    metadata,
    Column("parent", BytewiseText, primary_key=True),
    Column("child", BytewiseText, primary_key=True),
    sqlite_with_rowid=False,
)
"""Places within places, as the master data of documents say."""

epcis_attribute = Table(
    "epcis_attribute",
    metadata,
    Column("name", BytewiseText, primary_key=True),
    Column("attribute", BytewiseText, primary_key=True),
    Column("value", BytewiseText, primary_key=True),
    sqlite_with_rowid=False,
)
"""Master data of places and things. Several documents may say different things; all of them are here."""
