"""Tokens of organisations, one-time links and sealed personal data."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001b"


def upgrade() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("org", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger),
        sa.Column("revoked_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.CheckConstraint("length(digest) = 32", name="ck_api_token_digest_length"),
    )
    op.create_table(
        "answer_link",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("org", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
        sa.Column("used_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("digest", name="pk_answer_link"),
        sa.CheckConstraint("length(digest) = 32", name="ck_answer_link_digest_length"),
    )
    op.create_table(
        "sealed",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sealed"),
    )
