"""The benchmarks: arguments, order of runs, figures and reports."""

from __future__ import annotations

import json

import pytest

from tools import library
from tools.bench import __main__ as bench
from tools.bench import baseline, environments, front, lab, report, web_hosts
from tools.library import Record

MACHINE = {"date": "2026-11-30", "cores": 2, "cpu": "cpu", "versions": {"python": "3.13"}}
SETUP = {
    "by-hand": 50.0,
    "first": {"seconds": 75.0, "ran": 300, "skipped": 40, "changed": 200},
    "idle": {"seconds": 15.0, "ran": 250, "skipped": 90, "changed": 0},
    **{"deploy": 4.5, "rollback": 1.5, "pull": 1.0, "p99_quiet_ms": 10.0, "p99_deploy_ms": 25.0},
}
ENVIRONMENTS = {
    "empty": 20.0,
    "one_pin": [5.0, 6.0, 7.0, 30.0],
    "disk": {"one": 10240, "all": 12288},
    "packages": 60,
}
MEMORY = {
    "kind": "PSS",
    "units": {
        "nginx.service": {"kib": 102400, "processes": 3},
        "(systemd)": {"kib": 900000, "processes": 5},
    },
    "sized_by": {"python_app_workers": 2},
}
BASELINE: Record = {
    "others_percent": [3, 12],
    "plain": SETUP,
    "mitogen": SETUP,
    "memory": MEMORY,
    "environments": ENVIRONMENTS,
}
ROUND = {
    "cached": {"a_second": 900.0},
    "file": {"a_second": 1000.0},
    "tutorial": {"a_second": 20.0},
    "logged in": {"a_second": 20.0},
    "tutorial, logged in": {"a_second": 20.0},
}
FRONT: Record = {
    "others_percent": [3],
    "page_bytes": 30000,
    "cache_status": "HIT",
    "rounds": [ROUND],
    "quiet": {"p99_ms": 10.0},
    "flooded": {"p99_ms": 15.0, "requests": 200, "outcomes": {"200": 200}},
    "flood": {"refused": 90, "requests": 100},
    "websockets": {
        "without": {"p99_ms": 10.0},
        "idle": {"p99_ms": 11.0, "requests": 200, "outcomes": {"200": 200}},
        "open": 200,
    },
}
HOSTS: Record = {
    "others_percent": [3],
    "seconds": {
        size: {"converge, Mitogen": seconds, "deploy, Mitogen": 9.0}
        for size, seconds in (("1", 10.0), ("2", 11.0), ("4", 14.0))
    },
}


def by_name(figures: list[Record]) -> Record:
    return {row["figure"]: (row["value"], row["met"]) for row in figures}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [([], ["baseline", "front"]), (["hosts"], ["hosts"]), (["front", "hosts"], ["front", "hosts"])],
)
def test_arguments_select_benchmarks(arguments, expected):
    assert bench.arguments(arguments).benchmarks == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["door"], "found door, expected baseline, front, hosts"),
        (["--keep"], "--keep requires the benchmark front alone"),
        (["--keep", "hosts"], "--keep requires the benchmark front alone"),
    ],
)
def test_invalid_arguments_fail(arguments, message, capsys):
    with pytest.raises(SystemExit):
        bench.arguments(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "minimum", "valid", "met"),
    [
        (2.0, False, True, True),
        (2.01, False, True, False),
        (2.0, True, True, True),
        (1.99, True, True, False),
        (1.0, False, False, False),
    ],
)
def test_figure_is_compared_with_its_target(value, minimum, valid, met):
    row = report.figure("a", value, 2.0, "note", minimum=minimum, valid=valid)
    assert (row["bound"], row["met"]) == ("≥" if minimum else "≤", met)


def test_baseline_figures():
    assert by_name(baseline.figures(BASELINE)) == {
        "first converge, with Mitogen": (1.5, True),
        "first converge, without": (1.5, True),
        "nothing to change, with Mitogen": (0.3, True),
        "nothing to change, without": (0.3, True),
        "deploy of code, with Mitogen": (4.5, False),
        "deploy of code, without": (4.5, True),
        "rollback, with Mitogen": (1.5, True),
        "rollback, without": (1.5, True),
        "p99 during a deploy": (2.5, True),
        "memory": (100, True),
        "deploy that changes one pin": (0.35, True),
        "disk of five environments": (1.2, True),
    }


def test_baseline_without_mitogen_has_no_figures_of_mitogen():
    names = by_name(baseline.figures({name: BASELINE[name] for name in BASELINE if name != "mitogen"}))
    assert not [name for name in names if "with Mitogen" in name] and "p99 during a deploy" in names


def test_front_figures():
    assert by_name(front.figures(FRONT)) == {
        "page out of the cache, by the same file": (0.9, True),
        "page out of the cache, by the tutorial's": (45.0, True),
        "page of a session, by the tutorial's": (1.0, False),
        "a visitor's p99 in a flood, by quiet": (1.5, True),
        "a visitor's p99 with idle WebSockets, by without": (1.1, True),
    }


def test_front_lost_response_misses_the_target():
    flooded = FRONT["flooded"] | {"outcomes": {"200": 199, "503": 1}}
    row = front.figures(FRONT | {"flooded": flooded})[-2]
    assert not row["met"] and "1 of 200 failed" in row["note"]


def test_front_closed_websocket_misses_the_target():
    row = front.figures(FRONT | {"websockets": FRONT["websockets"] | {"open": 199}})[-1]
    assert not row["met"] and "199 still open" in row["note"]


def test_hosts_figures_compare_four_hosts_with_one():
    assert by_name(web_hosts.figures(HOSTS)) == {"converge, Mitogen": (1.4, True)}
    lines = web_hosts.details(HOSTS).splitlines()
    assert [line.split() for line in lines] == [
        ["seconds", "1", "2", "4", "4", "by", "1"],
        ["converge,", "Mitogen", "10.0", "11.0", "14.0", "1.40"],
        ["deploy,", "Mitogen", "9.0", "9.0", "9.0", "1.00"],
    ]


def test_main_runs_benchmarks_in_order_and_writes_results(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "machine", lambda: MACHINE)
    monkeypatch.setattr("sys.argv", ["bench"])
    for module, results in ((baseline, BASELINE), (front, FRONT)):
        (tmp_path / ".lab" / module.NAME).mkdir(parents=True)
        monkeypatch.setattr(module, "measure", lambda keep, results=results: results)
    assert bench.main() == 0
    output = capsys.readouterr().out
    first, second = output.split("Benchmark front\n")
    assert first.startswith("Benchmark baseline\n")
    for text in ("≤ 512  met", "4.5 x git pull      ≤ 4  MISSED", "NOT QUIET: other", "not counted"):
        assert text in first, output
    assert "≥ 0.8  met" in second and "\nQUIET: other programs used up to 3 %" in second, output
    data = json.loads((tmp_path / ".lab/bench-front/results.json").read_text())
    assert (data["how"], data["results"]) == (front.HOW, FRONT)


def test_copy_of_harbour_has_tracked_files_only(tmp_path, monkeypatch):
    for name in (".venv/x", "instance/x.db", "harbour/__pycache__/x.pyc", "harbour/a.py", ".env"):
        (tmp_path / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "app" / name).touch()
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    lab.copy_harbour(tmp_path / "copy")
    lab.copy_harbour(tmp_path / "copy")
    files = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert files == [tmp_path / "copy/harbour/a.py"]


def test_environment_sources_change_one_package(tmp_path):
    texts = []
    for pin in environments.variants():
        environments.write_source(tmp_path / "source", pin)
        texts.append((tmp_path / "source/requirements.txt").read_text())
        assert texts[-1].count("\nhumanize==") == 1 and pin in texts[-1]
    assert len(set(texts)) == len(texts) == 5


@pytest.mark.parametrize(
    ("new", "keep", "plays"),
    [
        (False, False, ["create", "destroy"]),
        (False, True, ["create"]),
        (True, False, ["destroy", "create", "destroy"]),
    ],
)
def test_temporary_hosts_are_removed_after_a_failure(new, keep, plays, tmp_path, monkeypatch):
    playbooks: list[str] = []
    monkeypatch.setattr(library, "ROOT", tmp_path)
    monkeypatch.setattr(library.Lab, "_play", lambda self, title, playbook: playbooks.append(playbook))
    with pytest.raises(library.Failure), library.Lab("bench", []).temporary_hosts(new, keep):
        raise library.Failure("response")
    assert playbooks == plays


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (None, 0, ""),
        (library.Failure("no response"), 2, "\nno response\n"),
        (KeyboardInterrupt(), 130, "\nstopped\n"),
    ],
)
def test_program_exit_status(error, status, message, monkeypatch, capsys):
    def main() -> int:
        if error:
            raise error
        return 0

    monkeypatch.setattr(library, "exit_on_sigterm", lambda: None)
    assert library.run_program(main, failed=2) == status
    assert capsys.readouterr().err == message
