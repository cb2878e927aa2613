"""Ledger tables with the triggers that keep them append-only, and side tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001b"
"""Not 0001: databases so named, made before the first release, lack the triggers before INSERT and are refused."""
down_revision = None

NEVER_CHANGED = ("entry", "entry_key", "recent_key", "subject_entry", "blob")
NEVER_DELETED = ("entry", "entry_key", "subject_entry", "blob", "subject", "tile", "edge")
NOT_SHELVED = "NOT EXISTS (SELECT 1 FROM entry_key AS k WHERE k.log = OLD.log AND k.key = OLD.key AND k.idx = OLD.idx)"
"""A recent key may go when `entry_key` has it."""
FIXED = {
    "subject": "log, no, name",
    "tile": "log, level, n",
    "edge": "log",
}
"""Columns that stay in rows that advance."""
ONLY_GROWS = {
    "subject": ("count", "NEW.count < OLD.count", "the count of a subject never falls"),
    "tile": (
        "hashes",
        "substr(NEW.hashes, 1, length(OLD.hashes)) <> OLD.hashes",
        "a tile only grows: its stored hashes stay a prefix",
    ),
    "edge": (
        "size, root",
        "NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root)",
        "the size of the edge never falls, and one size has one root",
    ),
}
TAKEN = {
    "entry": ["log = NEW.log AND idx = NEW.idx"],
    "entry_key": ["log = NEW.log AND key = NEW.key"],
    "recent_key": ["log = NEW.log AND key = NEW.key"],
    "subject_entry": ["log = NEW.log AND idx = NEW.idx AND subject = NEW.subject"],
    "subject": ["log = NEW.log AND no = NEW.no", "log = NEW.log AND name = NEW.name"],
    "blob": ["sha256 = NEW.sha256 AND data IS NOT NEW.data"],
    "tile": [
        "log = NEW.log AND level = NEW.level AND n = NEW.n AND substr(NEW.hashes, 1, length(hashes)) IS NOT hashes"
    ],
    "edge": ["log = NEW.log AND (NEW.size < size OR (NEW.size = size AND NEW.root IS NOT root))"],
}
"""Rows a new one may not replace. SQLite's INSERT OR REPLACE first takes them away, and without the connection's
`recursive_triggers` no trigger sees that as a DELETE. A trigger before INSERT sees upserts too, so growth may pass."""
WITH_ROWID = ("entry", "blob", "tile", "edge")
"""Tables of SQLite's where OR REPLACE also takes away the row stored under the number that the new one asks for."""


def upgrade() -> None:
    _ledger_tables()
    _side_tables()
    if op.get_context().dialect.name == "postgresql":
        _postgres_triggers()
    else:
        _sqlite_triggers()


def _ledger_tables() -> None:
    bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "entry",
        sa.Column("log", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "idx", name="pk_entry"),
    )
    for table in ("entry_key", "recent_key"):
        op.create_table(
            table,
            sa.Column("log", sa.SmallInteger, autoincrement=False, nullable=False),
            sa.Column("key", bytewise, nullable=False),
            sa.Column("idx", sa.BigInteger, nullable=False),
            sa.PrimaryKeyConstraint("log", "key", name=f"pk_{table}"),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "subject",
        sa.Column("log", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("no", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", bytewise, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "no", name="pk_subject"),
        sa.UniqueConstraint("log", "name", name="uq_subject_log_name"),
        sa.CheckConstraint("length(digest) = 32", name="ck_subject_digest_length"),
        sa.CheckConstraint("count > 0", name="ck_subject_count_positive"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "subject_entry",
        sa.Column("log", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("subject", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("prev", sa.BigInteger),
        sa.PrimaryKeyConstraint("log", "idx", "subject", name="pk_subject_entry"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tile",
        sa.Column("log", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "n", name="pk_tile"),
        sa.CheckConstraint(
            "length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0", name="ck_tile_hashes_length"
        ),
    )
    op.create_table(
        "edge",
        sa.Column("log", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", name="pk_edge"),
        sa.CheckConstraint("size >= 0", name="ck_edge_size_positive"),
        sa.CheckConstraint("length(root) = 32", name="ck_edge_root_length"),
    )
    op.create_table(
        "blob",
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blob"),
        sa.CheckConstraint("length(sha256) = 32", name="ck_blob_sha256_length"),
    )


def _side_tables() -> None:
    op.create_table(
        "rejected",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rejected"),
    )
    op.create_index("ix_rejected_device_at_us", "rejected", ["device", "at_us"])
    op.create_index("ix_rejected_at_us", "rejected", ["at_us"])
    op.create_table(
        "reject_tally",
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hour_us", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sender", "reason", "hour_us", name="pk_reject_tally"),
    )
    op.create_table(
        "broker_account",
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("org", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("nats_hash", sa.Text, nullable=False),
        sa.Column("mosquitto_hash", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("username", name="pk_broker_account"),
    )
    op.create_table(
        "projection_table",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_projection_table"),
    )


def _sqlite_triggers() -> None:
    for table in NEVER_CHANGED:
        _sqlite_trigger(table, "UPDATE", f"{table} is append-only: UPDATE refused")
    for table in NEVER_DELETED:
        _sqlite_trigger(table, "DELETE", f"{table} is append-only: DELETE refused")
    for table, fixed in FIXED.items():
        _sqlite_trigger(table, f"UPDATE OF {fixed}", f"{table} is append-only: its key stays", name="key")
    for table, (columns, offence, law) in ONLY_GROWS.items():
        _sqlite_trigger(table, f"UPDATE OF {columns}", law, f"WHEN {offence}", name="grow")
    for table, taken in TAKEN.items():
        _sqlite_replace_trigger(table, taken)
    for table in ("tile", "edge"):
        offence = "WHEN NEW.rowid IS NOT OLD.rowid"
        _sqlite_trigger(table, "UPDATE", f"{table} is append-only: a row stays where it is", offence)
    _sqlite_trigger("recent_key", "DELETE", "recent_key is append-only until shelved", f"WHEN {NOT_SHELVED}")


def _sqlite_replace_trigger(table: str, taken: list[str]) -> None:
    """RAISE(FAIL) leaves the statement's earlier rows, new ones all; ABORT has SQLite note down for each statement how
    to undo it, which made an append an eighth slower."""
    offences = [f"EXISTS (SELECT 1 FROM {table} WHERE {row})" for row in taken]  # noqa: S608 (names of ours)
    if table in WITH_ROWID:  # NEW.rowid is -1 where the statement asks for none
        offences.append(f"(NEW.rowid > 0 AND EXISTS (SELECT 1 FROM {table} WHERE rowid = NEW.rowid))")  # noqa: S608
    op.execute(
        f"CREATE TRIGGER append_only_{table}_insert BEFORE INSERT ON {table} WHEN {' OR '.join(offences)}"
        f" BEGIN SELECT RAISE(FAIL, '{table} is append-only: a row that is there stays'); END"
    )


def _sqlite_trigger(table: str, event: str, text: str, when: str = "", name: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER append_only_{table}_{name or event.lower()} BEFORE {event} ON {table} {when}"
        f" BEGIN SELECT RAISE(ABORT, '{text}'); END"
    )


def _postgres_triggers() -> None:
    op.execute(
        "CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION '% is append-only: %', TG_TABLE_NAME, coalesce(TG_ARGV[0], TG_OP || ' refused'); END $$"
    )
    for table in NEVER_CHANGED:
        _postgres_trigger(table, "update", "UPDATE")
    for table in (*NEVER_DELETED, "recent_key"):  # PostgreSQL needs no recent keys: that table stays empty
        _postgres_trigger(table, "delete", "DELETE OR TRUNCATE")
    for table, fixed in FIXED.items():
        _postgres_trigger(table, "key", f"UPDATE OF {fixed}")
    for table, (columns, offence, law) in ONLY_GROWS.items():
        _postgres_trigger(table, "grow", f"UPDATE OF {columns}", f"FOR EACH ROW WHEN ({offence})", f"'{law}'")


def _postgres_trigger(table: str, name: str, event: str, each: str = "FOR EACH STATEMENT", law: str = "") -> None:
    trigger = f"append_only_{table}_{name} BEFORE {event} ON {table} {each}"
    op.execute(f"CREATE TRIGGER {trigger} EXECUTE FUNCTION append_only({law})")
