"""The current verdicts of every rule, one row each; the emitter of findings compares them with the published ones."""

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
    Index("ix_verdict_subject", "subject"),
)
"""source: the projection that owns the row and alone may change it. channel: probe, lane or "". to_us: NULL while the
segment lasts. detail: canonical JSON with the thresholds judged by. basis_index: JSON list of ledger indices."""
