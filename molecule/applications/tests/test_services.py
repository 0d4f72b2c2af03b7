"""Data after a reboot, restart of an updated Redis, and Redis of an absent or purged site."""

from __future__ import annotations

import subprocess

from conftest import ROOT, wait_for
from test_gallery import add_picture, wall
from test_orders import SITE, order

from tests.hosts.fixtures.lab import login

PODMAN = ROOT / "tests/lab/roles/lab/files/podman"
DATA = "/var/lib/redis-orders"


def redis(host, command: str) -> str:
    with host.sudo():
        return host.check_output(f"redis-cli -s /run/redis-orders/redis.sock {command}")


def is_available(visitor, url: str) -> bool:
    try:
        return visitor.get(url).status_code == 200
    except OSError:
        return False


def test_applications_and_data_survive_a_reboot(host, variables, visitor):
    number, picture, url = order(visitor)
    title = add_picture(visitor)
    redis(host, "set kept yes")
    before = host.check_output("cat /proc/1/stat").split()[21]
    # Redis writes acknowledged changes to the disk once a second.
    with host.sudo():
        host.check_output("sleep 2; sync")

    # Close the shared connection, because the host stops without closing it and ssh would wait.
    subprocess.run(["ssh", "-O", "exit", *login(variables)], capture_output=True)
    restart = [PODMAN, "restart", variables["lab_container"]]
    subprocess.run(restart, check=True, capture_output=True, timeout=120)
    for name in (f"{SITE}/healthz", "https://gallery.test/"):
        assert wait_for(lambda name=name: is_available(visitor, name), 90), (
            f"expected {name} within 90 s of a reboot"
        )

    state = host.run("systemctl is-system-running --wait").stdout.strip()
    failed = host.run("systemctl --failed --no-legend --plain").stdout
    assert state == "running", f"expected every unit to be active, got {state}: {failed}"
    assert host.check_output("cat /proc/1/stat").split()[21] != before, (
        "expected another start time of process 1"
    )
    assert redis(host, "get kept") == "yes", "expected the key in Redis"
    page = visitor.get(f"{SITE}/").text
    assert f'data-order="{number}"' in page, f"expected order {number}, got {page}"
    assert visitor.get(f"{SITE}{url}").content == picture, "expected the picture from before the reboot"
    assert title in wall(visitor)[0], f"expected {title}, got {wall(visitor)}"
    order(visitor)


def test_redis_with_updated_program_is_restarted(host, play, sites):
    """An update of the package does not restart the units of sites."""
    with host.sudo():
        host.check_output("touch -h /usr/bin/redis-server; touch /usr/bin/redis-check-rdb")
    before = host.check_output("systemctl show --property=ActiveEnterTimestampMonotonic redis@orders.service")
    result = play("site.yml", sites, "--tags", "redis")
    assert result.returncode == 0, result.stdout
    after = host.check_output("systemctl show --property=ActiveEnterTimestampMonotonic redis@orders.service")
    assert after != before, "expected a restart of Redis"
    assert redis(host, "get kept") == "yes", "expected the key after the restart"


def test_absent_site_keeps_its_redis_data_until_purge(host, visitor, play, sites):
    serve = ("--tags", "python_app,services,certbot,nginx,release")
    absent = sites | {"orders": sites["orders"] | {"state": "absent"}}
    result = play("site.yml", absent, *serve)
    assert result.returncode == 0, result.stdout
    units = host.check_output(
        "systemctl list-units --all --no-legend 'redis@*' 'orders*'; ls /etc/systemd/system"
    )
    left = [name for name in ("redis@", "orders") if name in units]
    assert not left, f"expected neither the site nor its Redis, got {left} in {units}"
    with host.sudo():
        processes = host.run("ps -u orders -o pid,args --no-headers").stdout
    assert not processes, f"expected no process of the site, got {processes}"
    with host.sudo():
        assert host.file(DATA).exists, "expected the data of an absent site to be kept"
    result = play("site.yml", absent, *serve)
    assert "changed=0" in result.stdout, f"expected no change by the second run, got {result.stdout}"

    result = play("site.yml", sites, *serve)
    assert result.returncode == 0, result.stdout
    assert redis(host, "get kept") == "yes", "expected the data of Redis after the restore"

    # The site still runs: the purge stops its units first.
    result = play("purge.yml", absent, "-e", "purge_site=orders", "-e", "purge_confirm=orders")
    assert result.returncode == 0, result.stdout
    with host.sudo():
        assert not host.file(DATA).exists, "expected no data of Redis"
        assert not host.file("/run/redis-orders").exists, "expected no socket of Redis"
    result = play("site.yml", sites)
    assert result.returncode == 0, result.stdout
    assert visitor.get(f"{SITE}/healthz").text == "2 cakes", "expected the site with the data of its setup"
    assert redis(host, "exists kept") == "0", "expected an empty Redis"
    order(visitor)
