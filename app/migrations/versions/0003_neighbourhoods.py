"""Census figures and fetched years.

Additions only, because the previous release uses the same tables during a deployment.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UTF8 = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "acs_figures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("measure", sa.String(32), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("fips", sa.String(2), nullable=False),
        sa.Column("estimate", sa.Double(), nullable=False),
        sa.Column("moe", sa.Double(), nullable=True),
        sa.Column("source", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_acs_figures"),
        **UTF8,
    )
    op.create_index(
        "ix_acs_figures_measure_year_fips", "acs_figures", ["measure", "year", "fips"], unique=True
    )
    op.create_table(
        "acs_years",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fetched_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("year", name="pk_acs_years"),
        **UTF8,
    )


def downgrade() -> None:
    """Drop the tables and their rows."""
    op.drop_table("acs_years")
    op.drop_table("acs_figures")
