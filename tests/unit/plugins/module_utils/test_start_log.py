"""Logs of applications that failed to start: repeated tracebacks, remedies, and the modules' messages."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Any

import pytest
import site_module
import yaml
from ansible_collections.decanter.stack.plugins.module_utils import activation as switch
from ansible_collections.decanter.stack.plugins.module_utils import start_log, start_path, task
from ansible_collections.decanter.stack.plugins.modules import release_migrate, release_setup
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from repository import ROOT

LOGS = ROOT / "tests/unit/support/start_logs"
BLUE = "/srv/shop/blue"
RELEASE = "/srv/shop/releases/20261130T031045Z-0123456789ab"
EXPECTED = yaml.safe_load((LOGS / "expected.yml").read_text())


def read(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


# --- Remedies ------------------------------------------------------------------------------------


def test_captured_logs_all_have_an_expected_remedy():
    found = {path.stem for path in LOGS.glob("*.log")}
    assert found == set(EXPECTED), f"expected {sorted(EXPECTED)}, got {sorted(found)}"


@pytest.mark.parametrize("name", EXPECTED)
def test_captured_log_has_a_remedy_in_one_line(name):
    got = start_log.hint(read(name), BLUE)
    assert EXPECTED[name] in got and "\n" not in got, f"expected {EXPECTED[name]!r}, got {got!r}"


def denied(path: str, call: str = "", error: str = "OSError: [Errno 30] Read-only file system") -> str:
    return f'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    {call}\n{error}: {path!r}\n'


@pytest.mark.parametrize(
    ("path", "call", "folder", "wanted"),
    [
        ("logs", "os.mkdir(x)", BLUE, "uploads: [logs]"),
        ("./logs", "os.mkdir(x)", BLUE, "uploads: [logs]"),
        ("logs", "", BLUE, "uploads: [logs]"),
        ("logs/app.log", "open(x, 'a')", BLUE, "uploads: [logs]"),
        ("logs/deep/app.log", "open(x, 'a')", BLUE, "uploads: [logs/deep]"),
        ("logs/output", "open(x, 'a')", BLUE, "uploads: [logs]"),
        ("data.d", "os.makedirs(x)", BLUE, "uploads: [data.d]"),
        (f"{RELEASE}/var/cache", "os.mkdir(x)", BLUE, "uploads: [var/cache]"),
        (f"{RELEASE}/logs/app.log", "open(x, 'a')", RELEASE, "uploads: [logs]"),
        ("/srv/shop/green/logs/app.log", "open(x, 'a')", BLUE, "uploads: [logs]"),
        ("/srv/shop/current/logs/app.log", "open(x, 'a')", BLUE, "uploads: [logs]"),
        ("../logs/app.log", "open(x, 'a')", f"{BLUE}/backend", "uploads: [logs]"),
        ("logs/app.log", "open(x, 'a')", f"{BLUE}/backend", "uploads: [backend/logs]"),
        ("app.log", "open(x, 'a')", BLUE, "such as instance/app.log with `uploads: [instance]`"),
        (f"{RELEASE}/shop.db", "open(x, 'a')", BLUE, "such as instance/shop.db with `uploads: [instance]`"),
        (RELEASE, "os.mkdir(x)", BLUE, "into the top folder of its release"),
        (".cache/x", "os.mkdir(x)", BLUE, ".cache/x, which cannot be one of `uploads`"),
        ("my logs", "os.mkdir(x)", BLUE, "my logs, which cannot be one of `uploads`"),
        (".venv/lib/x", "os.mkdir(x)", BLUE, "into its environment"),
        ("/srv/shop/venvs/0123/lib/x", "os.mkdir(x)", BLUE, "into its environment"),
        ("/srv/shop/shared/logs/app.log", "open(x, 'a')", BLUE, "the site's user must own it"),
        ("../../x", "os.mkdir(x)", BLUE, "../../x lies outside the release"),
        ("/var/log/x", "open(x, 'a')", BLUE, "log to standard error"),
        ("/etc/x", "open(x, 'a')", BLUE, "cannot access /etc/x"),
    ],
)  # fmt: skip
def test_read_only_path_suggests_its_folder_as_upload(path, call, folder, wanted):
    for error in (
        "OSError: [Errno 30] Read-only file system",
        "PermissionError: [Errno 13] Permission denied",
    ):
        got = start_log.hint(denied(path, call, error), folder)
        assert wanted in got, f"expected {wanted!r}, got {got!r}"


def test_upload_pattern_is_that_of_the_schema():
    pattern = SCHEMA["additionalProperties"]["properties"]["uploads"]["items"]["pattern"]
    for path in ("logs", "a/b.c/@d+e-f", ".a", "a/.b", "a/", "a//b", "a/../b", "/a", "a b", "a/.", "é"):
        got, expected = bool(start_path.UPLOAD.match(path)), bool(re.search(pattern, path))
        assert got == expected, f"{path}: expected {expected} as in the schema, got {got}"


def test_renamed_file_suggests_the_folder_of_the_target():
    log = "OSError: [Errno 30] Read-only file system: '/tmp/x' -> 'data/x.json'\n"
    assert "uploads: [data]" in start_log.hint(log, BLUE)


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        ("ModuleNotFoundError: No module named 'psycopg2'", "`install: [psycopg2-binary]`"),
        ("ModuleNotFoundError: No module named 'PIL.Image'", "`install: [pillow]`"),
        ("ModuleNotFoundError: No module named 'dotenv'", "`install: [python-dotenv]`"),
        ("ModuleNotFoundError: No module named 'pymysql'", "`install: [pymysql]`"),
        ("ImportError: No module named yaml", "`install: [PyYAML]`"),
        ("ModuleNotFoundError: No module named 'distutils'", 'use `python: "3.11"`'),
        (
            "redis.exceptions.ConnectionError: Error -3 connecting to redis:6379. "
            "Temporary failure in name resolution",
            "Redis",
        ),
        (
            "kombu.exceptions.OperationalError: Error 111 connecting to localhost:6379. Connection refused.",
            "Redis",
        ),
        (
            "MySQLdb.OperationalError: (2002, \"Can't connect to local server through '/x.sock' (2)\")",
            "MySQL: `database`",
        ),
        (
            'psycopg2.OperationalError: could not translate host name "db" to address: Unknown host',
            "PostgreSQL",
        ),
        ("RuntimeError: Set the SHOP_TOKEN environment variable", "`secrets`"),
    ],
)
def test_known_failure_has_a_remedy(log, wanted):
    got = start_log.hint(f"Traceback (most recent call last):\n  x\n{log}\n", BLUE)
    assert wanted in got, f"expected {wanted!r}, got {got!r}"


@pytest.mark.parametrize(
    "log",
    [
        "",
        "[INFO] Booting worker with pid: 1",
        "ValueError: x",
        # A dictionary's key is not an environment variable.
        'Traceback (most recent call last):\n  File "a.py"\n    row["NAME"]\nKeyError: \'NAME\'',
        # gunicorn's own control socket is not the application's fault.
        "[ERROR] Control server error: [Errno 13] Permission denied: '/nonexistent'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'config.toml'",
        "ConnectionRefusedError: [Errno 111] Connection refused",
    ],
)
def test_unknown_failure_has_no_remedy(log):
    assert start_log.hint(log, BLUE) == ""


def test_last_failure_of_a_log_has_the_remedy():
    log = "ModuleNotFoundError: No module named 'yaml'\nModuleNotFoundError: No module named 'PIL'\n"
    assert "pillow" in start_log.hint(log, BLUE)


# --- Repeated tracebacks -------------------------------------------------------------------------


def test_traceback_of_three_workers_is_shown_once():
    full = read("folder")
    assert full.count("os.mkdir") == 3, "expected three tracebacks in the captured log"
    got = start_log.shorten(full)
    assert got.count('os.mkdir("logs")') == 1, f"expected one traceback, got {got}"
    assert "OSError: [Errno 30] Read-only file system: 'logs'" in got
    assert got.count("(repeated 2 times)") == 1, f"expected the number of repetitions once, got {got}"
    assert len(got.split("\n")) < 60, f"expected fewer than 60 lines, got {len(got.split(chr(10)))}"
    assert "Worker exiting (pid: 10530)" in got, "expected other lines to stay"


def test_traceback_of_gunicorn_itself_is_one_line():
    got = start_log.shorten(read("folder"))
    assert "reap_workers" not in got and "gunicorn.errors.HaltServer" in got, f"got {got}"


def record(worker: int, line: int = 3, value: str = "x") -> str:
    return (
        f"[2026-11-30 03:12:{worker:02} +0000] [{worker}] [ERROR] Exception in worker process\n"
        f'Traceback (most recent call last):\n  File "a.py", line {line}, in f\n    g()\n'
        f"KeyError: {value!r}\n\nDuring handling of the above exception, another exception occurred:\n\n"
        f'Traceback (most recent call last):\n  File "a.py", line 5\n    h(<A object at 0x7f{worker:06x}>)\n'
        f"RuntimeError: no\n"
    )


def test_chained_tracebacks_are_one_block():
    got = start_log.shorten(record(1) + record(2) + "the end\n").split("\n")
    assert got.count("RuntimeError: no") == 1 and got.count("KeyError: 'x'") == 1, f"got {got}"
    assert got[-2:] == ["(repeated 1 time)", "the end"], f"got {got}"


def test_different_tracebacks_are_all_shown():
    got = start_log.shorten(record(1) + record(2, line=4) + record(3, value="y"))
    assert got.count("RuntimeError: no") == 3, f"expected three tracebacks, got {got}"
    assert "repeated" not in got


@pytest.mark.parametrize("log", ["", "\n", start_log.TRACEBACK, f"{start_log.TRACEBACK}\n  x"])
def test_incomplete_log_is_kept(log):
    assert start_log.shorten(log) == log.strip("\n")


def test_log_without_traceback_is_unchanged():
    assert start_log.shorten("one\none\ntwo\n") == "one\none\ntwo"


def test_control_characters_and_credentials_are_removed():
    got = start_log.shorten("\x1b[31mred\x1b[0m\x00\u202e mysql://shop:hunter2@localhost/shop\n")
    assert got == "red mysql://***@localhost/shop", f"got {got!r}"


def test_log_is_bounded():
    got = start_log.shorten("\n".join("x" * 1000 for _ in range(1000))).split("\n")
    assert (len(got), max(map(len, got))) == (80, 301), f"got {len(got)} lines of {max(map(len, got))}"


SIZE = 1 << 20
HOSTILE = {
    "words": "a " * (SIZE // 2),
    "dots": "a." * (SIZE // 2),
    "lines": "x\n" * (SIZE // 2),
    "tracebacks": "Traceback (most recent call last):\n" * (SIZE // 35),
    "different tracebacks": "".join(
        f"Traceback (most recent call last):\n  {n}\nE: x\n" for n in range(20_000)
    ),
    "environ": "os.environ " * (SIZE // 11),
    "environ lines": "os.environ\n" * (SIZE // 11),
    "errors": "aError: aError: " * (SIZE // 16),
    "error lines": "a.aError: Connection\n" * (SIZE // 21),
    "denied": "OSError: [Errno 30] Read-only file system: 'a\n" * (SIZE // 46),
    "quotes": "OSError: [Errno 30] Read-only file system: " + "'a' -> " * (SIZE // 7),
    "digits": "1" * SIZE,
    "calls": "self.wsgi(\n  ^\nTypeError: a() takes 1\n" * (SIZE // 42),
    "modules": "ModuleNotFoundError: No module named 'a'\n" * (SIZE // 41),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_log_of_a_megabyte_is_reported_within_a_second(name):
    started = time.process_time()
    got = start_log.report(HOSTILE[name], BLUE)
    seconds = time.process_time() - started
    assert seconds < 1, f"expected less than 1 s, took {seconds:.2f} s"
    assert len(got) < 30_000, f"expected a bounded message, got {len(got)} characters"


# --- The modules' messages -----------------------------------------------------------------------

ID = "20261130T031045Z-0123456789ab"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Any:
    site = site_module.temporary_site(tmp_path, "shop")
    site.root = Path("/srv/shop")  # of the captured logs
    monkeypatch.setattr(site, "exclusive", contextlib.nullcontext)
    monkeypatch.setattr(site, "fail", lambda *_: None)
    monkeypatch.setattr(site, "live_release", lambda: "")
    monkeypatch.setattr(site, "is_migrated", lambda _: False)
    return site


def test_failed_start_has_a_remedy_and_one_traceback(site, monkeypatch):
    calls: list[Any] = []

    def log(*arguments: Any) -> str:
        calls.append(arguments)
        return read("folder")

    monkeypatch.setattr(switch, "log", log)
    monkeypatch.setattr(switch.live, "start", lambda *_: "it ended")
    monkeypatch.setattr(switch.live, "stop", lambda *_: None)
    with pytest.raises(switch.Refused) as error:
        switch.switch(site, ID, {})
    first, remedy, heading, *rest = str(error.value).split("\n")
    assert first == "it did not go live, it ended. Nothing is live."
    assert remedy.startswith("Remedy: ") and "`uploads: [logs]`" in remedy, f"got {remedy!r}"
    assert heading == "Its log ends:" and "\n".join(rest).count("os.mkdir") == 1, f"got {rest}"
    assert calls[0][2] >= 3 * 60, (
        f"expected to read three tracebacks of the journal, read {calls[0][2]} lines"
    )


@pytest.mark.parametrize("module", [release_migrate, release_setup])
def test_failed_command_has_a_remedy(module, site, monkeypatch):
    wanted: Any = (
        {"name": "shop", "database": None, "migrate": "flask go"} if module is release_migrate else "shop"
    )

    monkeypatch.setattr(module, "Site", lambda _: site)

    def run(*_: Any) -> str:
        raise task.Failed(read("module_mysqldb"))

    monkeypatch.setattr(module, "run", run)
    got = site_module.call(module, {"site": wanted, "release": ID, "commands": ["flask go"]})
    first, remedy, heading, *_ = f"{got['msg']}\n{got['details']}".split("\n")
    assert f"`flask go` failed in release {ID}." in first, f"got {first!r}"
    assert (
        remedy
        == "Remedy: No requirement provides the module MySQLdb: add `install: [mysqlclient]` to the site."
    )
    assert heading == "Its log ends:"
