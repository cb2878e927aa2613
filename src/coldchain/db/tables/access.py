"""Side tables of access: tokens and one-time links by the hash of their secret, and personal data sealed away."""

from sqlalchemy import BigInteger, CheckConstraint, Column, LargeBinary, String, Table, Text

from coldchain.db.tables import metadata

api_token = Table(
    "api_token",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("org", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    CheckConstraint("length(digest) = 32", "digest_length"),
)
"""digest: SHA-256 of the whole token, which is `<id>.<secret>`. scopes: words with blanks between them."""

answer_link = Table(
    "answer_link",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("org", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("used_us", BigInteger),
    CheckConstraint("length(digest) = 32", "digest_length"),
)
"""digest: SHA-256 of the link's secret. org: who asks, and in whose name the answer is recorded. question: JSON."""

sealed = Table(
    "sealed",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("salt", LargeBinary),
    Column("value", LargeBinary),
    Column("at_us", BigInteger, nullable=False),
)
"""Personal data that entries name by SHA-256(salt ‖ value), hex (ledger §2.4). kind: plate or person. Salt and value
NULL: erased, and the digest says nothing any more."""
