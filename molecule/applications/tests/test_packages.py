"""Applications that are packages: metadata, entry points, build hooks, extras, workspace members."""

from __future__ import annotations

import json
import secrets


def page(visitor, site: str) -> dict:
    response = visitor.get(f"https://{site}.test/")
    assert response.status_code == 200, f"{site}: expected 200, got {response.status_code}: {response.text}"
    return response.json()


def environment(host, site: str) -> str:
    with host.sudo():
        return host.check_output("readlink --canonicalize /srv/%s/current/.venv", site)


def change_version(text: str) -> str:
    """Change a pyproject.toml to version 2.0 with another calendar."""
    return text.replace('version = "1.0"', 'version = "2.0"').replace("julian", "lunar")


def test_metadata_and_entry_points_are_those_of_the_release(
    host, visitor, repository, deploy, live, play, sites
):
    almanac = repository("almanac")
    first, shared = live("almanac"), environment(host, "almanac")
    served = page(visitor, "almanac")
    expected = {"version": "1.0", "calendars": {"julian": "thirteen days behind"}}
    assert expected.items() <= served.items(), f"expected {expected}, got {served}"

    before = almanac.git("rev-parse", "HEAD")
    try:
        almanac.commit("src/almanac/calendars.py", lambda text: text.replace("julian", "lunar"))
        almanac.commit("src/almanac/calendars.py", lambda text: text.replace("thirteen days", "a month"))
        almanac.commit("pyproject.toml", change_version)
        result = deploy("almanac")
        assert result.returncode == 0, result.stdout + result.stderr
        assert environment(host, "almanac") == shared, (
            "expected the shared environment, because the requirements are equal"
        )
        served = page(visitor, "almanac")
        expected = {"version": "2.0", "calendars": {"lunar": "a month behind"}}
        assert expected.items() <= served.items(), f"expected {expected}, got {served}"
        commands = served["journal"]
        for command in ("migrate", "watch"):
            assert f"{command} 2.0" in commands, f"expected {command} of version 2.0, got {commands}"
        assert "seed 2.0" not in commands, f"expected no second run of seed, got {commands}"

        result = play("rollback.yml", sites, "-e", "site=almanac")
        assert result.returncode == 0, result.stdout + result.stderr
        assert live("almanac") == first, f"expected release {first}, got {live('almanac')}"
        served = page(visitor, "almanac")
        expected = {"version": "1.0", "calendars": {"julian": "thirteen days behind"}}
        assert expected.items() <= served.items(), f"expected {expected}, got {served}"
    finally:
        almanac.git("reset", "--quiet", "--hard", before)
        deploy("almanac")


def test_console_script_runs_as_migration_once_and_process(visitor):
    journal = page(visitor, "almanac")["journal"]
    for line in ("migrate 1.0", "seed 1.0", "watch 1.0"):
        assert line in journal, f"expected {line!r}, got {journal}"


def test_release_with_own_package_has_no_code_in_the_environment(host):
    with host.sudo():
        files = host.check_output("find %s/ -name 'almanac*'", environment(host, "almanac"))
    assert not files, f"expected no file of the application in its environment, got {files}"


def test_build_hook_output_is_imported_and_served_by_nginx(visitor, repository, deploy):
    banner = repository("banner")
    colour = f"#{secrets.token_hex(3)}"
    banner.commit("palette.json", lambda _: json.dumps({"title": colour}))
    result = deploy("banner")
    assert result.returncode == 0, result.stdout + result.stderr
    served = page(visitor, "banner")
    assert served["title"] == colour, f"expected the generated module to have {colour}, got {served}"
    response = visitor.get(f"https://banner.test{served['stylesheet']}")
    assert response.text == f"h1 {{ color: {colour} }}\n", f"expected the generated file, got {response.text}"
    assert "X-Release" not in response.headers, f"expected nginx to serve it, got {response.headers}"


def test_extra_and_group_are_installed(visitor):
    before = int(page(visitor, "ledger")["balance"].replace(",", ""))
    assert visitor.post("https://ledger.test/", {"amount": 1_000_000}).status_code == 204
    served = page(visitor, "ledger")
    expected = {"balance": f"{before + 1_000_000:,}", "version": "1.0"}
    assert served == expected, f"expected {expected}, got {served}"


def test_missing_database_driver_is_rejected_before_the_build(host, visitor, deploy, live):
    before = live("ledger")
    result = deploy("ledger", install=["group:production"])
    output = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0, f"expected a failure, got {output}"
    for text in ("mysql+pymysql needs pymysql", "install: [pymysql]"):
        assert text in output, f"expected {text!r}, got {output}"
    assert live("ledger") == before and page(visitor, "ledger"), f"expected {before} to stay live"
    with host.sudo():
        names = host.check_output("ls /srv/ledger/venvs").split()
    environments = [name for name in names if not name.endswith(".json")]
    assert len(environments) == 1, f"expected no other environment, got {environments}"


def test_workspace_member_changes_with_the_release(host, visitor, repository, deploy):
    orchard = repository("orchard")
    shared, variety = environment(host, "orchard"), f"Variety {secrets.token_hex(4)}"
    served = page(visitor, "orchard")
    assert served["apples"] == "1.0" and "Topaz" in served["varieties"], f"expected Topaz, got {served}"
    orchard.commit("packages/apples/src/apples/__init__.py", lambda text: text.replace("Topaz", variety))
    try:
        result = deploy("orchard")
        assert result.returncode == 0, result.stdout + result.stderr
        served = page(visitor, "orchard")
        assert served["varieties"] == f"Boskoop and {variety}", f"expected {variety}, got {served}"
        assert environment(host, "orchard") == shared, (
            "expected the shared environment, because the lock file is unchanged"
        )
    finally:
        orchard.undo()
        deploy("orchard")
