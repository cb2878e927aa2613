"""Full bundles of old entries in one compressed row each, and the triggers that let entries go there, and nowhere else.

A trigger cannot look into what is compressed: whether it is those entries, the store checks before they go, and fsck.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INCOMPLETE = (
    "(SELECT count(*) FROM entry WHERE log = NEW.log AND idx >= NEW.n * 256 AND idx < NEW.n * 256 + 256) <> 256"
)
NOT_BUNDLED = "NOT EXISTS (SELECT 1 FROM bundle AS b WHERE b.log = OLD.log AND b.n = OLD.idx / 256)"
STAYS = "is append-only: a row that is there stays"


def upgrade() -> None:
    op.create_table(
        "bundle",
        sa.Column("log", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "n", name="pk_bundle"),
    )
    if op.get_context().dialect.name == "postgresql":
        _postgres_triggers()
    else:
        _sqlite_triggers()


def _sqlite_triggers() -> None:
    op.execute("DROP TRIGGER append_only_entry_delete")
    _sqlite_trigger("entry", "delete", f"DELETE ON entry WHEN {NOT_BUNDLED}", "entry is append-only: DELETE refused")
    # As it was, and: no entry takes the place of one that was moved. RAISE(FAIL): see the first migration.
    op.execute("DROP TRIGGER append_only_entry_insert")
    taken = (
        "EXISTS (SELECT 1 FROM entry WHERE log = NEW.log AND idx = NEW.idx)"
        " OR (NEW.rowid > 0 AND EXISTS (SELECT 1 FROM entry WHERE rowid = NEW.rowid))"
        " OR EXISTS (SELECT 1 FROM bundle AS b WHERE b.log = NEW.log AND b.n >= NEW.idx / 256)"
    )
    _sqlite_trigger("entry", "insert", f"INSERT ON entry WHEN {taken}", f"entry {STAYS}", "FAIL")
    _sqlite_trigger("bundle", "update", "UPDATE ON bundle", "bundle is append-only: UPDATE refused")
    _sqlite_trigger("bundle", "delete", "DELETE ON bundle", "bundle is append-only: DELETE refused")
    there = (
        "EXISTS (SELECT 1 FROM bundle WHERE log = NEW.log AND n = NEW.n)"
        " OR (NEW.rowid > 0 AND EXISTS (SELECT 1 FROM bundle WHERE rowid = NEW.rowid))"
    )
    _sqlite_trigger("bundle", "insert", f"INSERT ON bundle WHEN {there}", f"bundle {STAYS}")
    law = "bundle is append-only: it takes 256 entries that are there"
    _sqlite_trigger("bundle", "whole", f"INSERT ON bundle WHEN {INCOMPLETE}", law)


def _sqlite_trigger(table: str, name: str, event: str, law: str, how: str = "ABORT") -> None:
    op.execute(f"CREATE TRIGGER append_only_{table}_{name} BEFORE {event} BEGIN SELECT RAISE({how}, '{law}'); END")


def _postgres_triggers() -> None:
    op.execute("DROP TRIGGER append_only_entry_delete ON entry")
    op.execute(
        "CREATE TRIGGER append_only_entry_truncate BEFORE TRUNCATE ON entry"
        " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
    )
    # One look for all rows of a statement, not one for each: after it, for then they can be asked about.
    homeless = (
        "EXISTS (SELECT 1 FROM (SELECT DISTINCT log, idx / 256 AS n FROM gone) AS g"
        " WHERE NOT EXISTS (SELECT 1 FROM bundle AS b WHERE b.log = g.log AND b.n = g.n))"
    )
    event = "AFTER DELETE ON entry REFERENCING OLD TABLE AS gone FOR EACH STATEMENT"
    _postgres_trigger("entry", "delete", event, homeless, "DELETE refused", "NULL")
    moved = (
        "EXISTS (SELECT 1 FROM (SELECT log, min(idx) AS first FROM fresh GROUP BY log) AS f"
        " WHERE EXISTS (SELECT 1 FROM bundle AS b WHERE b.log = f.log AND b.n >= f.first / 256))"
    )
    event = "AFTER INSERT ON entry REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT"
    _postgres_trigger("entry", "insert", event, moved, "a row that is there stays", "NULL")
    op.execute(
        "CREATE TRIGGER append_only_bundle_change BEFORE UPDATE OR DELETE OR TRUNCATE ON bundle"
        " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
    )
    event = "BEFORE INSERT ON bundle FOR EACH ROW"
    _postgres_trigger("bundle", "whole", event, INCOMPLETE, "it takes 256 entries that are there", "NEW")


def _postgres_trigger(table: str, name: str, event: str, offence: str, law: str, result: str) -> None:
    trigger = f"append_only_{table}_{name}"
    op.execute(
        f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {offence} THEN RAISE EXCEPTION '{table} is append-only: {law}'; END IF; RETURN {result}; END $$"
    )
    op.execute(f"CREATE TRIGGER {trigger} {event} EXECUTE FUNCTION {trigger}()")
