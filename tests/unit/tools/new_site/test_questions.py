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


def test_empty_answers_accept_the_proposals(inventory, shop, capsys):
    files(shop, {"migrations/env.py": "", "static/x.css": "", "requirements.txt": "flask\npymysql\n"})
    answer = give(str(shop), "", "myproject.org", "", "", "", "", "")
    assert run(prompt=answer) == 0, capsys.readouterr().err
    expected = {
        "server_names": ["myproject.org"],
        "source": {"path": str(shop)},
        "wsgi": "app:app",
        "database": {"engine": "mysql"},
        "migrate": "flask db upgrade",
        "static": [{"url": "/static/", "path": "static"}],
    }
    assert added(inventory) == expected, f"expected {expected}, got {added(inventory)}"


def test_invalid_answer_repeats_the_question(inventory, shop, capsys):
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
    assert run(prompt=give(*names, "yes")) == 0, capsys.readouterr().err
    assert added(inventory)["server_names"] == ["shop.test"], f"got {added(inventory)}"
    out = capsys.readouterr().out
    assert "static" not in added(inventory), f"got {added(inventory)}"
    assert "found no folder nowhere" in out or not out, f"got {out}"


def test_option_replaces_its_question(inventory, shop):
    flags = ["--source", "shop", "--name", "shop", "--wsgi", "app:app", "--database", "no", "--static", "-"]
    assert run(*flags, prompt=give("a.test", "y")) == 0


def test_rejected_entry_writes_nothing(inventory, shop, capsys):
    assert run("--source", "shop", prompt=give("", "a.test", "", "", "", "n")) == 1
    assert inventory.read_text() == BEFORE, "expected an unchanged file"
    assert "Nothing was written." in capsys.readouterr().err


@pytest.mark.parametrize("ends", [KeyboardInterrupt, EOFError])
def test_interrupted_question_writes_nothing(inventory, shop, capsys, ends):
    def answer(question: str) -> str:
        raise ends

    assert run("--source", "shop", prompt=answer) == 130
    assert inventory.read_text() == BEFORE, "expected an unchanged file"


def talk(checkout: Path, arguments: list[str], *answers: str) -> tuple[int, str]:
    """Run the command in a terminal, and type an answer after each question."""
    master, slave = pty.openpty()
    # Ctrl-C is a signal only in the session of this terminal.
    process = subprocess.Popen(
        ["setsid", "--ctty", checkout / "bin/new-site", *arguments],
        stdin=slave, stdout=slave, stderr=slave,
        # A background process of a shell ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(slave)
    output, answered, typed, moment, until = "", 0, "", 0.0, time.monotonic() + 60
    left = list(answers)
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                output += os.read(master, 4096).decode()
            except OSError:  # the process has closed the terminal
                break
        elif left and output.rstrip(" ").endswith(":") and len(output) > answered:
            answered, typed, moment = len(output), left.pop(0), time.monotonic()
            os.write(master, typed.encode())
        elif typed == "\x03" and time.monotonic() > moment + 10:
            # Ctrl-C before the process reads the answer has no effect until the next one.
            moment = time.monotonic()
            os.write(master, typed.encode())
        elif process.poll() is not None:
            break
    os.close(master)
    if time.monotonic() >= until:
        process.kill()
    return process.wait(10), output


@pytest.fixture
def checkout(inventory: Path) -> Path:
    """Return a checkout with the files that the command needs."""
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


def test_answers_in_a_terminal_write_an_entry(checkout, inventory, shop):
    arguments = ["--env", "production", "--source", str(shop)]
    status, output = talk(checkout, arguments, "\n", "myproject.org\n", "\n", "\n", "\n", "\n")
    assert status == 0, f"expected success, got {status}: {output}"
    assert added(inventory)["server_names"] == ["myproject.org"], f"got {added(inventory)}"


def test_control_c_writes_nothing(checkout, inventory, shop):
    status, output = talk(checkout, ["--env", "production", "--source", str(shop)], "\n", "\x03")
    assert status == 130 and "Nothing was written." in output, f"expected 130, got {status}: {output}"
    assert "Traceback" not in output, f"got {output}"
    assert inventory.read_text() == BEFORE, "expected an unchanged file"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"
