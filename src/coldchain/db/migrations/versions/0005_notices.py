"""Channels by which findings are told, and what they are still to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "notice_channel",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("dest", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("selection", sa.Text, nullable=False),
        sa.Column("quiet", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("per_hour", sa.Integer, nullable=False),
        sa.Column("window_s", sa.Integer, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("since_entry", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_notice_channel"),
    )
    op.create_table(
        "notice_cursor",
        sa.Column("log", sa.BigInteger, nullable=False),
        sa.Column("next_index", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", name="pk_notice_cursor"),
    )
    op.create_table(
        "notice_outbox",
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("finding", sa.Text, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("entry", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("queued_us", sa.BigInteger, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.PrimaryKeyConstraint("channel", "finding", "n", name="pk_notice_outbox"),
        sa.ForeignKeyConstraint(
            ["channel"], ["notice_channel.name"], name="fk_notice_outbox_channel_notice_channel", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_notice_outbox_message", "notice_outbox", ["message", "channel"])
    op.create_table(
        "notice_message",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("sent_us", sa.BigInteger),
        sa.Column("fault", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notice_message"),
        sa.ForeignKeyConstraint(
            ["channel"], ["notice_channel.name"], name="fk_notice_message_channel_notice_channel", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_notice_message_channel", "notice_message", ["channel", "created_us"])
    op.create_index("ix_notice_message_state", "notice_message", ["state", "due_us"])
