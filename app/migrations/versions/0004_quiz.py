"""The quiz.

Additions only.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UTF8 = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "quiz_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("film", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_quiz_days"),
        **UTF8,
    )

    op.create_table(
        "quiz_players",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("streak", sa.Integer(), nullable=False),
        sa.Column("best", sa.Integer(), nullable=False),
        sa.Column("last", sa.Date(), nullable=True),
        sa.Column("seen", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quiz_players"),
        **UTF8,
    )
    op.create_index("ix_quiz_players_name", "quiz_players", ["name"], unique=True)
    op.create_index("ix_quiz_players_seen", "quiz_players", ["seen"])

    op.create_table(
        "quiz_guesses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("player_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("film", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quiz_guesses"),
        sa.ForeignKeyConstraint(
            ["player_id"], ["quiz_players.id"], name="fk_quiz_guesses_player_id_quiz_players"
        ),
        **UTF8,
    )
    op.create_index(
        "ix_quiz_guesses_player_id_day_number",
        "quiz_guesses",
        ["player_id", "day", "number"],
        unique=True,
    )
    op.create_index("ix_quiz_guesses_day", "quiz_guesses", ["day"])


def downgrade() -> None:
    """Drop the tables and their rows."""
    op.drop_table("quiz_guesses")
    op.drop_table("quiz_players")
    op.drop_table("quiz_days")
