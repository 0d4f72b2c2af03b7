"""Requirements with hashes, and requirements that an index can change."""

from __future__ import annotations

import functools
import http.server
import platform
import sys
import threading
from typing import ClassVar

import pytest
from python_wheels import wheel
from repository import ROOT

VERSION = platform.python_version()
PROGRAM = ROOT / "roles/python_app/files/build"
sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

import requirement_lines  # noqa: E402
from build_plans import digest, installed, planned, write  # noqa: E402
from uv import CommandError  # noqa: E402


def test_hashed_requirements_install_exactly_their_files(uv, package_folder):
    good = f"click==8.0 --hash=sha256:{digest(package_folder, 'click-8.0')}\n"
    got = installed(uv, planned(uv, {"requirements.txt": good}))
    assert got == {"click": "8.0"}, got


@pytest.mark.parametrize(
    "text",
    [
        "click==8.0 --hash=sha256:" + "0" * 64,
        # flask needs a click, which is not locked.
        "flask==3.0 --hash=sha256:{flask}",
    ],
)
def test_hashed_requirements_reject_other_files(uv, package_folder, text, capfd):
    text = text.format(flask=digest(package_folder, "flask-3.0"))
    plan = planned(uv, {"requirements.txt": f"{text}\n"})
    with pytest.raises(CommandError):
        installed(uv, plan)
    output = capfd.readouterr().err.lower()
    assert "hash" in output, f"expected uv to name the hash, got {output}"


class Index(http.server.SimpleHTTPRequestHandler):
    """A package index that records the requested paths."""

    paths: ClassVar[list[str]] = []

    def log_message(self, *arguments: object) -> None:
        self.paths.append(self.path)


def test_resolved_hashed_requirements_send_no_request(uv, package_folder, tmp_path, monkeypatch):
    for package in ("click", "flask"):
        (tmp_path / "simple" / package).mkdir(parents=True)
        for file in package_folder.glob(f"{package}-*"):
            (tmp_path / "simple" / package / file.name).hardlink_to(file)
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.delenv("UV_FIND_LINKS")
    uv.options = []
    locked = f"click==8.0 --hash=sha256:{digest(package_folder, 'click-8.0')}\n"
    handler = functools.partial(Index, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
        first = planned(uv, {"requirements.txt": locked})
        assert "/simple/click/" in Index.paths, f"expected a request for click, got {Index.paths}"
        Index.paths.clear()
        second = planned(uv, {"requirements.txt": locked})
        assert (second.text, Index.paths) == (first.text, [])
        planned(uv, {"requirements.txt": f"{locked}flask\n"})
        assert "/simple/flask/" in Index.paths, f"expected the newest flask from the index, got {Index.paths}"
        server.shutdown()


@pytest.mark.parametrize(
    ("line", "fixed"),
    [
        ("--index-url https://example.com/simple", True),
        ("-r others.txt", True),
        ("-e .", True),
        ("./library", True),
        ("flask", False),
        ("flask @ git+https://example.com/flask", False),
        ("git+https://example.com/flask", False),
        ("-e git+https://example.com/flask", False),
        ("--editable git+https://example.com/flask", False),
        ("https://example.com/flask.zip", False),
    ],
)
def test_fixed_requirements_do_not_depend_on_an_index(line, fixed):
    text = f"{line}  # a comment\nclick==8.0 \\\n    --hash=sha256:{'0' * 64}\n"
    assert requirement_lines.is_fixed(text) is fixed, line


def test_hashed_requirements_with_additions_keep_their_versions(uv, package_folder):
    text = f"click==7.0 --hash=sha256:{digest(package_folder, 'click-7.0')}\n"
    got = installed(uv, planned(uv, {"requirements.txt": text}, ["pymysql", "flask"]))
    assert got == {"click": "7.0", "pymysql": "1.0", "flask": "2.0"} or got["click"] == "7.0", got


def test_wheels_of_the_repository_are_found(uv):
    files = {"requirements.txt": "--no-index\n--find-links ./wheels\nown\n"}
    write(uv, files)
    (uv.tree / "wheels").mkdir()
    wheel(uv.tree / "wheels", "own")
    plan = planned(uv, files)
    got = installed(uv, plan)
    assert got == {"own": "1.0"}, got
    assert str(uv.tree) not in plan.text, f"expected the same environment in each release, got {plan.text}"
    again = planned(uv, files)
    assert again.text == plan.text, f"expected {plan.text!r} in the next release, got {again.text!r}"


def test_file_that_an_index_replaced_is_resolved_again(uv, package_folder):
    """Requirements without hashes do not keep the hash of an earlier build."""
    wheel(package_folder, "replaced")
    first = planned(uv, {"requirements.txt": "replaced\n"}).text
    wheel(package_folder, "replaced", "1.0", "click")
    second = planned(uv, {"requirements.txt": "replaced\n"}).text
    assert "click" in second and digest(package_folder, "replaced-1.0") in second, (
        f"expected the new file instead of {first!r}, got {second!r}"
    )


def test_changed_wheel_with_the_same_name_changes_the_plan(uv):
    files = {"requirements.txt": "./wheels/own-1.0-py3-none-any.whl\n"}
    (uv.tree / "wheels").mkdir()
    wheel(uv.tree / "wheels", "own")
    one = planned(uv, files)
    (uv.tree / "wheels/own-1.0-py3-none-any.whl").unlink()
    wheel(uv.tree / "wheels", "own", "1.0", "click")
    assert planned(uv, files).text != one.text, (
        "expected the content of a wheel to be part of the environment"
    )
