"""A site id is not a name that systemd, a package or Decanter uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths
from repository import ROOT
from sites_examples import minimal

TAKEN = "a site id that the system does not use as a name"
# Templates of units of Debian 12 and 13, Ubuntu 22.04 and 24.04, and of packages on the same host.
TEMPLATES = (
    *("autovt", "capsule", "chrony-dnssrv", "container-getty", "e2scrub", "getty", "ifup", "lvm2-pvscan"),
    *("modprobe", "mysql", "openvpn", "podman-kube", "postgresql", "quotaon", "redis-server", "serial-getty"),
    *("ssh", "sshd", "systemd-fsck", "user", "user-runtime-dir", "wg-quick"),
)
DECANTER = (
    "decanter",
    "decanter-alarm",
    "decanter-fleet",
    "tls",
    "balancer",
    "certbot-aws",
    "redis",
    "memcached",
)


def errors(site_id: str, root: str) -> list[str]:
    return sites_check.site_errors({site_id: minimal()["harbour"]}, root)


@pytest.mark.parametrize("site_id", [*TEMPLATES, *DECANTER])
def test_name_of_a_unit_or_folder_is_rejected(site_id: str, root: str) -> None:
    assert errors(site_id, root) == [f'sites.{site_id}: found the name "{site_id}", expected {TAKEN}']


def test_templates_of_this_machine_are_rejected(root: str) -> None:
    names = {path.name.partition("@")[0] for path in Path("/usr/lib/systemd/system").glob("*@.*")}
    if not names:
        pytest.skip("this machine has no systemd")
    assert sorted(name for name in names if not errors(name, root)) == []


def test_names_next_to_the_folders_of_sites_are_rejected(root: str) -> None:
    """Each folder in which a site has one of its own may contain others, of which no site has the name."""
    paths = vars(SitePaths("SITE")).values()
    folders = {path.partition("/SITE")[0] for path in paths if "/SITE" in path} | {"/etc/nginx/decanter"}
    assert {"/srv", "/etc/decanter", "/run/decanter", "/var/cache/decanter"} < folders
    pattern = re.compile(
        rf"(?:{'|'.join(sorted(folders, key=len, reverse=True))})/([a-z][a-z0-9-]*)(?![\w.-])"
    )
    sources = [path for folder in ("roles", "plugins", "playbooks") for path in (ROOT / folder).rglob("*")]
    texts = [path.read_text() for path in sources if path.suffix in (".py", ".yml", ".j2", ".sh")]
    found = {name for text in texts for name in pattern.findall(text)}
    assert {"tls", "balancer"} < found
    assert sorted(name for name in found if not errors(name, root)) == []
