"""The weather: reports, subscribers and deliveries.

Additions only, because the previous release uses the same tables during a deployment.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UTF8 = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "weather_reports",
        sa.Column("town", sa.String(60), nullable=False),
        sa.Column("current_json", sa.Text(), nullable=True),
        sa.Column("current_at", sa.DateTime(), nullable=True),
        sa.Column("forecast_json", sa.Text(), nullable=True),
        sa.Column("forecast_at", sa.DateTime(), nullable=True),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("town", name="pk_weather_reports"),
        **UTF8,
    )
    op.create_table(
        "weather_subscribers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("town", sa.String(60), nullable=False),
        sa.Column("units", sa.String(16), nullable=False),
        sa.Column("link_key", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_weather_subscribers"),
        **UTF8,
    )
    op.create_index("ix_weather_subscribers_email", "weather_subscribers", ["email"], unique=True)
    op.create_index("ix_weather_subscribers_confirmed_at_id", "weather_subscribers", ["confirmed_at", "id"])
    op.create_table(
        "weather_deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("recipient", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_weather_deliveries"),
        **UTF8,
    )
    op.create_index(
        "ix_weather_deliveries_day_recipient",
        "weather_deliveries",
        ["day", "recipient"],
        unique=True,
    )


def downgrade() -> None:
    """Drop the tables and their rows."""
    op.drop_table("weather_deliveries")
    op.drop_table("weather_subscribers")
    op.drop_table("weather_reports")
