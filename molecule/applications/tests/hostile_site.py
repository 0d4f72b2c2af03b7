"""A harmless site, one of whose requirements attacks the host while it is built."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from tests.hosts.fixtures.lab import Visitor

ATTACKS = Path(__file__).parents[1] / "hostile"
CANARY = "/etc/decanter-canary"  # a file of root's that attacks want to read or to write
SNAPSHOT = "/run/hostile-snapshot"
SECRET, FILE_SECRET = "hostile-secret-of-the-site", "hostile-text-of-a-file"
# Everything of root's and of other sites; times of folders change with entries of this site.
LIST = (
    "find /etc /opt /usr/local /boot /srv /var/cache/decanter /var/lib/mysql -xdev "
    r"\( -path '*hostile*' -o -path '/var/lib/mysql/*' \) -prune "
    r"-o -type d -printf '%p|%U:%G|%m\n' -o -printf '%p|%U:%G|%m|%T@|%s|%l|%n\n' | sort"
)
LEFTOVERS = (
    "/srv/hostile/.build /srv/hostile/releases/.new-* /srv/hostile/venvs/.new-* /etc/nologin /run/nologin"
)
TAGS = "python_app,gunicorn,certbot,nginx,release"


@dataclass
class Result:
    """The output of a deploy."""

    code: int
    output: str

    @property
    def fault(self) -> str:
        """Return the reason and what belongs to it, up to the next part of Ansible's output."""
        found = re.search(r"hostile: no release was built\. (.*?)Still live is", self.output, re.S)
        return " ".join(found[1].split()) if found else ""


@dataclass
class Hostile:
    """The site and its host."""

    host: Host
    play: Callable[..., Any]
    sites: dict[str, Any]
    folder: Path

    def site(self, **keys: Any) -> dict[str, Any]:
        return {
            "server_names": ["hostile.test"],
            "source": {"path": str(self.folder / "site")},
            "wsgi": "app:app",
            "gunicorn": {"workers": 1},
            "static": [{"url": "/static/", "path": "static"}],
            "secrets": {"SECRET_KEY": SECRET},
            "secret_delivery": "environment",
            "files": {"config.ini": {"content": FILE_SECRET}},
            "tls": {"mode": "ca"},
            **keys,
        }

    def pack(self, attack: str, **settings: Any) -> None:
        """Write the site's source, with the attack as a source distribution."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(ATTACKS / "site", self.folder / "site")
        package = self.folder / "attack-1.0"
        shutil.copytree(ATTACKS / "package", package)
        shutil.copy(ATTACKS / f"attacks/{attack}.py", package / "attack.py")
        (package / "settings.json").write_text(json.dumps({"canary": CANARY, **settings}))
        with tarfile.open(self.folder / "site/attack-1.0.tar.gz", "w:gz") as archive:
            archive.add(package, "attack-1.0")

    def deploy(self, attack: str, keys: dict[str, Any] | None = None, **settings: Any) -> Result:
        """Release the site with an attack; assert that it has changed nothing of the host."""
        self.pack(attack, **settings)
        with self.host.sudo():
            self.host.check_output(f"{LIST} > {SNAPSHOT}")
        finished = self.play("deploy.yml", {"hostile": self.site(**(keys or {}))}, "-e", "site=hostile")
        result = Result(finished.returncode, finished.stdout + finished.stderr)
        self.assert_harmless()
        if result.code:
            self.assert_reported(result)
        return result

    def configure(self, **limits: int) -> None:
        """Set the limits of this site's builds; without any, the ordinary ones."""
        self.pack("none")  # the inventory is checked with its source
        variables = [
            word for name, value in limits.items() for word in ("-e", f"python_app_build_{name}={value}")
        ]
        finished = self.play("site.yml", {"hostile": self.site()}, "--tags", "python_app", *variables)
        assert finished.returncode == 0, finished.stdout + finished.stderr

    def report(self) -> dict[str, Any]:
        """Return what the attack of the live release has found, as the wheel has it."""
        path = "/srv/hostile/current/.venv/lib/python3*/site-packages/attack_report.json"
        with self.host.sudo():
            return json.loads(self.host.check_output(f"cat {path}"))

    def find(self, conditions: str) -> list[str]:
        """Return paths of the site's releases and environments that meet conditions of find(1)."""
        with self.host.sudo():
            return self.host.check_output(
                f"find /srv/hostile/releases /srv/hostile/venvs {conditions}"
            ).split()

    def assert_harmless(self) -> None:
        """Assert that nothing of root's has changed, and that nothing of the build is left."""
        with self.host.sudo():
            changed = self.host.run(f"{LIST} | diff {SNAPSHOT} -").stdout
            processes = self.host.run("ps -u build_hostile -o pid,args --no-headers").stdout
            unit = self.host.check_output(
                "systemctl show --property=ActiveState --value hostile.build.service"
            )
            left = self.host.run(f"ls -d {LEFTOVERS} 2>/dev/null").stdout
        assert not changed, f"expected no change outside of the site, got {changed[:2000]}"
        assert not processes, f"expected no process of the build's user, got {processes}"
        assert unit == "inactive", f"expected no unit of the build, got {unit}"
        assert not left, f"expected nothing of the build to be left, got {left}"
        foreign = self.find(
            r"\( ! -user root -o -perm /6000 -o -perm /022 ! -type l -o -type p -o -type s \)"
        )
        assert not foreign, f"expected root's files that others cannot write, got {foreign[:10]}"

    def assert_reported(self, result: Result) -> None:
        """Assert that a failure is reported in a bounded and clean message, not as a fault of the module."""
        assert result.fault, f"expected the reason, got {result.output[-4000:]}"
        harmful = set(re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", result.output))
        assert not harmful, f"expected no control characters, got {harmful} in {result.fault[:2000]!r}"
        assert len(result.output) < 40_000, f"expected a bounded message, got {len(result.output)} characters"
        assert "MODULE FAILURE" not in result.output.upper() and "Still live is" in result.output, (
            result.output[-4000:]
        )


def is_served(visitor: Visitor, name: str) -> bool:
    try:
        return visitor.get(f"https://{name}.test/").status_code == 200
    except OSError:
        return False


@pytest.fixture
def hostile(host: Host, play, sites, visitor, tmp_path) -> Iterator[Hostile]:
    """Return the site, which is released without an attack first; afterwards all sites are still up."""
    one = Hostile(host, play, sites, tmp_path / "hostile")
    with host.sudo():
        host.check_output(f"(umask 077; echo canary-of-root > {CANARY})")
    if not is_served(visitor, "hostile"):  # the inventory does not have the site
        one.pack("none")
        finished = play("site.yml", sites | {"hostile": one.site()}, "--tags", TAGS)
        assert finished.returncode == 0, finished.stdout + finished.stderr
    yield one
    with host.sudo():
        mode = host.check_output(f"stat --format '%a %U' {CANARY}; cat {CANARY}; rm {CANARY}")
        served = ["hostile"] if host.run("test -L /srv/hostile/current").rc == 0 else []
    assert mode.split() == ["600", "root", "canary-of-root"], f"expected root's file unchanged, got {mode}"
    down = [name for name in (*served, "gallery", "orders") if not is_served(visitor, name)]
    assert not down, f"expected all sites to be up, got no page of {down}"
