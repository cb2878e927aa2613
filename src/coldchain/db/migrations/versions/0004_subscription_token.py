"""By which token a subscription was made."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    anew = op.get_bind().dialect.name == "sqlite"  # so that its DDL reads as defined
    with op.batch_alter_table("epcis_subscription", recreate="always" if anew else "never") as table:
        table.add_column(sa.Column("token", sa.Text, nullable=False, server_default=""))
