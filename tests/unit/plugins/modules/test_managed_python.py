"""Managed Pythons: installed by the real uv from a mirror on loopback, complete or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.modules.managed_python import own_by_root
from managed_python_host import WANTED, Host, failure_message
from python_mirror import Mirror, archive


@pytest.fixture
def mirror():
    server = Mirror()
    yield server
    server.close()


@pytest.fixture
def host(tmp_path, mirror):
    """Return a host with a pin of Python 3.12.99."""
    return Host(tmp_path, mirror, mirror.add("3.12.99", archive("3.12.99")))


def test_python_is_installed_once(host, mirror):
    done = host.run()
    assert done.code == 0 and done.result["changed"], done
    assert host.version() == "3.12.99", f"expected the build of the archive, got {host.version()}"
    assert done.result["pythons"] == {"3.12": str(host.link.resolve())}, done.result
    assert json.loads((host.root / "lib/pythons.json").read_text()) == host.pins
    again = host.run()
    assert again.code == 0 and again.result["changed"] is False, again
    assert len(mirror.requests) == 1, f"expected one download, got {mirror.requests}"


def test_installed_python_is_modifiable_by_its_owner_alone(host):
    """uv leaves a lock file with mode 0666; the archive has setuid bits and write permission for all."""
    assert host.run().code == 0
    for path in (host.folder, *host.folder.rglob("*")):
        status = path.lstat()
        assert status.st_uid == os.geteuid(), f"{path}: expected the user of the test, got {status.st_uid}"
        if not path.is_symlink():
            assert not status.st_mode & 0o6022, f"{path}: expected no such mode, got {oct(status.st_mode)}"
            if path.name != ".lock":
                assert status.st_mode & stat.S_IROTH, f"{path}: expected sites to read it"


def test_owner_and_modes_are_set_without_following_links(tmp_path):
    """Protect against an archive or a version of uv that leaves files writable for other users."""
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.touch(mode=0o644)
    outside.chmod(0o666)
    (tree / "lib").mkdir(parents=True)
    for name, mode in (("python", 0o6777), ("lib/os.py", 0o666)):
        (tree / name).touch()
        (tree / name).chmod(mode)
    (tree / "lib").chmod(0o2777)
    (tree / "link").symlink_to(outside)
    if os.geteuid() == 0:
        for path in tree.rglob("*"):
            os.lchown(path, 1234, 1234)
    own_by_root(tree)
    modes = {path.name: oct(stat.S_IMODE(path.lstat().st_mode)) for path in sorted(tree.rglob("*"))}
    modes.pop("link")
    assert modes == {"python": "0o755", "lib": "0o755", "os.py": "0o644"}, modes
    owners = {path.lstat().st_uid for path in tree.rglob("*")}
    assert owners == {os.geteuid()}, f"expected one owner, got {owners}"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o666, "expected the link not to be followed"


def test_check_mode_changes_nothing(host, mirror):
    done = host.run(check=True)
    assert done.code == 0 and done.result["changed"], done
    assert not host.folder.exists() and mirror.requests == [], mirror.requests
    assert host.run().result["changed"] and host.run(check=True).result["changed"] is False


def test_archive_with_another_checksum_is_rejected(host):
    (key,) = host.pins
    sha = host.pins[key]["sha256"]
    host.pins[key]["sha256"] = "0" * 64
    message = failure_message(host.run())
    for part in ("Python 3.12.99", f"found the SHA-256 {sha}, expected {'0' * 64}", host.mirror.url):
        assert part in message, f"expected {part!r}, got {message}"
    assert host.builds() == [] and not host.link.exists(), f"expected no build, got {host.builds()}"


def test_unreachable_mirror_is_named(host):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/none"
        message = failure_message(host.run(mirror=url))
    for part in (f"python_mirror {url}", "Connection refused", "Set python_mirror to"):
        assert part in message, f"expected {part!r}, got {message}"
    assert host.builds() == []


def test_mirror_without_the_archive_is_named(host, mirror):
    mirror.files.clear()
    message = failure_message(host.run())
    assert f"python_mirror {mirror.url}" in message and "HTTP 404" in message, message


def test_cut_download_is_completed_by_the_next_run(host, mirror):
    mirror.fault = "cut"
    message = failure_message(host.run())
    assert f"python_mirror {mirror.url}" in message and len(mirror.requests) > 1, message
    assert host.builds() == [], f"expected no incomplete build, got {host.builds()}"
    mirror.fault = ""
    assert host.run().code == 0 and host.version() == "3.12.99"


def processes(program: str, folder: Path) -> list[str]:
    """Return the command lines of a program that work on a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # a process that ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if line.startswith(program) and str(folder) in line]


def test_killed_run_is_completed_by_the_next(host, mirror):
    mirror.fault = "stall"
    with host.start() as process:
        assert mirror.stalled.wait(30), "expected a download to begin"
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (running := processes(host.uv, host.folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running, f"expected uv to end with the killed run, got {running}"
    assert host.builds() and not host.link.exists(), "expected an incomplete build"
    mirror.fault = ""
    done = host.run()
    assert done.code == 0 and done.result["changed"] and host.version() == "3.12.99", done


def test_slow_mirror_fails_after_the_timeout(host, mirror):
    mirror.fault = "stall"
    message = failure_message(host.run(timeout=2))
    assert "within 2 s" in message and mirror.url in message, message
    assert host.builds() == []


def test_new_build_keeps_a_used_old_build(host, mirror):
    host.run()
    (first,) = host.builds()
    environment = host.environment("shop")
    host.pins = mirror.add("3.12.100", archive("3.12.100"), "20260201")
    check = host.run(check=True)
    expected = ["python: found 3.12.99, expected 3.12.100. Install it with make converge."]
    assert check.result["outdated"] == expected, check
    assert host.run().result["changed"] and host.version() == "3.12.100"
    assert len(host.builds()) == 2 and host.run().result["changed"] is False, host.builds()
    assert host.run(check=True).result["outdated"] == []
    (environment / "bin/python").unlink()
    assert host.run().result["changed"] and first not in host.builds(), f"expected {first} to be removed"
    assert host.run().result["changed"] is False


def test_replaced_build_is_removed_by_the_next_run(host, mirror):
    """Keep it for one run, because a release may be building an environment with it."""
    host.run()
    host.pins = mirror.add("3.12.99", archive("3.12.99", mark="# rebuilt\n"), "20260201")
    assert "an older build of 3.12.99" in host.run(check=True).result["outdated"][0]
    host.run()
    assert len(host.builds()) == 2, host.builds()
    host.run()
    assert len(host.builds()) == 1 and host.version() == "3.12.99", host.builds()


def test_unused_python_is_removed(host):
    host.run()
    environment = host.environment("shop")
    done = host.run(pythons=[])
    assert done.result["changed"] and not host.link.exists(), done
    assert len(host.builds()) == 1, "expected the build of an environment to stay"
    (environment / "bin/python").unlink()
    host.run(pythons=[])
    assert host.builds() == [] and host.run(pythons=[]).result["changed"] is False


@pytest.mark.skipif(os.geteuid() != 0, reason="an interpreter of the host belongs to root")
@pytest.mark.parametrize("instead", [True, False])
def test_interpreter_of_the_host_is_preferred(host, mirror, instead):
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("this machine has no /usr/bin/python3")
    major = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    wanted = WANTED | {"version": major, "alternatives": ["/usr/bin/python3"] if instead else []}
    done = host.run(pythons=[wanted], system=str(host.root) if instead else "/usr/bin")
    assert done.code == 0 and done.result["changed"] is False and mirror.requests == [], done


def test_package_of_the_distribution_is_preferred(host, mirror, monkeypatch):
    tools = host.root / "tools"
    tools.mkdir()
    (tools / "apt-cache").write_text(
        "#!/bin/sh\n[ $1 = pkgnames ] && printf 'python3.12\\npython3.13-doc\\n'\n"
    )
    (tools / "apt-cache").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    done = host.run(pythons=[WANTED | {"package": "python3.12"}])
    assert done.code == 0 and done.result["changed"] is False and mirror.requests == [], done
    assert host.run(pythons=[WANTED | {"package": "python3.13"}]).result["changed"]


def test_version_without_a_pin_is_rejected(host):
    message = failure_message(host.run(pythons=[WANTED | {"version": "3.7"}]))
    assert message.startswith("python: found 3.7 for ") and message.endswith(", expected one of: 3.12"), (
        message
    )


@pytest.mark.parametrize(
    ("mirror_url", "part"),
    [
        (
            "mirror.example/python",
            "python_mirror: found mirror.example/python, expected a URL such as https://",
        ),
        ("https://u:secret@mirror.example/p", "python_mirror: found a password in the URL, expected it in"),
    ],
)
def test_invalid_mirror_is_rejected(host, mirror_url, part):
    done = host.run(check=True, mirror=mirror_url)
    assert failure_message(done).startswith(part), done
    assert "secret" not in done.result["msg"], done


def test_broken_python_is_rejected(host, mirror):
    broken = "#!/bin/sh\necho 'libfoo.so.1: cannot open shared object file' >&2\nexit 127\n"
    host.pins = mirror.add("3.12.99", archive("3.12.99", broken))
    message = failure_message(host.run())
    assert "libfoo.so.1: cannot open shared object file, expected Python 3.12.99" in message, message
    assert host.builds() == [] and not host.link.exists()


def test_missing_uv_is_named(host):
    message = failure_message(host.run(uv="/nowhere/uv"))
    assert message == "/nowhere/uv: found No such file or directory, expected uv.", message


def test_settings_of_a_user_are_ignored(host, mirror, monkeypatch):
    """Ignore uv's variables and its configuration file."""
    folder = host.root / "config/uv"
    folder.mkdir(parents=True)
    (folder / "uv.toml").write_text('python-downloads = "never"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:9/")
    assert host.run().code == 0 and host.version() == "3.12.99"
