"""The questions of new-site, also in a terminal."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from collection import LINK
from new_site_command import files
from new_site_inventory import BEFORE, added, give, run
from repository import ROOT


def test_questions_with_what_was_found_in_brackets(inventory, shop, capsys):
    files(shop, {"migrations/env.py": "", "static/x.css": "", "requirements.txt": "flask\npymysql\n"})
    ask = give(str(shop), "", "myproject.org", "", "", "", "", "")
    assert run(ask=ask) == 0, capsys.readouterr().err
    expected = {
        "server_names": ["myproject.org"],
        "source": {"path": str(shop)},
        "wsgi": "app:app",
        "database": {"engine": "mysql"},
        "migrate": "flask db upgrade",
        "static": [{"url": "/static/", "path": "static"}],
    }
    assert added(inventory) == expected, f"expected {expected}, got {added(inventory)}"


def test_a_wrong_answer_is_asked_for_again(inventory, shop, capsys):
    names = (
        "nowhere",
        str(shop),
        "harbour",
        "shop",
        "a b",
        "shop.test",
        "x",
        "app:app",
        "perhaps",
        "no",
        "gone",
        "-",
    )
    assert run(ask=give(*names, "yes")) == 0, capsys.readouterr().err
    assert added(inventory)["server_names"] == ["shop.test"], f"got {added(inventory)}"
    out = capsys.readouterr().out
    assert "static" not in added(inventory), f"got {added(inventory)}"
    assert "found no folder nowhere" in out or not out, f"got {out}"


def test_what_a_flag_says_is_not_asked_for(inventory, shop):
    flags = ["--source", "shop", "--name", "shop", "--wsgi", "app:app", "--database", "no", "--static", "-"]
    assert run(*flags, ask=give("a.test", "y")) == 0


def test_no_at_the_end_writes_nothing(inventory, shop, capsys):
    assert run("--source", "shop", ask=give("", "a.test", "", "", "", "n")) == 1
    assert inventory.read_text() == BEFORE, "expected the file as it was"
    assert "Nothing was written." in capsys.readouterr().err


@pytest.mark.parametrize("ends", [KeyboardInterrupt, EOFError])
def test_an_interrupted_question_writes_nothing(inventory, shop, capsys, ends):
    def ask(question: str) -> str:
        raise ends

    assert run("--source", "shop", ask=ask) == 130
    assert inventory.read_text() == BEFORE, "expected the file as it was"


def talk(checkout: Path, arguments: list[str], *answers: str) -> tuple[int, str]:
    """Run the command in a terminal; each answer is typed when a question stands there."""
    master, slave = pty.openpty()
    # A session of its own, whose terminal this is: or Ctrl-C would be a character.
    process = subprocess.Popen(
        ["setsid", "--ctty", checkout / "bin/new-site", *arguments],
        stdin=slave, stdout=slave, stderr=slave,
        # Whoever was begun in the background of a shell passes over Ctrl-C, and so does all that it begins.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(slave)
    said, answered, typed, moment, until = "", 0, "", 0.0, time.monotonic() + 60
    left = list(answers)
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                said += os.read(master, 4096).decode()
            except OSError:  # the other end is closed
                break
        elif left and said.rstrip(" ").endswith(":") and len(said) > answered:
            answered, typed, moment = len(said), left.pop(0), time.monotonic()
            os.write(master, typed.encode())
        elif typed == "\x03" and time.monotonic() > moment + 10:
            # One that comes between a question and its reading is noticed with the next.
            moment = time.monotonic()
            os.write(master, typed.encode())
        elif process.poll() is not None:
            break
    os.close(master)
    if time.monotonic() >= until:
        process.kill()
    return process.wait(10), said


@pytest.fixture
def checkout(inventory: Path) -> Path:
    """What the command needs of a checkout, beside the inventory."""
    root = inventory.parents[4]
    for folder in (
        "tools",
        "plugins/filter",
        "plugins/module_utils",
        "plugins/plugin_utils",
        "plugins/schema",
    ):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "bin").mkdir()
    for name in ("new-site", "python"):
        shutil.copy(ROOT / "bin" / name, root / "bin")
    (root / ".venv").symlink_to(sys.prefix)
    link = root / LINK
    link.parent.mkdir(parents=True)
    link.symlink_to((ROOT / LINK).readlink())
    return root


def test_in_a_terminal(checkout, inventory, shop):
    arguments = ["--env", "production", "--source", str(shop)]
    status, said = talk(checkout, arguments, "\n", "myproject.org\n", "\n", "\n", "\n", "\n")
    assert status == 0, f"expected success, got {status}: {said}"
    assert added(inventory)["server_names"] == ["myproject.org"], f"got {added(inventory)}"


def test_control_c_leaves_nothing(checkout, inventory, shop):
    status, said = talk(checkout, ["--env", "production", "--source", str(shop)], "\n", "\x03")
    assert status == 130 and "Nothing was written." in said, f"expected 130, got {status}: {said}"
    assert "Traceback" not in said, f"got {said}"
    assert inventory.read_text() == BEFORE, "expected the file as it was"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"
