"""Photos, messages and moderators.

Additions only, because the previous release uses the same tables during a deployment.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UTF8 = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


def upgrade() -> None:
    """Create the tables, and the column and indexes of listings."""
    op.add_column("listings", sa.Column("submission", sa.String(32), nullable=True))
    op.create_index("ix_listings_submission", "listings", ["submission"], unique=True)
    op.create_index(
        "ix_listings_search",
        "listings",
        [
            *("status", "published_at", "kind", "price", "bedrooms"),
            *("neighbourhood", "street", "title"),
        ],
    )

    op.create_table(
        "photos",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_photos"),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name="fk_photos_listing_id_listings"),
        **UTF8,
    )
    op.create_index("ix_photos_listing_id_position", "photos", ["listing_id", "position"])
    op.create_index("ix_photos_name", "photos", ["name"], unique=True)

    op.create_table(
        "messages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("listing_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("mailed_at", sa.DateTime(), nullable=True),
        sa.Column("done_at", sa.DateTime(), nullable=True),
        sa.Column("submission", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name="fk_messages_listing_id_listings"),
        **UTF8,
    )
    op.create_index("ix_messages_done_at_created_at", "messages", ["done_at", "created_at"])
    op.create_index("ix_messages_listing_id", "messages", ["listing_id"])
    op.create_index("ix_messages_mailed_at", "messages", ["mailed_at"])
    op.create_index("ix_messages_submission", "messages", ["submission"], unique=True)

    op.create_table(
        "moderators",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("session_key", sa.String(32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_moderators"),
        **UTF8,
    )
    op.create_index("ix_moderators_name", "moderators", ["name"], unique=True)


def downgrade() -> None:
    """Drop the tables and their rows."""
    op.drop_table("moderators")
    op.drop_table("messages")
    op.drop_table("photos")
    op.drop_index("ix_listings_search", "listings")
    op.drop_index("ix_listings_submission", "listings")
    op.drop_column("listings", "submission")
