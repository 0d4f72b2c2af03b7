"""An absent site is not served, keeps its data until a purge, and can be deployed again.

The other site of the host keeps its release and its process.
"""

from __future__ import annotations

import ssl

import pytest


def harbour_state(host, visitor) -> tuple[str, str]:
    """Return the release of harbour and the PID of its live instance."""
    with host.sudo():
        colour = host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")
        pid = host.check_output(f"systemctl show --property MainPID --value harbour@{colour}.service")
    return visitor.get("https://harbour.test/healthz").headers["X-Release"], pid


def exists(host, path: str) -> bool:
    with host.sudo():
        return host.file(path).exists


@pytest.mark.make_test_hosts("bookworm")
def test_site_absent_is_purged_and_deployed_again(host, visitor, variables, sites, play):
    before = harbour_state(host, visitor)
    serve = ("--tags", "python_app,release,certbot,nginx")
    absent = sites | {"myproject": sites["myproject"] | {"state": "absent"}}

    run = play("maintenance.yml", sites, "-e", "maintenance=on", "-e", "site=myproject")
    assert run.returncode == 0, run.stdout
    run = play("site.yml", absent, *serve)
    assert run.returncode == 0, run.stdout
    for name in ("myproject.test", None):
        with pytest.raises(ssl.SSLError):
            visitor.handshake(name)
    units = host.check_output("systemctl list-unit-files 'myproject*' --no-legend; ls /etc/systemd/system")
    assert "myproject" not in units, f"expected no unit of myproject, got {units}"
    assert exists(host, "/srv/myproject/current"), "expected the absent site to keep its data"

    run = play("site.yml", absent, *serve)
    assert "changed=0" in run.stdout, f"expected no change in the second run, got {run.stdout}"

    purge = ("-e", "purge_site=myproject", "-e")
    run = play("purge.yml", absent, *purge, "purge_confirm=harbour")
    assert run.returncode != 0 and exists(host, "/srv/myproject"), (
        f"expected the purge to fail with a wrong confirmation, got {run.stdout}"
    )
    run = play("purge.yml", sites, *purge, "purge_confirm=myproject")
    assert run.returncode != 0 and exists(host, "/srv/myproject"), (
        f"expected the purge of a site that is not absent to fail, got {run.stdout}"
    )
    run = play("purge.yml", absent, *purge, "purge_confirm=myproject")
    assert run.returncode == 0, run.stdout
    assert not exists(host, "/srv/myproject") and not host.user("myproject").exists, (
        "expected the purge to remove the folder and the user of the site"
    )

    run = play("site.yml", sites, *serve)
    assert run.returncode == 0, run.stdout
    page = visitor.get(f"https://{variables['ansible_host']}/")
    assert page.status_code == 200, f"expected status 200 after the redeployment, got {page.status_code}"
    after = harbour_state(host, visitor)
    assert after == before, f"expected harbour to keep release and PID {before}, got {after}"
