"""The current verdicts of every rule, one row each, and where they may differ from what was published of them."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from coldchain.db.tables import metadata

verdict = Table(
    "verdict",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("rule", String(96), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("channel", String(160), primary_key=True),
    Column("from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("to_us", BigInteger),
    Column("verdict", String(32), nullable=False),
    Column("state", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("weakest_grade", String(16), nullable=False),
    Column("basis_index", Text, nullable=False, info={"provenance": True}),
    Index("ix_verdict_subject", "subject", "channel", "from_us"),
)
"""source: the projection that owns the row and alone may change it. channel: probe, lane or "". to_us: NULL while the
segment lasts. detail: canonical JSON with the thresholds judged by. basis_index: JSON list of ledger indices."""

_PROVENANCE = {"provenance": True}

verdict_touched = Table(
    "verdict_touched",
    metadata,
    Column("rule", String(96), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("channel", String(160), primary_key=True),
    Column("since_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("changed_us", BigInteger, nullable=False, info=_PROVENANCE),
    Column("due_us", BigInteger, nullable=False, info=_PROVENANCE),
    Index("ix_verdict_touched_due_us", "due_us"),
    sqlite_with_rowid=False,
)
"""Lanes of `verdict` that changed and were not found equal to what is published since (`domain.pacing.Touched`).
due_us: ledger time at which the emitter looks at them next. Like `cursor` bookkeeping of the follower: written in the
transaction of the rows that changed, and no view that a rebuild would have to give back."""
