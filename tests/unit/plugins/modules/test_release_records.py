"""What is known of a site's releases, which are kept, which one goes back to, and how it is shown."""

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
    """The ID of a release that was made at some minute."""
    return f"20260101T00{number:02}00Z-{number:012x}"


class Site(module_site.Site):
    """A site whose folders are here."""

    def __init__(self, root: Path) -> None:
        super().__init__("plain")
        for name in ("releases", "venvs", "assets", "current"):
            setattr(self, name, root / name)
        self.root, self.run, self.live_socket = root, root / "run", root / "run/live.sock"
        self.lock, self.pin, self.once = root / "lock.json", root / "pin.json", root / "once.json"
        self.log = root / "log/plain.log"
        for folder in (self.releases, self.venvs, self.run):
            folder.mkdir()

    def made(self, number: int, state: str = "good", environment: str = "e0", **more: Any) -> str:
        """A release with all that may be beside it."""
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

    def goes_live(self, colour: str, name: str) -> None:
        replace_symlink(self.slot(colour), f"releases/{name}")
        replace_symlink(self.live_socket, f"{colour}.sock")

    def kept(self) -> list[int]:
        """The numbers of the releases that have a tree."""
        return [int(name[-12:], 16) for name in self.identifiers()]

    def known(self) -> list[int]:
        return [int(record["id"][-12:], 16) for record in self.records()]


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


# --- What is kept ------------------------------------------------------------------------------


def test_five_good_ones_are_kept_with_what_is_beside_them(site):
    for number in range(1, 9):
        site.made(number)
    site.goes_live("blue", identifier(7))
    site.goes_live("green", identifier(8))
    pruning.prune(site, 5)
    assert site.kept() == site.known() == [4, 5, 6, 7, 8]
    for number in range(1, 9):
        files = {path.name.split(".", 1)[1] for path in site.releases.glob(f"{identifier(number)}.*")}
        expected = {"json", "schema.json", "sql.gz"} if number > 3 else set()
        assert files == expected, f"release {number}: expected {expected} beside it, got {files}"


@pytest.mark.parametrize("keep", [1, 2, 7, 8, 50])
def test_as_many_are_kept_as_are_asked_for(site, keep):
    for number in range(1, 9):
        site.made(number)
    site.goes_live("blue", identifier(8))
    pruning.prune(site, keep)
    assert site.kept() == list(range(1, 9))[-keep:]


def test_what_is_live_is_never_removed(site):
    """Nor what was live before it, which drains: somebody may have gone back a long way."""
    for number in range(1, 9):
        site.made(number)
    site.goes_live("green", identifier(1))
    site.goes_live("blue", identifier(2))
    pruning.prune(site, 3)
    assert site.kept() == site.known() == [1, 2, 6, 7, 8]
    assert site.live_release() == identifier(2)


def test_a_failed_one_takes_no_good_ones_place(site):
    for number in range(1, 15):
        site.made(number, state="good" if number % 2 else "failed")
    site.goes_live("blue", identifier(13))
    pruning.prune(site, 5)
    assert site.kept() == site.known() == [*range(5, 15)], "expected five of each"


def test_one_that_could_not_be_built_is_forgotten_with_the_others(site):
    for number in range(1, 8):
        site.made(number, state="unbuilt")
    site.made(8)
    site.goes_live("blue", identifier(8))
    assert (site.kept(), site.known()) == ([8], [*range(1, 9)])
    pruning.prune(site, 5)
    assert (site.kept(), site.known()) == ([8], [*range(3, 9)])


def test_a_failed_one_that_is_live_is_kept(site):
    """The first of all is not taken away when it falls ill, for there is nothing to put back."""
    site.made(1, state="failed")
    site.goes_live("blue", identifier(1))
    site.made(2, state="failed")
    pruning.prune(site, 5)
    assert site.kept() == [1, 2]


def test_environments_go_with_the_last_that_needs_them(site):
    for number, environment in enumerate(["old", "old", "shared", "new", "shared"], 1):
        site.made(number, environment=environment)
    (site.venvs / "begun").mkdir()
    site.goes_live("blue", identifier(5))
    pruning.prune(site, 4)
    assert {path.name for path in site.venvs.iterdir()} == {"old", "shared", "new"}
    pruning.prune(site, 3)
    assert {path.name for path in site.venvs.iterdir()} == {"shared", "new"}
    assert (site.release(identifier(5)) / ".venv/bin").is_dir()


def test_one_that_is_being_made_has_no_name_yet(site):
    site.made(1)
    (site.releases / f".new-{identifier(2)}").mkdir()
    (site.releases / f".{identifier(1)}.json.new").touch()
    site.goes_live("blue", identifier(1))
    pruning.prune(site, 5)
    assert site.kept() == site.known() == [1]
    assert (site.releases / f".new-{identifier(2)}").is_dir()


# --- Records -----------------------------------------------------------------------------------


def test_records_are_in_the_order_of_their_time(site):
    for number in (3, 1, 2):
        site.made(number)
    assert site.known() == [1, 2, 3] and site.kept() == [1, 2, 3]


def test_a_record_is_amended_and_root_alone_writes_it(site):
    name = site.made(1, state="built", created="now")
    site.amend_record(name, state="good", went_live="then")
    assert site.record(name) == {"id": name, "state": "good", "created": "now", "went_live": "then"}
    mode = site.sidecar(name, "json").stat().st_mode & 0o777
    assert mode == 0o640, f"expected 0640, got {mode:04o}"


def test_a_site_without_a_release_has_no_record(tmp_path):
    one = module_site.Site("plain")
    one.releases, one.live_socket = tmp_path / "releases", tmp_path / "live.sock"
    assert (one.records(), one.identifiers(), one.live_release(), one.record("x")) == ([], [], "", {})


def test_the_log_has_a_line_for_each_release(site):
    site.lock.write_text(json.dumps({"by": "ada@desk", "what": "deploy"}))
    site.note("live", "ONE", because="nothing was live")
    site.note("failed", "TWO", because='it said "no"\nand more', live="ONE")
    first, second = site.log.read_text().splitlines()
    moment, _, rest = first.partition(" ")
    assert moment.endswith("+00:00"), first
    assert rest == 'live ONE by="ada@desk" in="deploy" because="nothing was live"'
    assert second.endswith('in="deploy" because="it said \\"no\\"\\nand more" live="ONE"'), second


# --- Which one goes back to --------------------------------------------------------------------


@pytest.fixture
def history(site) -> Site:
    """1 good, 2 failed, 3 good, 4 live, 5 failed when it was built."""
    for number, state in enumerate(["good", "failed", "good", "good"], 1):
        site.made(number, state=state, fault="it ended", went_live=f"day {number:02}")
    site.made(5, state="unbuilt", fault="pip failed:")
    site.goes_live("blue", identifier(4))
    return site


def test_one_goes_back_to_the_last_good_one(history):
    assert release_info.choose(history, None) == (identifier(3), "")
    history.goes_live("green", identifier(3))
    assert release_info.choose(history, None) == (identifier(1), ""), "expected to go past the failed"
    history.goes_live("blue", identifier(1))
    assert release_info.choose(history, None) == ("", f"no good release exists before {identifier(1)}")


def test_the_last_good_one_is_the_one_that_was_live_last(history):
    """Old content that was deployed again has had its turn then, not when it was made."""
    history.amend_record(identifier(1), went_live="day 03.5")
    assert release_info.choose(history, None) == (identifier(1), "")


def test_what_was_built_and_never_live_is_not_gone_back_to(history):
    history.amend_record(identifier(3), state="built")
    assert release_info.choose(history, None) == (identifier(1), "")


def test_what_has_no_tree_is_not_gone_back_to(history):
    """A run was cut off between its record and its name."""
    history.release(identifier(3)).rename(history.releases / f".new-{identifier(3)}")
    assert release_info.choose(history, None) == (identifier(1), "")
    assert release_info.choose(history, identifier(3))[1].startswith(
        f"found {identifier(3)}, expected one of: "
    )


def test_one_goes_where_one_says(history):
    assert release_info.choose(history, identifier(1)) == (identifier(1), "")
    history.goes_live("green", identifier(1))
    assert release_info.choose(history, identifier(4)) == (identifier(4), ""), (
        "expected forward to be a way, too"
    )


@pytest.mark.parametrize(("number", "fault"), [(2, "it ended"), (5, "pip failed:")])
def test_a_failed_one_is_refused(history, number, fault):
    expected = ("", f"{identifier(number)} has failed: {fault}")
    assert release_info.choose(history, identifier(number)) == expected


def test_one_that_is_not_there_is_refused_with_those_that_are(history):
    expected = ", ".join(identifier(number) for number in (1, 2, 3))
    assert release_info.choose(history, "x") == ("", f"found x, expected one of: {expected}")


def test_who_was_cut_off_on_the_way_back_goes_to_the_same(history):
    pin = {"release": identifier(3), "by": "ada@desk", "since": "then", "done": False}
    history.pin.write_text(json.dumps(pin))
    history.goes_live("green", identifier(3))
    assert release_info.choose(history, None) == (identifier(3), "")
    history.pin.write_text(json.dumps(pin | {"done": True}))
    assert release_info.choose(history, None) == (identifier(1), "")


def test_without_a_release_there_is_none_to_go_back_to(site):
    assert release_info.choose(site, None) == ("", "no good release exists before the first")
    assert release_info.choose(site, "x") == ("", "found x, expected one of: (no other release exists)")


# --- What is to be done ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pinned", "pin", "expected"),
    [
        (True, {}, (True, identifier(2))),
        (True, {"release": identifier(1)}, (True, identifier(1))),
        (False, {}, (True, identifier(2))),
        # It is live already, and all the same a deploy is what ends a rollback.
        (False, {"release": identifier(2)}, (False, identifier(2))),
    ],
)
def test_a_deploy_ends_a_rollback(site, monkeypatch, pinned, pin, expected):
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


def told(**more: Any) -> dict[str, Any]:
    return {"releases": [], "live": "", "pin": {}, "lock": {}, "closed": False, "units": {}, **more}


def test_a_table_of_nothing():
    assert table("plain", told()) == "plain: no release"


def test_a_table_says_what_is_live_where_it_came_from_and_what_failed():
    records = [
        {"id": identifier(1), "state": "good", **RECORD},
        {"id": identifier(2), "state": "failed", "fault": "it ended", **RECORD, "uncommitted": True},
        {"id": identifier(3), "state": "good", **RECORD, "source": "git@host.test:a/b.git"},
        {"id": identifier(4), "state": "built", "created": "2026-01-01T00:04:00+00:00"},
    ]
    assert table("plain", told(releases=records, live=identifier(3))).splitlines() == [
        "plain:",
        f"  {identifier(1)} good    2026-01-01T00:01:00Z by ada@desk  /src cccccccccccc",
        f"  {identifier(2)} failed  2026-01-01T00:01:00Z by ada@desk  /src cccccccccccc"
        " and uncommitted changes",
        "    it ended",
        f"  {identifier(3)} live    2026-01-01T00:01:00Z by ada@desk  git@host.test:a/b.git cccccccccccc",
        f"  {identifier(4)} built   2026-01-01T00:04:00Z by unknown",
    ]


def test_a_table_says_who_went_back_who_works_on_it_and_what_does_not_run():
    lines = table(
        "plain",
        told(
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


# --- Whether a migration is pending ------------------------------------------------------------

HEADS = {
    "nothing is pending": ("0002 (head)", True),
    "something is": ("0001", False),
    "nothing was ever run": ("", False),
    "one of two branches is behind": ("0002 (head)\n0001", False),
    "two branches are not": ("0002 (head)\n0003 (head)", True),
    "it is the head, and where branches join": ("0004 (head) (mergepoint)", True),
}


@pytest.fixture
def ran(monkeypatch) -> list[str]:
    """The commands that were run, in a shell here in place of the site's unit."""
    commands: list[str] = []

    def run(site, name, command):
        commands.append(command)
        done = migrate_process(command)
        if done != 0:
            raise migrate.Failed(f"{command} ended with {done}")
        return ""

    monkeypatch.setattr(migrate, "run", run)
    return commands


def migrate_process(command: str) -> int:
    status = os.system(f"({command}) >/dev/null 2>&1")
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("case", HEADS)
def test_flask_says_whether_a_migration_is_pending(programs, ran, case):
    printed, expected = HEADS[case]
    said = f"echo '{printed}'" if printed else ":"
    program(programs, "flask", f"echo 'INFO  [alembic.runtime.migration] Context' >&2; {said}")
    wanted = {"migrate": "flask db upgrade --directory x"}
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", wanted) is expected


def test_a_flask_that_cannot_say_has_one_pending(programs, ran):
    program(programs, "flask", "echo broken >&2; exit 1")
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", {"migrate": "flask db upgrade"}) is False


@pytest.mark.parametrize("options", ["-d shop/migrations", "--directory=shop/migrations"])
def test_pending_migration_of_another_folder_is_looked_for_there(monkeypatch, options):
    asked = []
    monkeypatch.setattr(migrate, "run", lambda site, identifier, command: asked.append(command))
    wanted = {"migrate": f"flask db upgrade {options}"}
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", wanted) is True
    assert asked[0].startswith(f"flask db current {options} "), f"expected the same folder, got {asked[0]}"


def test_a_site_may_say_itself(ran):
    for answer, expected in (("true", True), ("false", False)):
        wanted = {"migrate": "flask db upgrade", "migration_check": answer}
        assert migrate.nothing_is_pending(SimpleNamespace(), "ID", wanted) is expected
    assert ran == ["true", "false"]


def test_where_nobody_knows_something_may_be_pending(ran):
    assert migrate.nothing_is_pending(SimpleNamespace(), "ID", {"migrate": "./migrate"}) is False
    assert ran == []


# --- Processes and timers ----------------------------------------------------------------------


class Systemd:
    """What systemd would say, and what it was told; each unit's state by its name."""

    def __init__(self, **states: dict[str, str]) -> None:
        self.states, self.told = states, []

    def show(self, name: str) -> dict[str, str]:
        known = {
            "ActiveState": "active",
            "LoadState": "loaded",
            "NeedDaemonReload": "no",
            "UnitFileState": "",
        }
        return (
            known
            | {"ActiveEnterTimestamp": "", "FragmentPath": "", "DropInPaths": ""}
            | self.states.get(name, {})
        )

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        if arguments[0] in ("list-units", "reset-failed"):
            return ""
        self.told.append(" ".join(argument for argument in arguments if argument != "--quiet"))
        if arguments[0] == "daemon-reload":
            for state in self.states.values():
                state["NeedDaemonReload"] = "no"
        unread = [name for name in arguments[1:] if self.show(name)["LoadState"] != "loaded"]
        if arguments[0] in ("stop", "start", "restart") and unread:
            raise RuntimeError(f"{unread[0]} not loaded")
        return ""


WANTED = {"processes": {"worker": ""}, "timers": {"digest": {}}, "units": {"reads": []}}


@pytest.fixture
def systemd(monkeypatch, programs) -> Systemd:
    one = Systemd()
    monkeypatch.setattr(companions, "show", one.show)
    monkeypatch.setattr(companions, "systemctl", one.systemctl)
    program(programs, "systemd-analyze", 'echo "$3:9: what is wrong" >&2; exit 1')
    return one


def test_a_unit_that_systemd_could_not_read_is_not_in_the_way(site, systemd, monkeypatch):
    """Somebody has mended its calendar, or taken the timer away."""
    monkeypatch.setattr(
        companions, "other_companions", lambda *_: ["plain.old@ID.service", "plain.bad@ID.timer"]
    )
    systemd.states["plain.bad@ID.timer"] = {"ActiveState": "inactive", "LoadState": "bad-setting"}
    companions.move_companions(site, "ID", {**WANTED, "processes": {}, "timers": {}})
    assert systemd.told == ["stop plain.old@ID.service", "disable plain.old@ID.service plain.bad@ID.timer"]


def test_what_systemd_refuses_is_said_before_anything_is_moved(site, systemd):
    assert companions.unreadable(site, "ID", WANTED) == ""
    systemd.states["plain.digest@ID.timer"] = {"LoadState": "bad-setting"}
    got = companions.unreadable(site, "ID", WANTED)
    assert got == "systemd rejects plain.digest@ID.timer: plain.digest@ID.timer:9: what is wrong", got
    assert systemd.told == []


def test_a_unit_that_has_changed_is_read_again_first(site, systemd):
    """Or one that was mended would still be refused."""
    systemd.states["plain.worker@ID.service"] = {"NeedDaemonReload": "yes", "LoadState": "loaded"}
    assert companions.unreadable(site, "ID", WANTED) == ""
    assert systemd.told == ["daemon-reload"]
