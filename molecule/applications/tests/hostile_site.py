"""A site with a requirement that attacks the host during its build."""

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
CANARY = "/etc/decanter-canary"  # a file of root that attacks try to read or write
SNAPSHOT = "/run/hostile-snapshot"
SECRET, FILE_SECRET = "hostile-secret-of-the-site", "hostile-text-of-a-file"
# Files of root and of other sites, without times of folders, which entries of this site change.
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
    """The exit status and output of a deploy."""

    code: int
    output: str

    @property
    def fault(self) -> str:
        """Return the reason of a failure, with its details, from Ansible's output."""
        found = re.search(r"hostile: no release was built\. (.*?)Still live is", self.output, re.S)
        return " ".join(found[1].split()) if found else ""


@dataclass
class Hostile:
    """The site with the attack, and its host."""

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
        """Deploy the site with an attack; assert that the host is unchanged."""
        self.pack(attack, **settings)
        with self.host.sudo():
            self.host.check_output(f"{LIST} > {SNAPSHOT}")
        process = self.play("deploy.yml", {"hostile": self.site(**(keys or {}))}, "-e", "site=hostile")
        result = Result(process.returncode, process.stdout + process.stderr)
        self.assert_harmless()
        if result.code:
            self.assert_reported(result)
        return result

    def configure(self, **limits: int) -> None:
        """Set the limits of this site's builds; without arguments, restore the defaults."""
        self.pack("none")  # the validation of the inventory reads the source
        variables = json.dumps({f"python_app_build_{name}": value for name, value in limits.items()})
        process = self.play("site.yml", {"hostile": self.site()}, "--tags", "python_app", "-e", variables)
        assert process.returncode == 0, process.stdout + process.stderr

    def report(self) -> dict[str, Any]:
        """Return the report of the attack from the wheel of the live release."""
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
        """Assert that files of root are unchanged, and that the build left no process, unit or file."""
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
        assert not left, f"expected no files of the build, got {left}"
        foreign = self.find(
            r"\( ! -user root -o -perm /6000 -o -perm /022 ! -type l -o -type p -o -type s \)"
        )
        assert not foreign, f"expected files of root that other users cannot write, got {foreign[:10]}"

    def assert_reported(self, result: Result) -> None:
        """Assert that the message is bounded, without control characters, and not a module failure."""
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
    """Return the site, deployed without an attack. Assert afterwards that all sites are available."""
    target = Hostile(host, play, sites, tmp_path / "hostile")
    with host.sudo():
        host.check_output(f"(umask 077; echo canary-of-root > {CANARY})")
    if not is_served(visitor, "hostile"):  # the inventory does not have the site
        target.pack("none")
        process = play("site.yml", sites | {"hostile": target.site()}, "--tags", TAGS)
        assert process.returncode == 0, process.stdout + process.stderr
    yield target
    with host.sudo():
        mode = host.check_output(f"stat --format '%a %U' {CANARY}; cat {CANARY}; rm {CANARY}")
        served = ["hostile"] if host.run("test -L /srv/hostile/current").rc == 0 else []
    assert mode.split() == ["600", "root", "canary-of-root"], (
        f"expected the unchanged file of root, got {mode}"
    )
    down = [name for name in (*served, "gallery", "orders") if not is_served(visitor, name)]
    assert not down, f"expected all sites to be available, got no page of {down}"
