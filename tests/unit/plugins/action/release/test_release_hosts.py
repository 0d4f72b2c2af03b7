"""The action release on the hosts of a run: one commit, and equal details once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import KEY, Repository, remote, source


class Action(release.ActionModule):
    """The action plugin without a host: what is called there is noted."""

    def __init__(self, check_mode: bool = False, run: str = "a run", **arguments: object) -> None:
        self.run_of = run
        self._task = SimpleNamespace(args=arguments, check_mode=check_mode, async_val=0, diff=False)
        self._task.get_play = lambda: SimpleNamespace(_uuid=self.run_of)
        shell = SimpleNamespace(tmpdir="/tmp/x", join_path=lambda *parts: "/".join(parts))
        self._connection = SimpleNamespace(_shell=shell)
        self._display = SimpleNamespace(display=lambda line, color: self.shown.append(line))
        self.shown: list[str] = []
        self.calls: list[dict[str, object]] = []
        self.pin: dict[str, str] = {}
        self.failure: dict[str, object] = {}

    def _make_tmp_path(self) -> None: ...

    def _remove_tmp_path(self, path: str) -> None: ...

    def _transfer_file(self, here: str, there: str) -> None:
        with release.tarfile.open(here) as tar:
            self.sent = {member.name: tar.extractfile(member).read().decode() for member in tar}

    def _execute_module(self, name, arguments, task_vars):
        self.calls.append(arguments)
        return {"changed": True, "pin": self.pin} | self.failure


def test_neither_the_source_nor_its_key_reaches_the_host(repository, ssh):
    commit = repository.commit(app="one")
    given = {"site": {"name": "plain"}, "source": remote(repository, key=KEY), "python": "python3"}
    looked = Action(make=False, **given)
    found = looked.run()
    assert found["commit"] == commit
    repository.commit(app="two")
    made = Action(make=True, commit=commit, id=f"ID-{found['content']}", run="another", **given)
    made.run()
    assert made.sent == {"app": "one"}, f"expected the commit that was looked at, got {made.sent}"
    [look], [make] = looked.calls, made.calls
    assert look["content"] == make["content"] and look["record"]["commit"] == make["record"]["commit"]
    assert "archive" not in look and make["archive"] == "/tmp/x/source.tar.gz"
    for call in (look, make):
        assert "c2VjcmV0" not in repr(call) and not {"source", "make", "commit"} & call.keys(), call


def test_all_hosts_of_a_run_get_one_commit(repository, ssh):
    """Whatever is pushed while the run asks for one host after the other, and it is fetched once."""
    tagged = repository.commit(app="none")
    repository.git("tag", "v1")
    first = repository.commit(app="one")
    given = {"make": False, "site": {"name": "plain"}, "source": remote(repository)}
    assert Action(**given).run()["commit"] == first
    second = repository.commit(app="two")
    assert Action(**given).run()["commit"] == first
    other = {**given["source"], "version": "v1"}
    assert Action(**given | {"source": other}).run()["commit"] == tagged
    assert (ssh / "calls").read_text().split() == ["begin", "end"], "expected one fetch"
    assert Action(**given).run()["commit"] == first, "expected another version to leave the first as it was"
    assert Action(run="the next", **given).run()["commit"] == second


def test_a_folder_that_changes_meanwhile_is_no_release(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("1")
    given = {"site": {"name": "plain"}, "source": {"path": str(folder)}}
    found = Action(make=False, **given).run()
    (folder / "app.py").write_text("2")
    action = Action(make=True, id=f"{found['moment']}-{found['content']}", **given)
    with pytest.raises(release.AnsibleActionFail, match="files changed during this run"):
        action.run()
    assert action.calls == []


@pytest.fixture
def run_folder(tmp_path, monkeypatch) -> Path:
    """The folder that the processes of a run share, as ansible-core makes it for each run."""
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setitem(vars(release.C), "DEFAULT_LOCAL_TMP", str(folder))
    return folder


def failure_of(repository: Repository, host: str, site: str = "shop", **failure: object) -> dict[str, object]:
    """Return what the action returns for a host on which the module fails."""
    action = Action(make=False, site={"name": site}, source=source(repository))
    action.failure = {"failed": True, "msg": f"{site}: no release was built.", **failure}
    return action.run(task_vars={"inventory_hostname": host})


def test_details_that_are_equal_on_two_hosts_are_returned_once(repository, run_folder):
    repository.commit(app="one")
    log = "The log of the build ends:\nerror: no C compiler"
    first, second, other = (failure_of(repository, f"web{number}", details=log) for number in (1, 2, 1))
    assert first["details"] == other["details"] == log, "expected the log on the first host"
    assert second["details"] == "the same as on web1"
    assert first["msg"] == second["msg"], "expected the reason on each host"


def test_details_that_differ_are_returned_on_each_host(repository, run_folder):
    repository.commit(app="one")
    logs = {"web1": "error: no C compiler", "web2": "error: no space left"}
    got = {host: failure_of(repository, host, details=log)["details"] for host, log in logs.items()}
    assert got == logs
    assert failure_of(repository, "web2", site="blog", details=logs["web1"])["details"] == logs["web1"]
    assert "details" not in failure_of(repository, "web3")


def test_details_are_returned_where_they_cannot_be_compared(repository, run_folder):
    repository.commit(app="one")
    run_folder.rmdir()
    got = [failure_of(repository, host, details="a log")["details"] for host in ("web1", "web2")]
    assert got == ["a log"] * 2


def test_a_check_looks_and_sends_nothing(repository):
    repository.commit(app="one")
    action = Action(check_mode=True, make=True, site={"name": "plain"}, source=source(repository))
    action.run()
    assert [call.keys() & {"archive"} for call in action.calls] == [set()]
    assert not hasattr(action, "sent")


def test_nothing_to_pack_is_refused(repository):
    repository.commit(**{"venv/x": "x"})
    action = Action(make=True, site={"name": "plain"}, source=source(repository))
    with pytest.raises(release.AnsibleActionFail, match="found no file that git would track"):
        action.run()
    assert action.calls == []


def test_a_site_that_somebody_went_back_with_is_named(repository):
    repository.commit(app="one")
    action = Action(make=False, site={"name": "plain"}, source=source(repository))
    action.pin = {"release": "ID", "by": "ada@desk", "since": "2026-01-01T00:00:00+00:00"}
    action.run()
    assert action.shown == [
        "plain: pinned to release ID by ada@desk since 2026-01-01T00:00:00+00:00. "
        "make deploy SITE=plain removes the pin."
    ]
