"""Create the tables of cakes and orders."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("cake", sa.Column("name", sa.String(60), primary_key=True))
    op.create_table(
        "order",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cake", sa.String(60), sa.ForeignKey("cake.name"), nullable=False),
        sa.Column("picture", sa.String(60)),
        sa.Column("state", sa.String(20), nullable=False),
    )


def downgrade():
    op.drop_table("order")
    op.drop_table("cake")
