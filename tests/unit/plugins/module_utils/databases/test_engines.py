"""The schema and the dump of a database, with stubs of the engine's clients."""

from __future__ import annotations

import gzip

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.databases import ENGINES, dump, mysql, schema
from ansible_collections.decanter.stack.plugins.module_utils.databases.engine import differences
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from stub_programs import program

DATABASE = {"engine": "mysql", "name": "plain_1"}


def test_every_engine_is_an_engine_of_the_schema():
    accepted = SCHEMA["additionalProperties"]["properties"]["database"]["properties"]["engine"]["enum"]
    assert sorted(ENGINES) == sorted(accepted)


BEFORE = {"column a.id": "int NO", "column a.name": "varchar(20) YES", "index a.PRIMARY": "0 id"}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (BEFORE, []),
        (dict(reversed(BEFORE.items())), []),
        (BEFORE | {"column b.id": "int NO"}, ["column b.id was added"]),
        (BEFORE | {"column a.id": "bigint NO"}, ["column a.id was changed"]),
        ({"column a.id": "int NO", "index a.PRIMARY": "0 id"}, ["column a.name was removed"]),
        (
            {"column a.id": "bigint NO", "column a.title": "varchar(20) YES", "index a.PRIMARY": "0 id"},
            ["column a.id was changed", "column a.name was removed", "column a.title was added"],
        ),
        ({}, [f"{thing} was removed" for thing in sorted(BEFORE)]),
    ],
)
def test_differences_are_one_line_for_each_change(after, expected):
    assert differences(BEFORE, after) == expected


@pytest.mark.parametrize("name", ["mariadb", "mysql"])
def test_schema_is_read_by_the_installed_client(programs, name):
    program(programs, name, r"""printf 'column\ta.id\tint NO\nindex\ta.PRIMARY\t0 a\\tb\tc\n'""")
    assert schema("plain", DATABASE) == {"column a.id": "int NO", "index a.PRIMARY": "0 a\\tb\tc"}


@pytest.mark.parametrize(
    ("name", "verified"),
    [("mariadb", "--ssl-verify-server-cert"), ("mysql", "--ssl-mode=VERIFY_IDENTITY")],
)
def test_database_elsewhere_is_read_over_verified_tls(name, verified, programs, tmp_path, monkeypatch):
    options, arguments = tmp_path / "database.cnf", tmp_path / "arguments"
    options.touch()
    monkeypatch.setattr(mysql, "option_file", lambda site: options)
    # Exclude a MariaDB client of the machine that runs the tests.
    monkeypatch.setattr(mysql.shutil, "which", lambda name: next(map(str, programs.glob(name)), None))
    dumper = {"mariadb": "mariadb-dump", "mysql": "mysqldump"}[name]
    for one in (name, dumper):
        program(programs, one, f'echo "$@" >{arguments}')
    expected = [f"--defaults-file={options}", verified]
    schema("plain", DATABASE)
    assert arguments.read_text().split()[:2] == expected, arguments.read_text()
    dump("plain", DATABASE, tmp_path / "x.sql.gz")
    got = arguments.read_text().split()
    assert got[:2] == expected and got[-1] == "plain_1" and "--no-tablespaces" in got, got
    assert ("--set-gtid-purged=OFF" in got) == (name == "mysql"), got
    assert not {"--user=root", "--no-defaults"} & set(got), got


def test_dump_is_complete_and_readable_by_root_only(programs, tmp_path):
    program(programs, "mariadb-dump", "echo '-- all of it'; echo \"$@\"")
    path = tmp_path / "x.sql.gz"
    dump("plain", DATABASE, path)
    text = gzip.decompress(path.read_bytes()).decode()
    assert text.startswith("-- all of it\n") and text.endswith(" plain_1\n"), text
    assert {"--single-transaction", "--routines", "--triggers", "--events"} <= set(text.split()), text
    mode = path.stat().st_mode & 0o777
    assert mode == 0o600, f"expected 0600, got {mode:04o}"


def test_failed_dump_leaves_no_file(programs, tmp_path):
    program(programs, "mariadb-dump", "seq 99999; echo 'disk is full' >&2; exit 2")
    with pytest.raises(RuntimeError, match="the dump of the database plain_1 failed: disk is full"):
        dump("plain", DATABASE, tmp_path / "x.sql.gz")
    assert not (tmp_path / "x.sql.gz").exists()
    program(programs, "mariadb-dump", "echo '-- all of it'")
    dump("plain", DATABASE, tmp_path / "x.sql.gz")
    assert gzip.decompress((tmp_path / "x.sql.gz").read_bytes()) == b"-- all of it\n", (
        "expected no rest of the failed dump"
    )
