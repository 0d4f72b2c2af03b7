"""Attacks of a requirement on the host that builds it: each is rejected or has no effect."""

from __future__ import annotations

import time

import pytest
from hostile_site import CANARY, FILE_SECRET, SECRET, SNAPSHOT, Hostile


def successes(report: dict[str, str], *prefixes: str) -> dict[str, str]:
    """Return the attempts with these prefixes in their names that caused no error."""
    return {
        name: result
        for name, result in report.items()
        if name.startswith(prefixes) and not result.endswith(("Error", "error", "timeout"))
    }


def test_symlinks_at_paths_that_root_writes_are_not_followed(hostile: Hostile, visitor):
    result = hostile.deploy("planted")
    assert result.code == 0, result.output
    report = hostile.report()
    effective = successes(report, "/", "rename")
    assert not effective, f"expected every attempt outside of the build to fail, got {effective}"
    planted = [name for name, outcome in report.items() if name.startswith("inside") and outcome == "done"]
    assert len(planted) > 8, f"expected symlinks inside of the build, got {report}"
    links = hostile.find(f"-type l -newer {SNAPSHOT} \\( -lname /etc -o -lname /etc/nologin \\)")
    assert len(links) == 2, f"expected two copied symlinks, got {links}"
    for name in ("leak.css", "style.css.gz"):
        response = visitor.get(f"https://hostile.test/static/{name}")
        assert response.status_code >= 400 and "canary" not in response.text, (
            f"{name}: got {response.status_code}"
        )
    with hostile.host.sudo():
        text = hostile.host.check_output("cat /srv/hostile/current/config.ini")
        target = hostile.host.check_output("readlink /srv/hostile/current/.venv")
    assert text == FILE_SECRET, f"expected the file of the site in place of the symlink, got {text}"
    assert target.startswith("/srv/hostile/venvs/"), f"expected the environment, got {target}"


def test_processes_that_outlive_the_backend_end_with_the_build(hostile: Hostile):
    result = hostile.deploy("daemon", seconds=300)
    # The processes may swap folders before the build ends, which affects this release only.
    rejected = "found no folder static" in result.fault or "the build was rejected" in result.fault
    assert result.code == 0 or rejected, result.output
    with hostile.host.sudo():
        swapped = hostile.host.run("ls /srv/hostile/releases/*/*.was").stdout
    assert result.code or not swapped, f"expected no folder swapped after the build, got {swapped}"


def test_process_with_open_output_does_not_delay_the_build(hostile: Hostile):
    start = time.monotonic()
    result = hostile.deploy("output", seconds=600)
    duration = time.monotonic() - start
    assert result.code == 0, result.output
    assert duration < 60, f"expected the end of the deployment within a minute, got {duration:.0f} s"


# Serve HTTP at the address of instance metadata, as in the scenario `cloud`.
METADATA = (
    "ip address add 169.254.169.254/32 dev lo; systemd-run --unit=hostile-metadata --collect "
    "python3 -m http.server --bind 169.254.169.254 --directory /usr/share/doc 8080"
)
CONTROL = "python3 -c 'import socket; socket.create_connection((\"{}\", {}), 5)'"


def test_services_files_and_processes_of_the_host_are_unreachable(hostile: Hostile):
    addresses = [(name, 3306) for name in ("127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "127.1.2.3")]
    addresses.append(("169.254.169.254", 8080))
    sockets = ["/run/mysqld/mysqld.sock", "/run/redis-orders/redis.sock", "/run/dbus/system_bus_socket"]
    sockets += [
        "/run/decanter/orders/live.sock",
        "/run/systemd/private",
        "/run/memcached-gallery/memcached.sock",
    ]
    sockets += ["/run/systemd/journal/stdout", "/run/systemd/journal/socket", "/run/systemd/notify"]
    files = ["/etc/shadow", CANARY, "/srv/orders", "/srv/gallery/shared", "/srv/hostile/shared", "/root"]
    files += [
        "/etc/decanter/orders",
        "/etc/decanter/hostile/secrets.env",
        "/etc/decanter/hostile/credentials",
    ]
    files += ["/srv/hostile/current/config.ini", "/srv/hostile/releases/*/config.ini", "/var/log/decanter"]
    files += [
        "/var/cache/decanter/orders",
        "/var/lib/mysql",
        "/proc/1/environ",
        "/proc/1/root",
        "/home/admin",
    ]
    host = hostile.host
    with host.sudo():
        try:
            host.check_output(METADATA)
            time.sleep(1)
            for address, port in (("127.0.0.1", 3306), ("169.254.169.254", 8080)):
                reached = host.run(CONTROL.format(address, port))
                assert reached.rc == 0, (
                    f"expected the host itself to reach {address}:{port}, got {reached.stderr}"
                )
            missing = [path for path in sockets if not host.file(path).exists]
            result = hostile.deploy(
                "reach", addresses=addresses, sockets=sockets, files=files, secrets=[SECRET, FILE_SECRET]
            )
        finally:
            host.run("systemctl stop hostile-metadata; ip address del 169.254.169.254/32 dev lo")
    assert result.code == 0, result.output
    assert missing == [], f"expected these sockets on the host, found none at {missing}"
    report = hostile.report()
    reached = successes(report, *[address for address, _ in addresses], *sockets)
    assert not reached, f"expected no connection, got {reached}"
    read = {
        path: found
        for path, found in successes(report, "/").items()
        if found not in ("lists []", "reads b''")
    }
    assert not read, f"expected no file to be readable, got {read}"
    assert report["secrets"] == "[]", (
        f"expected no secret of the site in any process, got {report['secrets']}"
    )
    assert report["processes"] == "[]", f"expected no process of another user, got {report['processes']}"


def test_permissions_links_and_pipes_are_not_copied(hostile: Hostile):
    result = hostile.deploy("files")
    assert result.code == 0, result.output
    report = hostile.report()
    outside = successes(report, "environment link /", "tree link /", "environment set", "tree set")
    assert not outside, f"expected no link that leaves a folder and no set-user-ID, got {outside}"
    inside = [
        report[f"{name} {kind}"]
        for name in ("environment", "tree")
        for kind in ("list", "pipe", "link inside")
    ]
    assert inside == ["done"] * 6, f"expected these to be possible inside of the build, got {report}"
    tools = hostile.find("-path '*/odd/tool' -perm 755 -links 1")
    assert len(tools) == 2, f"expected two files with mode 755, got {tools}"
    with hostile.host.sudo():
        lists = hostile.host.check_output(
            "python3 -c %s",
            "import glob, os; print([x for p in glob.glob('/srv/hostile/*/*/odd*/**', recursive=True)"
            " for x in os.listxattr(p, follow_symlinks=False)])",
        )
    assert lists == "[]", f"expected no access list, got {lists}"


@pytest.mark.parametrize("target", ["/", "/srv/orders/venvs", "earlier/../../orders"])
def test_forged_result_is_rejected(hostile: Hostile, target: str):
    with hostile.host.sudo():
        other = hostile.host.check_output("ls -d /srv/orders/venvs/*Z-* | grep -v json | head -1")
        earlier = hostile.host.check_output("readlink /srv/hostile/current/.venv")
    path = {"/": "/", "/srv/orders/venvs": other}.get(target, f"{earlier}/../../../orders/venvs")
    result = hostile.deploy("forged", result={"environment": path, "new": False})
    assert result.code != 0 and "the build was rejected: found the environment" in result.fault, result.output
    assert hostile.find(f"-lname '{other}*'") == [], "expected no release with an environment of another site"


@pytest.mark.parametrize("kind", ["symlink", "folder", "fault"])
def test_replaced_result_files_are_rejected(hostile: Hostile, kind: str):
    result = hostile.deploy("results", kind=kind)
    assert result.code != 0, f"expected the deployment to fail, got {result.output}"
    assert "canary-of-root" not in result.output, "expected no content of the file of root"
    assert len(result.fault) < 6000, f"expected a bounded message, got {len(result.fault)} characters"


def test_other_builds_cannot_be_poisoned(hostile: Hostile):
    folders = ["/var/cache/decanter/orders", "/var/cache/decanter", "/opt/decanter/uv/current/bin"]
    folders += [
        "/usr/local/lib/decanter/build",
        "/srv/hostile/venvs",
        "/srv/hostile/releases",
        "/srv/hostile/build",
    ]
    result = hostile.deploy("poison", folders=folders)
    assert result.code == 0, result.output
    report = hostile.report()
    assert report.pop("environments") > 0, f"expected earlier environments, got {report}"
    written = successes(report, "")
    assert not written, f"expected every attempt to fail, got {written}"


def test_environments_share_the_files_of_unchanged_packages(hostile: Hostile):
    for number in (1, 2):
        result = hostile.deploy("none", number=number)
        assert result.code == 0, result.output
    for pattern, shared in (
        ("flask/app.py", True),
        ("flask/__pycache__/app.*.pyc", True),
        ("attack_report.json", False),
    ):
        # The name of an environment is the ID of its release, which starts with a time.
        last = sorted(hostile.find(f"-path '*/site-packages/{pattern}' -printf '%p|%i\\n'"))[-2:]
        inodes = {path.partition("|")[2] for path in last}
        assert len(last) == 2 and (len(inodes) == 1) is shared, (
            f"{pattern}: expected {'one file' if shared else 'two files'} in two environments, got {last}"
        )


def test_control_characters_in_output_are_not_reported(hostile: Hostile):
    result = hostile.deploy("noise")
    assert result.code != 0 and "attack" in result.fault, (
        f"expected the name of the package, got {result.fault[:2000]}"
    )


@pytest.mark.parametrize("place", ["environment", "tree", "tmp", "cache"])
def test_deep_nesting_is_rejected_and_removed(hostile: Hostile, place: str):
    result = hostile.deploy("deep", place=place)
    # Files outside of the results count only while the build runs.
    ended = result.code == 0 and place in ("tmp", "cache")
    assert ended or "nested" in result.fault, result.output[-4000:]
    again = hostile.deploy("none", number=place)
    assert again.code == 0, f"expected the next build to be unaffected, got {again.output[-4000:]}"
