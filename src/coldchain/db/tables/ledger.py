"""The ledger's own tables. All keys start with the log's number, so that shards can share a database."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from coldchain.db.tables import metadata

BytewiseText = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared byte by byte on both databases: index order does not depend on a locale, and prefix scans use the index."""

entry = Table(
    "entry",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
"""The entries' bytes, and nothing that repeats them: a column nobody hashes is a column somebody can edit. With a rowid
on SQLite: without one, what exceeds 2 kB of an entry takes a page of its own. Old ones are in `bundle` instead."""

bundle = Table(
    "bundle",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
"""Entries n*256..n*256+255, compressed (`coldchain.db.bundles`). Triggers let entries go once their bundle is here."""

entry_key = Table(
    "entry_key",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("key", BytewiseText, primary_key=True),
    Column("idx", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Idempotency keys, sorted as text: those of one device lie side by side."""

recent_key = Table(
    "recent_key",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("key", BytewiseText, primary_key=True),
    Column("idx", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Keys of the newest entries. A batch of a thousand devices touches a thousand pages of a large `entry_key`, and moving
sixteen batches at once touches no more. Without it SQLite took 7 µs an entry when empty and 24 with three million keys;
with it 8 and 11. On PostgreSQL, which logs rows and not pages, it stays empty."""

subject = Table(
    "subject",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("no", Integer, primary_key=True, autoincrement=False),
    Column("name", BytewiseText, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    UniqueConstraint("log", "name"),
    CheckConstraint("length(digest) = 32", "digest_length"),
    CheckConstraint("count > 0", "count_positive"),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "80"},
)
"""Subjects with the head of their chain (ledger §5.2), the one ledger row that is rewritten all the time."""

subject_entry = Table(
    "subject_entry",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("prev", BigInteger),
    sqlite_with_rowid=False,
)
"""Each entry points at the one before it that names the same subject. Written in ledger order, so appending costs the
same at any size; sorted by subject it fell to a half at three million entries."""

tile = Table(
    "tile",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    CheckConstraint("length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0", "hashes_length"),
)

edge = Table(
    "edge",
    metadata,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
    CheckConstraint("size >= 0", "size_positive"),
    CheckConstraint("length(root) = 32", "root_length"),
)
"""The right edge, one row a log: what a restart checks the rest against (ledger §3.6)."""

blob = Table(
    "blob",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    CheckConstraint("length(sha256) = 32", "sha256_length"),
)
"""Bytes too large for an entry, by their hash (ledger §2.3); the same for every log."""
