"""Roll back to a good release, unless it is incompatible with the schema of the database."""

from __future__ import annotations

import pytest
from conftest import HEAD, changed_tasks

pytestmark = pytest.mark.usefixtures("restore_releases")

EXPAND = f"""
import sqlalchemy as sa
from alembic import op

revision = "view"
down_revision = "{HEAD}"


def upgrade() -> None:
    op.add_column("listings", sa.Column("view", sa.String(40), nullable=True))


def downgrade() -> None:
    op.drop_column("listings", "view")
"""


def test_rollback_pins_a_release_until_the_next_deploy(run, source, live, visitor):
    first = live()
    source.touch()
    assert run().returncode == 0
    second = live()
    assert second != first, f"expected another release than {first}"

    result = run("rollback.yml", "-e", "site=harbour")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live() == first, f"expected {first}, got {live()}"
    served = visitor.get("https://harbour.test/readyz").headers["X-Release"]
    assert served == first, f"expected {first} to be served, got {served}"

    result = run("site.yml", "--tags", "release")
    output = result.stdout + result.stderr
    assert result.returncode == 0 and changed_tasks(result) == 0, f"expected nothing to change, got {output}"
    assert live() == first, f"expected a converge to keep the pinned release, got {live()}"
    assert f"harbour: pinned to release {first}" in " ".join(output.split()), output

    # A converge applies another setting, and keeps the pinned release.
    result = run("site.yml", "--tags", "python_app,release", env={"HARBOUR_TOWN": "Elsewhere"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Elsewhere" in visitor.get("https://harbour.test/").text, "expected the other setting to be served"
    assert live() == first, f"expected a converge to keep the pinned release, got {live()}"

    result = run()
    assert result.returncode == 0, result.stdout + result.stderr
    assert live() == second, f"expected a deploy to end the rollback with {second}, got {live()}"
    assert run("site.yml").returncode == 0 and live() == second, f"expected {second}, got {live()}"


def test_rollback_of_several_sites_requires_a_site(run, live):
    first = live()
    result = run("rollback.yml")
    output = result.stdout + result.stderr
    assert result.returncode != 0 and "SITE: found nothing, expected one of: harbour, jobs" in output, output
    assert live() == first, f"expected {first} to stay live, got {live()}"


def test_rollback_to_an_unknown_release_fails(run, live):
    to = "20200101T000000Z-0123456789ab"
    expected = f"found {to}, expected one of: "
    first = live()
    result = run("rollback.yml", "-e", f"to={to}", "-e", "site=harbour")
    output = result.stdout + result.stderr
    assert result.returncode != 0 and expected in output, f"expected {expected!r}, got {output}"
    assert live() == first, f"expected {first} to stay live, got {live()}"


@pytest.fixture
def restore_schema(sql):
    """Restore the schema of the first release after the test."""
    yield
    sql("harbour", "ALTER TABLE listings DROP COLUMN view")
    sql("harbour", f"UPDATE alembic_version SET version_num = '{HEAD}'")


def test_rollback_to_an_incompatible_release_requires_force(host, run, source, live, restore_schema, visitor):
    first = live()
    source.write("migrations/versions/view.py", EXPAND)
    result = run("deploy.yml", "-e", "site=harbour")
    assert result.returncode == 0, result.stdout + result.stderr
    second = live()
    with host.sudo():
        dump = f"/srv/harbour/releases/{second}.sql.gz"
        owner = host.check_output("stat --format='%%a %%U' %s", dump)
        assert owner == "600 root", f"expected a dump that only root reads, got {owner}"
        count = host.check_output("zcat %s | grep -c 'INSERT INTO .listings.'", dump)
        assert int(count) >= 1, "expected the listings in the dump"
    # A deploy without a pending migration writes no dump.
    source.touch()
    assert run("deploy.yml", "-e", "site=harbour").returncode == 0
    third = live()
    with host.sudo():
        assert not host.file(f"/srv/harbour/releases/{third}.sql.gz").exists, "expected no dump"

    assert run("rollback.yml", "-e", "site=harbour").returncode == 0
    assert live() == second, f"expected {second}, which has the same schema, got {live()}"
    result = run("rollback.yml", "-e", "site=harbour", "-e", f"to={first}")
    output = result.stdout + result.stderr
    assert result.returncode != 0, f"expected a failed run, got {output}"
    assert "column listings.view was added" in output, f"expected the added column, got {output}"
    assert live() == second, f"expected {second} to stay live, got {live()}"

    result = run("rollback.yml", "-e", "site=harbour", "-e", f"to={first}", "-e", "force=true")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live() == first, f"expected {first}, got {live()}"
    assert visitor.get("https://harbour.test/listings/").status_code == 200
