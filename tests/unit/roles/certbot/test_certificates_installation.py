"""Chain and key are installed together, and services are reloaded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from certificate_pair import lineage
from certificates_host import MODULES, Host, new_host

installation = MODULES["installation"]
LONG_AGO = "Sat 2020-01-01 00:00:00.000000 UTC"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = new_host(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", f"{host.root / 'bin'}:{os.environ['PATH']}")
    return host


@pytest.fixture
def reloads(host: Host) -> Path:
    """Return a file with a line for each reload. Reloads fail while the file `broken` exists."""
    reloads, stamp = host.root / "reloads", host.root / "stamp"
    stamp.write_text(LONG_AGO)
    host.command(
        "systemctl",
        f"#!/bin/sh\n[ $1 = show ] || {{ echo $* >>{reloads}; date -u '+%a %F %T.%6N UTC' >{stamp}; "
        f"[ ! -e {host.root}/broken ]; exit; }}\n"
        f"echo ActiveState=active; echo StateChangeTimestamp=$(cat {stamp})\n"
        f"echo 'ActiveEnterTimestamp={LONG_AGO}'\n",
    )
    host.command("journalctl", "#!/bin/sh\necho 'nginx: [emerg] unknown directive'\n")
    host.settings = {"reloads": ["nginx.service"]}
    return reloads


def test_services_are_reloaded_once_per_change(host, reloads):
    host.run(a={}, b={})
    assert reloads.read_text() == "reload nginx.service\n", "expected one reload for two certificates"
    host.run(a={}, b={})
    assert reloads.read_text() == "reload nginx.service\n", "expected no reload without a change"
    (host.tls / "a/privkey.pem").touch()
    time.sleep(0.01)
    host.run(a={}, b={})
    assert reloads.read_text().count("reload") == 2, "expected the reload that a killed run missed"


def test_failed_reload_is_repeated(host, reloads):
    (host.root / "broken").touch()
    for _ in range(2):
        run = host.run(a={})
        expected = (
            "nginx.service still serves the old certificates, because its reload failed: unknown directive"
        )
        assert run.faults == [expected], run.faults
    (host.root / "broken").unlink()
    assert host.run(a={}).well and host.run(a={}).well
    assert reloads.read_text().count("reload") == 3, "expected reloads until one succeeds"


def test_hook_installs_and_reloads(host, reloads):
    """`certbot renew` of an operator runs the hook."""
    host.run(a={}, b={})
    lineage(host.folder / "certbot", "a", ["a.test"])
    installation.install_all(host.state(a={}, b={}))
    live = host.folder / "certbot/live/a/fullchain.pem"
    assert host.served("a") == live.read_bytes()
    assert reloads.read_text().count("reload") == 2


def test_missing_key_is_installed_by_the_next_run(host):
    host.run(a={})
    host.orders()
    (host.tls / "a/privkey.pem").unlink()
    assert host.run(a={}).results["a"]["installed"] and not host.orders()


def test_key_of_another_certificate_is_rejected(host):
    host.run(a={}, b={})
    before = host.served("a")
    lineage(host.folder / "certbot", "a", ["a.test"])
    live = host.folder / "certbot/live"
    with pytest.raises(MODULES["failures"].CertificateError, match="is not the key of"):
        installation.install_pair(live / "a/fullchain.pem", live / "b/privkey.pem", host.tls / "a")
    assert host.served("a") == before
    assert [path.name for path in host.tls.iterdir() if path.name[0] == "."] == []


def test_pair_is_installed_on_a_file_system_without_exchange(host, monkeypatch):
    host.run(a={})
    lineage(host.folder / "certbot", "a", ["a.test"])
    monkeypatch.setattr(installation, "exchange", lambda *_: False)
    live = host.folder / "certbot/live/a"
    assert installation.install_pair(live / "fullchain.pem", live / "privkey.pem", host.tls / "a")
    assert host.served("a") == (live / "fullchain.pem").read_bytes()
    assert [path.name for path in host.tls.iterdir() if path.name[0] == "."] == []
