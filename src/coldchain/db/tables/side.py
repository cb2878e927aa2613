"""Tables beside the ledger: known here only, untouched by a rebuild."""

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, LargeBinary, Table, Text

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
