"""What survives a reboot, and what becomes of a Redis whose site goes."""

from __future__ import annotations

import subprocess

from conftest import ROOT, until
from test_gallery import hang, wall
from test_orders import SITE, order

from tests.hosts.fixtures.lab import login

PODMAN = ROOT / "tests/lab/roles/lab/files/podman"
DATA = "/var/lib/redis-orders"


def redis(host, command: str) -> str:
    with host.sudo():
        return host.check_output(f"redis-cli -s /run/redis-orders/redis.sock {command}")


def answers(visitor, url: str) -> bool:
    try:
        return visitor.get(url).status_code == 200
    except OSError:
        return False


def test_all_of_it_is_back_after_a_reboot(host, variables, visitor):
    number, picture, url = order(visitor)
    title = hang(visitor)
    redis(host, "set kept yes")
    before = host.check_output("cat /proc/1/stat").split()[21]
    # Redis puts what it has acknowledged on the disk once a second.
    with host.sudo():
        host.check_output("sleep 2; sync")

    # The host ends without a word: a connection that is kept open would wait long for an answer.
    subprocess.run(["ssh", "-O", "exit", *login(variables)], capture_output=True)
    restart = [PODMAN, "restart", variables["lab_container"]]
    subprocess.run(restart, check=True, capture_output=True, timeout=120)
    for name in (f"{SITE}/healthz", "https://gallery.test/"):
        assert until(lambda name=name: answers(visitor, name), 90), f"expected {name} within 90 s of a reboot"

    state = host.run("systemctl is-system-running --wait").stdout.strip()
    failed = host.run("systemctl --failed --no-legend --plain").stdout
    assert state == "running", f"expected every unit back, got {state}: {failed}"
    assert host.check_output("cat /proc/1/stat").split()[21] != before, "expected a host that was booted anew"
    assert redis(host, "get kept") == "yes", "expected Redis to have kept what it was given"
    page = visitor.get(f"{SITE}/").text
    assert f'data-order="{number}"' in page, f"expected order {number}, got {page}"
    assert visitor.get(f"{SITE}{url}").content == picture, "expected the picture that was sent before"
    assert title in wall(visitor)[0], f"expected {title}, got {wall(visitor)}"
    order(visitor)


def test_a_redis_whose_program_is_new_is_started_anew(host, play, sites):
    """An update of the package restarts none of ours."""
    with host.sudo():
        host.check_output("touch -h /usr/bin/redis-server; touch /usr/bin/redis-check-rdb")
    begun = host.check_output("systemctl show --property=ActiveEnterTimestampMonotonic redis@orders.service")
    finished = play("site.yml", sites, "--tags", "redis")
    assert finished.returncode == 0, finished.stdout
    after = host.check_output("systemctl show --property=ActiveEnterTimestampMonotonic redis@orders.service")
    assert after != begun, "expected Redis to be started anew"
    assert redis(host, "get kept") == "yes", "expected it to have its data"


def test_a_site_goes_with_its_redis_and_its_data_when_it_is_purged(host, visitor, play, sites):
    serve = ("--tags", "python_app,services,certbot,nginx,release")
    absent = sites | {"orders": sites["orders"] | {"state": "absent"}}
    gone = play("site.yml", absent, *serve)
    assert gone.returncode == 0, gone.stdout
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
    again = play("site.yml", absent, *serve)
    assert "changed=0" in again.stdout, f"expected nothing to change the second time, got {again.stdout}"

    back = play("site.yml", sites, *serve)
    assert back.returncode == 0, back.stdout
    assert redis(host, "get kept") == "yes", "expected the Redis of the site to have its data again"

    # Straight away: what runs is stopped first.
    purged = play("purge.yml", absent, "-e", "purge_site=orders", "-e", "purge_confirm=orders")
    assert purged.returncode == 0, purged.stdout
    with host.sudo():
        assert not host.file(DATA).exists, "expected its data to be gone"
        assert not host.file("/run/redis-orders").exists, "expected its socket to be gone"
    back = play("site.yml", sites)
    assert back.returncode == 0, back.stdout
    assert visitor.get(f"{SITE}/healthz").text == "2 cakes", "expected the site back, with what runs once"
    assert redis(host, "exists kept") == "0", "expected an empty Redis"
    order(visitor)
