"""Codes of an app for moderators, and counters of failed logins.

Additions only, because the previous release uses the same tables during a deployment.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UTF8 = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


def upgrade() -> None:
    """Create the columns and tables."""
    op.add_column("moderators", sa.Column("totp_secret", sa.String(255), nullable=True))
    op.add_column("moderators", sa.Column("totp_step", sa.Integer(), nullable=True))
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("moderator_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_codes"),
        sa.ForeignKeyConstraint(
            ["moderator_id"],
            ["moderators.id"],
            name="fk_recovery_codes_moderator_id_moderators",
            ondelete="CASCADE",
        ),
        **UTF8,
    )
    op.create_index(
        "ix_recovery_codes_moderator_id_code_hash", "recovery_codes", ["moderator_id", "code_hash"]
    )
    op.create_table(
        "login_attempts",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_login_attempts"),
        **UTF8,
    )
    op.create_index("ix_login_attempts_next_at", "login_attempts", ["next_at"])


def downgrade() -> None:
    """Drop the tables with their rows, and the columns."""
    op.drop_table("login_attempts")
    op.drop_table("recovery_codes")
    op.drop_column("moderators", "totp_step")
    op.drop_column("moderators", "totp_secret")
