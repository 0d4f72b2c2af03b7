"""The files of a site: gunicorn, environment, processes and timers."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import logging
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from templates_cases import CASES, FULL
from templates_rendering import everywhere, matching, program, run


@everywhere
def test_gunicorn_accepts_its_configuration(host, case, monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    for file in matching(host, case, r"/gunicorn\.conf\.py$"):
        settings: dict[str, Any] = {"__file__": file.path}
        exec(compile(file.text, file.path, "exec"), settings)
        site = CASES[case].sites[Path(file.path).parent.name]
        assert type(settings["workers"]) is int and settings["workers"] >= 1, settings["workers"]
        assert settings["worker_class"] == site.get("gunicorn", {}).get("worker_class", "gthread")
        assert ("threads" in settings) == (settings["worker_class"] == "gthread")
        options, nginx = site.get("gunicorn", {}), site.get("nginx", {})
        timeout = options.get("timeout", 30)
        assert settings["timeout"] == timeout, f"expected {timeout}, got {settings['timeout']}"
        # Workers end before their master kills them.
        graceful = max(timeout, options.get("graceful_timeout", timeout))
        found = settings["WORKER_GRACEFUL_TIMEOUT"], settings["graceful_timeout"]
        assert found == (graceful, graceful + 5), f"expected {(graceful, graceful + 5)}, got {found}"
        assert (settings["worker_tmp_dir"], settings["control_socket_disable"]) == (str(tmp_path), True)
        for name in ("accesslog", "errorlog"):
            assert settings[name] in (None, "-"), f"{name}: {settings[name]!r}"
        # An open connection occupies a thread, so that a worker accepts as many as it has threads.
        occupies = settings["worker_class"] == "gthread" and (nginx.get("websockets") or nginx.get("streams"))
        connections = options.get("worker_connections", settings["threads"] if occupies else None)
        assert settings.get("worker_connections") == connections, f"expected {connections}"
        wrong = {key for key, value in options.get("settings", {}).items() if settings.get(key) != value}
        assert not wrong, f"{file.path}: expected {options['settings']}, got other values for {wrong}"
        if importlib.util.find_spec("gunicorn"):
            from gunicorn.config import Config

            config = Config()
            for name in config.settings.keys() & settings.keys():
                config.set(name, settings[name])


@pytest.mark.parametrize("case", ["full", "elsewhere"])
def test_response_header_names_the_release(case, monkeypatch, tmp_path):
    """The hook of gunicorn's configuration, on an application of three lines."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {}
    exec(matching("debian13", case, r"/gunicorn\.conf\.py$")[0].text, settings)

    class Worker:
        @staticmethod
        def wsgi(environ, start_response):
            start_response("200 OK", [("A", "b")])
            return [b"body"]

    worker, got = Worker(), []
    try:
        settings["post_worker_init"](worker)
        assert gc.get_freeze_count(), "expected gc.freeze() before the first request"
    finally:
        gc.unfreeze()
    assert worker.wsgi({}, lambda status, headers: got.append((status, headers))) == [b"body"]
    assert got == [("200 OK", [("A", "b"), ("X-Release", tmp_path.name)])]
    monkeypatch.delattr(gc, "freeze")
    settings["post_worker_init"](Worker())  # PyPy has no gc.freeze()


@pytest.mark.parametrize(
    ("kind", "headers", "expected"),
    [
        (
            "http",
            {"host": "plain.test:8443", "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"},
            {"client": ("192.0.2.1", 0), "scheme": "https", "server": ("plain.test", 8443)},
        ),
        (
            "websocket",
            {"host": "[fd00::1]", "x-forwarded-for": "fd00::2", "x-forwarded-proto": "https"},
            {"client": ("fd00::2", 0), "scheme": "wss", "server": ("fd00::1", 443)},
        ),
        # A health check through the socket.
        ("http", {"host": "plain.test"}, {"client": None, "scheme": "http", "server": ("plain.test", 80)}),
        ("lifespan", {}, {}),
    ],
)
def test_asgi_scope_has_the_connection_of_the_client(kind, headers, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {}
    exec(matching("debian13", "route53-role", r"/gunicorn\.conf\.py$")[0].text, settings)
    scopes, sent = [], []

    async def application(scope, receive, send):
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind} | ({"headers": raw} if headers else {})
    asyncio.run(settings["behind_nginx"](application)(scope, None, send))
    assert scopes == [scope | expected], f"expected {scope | expected}, got {scopes}"
    release = [] if kind == "lifespan" else [(b"x-release", tmp_path.name.encode())]
    assert sent[0]["headers"] == release, f"expected {release}, got {sent}"


def test_gunicorn_log_has_no_query_strings(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    settings: dict[str, Any] = {}
    exec(matching("debian13", "full", r"/gunicorn\.conf\.py$")[0].text, settings)
    logger = logging.getLogger("gunicorn.error")
    assert settings["without_query"] in logger.filters, logger.filters
    record = logger.makeRecord(logger.name, 40, "", 0, "Error handling request %s", ("/a?key=hunter2",), None)
    assert logger.filter(record)
    got = record.getMessage()
    assert got == "Error handling request /a?…", f"expected no query string, got {got}"


@everywhere
def test_environment_file_keeps_each_value(host, case):
    for file in matching(host, case, r"/etc/decanter/[^/]+/environment$"):
        site = CASES[case].sites[Path(file.path).parent.name]
        lines = [line for line in file.text.splitlines() if line and not line.startswith("#")]
        # In double quotes, systemd reads backslashes as a shell does.
        got = dict(shlex.split(line)[0].split("=", 1) for line in lines)
        expected = {name: value for name, value in site.get("env", {}).items() if "{release}" not in value}
        wrong = {name: got.get(name) for name, value in expected.items() if got.get(name) != value}
        assert not wrong, f"{file.path}: expected {expected}, got {wrong}"
        assert not set(site.get("secrets", {})) & set(got), f"{file.path}: found a secret"


@pytest.mark.parametrize(
    ("unit", "folder"), [("@.service", "/srv/harbour/%i"), (".task@.service", "/srv/harbour/releases/%i")]
)
def test_release_folder_in_env_is_that_of_the_unit(unit, folder):
    (file,) = matching("debian13", "elsewhere", rf"/harbour{re.escape(unit)}$")
    lines = [line for line in file.text.splitlines() if "SETTINGS" in line]
    assert lines == [f'Environment="SETTINGS={folder}/set%%tings.cfg"'], f"expected {folder}, got {lines}"


@everywhere
def test_gunicorn_command_names_the_application(host, case):
    for name, site in CASES[case].sites.items():
        file = matching(host, case, rf"/{name}@\.service$")[0]
        command = next(line for line in file.text.splitlines() if line.startswith("ExecStart="))
        # In double quotes, systemd reads backslashes as a shell does; a % is written twice.
        got = shlex.split(command)[-1]
        assert got == site["wsgi"].replace("%", "%%"), f"{file.path}: {command}"


# systemd restarts processes, and stops a timer's command after a timeout.
KINDS = {
    "processes": {"Type=exec", "Restart=always", "WantedBy=multi-user.target", "StartLimitIntervalSec=0"},
    "timers": {"Type=oneshot", "TimeoutStartSec=900"},
}


@everywhere
def test_processes_and_timers_run_their_commands(host, case):
    for site, values in CASES[case].sites.items():
        for kind, name in ((one, name) for one in KINDS for name in values.get(one, {})):
            file = matching(host, case, rf"/{site}\.{name}@\.service$")[0]
            lines = file.text.splitlines()
            definition = values[kind][name]
            command = definition if kind == "processes" else definition["command"]
            [start] = [line for line in lines if line.startswith("ExecStart=")]
            # In double quotes, systemd reads backslashes as a shell does; % and $ are written twice.
            got = shlex.split(start.removeprefix("ExecStart="))
            expected = ["/bin/sh", "-c", command.replace("%", "%%").replace("$", "$$")]
            assert got == expected, f"{file.path}: expected {expected}, got {got}"
            assert f"WorkingDirectory=/srv/{site}/releases/%i" in lines and f"User={site}" in lines, file.text
            for other, words in KINDS.items():
                assert words <= set(lines) if other == kind else not words & set(lines), file.text


@everywhere
def test_timer_has_its_calendar(host, case):
    for site, values in CASES[case].sites.items():
        for name, timer in values.get("timers", {}).items():
            file = matching(host, case, rf"/{site}\.{name}@\.timer$")[0]
            assert f"OnCalendar={timer['calendar']}" in file.text.splitlines(), file.text
            code, output = run(program("systemd-analyze"), "calendar", timer["calendar"])
            assert code == 0, output


def test_flask_app_with_quotes_is_escaped():
    file = matching("debian13", "full", r"/etc/decanter/harbour/environment$")[0]
    line = next(line for line in file.text.splitlines() if line.startswith("FLASK_APP="))
    assert shlex.split(line) == [f"FLASK_APP={FULL['wsgi']}"], line


@everywhere
def test_tmpfiles_lines_are_valid(host, case):
    for file in matching(host, case, r"/tmpfiles\.d/"):
        for line in file.text.splitlines():
            assert re.fullmatch(r"#.*|d /run/decanter(/[a-z0-9-]+)? 0\d{3} \S+ \S+", line), (
                f"{file.path}: {line!r}"
            )
