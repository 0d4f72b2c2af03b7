"""What of a git repository travels to a host: which commit, which folder, with whose key."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.decanter.stack.plugins.action import release

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Nobody's own git configuration, and a cache of this test's own."""
    for name, value in {
        "XDG_CACHE_HOME": tmp_path / "cache",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "TMPDIR": tmp_path,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(release.tempfile, "tempdir", str(tmp_path))


class Repository:
    """A repository that somebody else changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t.test"]
        command = ["git", "-C", self.folder, *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message=x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path / "repository")


def source(repository: Repository, **more: str) -> dict[str, str]:
    return {"git": str(repository.folder), "version": "main", **more}


def packed(given: dict[str, str], commit: str = "") -> tuple[dict[str, str], dict[str, object]]:
    """The files that would travel, with their text, and the record of where they came from."""
    with release.files_of(given, commit) as (folder, paths, record):
        texts = {str(path): (folder / path).read_text() for path in paths if not (folder / path).is_symlink()}
    assert not folder.exists(), f"expected {folder} to be gone"
    return texts, record


# --- Which commit ------------------------------------------------------------------------------


def test_a_branch_a_tag_and_a_commit(repository):
    first = repository.commit(app="one")
    repository.git("tag", "v1")
    repository.git("tag", "--annotate", "v1-signed", "--message=x")
    second = repository.commit(app="two")
    repository.git("branch", "fix/a-b", first)
    for version, text, commit in (
        ("main", "two", second),
        ("fix/a-b", "one", first),
        ("v1", "one", first),
        ("v1-signed", "one", first),
        (first, "one", first),
        (first[:10], "one", first),
    ):
        got = packed(source(repository, version=version))
        record = {"source": str(repository.folder), "commit": commit, "uncommitted": False}
        assert got == ({"app": text}, record), f"{version}: expected {text} of {record}, got {got}"


def test_a_branch_is_meant_where_a_tag_has_its_name(repository):
    repository.commit(app="tag")
    repository.git("tag", "v1")
    repository.commit(app="branch")
    repository.git("branch", "v1")
    assert packed(source(repository, version="v1"))[0] == {"app": "branch"}


@pytest.mark.parametrize("how", ["commit", "reset", "amend"])
def test_a_branch_that_moved_is_followed(repository, how):
    repository.commit(app="zero")
    first = repository.commit(app="one")
    assert packed(source(repository))[1]["commit"] == first
    if how == "commit":
        expected = repository.commit(app="two")
    elif how == "reset":
        repository.git("reset", "--quiet", "--hard", "HEAD~1")
        expected = repository.git("rev-parse", "HEAD")
    else:
        repository.git("commit", "--quiet", "--amend", "--message=another")
        expected = repository.git("rev-parse", "HEAD")
    assert packed(source(repository))[1]["commit"] == expected


def test_a_tag_that_moved_is_followed(repository):
    repository.commit(app="one")
    repository.git("tag", "live")
    assert packed(source(repository, version="live"))[0] == {"app": "one"}
    repository.commit(app="two")
    repository.git("tag", "--force", "live")
    assert packed(source(repository, version="live"))[0] == {"app": "two"}


@pytest.mark.parametrize("kind", ["branch", "tag"])
def test_what_was_deleted_is_not_released_from_memory(repository, kind):
    repository.commit(app="one")
    repository.git(kind, "gone")
    assert packed(source(repository, version="gone"))[0] == {"app": "one"}
    repository.git(kind, "-D" if kind == "branch" else "-d", "gone")
    with pytest.raises(release.SourceError, match=r"found no branch, tag or commit gone$"):
        packed(source(repository, version="gone"))


def test_a_folder_of_branches_may_take_a_branchs_name(repository):
    repository.commit(app="one")
    repository.git("branch", "fix")
    packed(source(repository, version="fix"))
    repository.git("branch", "-D", "fix")
    repository.git("branch", "fix/one")
    assert packed(source(repository, version="fix/one"))[0] == {"app": "one"}


def test_an_unknown_version_is_refused_by_its_name(repository):
    repository.commit(app="one")
    with pytest.raises(release.SourceError) as refused:
        packed(source(repository, version="v9"))
    assert str(refused.value) == f"{repository.folder}: found no branch, tag or commit v9"


def test_a_repository_that_is_not_there_is_refused_in_gits_words(tmp_path):
    with pytest.raises(release.SourceError, match=r"^git failed: .*nowhere"):
        packed({"git": str(tmp_path / "nowhere"), "version": "main"})


def test_the_commit_that_was_looked_at_is_the_one_that_is_made(repository):
    """Between the look and the making a branch may move, or go."""
    first = repository.commit(app="one")
    looked = packed(source(repository, version="main"))[1]["commit"]
    repository.commit(app="two")
    assert packed(source(repository), looked) == (
        {"app": "one"},
        {"source": str(repository.folder), "commit": first, "uncommitted": False},
    )
    repository.git("checkout", "--quiet", "-b", "other")
    repository.git("branch", "-D", "main")
    assert packed(source(repository), looked)[0] == {"app": "one"}


# --- Which files -------------------------------------------------------------------------------


def test_a_folder_of_a_repository(repository):
    repository.commit(**{"web/app": "one", "web/deep/b": "b", "other": "o"})
    for subdir, expected in (
        ("web", {"app": "one", "deep/b": "b"}),
        ("web/", {"app": "one", "deep/b": "b"}),
        ("web/deep", {"b": "b"}),
    ):
        assert packed(source(repository, subdir=subdir))[0] == expected, subdir


@pytest.mark.parametrize("subdir", ["nowhere", "web/app", "web/nowhere"])
def test_a_folder_that_is_none_is_refused(repository, subdir):
    commit = repository.commit(**{"web/app": "one"})
    with pytest.raises(release.SourceError) as refused:
        packed(source(repository, subdir=subdir))
    assert str(refused.value) == f"{subdir}: found no such folder in commit {commit[:12]}"


def test_secrets_and_caches_that_were_committed_stay_behind(repository):
    names = (".env", ".venv/bin/python", "sub/__pycache__/a.pyc", "venv/x", "app")
    repository.commit(**dict.fromkeys(names, "x"))
    assert packed(source(repository))[0] == {"app": "x"}


def test_the_same_content_is_the_same_release_wherever_it_comes_from(repository, tmp_path):
    """A clone of the repository, and the repository itself, make one release."""
    repository.commit(**{"app": "one", "web/b": "b"})
    (repository.folder / "web/b").chmod(0o755)
    (repository.folder / "link").symlink_to("web/b")
    repository.commit()
    with release.files_of(source(repository), "") as (folder, paths, _):
        cloned = release.content_hash(folder, paths)
    assert cloned == release.content_hash(repository.folder, release.tracked(repository.folder))


def test_a_symlink_that_leads_out_is_refused(repository):
    repository.commit(app="one")
    (repository.folder / "out").symlink_to("/etc/passwd")
    repository.commit()
    with (
        release.files_of(source(repository), "") as (folder, paths, _),
        pytest.raises(release.SourceError, match="symlink to /etc/passwd"),
    ):
        release.content_hash(folder, paths)


# --- With whose key ----------------------------------------------------------------------------

SSH = """#!/bin/sh
# In place of ssh: it notes how it was called and with which key, and is the other side itself.
printf '%s\\n' "$@" > "$SSH_NOTES/arguments"
previous=
for argument; do
  if [ "$previous" = -i ]; then
    cat "$argument" > "$SSH_NOTES/key"; stat -c %a "$argument" > "$SSH_NOTES/mode"
  fi
  previous=$argument
done
echo begin >> "$SSH_NOTES/calls"; sleep "${SSH_SLEEP:-0}"
sh -c "$previous"; status=$?
echo end >> "$SSH_NOTES/calls"
exit $status
"""


@pytest.fixture
def ssh(tmp_path, monkeypatch) -> Path:
    """A folder where the ssh that git calls writes down what it was told."""
    notes, programs = tmp_path / "notes", tmp_path / "programs"
    for folder in (notes, programs):
        folder.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_NOTES", str(notes))
    return notes


def remote(repository: Repository, **more: str) -> dict[str, str]:
    return source(repository, **more) | {"git": f"git@git.test:{repository.folder}"}


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n"], ids=["without", "with"])
def test_a_key_given_as_text_is_a_file_for_as_long_as_git_runs(repository, ssh, text):
    repository.commit(app="one")
    assert packed(remote(repository, key=text))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert {"IdentitiesOnly=yes", "BatchMode=yes"} <= set(arguments), arguments
    assert (ssh / "key").read_text() == f"{KEY}\n", "expected ssh to be given the key, with a newline last"
    assert (ssh / "mode").read_text() == "600\n", "expected ssh, which insists on it, to find the key closed"
    file = Path(arguments[arguments.index("-i") + 1])
    assert not file.exists(), f"expected the key {file} to be gone"


def test_a_key_is_gone_when_git_fails_too(repository, ssh, tmp_path):
    with pytest.raises(release.SourceError) as refused:
        packed({"git": f"git@git.test:{tmp_path}/nowhere", "version": "main", "key": KEY})
    assert "c2VjcmV0" not in str(refused.value), "expected no key in the message"
    arguments = (ssh / "arguments").read_text().splitlines()
    file = Path(arguments[arguments.index("-i") + 1])
    assert not file.exists(), f"expected the key {file} to be gone"


def test_a_key_given_as_a_path_stays_where_it_is(repository, ssh, tmp_path):
    repository.commit(app="one")
    file = tmp_path / "it's a key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert packed(remote(repository, key=str(file)))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert arguments[arguments.index("-i") + 1] == str(file), arguments
    assert file.read_text() == f"{KEY}\n"


def test_without_a_key_ssh_decides(repository, ssh):
    repository.commit(app="one")
    assert packed(remote(repository))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert "-i" not in arguments and "IdentitiesOnly=yes" not in arguments, arguments


def test_two_that_fetch_at_once_wait_for_each_other(repository, ssh, monkeypatch):
    """Two hosts, or two sites: the first time, when there is nothing yet to bring up to date."""
    repository.commit(app="one")
    monkeypatch.setenv("SSH_SLEEP", "0.3")
    got: list[object] = []

    def fetch() -> None:
        try:
            got.append(packed(remote(repository))[0])
        except release.SourceError as error:
            got.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [{"app": "one"}] * 3, got
    calls = (ssh / "calls").read_text().split()
    assert calls == ["begin", "end"] * 3, f"expected one after the other, got {calls}"


def test_two_repositories_do_not_wait_for_each_other(repository, tmp_path):
    repository.commit(app="one")
    other = Repository(tmp_path / "other")
    other.commit(app="two")
    assert release.fetch(source(repository), None) != release.fetch(source(other), None)


# --- What the module on the host is given ------------------------------------------------------


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
