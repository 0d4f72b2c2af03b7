"""A site that is absent is served no longer, keeps its data until it is purged, and comes back; its
neighbour notices nothing of it."""

from __future__ import annotations

import ssl

import pytest


def neighbour(host, visitor) -> tuple[str, str]:
    """What harbour serves, and by which process."""
    with host.sudo():
        colour = host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")
        pid = host.check_output(f"systemctl show --property MainPID --value harbour@{colour}.service")
    return visitor.get("https://harbour.test/healthz").headers["X-Release"], pid


def exists(host, path: str) -> bool:
    with host.sudo():
        return host.file(path).exists


def test_a_site_goes_is_purged_and_comes_back(host, visitor, variables, sites, play):
    before = neighbour(host, visitor)
    serve = ("--tags", "python_app,release,certbot,nginx")
    absent = sites | {"myproject": sites["myproject"] | {"state": "absent"}}

    closed = play("maintenance.yml", sites, "-e", "maintenance=on", "-e", "site=myproject")
    assert closed.returncode == 0, closed.stdout
    gone = play("site.yml", absent, *serve)
    assert gone.returncode == 0, gone.stdout
    for name in ("myproject.test", None):
        with pytest.raises(ssl.SSLError):
            visitor.handshake(name)
    units = host.check_output("systemctl list-unit-files 'myproject*' --no-legend; ls /etc/systemd/system")
    assert "myproject" not in units, f"expected no unit of the site, got {units}"
    assert exists(host, "/srv/myproject/current"), "expected the data of an absent site to be kept"

    again = play("site.yml", absent, *serve)
    assert "changed=0" in again.stdout, f"expected nothing to change the second time, got {again.stdout}"

    purge = ("-e", "purge_site=myproject", "-e")
    wrong = play("purge.yml", absent, *purge, "purge_confirm=harbour")
    assert wrong.returncode != 0 and exists(host, "/srv/myproject"), f"expected a refusal, got {wrong.stdout}"
    served = play("purge.yml", sites, *purge, "purge_confirm=myproject")
    assert served.returncode != 0 and exists(host, "/srv/myproject"), (
        f"expected a refusal, got {served.stdout}"
    )
    purged = play("purge.yml", absent, *purge, "purge_confirm=myproject")
    assert purged.returncode == 0, purged.stdout
    assert not exists(host, "/srv/myproject") and not host.user("myproject").exists, (
        "expected its data to be gone"
    )

    back = play("site.yml", sites, *serve)
    assert back.returncode == 0, back.stdout
    page = visitor.get(f"https://{variables['ansible_host']}/")
    assert page.status_code == 200, f"expected the site back, got {page.status_code}"
    after = neighbour(host, visitor)
    assert after == before, f"expected harbour to be untouched, {before}; got {after}"
