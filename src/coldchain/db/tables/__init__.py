"""Every table, on one MetaData; each sort by name (design §2.1).

A module of this package defines tables by `Table("name", metadata, …)`. A table named in neither list below is a
projection: derived from the ledger, dropped and derived again at will.
"""

from importlib import import_module
from pkgutil import iter_modules

from sqlalchemy import MetaData, Table

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LEDGER_TABLES = frozenset(
    {"entry", "bundle", "entry_key", "recent_key", "subject", "subject_entry", "tile", "edge", "blob"}
)
"""The truth. Append-only: triggers refuse what would rewrite it."""
SIDE_TABLES = frozenset(
    {"rejected", "reject_tally", "broker_account", "projection_table", "api_token", "answer_link", "sealed"}
    | {"epcis_job", "epcis_query", "epcis_subscription"}
    | {"notice_channel", "notice_cursor", "notice_outbox", "notice_message"}
)
"""What is not in the ledger and must survive a rebuild."""


def all_tables() -> list[Table]:
    """Every table of every module of this package, parents before children."""
    for module in iter_modules(__path__, f"{__name__}."):
        import_module(module.name)
    return metadata.sorted_tables


def projection_tables() -> list[Table]:
    """The derived ones of `all_tables`."""
    return [table for table in all_tables() if table.name not in LEDGER_TABLES | SIDE_TABLES]
