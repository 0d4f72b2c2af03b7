"""The commit and the folder of a git repository from which a site is released."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import contents, source


def test_version_is_a_branch_a_tag_or_a_commit(repository):
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
        got = contents(source(repository, version=version))
        record = {"source": str(repository.folder), "commit": commit, "uncommitted": False}
        assert got == ({"app": text}, record), f"{version}: expected {text} of {record}, got {got}"


def test_branch_is_preferred_to_a_tag_of_the_same_name(repository):
    repository.commit(app="tag")
    repository.git("tag", "v1")
    repository.commit(app="branch")
    repository.git("branch", "v1")
    assert contents(source(repository, version="v1"))[0] == {"app": "branch"}


@pytest.mark.parametrize("change", ["commit", "reset", "amend"])
def test_moved_branch_is_followed(repository, change):
    repository.commit(app="zero")
    first = repository.commit(app="one")
    assert contents(source(repository))[1]["commit"] == first
    if change == "commit":
        expected = repository.commit(app="two")
    elif change == "reset":
        repository.git("reset", "--quiet", "--hard", "HEAD~1")
        expected = repository.git("rev-parse", "HEAD")
    else:
        repository.git("commit", "--quiet", "--amend", "--message=another")
        expected = repository.git("rev-parse", "HEAD")
    assert contents(source(repository))[1]["commit"] == expected


def test_moved_tag_is_followed(repository):
    repository.commit(app="one")
    repository.git("tag", "live")
    assert contents(source(repository, version="live"))[0] == {"app": "one"}
    repository.commit(app="two")
    repository.git("tag", "--force", "live")
    assert contents(source(repository, version="live"))[0] == {"app": "two"}


@pytest.mark.parametrize("kind", ["branch", "tag"])
def test_deleted_version_is_not_released_from_the_cache(repository, kind):
    repository.commit(app="one")
    repository.git(kind, "deleted")
    assert contents(source(repository, version="deleted"))[0] == {"app": "one"}
    repository.git(kind, "-D" if kind == "branch" else "-d", "deleted")
    with pytest.raises(release.SourceError, match=r"found no branch, tag or commit deleted$"):
        contents(source(repository, version="deleted"))


def test_branch_below_the_name_of_a_deleted_branch(repository):
    repository.commit(app="one")
    repository.git("branch", "fix")
    contents(source(repository, version="fix"))
    repository.git("branch", "-D", "fix")
    repository.git("branch", "fix/one")
    assert contents(source(repository, version="fix/one"))[0] == {"app": "one"}


def test_unknown_version_is_rejected_with_its_name(repository):
    repository.commit(app="one")
    with pytest.raises(release.SourceError) as error:
        contents(source(repository, version="v9"))
    assert str(error.value) == f"{repository.folder}: found no branch, tag or commit v9"


def test_missing_repository_is_rejected_with_gits_message(tmp_path):
    with pytest.raises(release.SourceError, match=r"^git failed: .*nowhere"):
        contents({"git": str(tmp_path / "nowhere"), "version": "main"})


def test_build_uses_the_commit_of_the_check(repository):
    """A branch may move or be deleted between the check and the build."""
    first = repository.commit(app="one")
    checked = contents(source(repository, version="main"))[1]["commit"]
    repository.commit(app="two")
    assert contents(source(repository), checked) == (
        {"app": "one"},
        {"source": str(repository.folder), "commit": first, "uncommitted": False},
    )
    repository.git("checkout", "--quiet", "-b", "other")
    repository.git("branch", "-D", "main")
    assert contents(source(repository), checked)[0] == {"app": "one"}


# --- Files -------------------------------------------------------------------------------------


def test_subdir_selects_a_folder(repository):
    repository.commit(**{"web/app": "one", "web/deep/b": "b", "other": "o"})
    for subdir, expected in (
        ("web", {"app": "one", "deep/b": "b"}),
        ("web/", {"app": "one", "deep/b": "b"}),
        ("web/deep", {"b": "b"}),
    ):
        assert contents(source(repository, subdir=subdir))[0] == expected, subdir


@pytest.mark.parametrize("subdir", ["nowhere", "web/app", "web/nowhere"])
def test_invalid_subdir_is_rejected(repository, subdir):
    commit = repository.commit(**{"web/app": "one"})
    with pytest.raises(release.SourceError) as error:
        contents(source(repository, subdir=subdir))
    assert str(error.value) == f"{subdir}: found no such folder in commit {commit[:12]}"


def test_committed_secrets_and_caches_are_excluded(repository):
    names = (".env", ".venv/bin/python", "sub/__pycache__/a.pyc", "venv/x", "app")
    repository.commit(**dict.fromkeys(names, "x"))
    assert contents(source(repository))[0] == {"app": "x"}


def test_clone_and_folder_have_the_same_hash(repository, tmp_path):
    """The same content is the same release, in a clone and in the repository itself."""
    repository.commit(**{"app": "one", "web/b": "b"})
    (repository.folder / "web/b").chmod(0o755)
    (repository.folder / "link").symlink_to("web/b")
    repository.commit()
    with release.files_of(source(repository), "") as (folder, paths, _):
        hash_of_clone = release.content_hash(folder, paths)
    assert hash_of_clone == release.content_hash(repository.folder, release.tracked(repository.folder))


def test_symlink_out_of_the_repository_is_rejected(repository):
    repository.commit(app="one")
    (repository.folder / "out").symlink_to("/etc/passwd")
    repository.commit()
    with (
        release.files_of(source(repository), "") as (folder, paths, _),
        pytest.raises(release.SourceError, match="symlink to /etc/passwd"),
    ):
        release.content_hash(folder, paths)
