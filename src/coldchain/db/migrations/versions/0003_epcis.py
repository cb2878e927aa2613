"""Capture jobs, named queries and subscriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "epcis_job",
        sa.Column("no", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), nullable=False),
        sa.Column("org", sa.Text, nullable=False),
        sa.Column("behaviour", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("faults", sa.Text, nullable=False),
        sa.Column("entries", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary),
        sa.PrimaryKeyConstraint("no", name="pk_epcis_job"),
    )
    op.create_index("ix_epcis_job_finished_us", "epcis_job", ["finished_us", "no"])
    op.create_table(
        "epcis_query",
        sa.Column("org", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sees_all", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("org", "name", name="pk_epcis_query"),
    )
    op.create_table(
        "epcis_subscription",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("org", sa.Text, nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("dest", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("report_if_empty", sa.Boolean, nullable=False),
        sa.Column("initial_us", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("notified_us", sa.BigInteger),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_epcis_subscription"),
        sa.ForeignKeyConstraint(
            ["org", "query"],
            ["epcis_query.org", "epcis_query.name"],
            name="fk_epcis_subscription_org_query_epcis_query",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_epcis_subscription_query", "epcis_subscription", ["org", "query"])
    op.create_index("ix_epcis_subscription_due_us", "epcis_subscription", ["due_us"])
