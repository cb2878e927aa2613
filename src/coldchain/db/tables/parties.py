"""Who is who, and whose word counts: projections of `identity` entries, events and the decisions on them."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

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

device_owner = Table(
    "device_owner",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("org", String(64), nullable=False),
)
"""Whose a device is: what its newest enrolment states, and that one's number."""

unentitled = Table(
    "unentitled",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("rule", String(8), nullable=False),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("refused", Boolean, nullable=False),
    Index("ix_unentitled_name", "name"),
    sqlite_with_rowid=False,
)
"""Events that are recorded and move nothing: their sender had no right to the `place` or `unit` called `name`, which
was `owner`'s. refused: who may decide said that it stays without effect."""

restated = Table(
    "restated",
    metadata,
    Column("key", String(32), primary_key=True, info=_PROVENANCE),
    sqlite_with_rowid=False,
)
"""Events recorded earlier whose standing the newest batch changed, so that what was folded from them is folded again in
the same transaction. Emptied by the next batch; no derived fact, so not compared after a rebuild."""

event_decision = Table(
    "event_decision",
    metadata,
    Column("event", String(32), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("confirmed", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Rulings on events of unentitled parties, whether or not whoever ruled had a say."""

handover_clue = Table(
    "handover_clue",
    metadata,
    Column("taker", Text, primary_key=True),
    Column("clue", Text, primary_key=True),
    Column("key", String(32), primary_key=True),
    Index("ix_handover_clue_key", "key"),
    sqlite_with_rowid=False,
)
"""By what the halves of handovers find each other (`coldchain.domain.handovers.things`). taker "": the clue is what an
event calls a party, be it registered under that name or not."""

handover = Table(
    "handover",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("giver", Text, nullable=False),
    Column("taker", Text, nullable=False),
    Column("shipped_us", BigInteger),
    Column("received_us", BigInteger),
    Column("accepted_us", BigInteger),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
)
"""What passed from whom to whom. shipped_us, received_us NULL: nobody said so. accepted_us: received by the taker's own
word. detail: JSON of both halves and of where they differ."""

handover_link = Table(
    "handover_link",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("handover", String(32), primary_key=True),
    Index("ix_handover_link_handover", "handover"),
    sqlite_with_rowid=False,
)
"""kind: `unit` or lot it speaks of · `event` by which it is stated · `party` that somebody else named in it."""
