"""The commit and the folder of a git repository that a site is released from."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import packed, source


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
