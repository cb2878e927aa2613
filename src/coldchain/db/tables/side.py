"""Tables beside the ledger: known here only, untouched by a rebuild."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from coldchain.db.tables import metadata

rejected = Table(
    "rejected",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(None, "device", "at_us"),
    Index(None, "at_us"),
)
"""Messages refused at the door; capped per sender and day, expiring. `device` is whose topic it came on, unproven."""

reject_tally = Table(
    "reject_tally",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
"""Every refusal counted, kept or not: what becomes one `reject` entry an hour (design §4.3)."""

broker_account = Table(
    "broker_account",
    metadata,
    Column("username", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("org", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("nats_hash", Text, nullable=False),
    Column("mosquitto_hash", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)
"""Who may connect to the broker, with one password hash for each make of broker."""

projection_table = Table(
    "projection_table",
    metadata,
    Column("name", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
)
"""The projection tables that exist and the definition they were all made from (docs/decisions/0003-migrations.md)."""

epcis_job = Table(
    "epcis_job",
    metadata,
    Column("no", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("org", Text, nullable=False),
    Column("behaviour", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    Column("faults", Text, nullable=False),
    Column("entries", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("data", LargeBinary),
    Index("ix_epcis_job_finished_us", "finished_us", "no"),
)
"""Documents taken in to be recorded. data: the document, until that is done. faults, entries: JSON lists."""

epcis_query = Table(
    "epcis_query",
    metadata,
    Column("org", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sees_all", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)
"""Named queries of each organisation. body: the parameters as JSON. sees_all: whether every sender's events are."""

epcis_subscription = Table(
    "epcis_subscription",
    metadata,
    Column("id", Text, primary_key=True),
    Column("org", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("dest", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("report_if_empty", Boolean, nullable=False),
    Column("initial_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("notified_us", BigInteger),
    Column("cursor", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("fault", Text, nullable=False),
    Column("token", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(["org", "query"], ["epcis_query.org", "epcis_query.name"], ondelete="CASCADE"),
    Index("ix_epcis_subscription_query", "org", "query"),
    Index("ix_epcis_subscription_due_us", "due_us"),
)
"""Who is told of what a named query finds. cursor: position of the last event told (db/tables/epcis.py); it advances
when the receiver said 2xx. due_us: not tried before. schedule: JSON, empty for a stream."""
