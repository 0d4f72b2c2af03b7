"""Records of a site's releases: pruning, rollback targets, the table, pending migrations."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import site_module
from ansible_collections.decanter.stack.plugins.action.release_info import table
from ansible_collections.decanter.stack.plugins.module_utils import companions, pruning
from ansible_collections.decanter.stack.plugins.module_utils import site as module_site
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink
from ansible_collections.decanter.stack.plugins.modules import release, release_info
from ansible_collections.decanter.stack.plugins.modules import release_migrate as migrate
from resolved_site import resolved
from stub_programs import program


def identifier(number: int) -> str:
    """Return the ID of a release that was created at a minute."""
    return f"20260101T00{number:02}00Z-{number:012x}"


class Site(module_site.Site):
    """A site below a temporary folder."""

    def __init__(self, root: Path) -> None:
        super().__init__("plain")
        for name in ("releases", "venvs", "assets", "current"):
            setattr(self, name, root / name)
        self.root, self.run, self.live_socket = root, root / "run", root / "run/live.sock"
        self.lock, self.pin, self.once = root / "lock.json", root / "pin.json", root / "once.json"
        self.log = root / "log/plain.log"
        for folder in (self.releases, self.venvs, self.run):
            folder.mkdir()

    def add(self, number: int, state: str = "good", environment: str = "e0", **more: Any) -> str:
        """Create a release with its environment and all of its side files."""
        name = identifier(number)
        if state != "unbuilt":
            (self.release(name) / "static").mkdir(parents=True)
            (self.venvs / environment / "bin").mkdir(parents=True, exist_ok=True)
            (self.release(name) / ".venv").symlink_to(self.venvs / environment)
            self.sidecar(name, "schema.json").write_text("{}")
            self.sidecar(name, "sql.gz").write_bytes(gzip.compress(b"-- a dump"))
        more = {"created": f"day {number:02}"} | more
        record = {"id": name, "state": "failed" if state == "unbuilt" else state, **more}
        self.write_record(name, record)
        return name

    def activate(self, colour: str, name: str) -> None:
        replace_symlink(self.slot(colour), f"releases/{name}")
        replace_symlink(self.live_socket, f"{colour}.sock")

    def kept(self) -> list[int]:
        """Return the numbers of the releases that have a tree."""
        return [int(name[-12:], 16) for name in self.identifiers()]

    def recorded(self) -> list[int]:
        return [int(record["id"][-12:], 16) for record in self.records()]


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


# --- Pruning -----------------------------------------------------------------------------------


def test_prune_keeps_five_releases_and_their_files(site):
    for number in range(1, 9):
        site.add(number)
    site.activate("blue", identifier(7))
    site.activate("green", identifier(8))
    pruning.prune(site, 5)
    assert site.kept() == site.recorded() == [4, 5, 6, 7, 8]
    for number in range(1, 9):
        files = {path.name.split(".", 1)[1] for path in site.releases.glob(f"{identifier(number)}.*")}
        expected = {"json", "schema.json", "sql.gz"} if number > 3 else set()
        assert files == expected, f"release {number}: expected the files {expected}, got {files}"


@pytest.mark.parametrize("keep", [1, 2, 7, 8, 50])
def test_prune_keeps_the_given_number(site, keep):
    for number in range(1, 9):
        site.add(number)
    site.activate("blue", identifier(8))
    pruning.prune(site, keep)
    assert site.kept() == list(range(1, 9))[-keep:]


def test_prune_keeps_the_live_release(site):
    """Keep also the release before it, which drains. After a rollback both may be old."""
    for number in range(1, 9):
        site.add(number)
    site.activate("green", identifier(1))
    site.activate("blue", identifier(2))
    pruning.prune(site, 3)
    assert site.kept() == site.recorded() == [1, 2, 6, 7, 8]
    assert site.live_release() == identifier(2)


def test_prune_counts_failed_releases_separately(site):
    for number in range(1, 15):
        site.add(number, state="good" if number % 2 else "failed")
    site.activate("blue", identifier(13))
    pruning.prune(site, 5)
    assert site.kept() == site.recorded() == [*range(5, 15)], "expected five of each"


def test_prune_removes_records_of_failed_builds(site):
    for number in range(1, 8):
        site.add(number, state="unbuilt")
    site.add(8)
    site.activate("blue", identifier(8))
    assert (site.kept(), site.recorded()) == ([8], [*range(1, 9)])
    pruning.prune(site, 5)
    assert (site.kept(), site.recorded()) == ([8], [*range(3, 9)])


def test_prune_keeps_a_failed_live_release(site):
    """A site's first release stays live after a failure, because there is no earlier one."""
    site.add(1, state="failed")
    site.activate("blue", identifier(1))
    site.add(2, state="failed")
    pruning.prune(site, 5)
    assert site.kept() == [1, 2]


def test_prune_removes_unused_environments(site):
    for number, environment in enumerate(["old", "old", "shared", "new", "shared"], 1):
        site.add(number, environment=environment)
    (site.venvs / "incomplete").mkdir()
    site.activate("blue", identifier(5))
    pruning.prune(site, 4)
    assert {path.name for path in site.venvs.iterdir()} == {"old", "shared", "new"}
    pruning.prune(site, 3)
    assert {path.name for path in site.venvs.iterdir()} == {"shared", "new"}
    assert (site.release(identifier(5)) / ".venv/bin").is_dir()


def test_prune_keeps_a_release_that_is_being_built(site):
    site.add(1)
    (site.releases / f".new-{identifier(2)}").mkdir()
    (site.releases / f".{identifier(1)}.json.new").touch()
    site.activate("blue", identifier(1))
    pruning.prune(site, 5)
    assert site.kept() == site.recorded() == [1]
    assert (site.releases / f".new-{identifier(2)}").is_dir()


# --- Records -----------------------------------------------------------------------------------


def test_records_are_sorted_by_time(site):
    for number in (3, 1, 2):
        site.add(number)
    assert site.recorded() == [1, 2, 3] and site.kept() == [1, 2, 3]


def test_amended_record_is_writable_by_root_only(site):
    name = site.add(1, state="built", created="now")
    site.amend_record(name, state="good", went_live="then")
    assert site.record(name) == {"id": name, "state": "good", "created": "now", "went_live": "then"}
    mode = site.sidecar(name, "json").stat().st_mode & 0o777
    assert mode == 0o640, f"expected 0640, got {mode:04o}"


def test_site_without_release_has_no_record(tmp_path):
    one = module_site.Site("plain")
    one.releases, one.live_socket = tmp_path / "releases", tmp_path / "live.sock"
    assert (one.records(), one.identifiers(), one.live_release(), one.record("x")) == ([], [], "", {})


def test_log_has_a_line_for_each_release(site):
    site.lock.write_text(json.dumps({"by": "ada@desk", "what": "deploy"}))
    site.note("live", "ONE", because="nothing was live")
    site.note("failed", "TWO", because='it printed "no"\nand more', live="ONE")
    first, second = site.log.read_text().splitlines()
    moment, _, rest = first.partition(" ")
    assert moment.endswith("+00:00"), first
    assert rest == 'live ONE by="ada@desk" in="deploy" because="nothing was live"'
    assert second.endswith('in="deploy" because="it printed \\"no\\"\\nand more" live="ONE"'), second


# --- Rollback targets --------------------------------------------------------------------------


@pytest.fixture
def history(site) -> Site:
    """Return a site with the releases 1 good, 2 failed, 3 good, 4 live and 5, which was not built."""
    for number, state in enumerate(["good", "failed", "good", "good"], 1):
        site.add(number, state=state, fault="it ended", went_live=f"day {number:02}")
    site.add(5, state="unbuilt", fault="pip failed:")
    site.activate("blue", identifier(4))
    return site


def test_rollback_activates_the_last_good_release(history):
    assert release_info.choose(history, None) == (identifier(3), "")
    history.activate("green", identifier(3))
    assert release_info.choose(history, None) == (identifier(1), ""), "expected no failed release"
    history.activate("blue", identifier(1))
    assert release_info.choose(history, None) == ("", f"no good release exists before {identifier(1)}")


def test_rollback_orders_releases_by_activation(history):
    """Compare the times of activation, because a deploy can activate an old release again."""
    history.amend_record(identifier(1), went_live="day 03.5")
    assert release_info.choose(history, None) == (identifier(1), "")


def test_rollback_skips_a_release_that_was_never_live(history):
    history.amend_record(identifier(3), state="built")
    assert release_info.choose(history, None) == (identifier(1), "")


def test_rollback_skips_a_release_without_a_tree(history):
    """A build was interrupted between the record and the rename."""
    history.release(identifier(3)).rename(history.releases / f".new-{identifier(3)}")
    assert release_info.choose(history, None) == (identifier(1), "")
    assert release_info.choose(history, identifier(3))[1].startswith(
        f"found {identifier(3)}, expected one of: "
    )


def test_rollback_to_a_given_release(history):
    assert release_info.choose(history, identifier(1)) == (identifier(1), "")
    history.activate("green", identifier(1))
    assert release_info.choose(history, identifier(4)) == (identifier(4), ""), (
        "expected a newer release to be accepted"
    )


@pytest.mark.parametrize(("number", "fault"), [(2, "it ended"), (5, "pip failed:")])
def test_rollback_to_a_failed_release_is_rejected(history, number, fault):
    expected = ("", f"{identifier(number)} has failed: {fault}")
    assert release_info.choose(history, identifier(number)) == expected


def test_rollback_to_unknown_release_lists_releases(history):
    expected = ", ".join(identifier(number) for number in (1, 2, 3))
    assert release_info.choose(history, "x") == ("", f"found x, expected one of: {expected}")


def test_interrupted_rollback_continues_to_its_target(history):
    pin = {"release": identifier(3), "by": "ada@desk", "since": "then", "done": False}
    history.pin.write_text(json.dumps(pin))
    history.activate("green", identifier(3))
    assert release_info.choose(history, None) == (identifier(3), "")
    history.pin.write_text(json.dumps(pin | {"done": True}))
    assert release_info.choose(history, None) == (identifier(1), "")


def test_rollback_without_a_release_is_rejected(site):
    assert release_info.choose(site, None) == ("", "no good release exists before the first")
    assert release_info.choose(site, "x") == ("", "found x, expected one of: (no other release exists)")


# --- Deploy after a rollback -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pinned", "pin", "expected"),
    [
        (True, {}, (True, identifier(2))),
        (True, {"release": identifier(1)}, (True, identifier(1))),
        (False, {}, (True, identifier(2))),
        # The release is live already, but only a deploy removes the pin.
        (False, {"release": identifier(2)}, (False, identifier(2))),
    ],
)
def test_deploy_ends_a_rollback(site, monkeypatch, pinned, pin, expected):
    if pin:
        site.pin.write_text(json.dumps(pin))

    params = {
        "site": resolved(),
        "content": "c",
        "archive": None,
        "private": None,
        "python": "p",
        "server_requirements": "s",
    }
    monkeypatch.setattr(release, "Site", lambda name: site)
    monkeypatch.setattr(release, "interpreter", lambda _: "p")
    monkeypatch.setattr(release, "find", lambda *_: identifier(2))
    monkeypatch.setattr(release, "reason_to_release", lambda *_: "")
    got = site_module.call(release, params | {"pinned": pinned})
    assert (got["current"], got["id"]) == expected, got
    assert got["changed"] is not got["current"] and bool(got["because"]) is not got["current"], got


# --- The table ---------------------------------------------------------------------------------

RECORD = {"created": "2026-01-01T00:01:00+00:00", "by": "ada@desk", "source": "/src", "commit": "c" * 40}


def details(**more: Any) -> dict[str, Any]:
    return {"releases": [], "live": "", "pin": {}, "lock": {}, "closed": False, "units": {}, **more}


def test_table_without_releases():
    assert table("plain", details()) == "plain: no release"


def test_table_shows_states_sources_and_failures():
    records = [
        {"id": identifier(1), "state": "good", **RECORD},
        {"id": identifier(2), "state": "failed", "fault": "it ended", **RECORD, "uncommitted": True},
        {"id": identifier(3), "state": "good", **RECORD, "source": "git@host.test:a/b.git"},
        {"id": identifier(4), "state": "built", "created": "2026-01-01T00:04:00+00:00"},
    ]
    assert table("plain", details(releases=records, live=identifier(3))).splitlines() == [
        "plain:",
        f"  {identifier(1)} good    2026-01-01T00:01:00Z by ada@desk  /src cccccccccccc",
        f"  {identifier(2)} failed  2026-01-01T00:01:00Z by ada@desk  /src cccccccccccc"
        " and uncommitted changes",
        "    it ended",
        f"  {identifier(3)} live    2026-01-01T00:01:00Z by ada@desk  git@host.test:a/b.git cccccccccccc",
        f"  {identifier(4)} built   2026-01-01T00:04:00Z by unknown",
    ]


def test_table_shows_pin_lock_maintenance_and_failed_units():
    lines = table(
        "plain",
        details(
            pin={"release": "ID", "by": "ada@desk", "since": "then"},
            lock={"by": "bob@desk", "since": "now", "what": "deploy"},
            closed=True,
            units={"plain@blue.service": "active", "plain.worker@ID.service": "failed"},
        ),
    ).splitlines()[1:]
    assert lines == [
        "  pinned to ID by ada@desk since then; make deploy SITE=plain removes the pin",
        "  locked by bob@desk since now (deploy)",
        "  in maintenance; make maintenance OFF=1 SITE=plain ends it",
        "  plain.worker@ID.service is failed",
    ]


# --- Pending migrations ------------------------------------------------------------------------

HEADS = {
    "nothing is pending": ("0002 (head)", True),
    "one is pending": ("0001", False),
    "no migration was ever run": ("", False),
    "one of two branches is behind": ("0002 (head)\n0001", False),
    "both branches are current": ("0002 (head)\n0003 (head)", True),
    "the head merges two branches": ("0004 (head) (mergepoint)", True),
}


@pytest.fixture
def commands(monkeypatch) -> list[str]:
    """Run commands in a shell instead of the site's unit, and return them."""
    commands: list[str] = []

    def run(site, name, command):
        commands.append(command)
        done = exit_code(command)
        if done != 0:
            raise migrate.Failed(f"{command} ended with {done}")
        return ""

    monkeypatch.setattr(migrate, "run", run)
    return commands


def exit_code(command: str) -> int:
    status = os.system(f"({command}) >/dev/null 2>&1")
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("case", HEADS)
def test_pending_migration_is_read_from_flask_db(programs, commands, case):
    printed, expected = HEADS[case]
    output = f"echo '{printed}'" if printed else ":"
    program(programs, "flask", f"echo 'INFO  [alembic.runtime.migration] Context' >&2; {output}")
    wanted = {"migrate": "flask db upgrade --directory x"}
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", wanted) is expected


def test_failing_flask_db_means_pending(programs, commands):
    program(programs, "flask", "echo broken >&2; exit 1")
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", {"migrate": "flask db upgrade"}) is False


@pytest.mark.parametrize("options", ["-d shop/migrations", "--directory=shop/migrations"])
def test_pending_migration_is_read_with_the_same_folder(monkeypatch, options):
    commands = []
    monkeypatch.setattr(migrate, "run", lambda site, identifier, command: commands.append(command))
    wanted = {"migrate": f"flask db upgrade {options}"}
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", wanted) is True
    assert commands[0].startswith(f"flask db current {options} "), f"got {commands[0]}"


def test_migration_check_of_the_site_is_used(commands):
    for command, expected in (("true", True), ("false", False)):
        wanted = {"migrate": "flask db upgrade", "migration_check": command}
        assert migrate.nothing_is_pending(SimpleNamespace(), "ID", wanted) is expected
    assert commands == ["true", "false"]


def test_unknown_migration_command_means_pending(commands):
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", {"migrate": "./migrate"}) is False
    assert commands == []


# --- Processes and timers ----------------------------------------------------------------------


class Systemd:
    """A stub of systemd: the states of units by name, and the calls of systemctl."""

    def __init__(self, **states: dict[str, str]) -> None:
        self.states, self.calls = states, []

    def show(self, name: str) -> dict[str, str]:
        defaults = {
            "ActiveState": "active",
            "LoadState": "loaded",
            "NeedDaemonReload": "no",
            "UnitFileState": "",
        }
        return (
            defaults
            | {"ActiveEnterTimestamp": "", "FragmentPath": "", "DropInPaths": ""}
            | self.states.get(name, {})
        )

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        if arguments[0] in ("list-units", "reset-failed"):
            return ""
        self.calls.append(" ".join(argument for argument in arguments if argument != "--quiet"))
        if arguments[0] == "daemon-reload":
            for state in self.states.values():
                state["NeedDaemonReload"] = "no"
        not_loaded = [name for name in arguments[1:] if self.show(name)["LoadState"] != "loaded"]
        if arguments[0] in ("stop", "start", "restart") and not_loaded:
            raise RuntimeError(f"{not_loaded[0]} not loaded")
        return ""


WANTED = {"processes": {"worker": ""}, "timers": {"digest": {}}, "units": {"reads": []}}


@pytest.fixture
def systemd(monkeypatch, programs) -> Systemd:
    one = Systemd()
    monkeypatch.setattr(companions, "show", one.show)
    monkeypatch.setattr(companions, "systemctl", one.systemctl)
    program(programs, "systemd-analyze", 'echo "$3:9: Failed to parse" >&2; exit 1')
    return one


def test_removed_unit_with_bad_setting_is_disabled(site, systemd, monkeypatch):
    """The operator has corrected the calendar of a timer, or removed the timer."""
    monkeypatch.setattr(
        companions, "other_companions", lambda *_: ["plain.old@ID.service", "plain.bad@ID.timer"]
    )
    systemd.states["plain.bad@ID.timer"] = {"ActiveState": "inactive", "LoadState": "bad-setting"}
    companions.move_companions(site, "ID", {**WANTED, "processes": {}, "timers": {}})
    assert systemd.calls == ["stop plain.old@ID.service", "disable plain.old@ID.service plain.bad@ID.timer"]


def test_unreadable_unit_is_reported_before_a_change(site, systemd):
    assert companions.unreadable(site, "ID", WANTED) == ""
    systemd.states["plain.digest@ID.timer"] = {"LoadState": "bad-setting"}
    got = companions.unreadable(site, "ID", WANTED)
    assert got == "systemd rejects plain.digest@ID.timer: plain.digest@ID.timer:9: Failed to parse", got
    assert systemd.calls == []


def test_changed_unit_is_reloaded_before_the_check(site, systemd):
    """Without a reload, systemd would still reject a corrected unit."""
    systemd.states["plain.worker@ID.service"] = {"NeedDaemonReload": "yes", "LoadState": "loaded"}
    assert companions.unreadable(site, "ID", WANTED) == ""
    assert systemd.calls == ["daemon-reload"]
