"""Results and logs of a build, which root does not trust."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import build, build_unit
from ansible_collections.decanter.stack.plugins.module_utils import build_guard as guard

KEY = "a" * 64


def report(one: build.Build, **keys) -> None:
    valid = {"environment": str(one.environment), "key": KEY, "new": True, "again": False}
    (one.folder / "results/result.json").write_text(json.dumps(valid | keys))


def test_result_with_the_new_environment_is_accepted(one):
    report(one)
    expected = {"environment": one.environment, "key": KEY, "new": True, "again": False}
    assert one.result() == expected


def test_result_with_a_complete_environment_is_accepted(one):
    old = one.site.venvs / "20250101T000000Z-old"
    report(one, environment=str(old), new=False)
    assert one.result()["environment"] == old


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "",
        ".",
        "/srv/other/venvs/20250101T000000Z-old",
        "{venvs}/20250202T000000Z-incomplete",
        "{venvs}/20250101T000000Z-old/../../../other/venvs/20250101T000000Z-old",
        "{venvs}/20250101T000000Z-old/lib",
        "{venvs}",
        "{root}/.build/environment",
        "{venvs}/20250101T000000Z-old\n\x1b[2J",
        "\0",
    ],
)
@pytest.mark.parametrize("new", [True, False])
def test_result_with_another_environment_is_rejected(one, path, new):
    report(one, environment=path.format(venvs=one.site.venvs, root=one.site.root), new=new)
    with pytest.raises(build.BuildError, match="rejected: found the environment") as error:
        one.result()
    assert str(error.value).isprintable(), f"expected one printable line, got {str(error.value)!r}"


def test_result_of_a_second_run_has_the_environment_of_the_first(one):
    one.environment.mkdir()
    build.marker(one.environment).write_text('{"key": "", "resolved": ""}')
    assert one.new_environment() == [], (
        "expected a complete environment not to be replaced by an empty folder"
    )
    report(one, new=False, again=True)
    assert one.result()["again"] is False, "expected no third run"
    report(one, new=True)
    with pytest.raises(build.BuildError, match="rejected"):
        one.result()


@pytest.mark.parametrize("existed", [True, False])
def test_failed_build_removes_only_its_own_environment(one, monkeypatch, existed):
    # A pruned release may be built again while other releases use the environment with its ID.
    def create() -> None:
        one.environment.mkdir()
        build.marker(one.environment).write_text('{"key": "", "resolved": ""}')

    def fail() -> None:
        if not existed:
            create()
        raise build.BuildError("a command failed")

    if existed:
        create()
    for name, function in (("clear", lambda: None), ("prepare", lambda archive: None), ("execute", fail)):
        monkeypatch.setattr(one, name, function)
    with pytest.raises(build.BuildError, match="a command failed"):
        one.run("source.tar.gz")
    found = (one.environment.exists(), build.marker(one.environment).exists())
    assert found == (existed, existed), f"expected environment and marker: {existed}, got {found}"


def test_long_list_of_kept_files_is_read(one):
    text = "\0".join(f"lib/python3.13/site-packages/package/module_{number}.py" for number in range(100_000))
    (one.folder / "results/kept").write_text(text)
    assert one.read("kept", guard.LARGEST_LIST) == text, "expected the whole list"


def test_result_with_an_existing_environment_as_new_is_rejected(one):
    report(one, environment=str(one.site.venvs / "20250101T000000Z-old"), new=True)
    with pytest.raises(build.BuildError, match="rejected"):
        one.result()


@pytest.mark.parametrize("key", ["", "short", "A" * 64, KEY + "\n", "../" * 21 + "a", 1, None, [KEY]])
def test_result_with_an_invalid_key_is_rejected(one, key):
    report(one, key=key)
    with pytest.raises(build.BuildError):
        one.result()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "1",
        '"x"',
        "{}",
        '{"environment": 1, "key": "", "new": 1}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_result_that_is_malformed_shows_the_log(one, text):
    (one.folder / "results/result.json").write_text(text)
    one.log.write_text("last words \x1b[31mof the build\n")
    with pytest.raises(build.BuildError, match=r"(?s)ended without a result.*last words") as error:
        one.result()
    assert "\x1b" not in str(error.value), f"expected no control character, got {str(error.value)!r}"


def plant_symlink(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def plant_symlink_to_secret(path: Path) -> None:
    secret = path.parents[2] / "secret"
    secret.write_text("the secret")
    path.symlink_to(secret)


@pytest.mark.parametrize("name", ["result.json", "fault", "failed", "resolved.txt"])
@pytest.mark.parametrize("plant", [plant_symlink, plant_symlink_to_secret, os.mkfifo, os.mkdir])
def test_result_that_is_not_a_file_is_empty(one, name: str, plant: Callable[[Path], None]):
    before = os.listdir("/proc/self/fd")
    plant(one.folder / "results" / name)
    found = one.read(name)
    assert found == "", f"expected nothing, got {found!r}"
    assert os.listdir("/proc/self/fd") == before, "expected no descriptor left open"


def test_result_of_any_size_is_read_up_to_a_limit(one):
    with open(one.folder / "results/resolved.txt", "wb") as file:
        file.truncate(1 << 30)
    found = len(one.read("resolved.txt"))
    assert found == guard.LARGEST_RESULT, f"expected {guard.LARGEST_RESULT} characters, got {found}"


# --- Messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fault", "failed"])
def test_message_of_the_builder_is_clean_and_bounded(one, name):
    (one.folder / "results" / name).write_text(
        "`make` \x1b[31mfailed\x1b]0;title\x07 \r\x00" + "x" * 5_000_000 + "\n" * 1000
    )
    found = one.fault("exit-code", "")
    assert found.startswith("`make` ") and "failed" in found, f"expected the message, got {found[:200]!r}"
    assert len(found) < 10_000, f"expected at most 10,000 characters, got {len(found)}"
    assert all(letter.isprintable() or letter == "\n" for letter in found), (
        f"expected clean text, got {found[:200]!r}"
    )


@pytest.mark.parametrize("text", ["", "\n", "\x1b", " \n \t\n", "\x00\x07"])
def test_empty_message_of_the_builder_leaves_the_log(one, text):
    (one.folder / "results/fault").write_text(text)
    one.log.write_text("error: a line of the log\n")
    found = one.fault("exit-code", "")
    assert "a line of the log" in found and found.splitlines()[0].strip(), f"expected the log, got {found!r}"


def test_log_of_any_size_is_read_from_both_ends(one):
    with open(one.log, "wb") as file:
        file.write(b"first line\n")
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast line\n")
    found = one.read_log()
    assert found.startswith("first line\n") and found.rstrip().endswith("last line"), f"got {found[:200]!r}"
    assert len(found) <= 2 * build_unit.LONGEST_LOG + 1, (
        f"expected a bounded text, got {len(found)} characters"
    )


@pytest.mark.parametrize(
    "length", [10, build_unit.LONGEST_LOG - 1, build_unit.LONGEST_LOG, build_unit.LONGEST_LOG + 100]
)
def test_log_is_read_without_a_repetition(one, length):
    one.log.write_text("\n".join(f"{number:06}" for number in range(length // 7)) + "\n")
    found = [line for line in one.read_log().splitlines() if line]
    kept = {f"{number:06}" for number in range(length // 7)}
    assert len(found) == len(set(found)), f"expected each line once, got {len(found)} of {len(set(found))}"
    assert found[-1] == max(kept), f"expected the last line {max(kept)}, got {found[-1]}"


def test_credentials_are_redacted_and_short_values_are_not(one):
    one.wanted.secrets = {"TOKEN": "s3cr3t-token", "USER": "ab", "INDEX": "https://index.test/simple"}
    found = one.redacted("s3cr3t-token of ab at https://index.test/simple")
    assert found == "*** of ab at https://index.test/simple", f"got {found}"
    one.log.write_text("401 for s3cr3t-token\n")
    (one.folder / "results/fault").write_text("no access with s3cr3t-token")
    assert "s3cr3t" not in one.fault("exit-code", "") + one.read_log()


# --- Limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", ["timeout", "oom-kill", "disk"])
def test_unit_that_exceeded_a_limit_is_reported_with_it(one, result):
    limit = {"timeout": "60 s", "oom-kill": "512M", "disk": "200M"}[result]
    # A hostile build may write a misleading message, which is ignored.
    (one.folder / "results/fault").write_text("everything is fine")
    found = one.fault(result, "").splitlines()[0]
    assert limit in found and "fine" not in found, f"expected the limit {limit}, got {found}"
