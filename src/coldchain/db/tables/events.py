"""What events say: the events themselves, containment, continuity, questions and answers, published findings."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from coldchain.db.tables import metadata

_PROVENANCE = {"provenance": True}


def _time_key(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


event = Table(
    "event",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("action", String(8), nullable=False),
    Column("biz_step", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("takes_all", Boolean, nullable=False),
    Column("data", Text, nullable=False),
    Column("grade", String(16), nullable=False),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
    Index("ix_event_event_id", "event_id"),
    sqlite_with_rowid=False,
)
"""key: names content and sender (domain/events.py). data: the event as JSON. grade: the strongest it was recorded with.
entry: the first ledger index that holds it."""

event_unit = Table(
    "event_unit",
    metadata,
    Column("unit", Text, primary_key=True),
    _time_key("time_us"),
    Column("key", String(32), primary_key=True),
    Column("role", String(10), primary_key=True),
    Index("ix_event_unit_key", "key"),
    sqlite_with_rowid=False,
)
"""Which events name a subject, and as what: parent, child, input, output, read_point, location, quantity."""

containment = Table(
    "containment",
    metadata,
    Column("child", Text, primary_key=True),
    Column("parent", Text, primary_key=True),
    _time_key("from_us"),
    Column("to_us", BigInteger),
    Column("why", Text, nullable=False),
    Index("ix_containment_parent", "parent", "to_us"),
    sqlite_with_rowid=False,
)
"""child was in parent during [from_us, to_us); NULL: still is. why: JSON list of event keys."""

containment_move = Table(
    "containment_move",
    metadata,
    Column("source", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    _time_key("time_us"),
    Column("entered", Boolean, primary_key=True),
    Column("why", Text, nullable=False),
    Index("ix_containment_move_unit", "unit"),
    sqlite_with_rowid=False,
)
"""Changes nobody declared that the readings of `source` confirm (continuity, P2)."""

containment_doubt = Table(
    "containment_doubt",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Index("ix_containment_doubt_unit", "unit"),
    sqlite_with_rowid=False,
)
"""Tags that ever deviated at a read of `unit`: their sightings anywhere bear on its history."""

unit_segment = Table(
    "unit_segment",
    metadata,
    Column("unit", Text, primary_key=True),
    _time_key("from_us"),
    Column("to_us", BigInteger, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("because", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""One of the five verdicts for each stretch between two observations of a pallet. because: JSON list of
[rule, subject, channel, from_us] of the verdicts within it."""

claim = Table(
    "claim",
    metadata,
    Column("claim", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger, nullable=False),
    Column("units", Text, nullable=False),
    Column("places", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("grade", String(16), nullable=False),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Exceptions claimed. units, places: JSON lists of subject names; evidence: JSON object."""

claim_decision = Table(
    "claim_decision",
    metadata,
    Column("claim", Text, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("paper", String(64), primary_key=True),
    Column("confirmed", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("grade", String(16), nullable=False),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Rulings on claims. paper: SHA-256 of the paper that confirms it, hex; "" for an order."""

ask = Table(
    "ask",
    metadata,
    Column("finding", Text, primary_key=True, info=_PROVENANCE),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("channel", Text),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger, nullable=False),
    Column("deadline_s", BigInteger, nullable=False),
    Column("asked", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
    Index("ix_ask_subject", "subject"),
)
"""Questions put to holders; the deadline runs from at_us, when the ledger took the question. channel: NULL in questions
that name none."""

continuity_deadline = Table(
    "continuity_deadline",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("rule", String(96), primary_key=True),
    Column("channel", Text, primary_key=True),
    _time_key("from_us"),
    Column("due_us", BigInteger, nullable=False, info=_PROVENANCE),
    Index("ix_continuity_deadline_due_us", "due_us"),
)
"""Verdicts that change by time alone: judged again once ledger time is past due_us."""

door_mount = Table(
    "door_mount",
    metadata,
    Column("device", Text, primary_key=True),
    _time_key("since_us"),
    Column("until_us", BigInteger),
    Column("n", Integer, nullable=False),
    Column("place", Text, nullable=False),
    Column("org", Text, nullable=False),
    Column("grade", String(16), nullable=False),
    Index("ix_door_mount_place", "place"),
)
"""Where a device was mounted during [since_us, until_us): where its newest key `<device>#<n>` says, since ever; then
where `mount` orders do."""

door_sample = Table(
    "door_sample",
    metadata,
    Column("device", Text, primary_key=True),
    Column("door", Text, primary_key=True),
    _time_key("t_us"),
    Column("open", Boolean, primary_key=True),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
    sqlite_with_rowid=False,
)
"""Every readable `door/*` sample; the mounting may be recorded after it."""

door_window = Table(
    "door_window",
    metadata,
    Column("device", Text, primary_key=True),
    Column("door", Text, primary_key=True),
    _time_key("from_us"),
    Column("to_us", BigInteger),
    Column("seen_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""A door seen open at from_us and up to seen_us, closed at to_us; NULL: not seen closed yet."""

finding = Table(
    "finding",
    metadata,
    Column("finding", String(32), primary_key=True, info=_PROVENANCE),
    Column("n", Integer, primary_key=True, autoincrement=False, info=_PROVENANCE),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger),
    Column("verdict", String(32), nullable=False),
    Column("state", String(32), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("event", String(16), nullable=False, info=_PROVENANCE),
    Column("detail", Text, nullable=False),
    Column("current", Boolean, nullable=False, info=_PROVENANCE),
    Column("basis", BigInteger, nullable=False, info=_PROVENANCE),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
    Column("first_entry", BigInteger, nullable=False, info=_PROVENANCE),
    Index("ix_finding_subject", "subject", "rule", "channel"),
    Index("ix_finding_current", "current", "entry"),
    Index("ix_finding_entry", "entry"),
)
"""Every published finding entry. current: the newest of its id. basis: tree size it was concluded from. event: what
happened to the finding since the entry before (`coldchain.domain.findings.Change.event`)."""

finding_ack = Table(
    "finding_ack",
    metadata,
    Column("finding", String(32), primary_key=True, info=_PROVENANCE),
    Column("n", Integer, primary_key=True, autoincrement=False, info=_PROVENANCE),
    Column("by", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("name_sealed", String(64), nullable=False),
    Column("comment", Text, nullable=False),
    Column("seen", BigInteger, nullable=False, info=_PROVENANCE),
    Column("at_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("entry", BigInteger, nullable=False, info=_PROVENANCE),
)
"""Who acknowledged a finding with which comment. seen: the newest entry of the finding that they had seen. name_sealed:
digest of the person's name, "" where none was given."""
