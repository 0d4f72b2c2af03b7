"""Going back: to a release that was good, and not past a schema that it does not know."""

from __future__ import annotations

import pytest
from conftest import HEAD, changed

pytestmark = pytest.mark.usefixtures("back")

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


def test_a_site_stays_where_somebody_went_back_to_until_the_next_deploy(run, source, live, visitor):
    first = live()
    source.touch()
    assert run().returncode == 0
    second = live()
    assert second != first, f"expected another release than {first}"

    finished = run("rollback.yml", "-e", "site=harbour")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live() == first, f"expected {first}, got {live()}"
    served = visitor.get("https://harbour.test/readyz").headers["X-Release"]
    assert served == first, f"expected {first} to be served, got {served}"

    finished = run("site.yml", "--tags", "release")
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0 and changed(finished) == 0, f"expected nothing to change, got {output}"
    assert live() == first, f"expected a converge to respect the rollback, got {live()}"
    assert f"harbour: pinned to release {first}" in " ".join(output.split()), output

    # Another setting is converged all the same, and the site still stays.
    finished = run("site.yml", "--tags", "python_app,release", env={"HARBOUR_TOWN": "Elsewhere"})
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Elsewhere" in visitor.get("https://harbour.test/").text, "expected the other setting to be served"
    assert live() == first, f"expected a converge to respect the rollback, got {live()}"

    finished = run()
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live() == second, f"expected a deploy to end the rollback with {second}, got {live()}"
    assert run("site.yml").returncode == 0 and live() == second, f"expected {second}, got {live()}"


def test_a_rollback_of_several_sites_asks_which(run, live):
    first = live()
    finished = run("rollback.yml")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0 and "SITE: found nothing, expected one of: harbour, jobs" in output, (
        output
    )
    assert live() == first, f"expected {first} to stay live, got {live()}"


def test_what_is_no_release_is_refused(run, live):
    to = "20200101T000000Z-0123456789ab"
    expected = f"found {to}, expected one of: "
    first = live()
    finished = run("rollback.yml", "-e", f"to={to}", "-e", "site=harbour")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0 and expected in output, f"expected {expected!r}, got {output}"
    assert live() == first, f"expected {first} to stay live, got {live()}"


@pytest.fixture
def schema(sql):
    """The schema is the first one's again afterwards."""
    yield
    sql("harbour", "ALTER TABLE listings DROP COLUMN view")
    sql("harbour", f"UPDATE alembic_version SET version_num = '{HEAD}'")


def test_a_release_does_not_come_back_under_a_schema_that_it_does_not_know(
    host, run, source, live, schema, visitor
):
    first = live()
    source.write("migrations/versions/view.py", EXPAND)
    finished = run("deploy.yml", "-e", "site=harbour")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    second = live()
    with host.sudo():
        dump = f"/srv/harbour/releases/{second}.sql.gz"
        told = host.check_output("stat --format='%%a %%U' %s", dump)
        assert told == "600 root", f"expected a dump that is root's alone, got {told}"
        count = host.check_output("zcat %s | grep -c 'INSERT INTO .listings.'", dump)
        assert int(count) >= 1, "expected the listings in the dump"
    # No migration is pending any more: none is run, and nothing is dumped.
    source.touch()
    assert run("deploy.yml", "-e", "site=harbour").returncode == 0
    third = live()
    with host.sudo():
        assert not host.file(f"/srv/harbour/releases/{third}.sql.gz").exists, "expected no dump"

    assert run("rollback.yml", "-e", "site=harbour").returncode == 0
    assert live() == second, f"expected {second}, which knows the schema, got {live()}"
    finished = run("rollback.yml", "-e", "site=harbour", "-e", f"to={first}")
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0, f"expected a refusal, got {output}"
    assert "column listings.view was added" in output, f"expected what has changed, got {output}"
    assert live() == second, f"expected {second} to stay live, got {live()}"

    finished = run("rollback.yml", "-e", "site=harbour", "-e", f"to={first}", "-e", "force=true")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live() == first, f"expected {first}, got {live()}"
    assert visitor.get("https://harbour.test/listings/").status_code == 200
