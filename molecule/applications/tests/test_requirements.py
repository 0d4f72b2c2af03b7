"""Sources of requirements: lock files, an older Python, source distributions, git, wheels."""

from __future__ import annotations

import json
import secrets

from test_packages import page


def test_poetry_lock_installs_extra_and_own_index(visitor):
    served = page(visitor, "poems")
    assert served["motto"] == "Measure twice", f"expected the package of the lock file's index, got {served}"
    assert served["verses"] == "2nd", f"expected the optional dependency, got {served}"
    unwanted = {"colorama", "iniconfig"} & set(served["installed"])
    assert not unwanted, f"expected neither another platform's nor the dev group's package, got {unwanted}"


def test_uv_lock_with_private_index_gets_its_credentials(visitor):
    served = page(visitor, "orchard")
    assert served["motto"] == "Measure twice", f"expected the package of the private index, got {served}"


def test_pipfile_lock_installs_default_section_only(visitor):
    served = page(visitor, "pipes")
    assert served["metres"] == "12,000", f"expected 12,000, got {served}"
    unwanted = {"colorama", "iniconfig"} & set(served["installed"])
    assert not unwanted, f"expected neither another platform's nor a development package, got {unwanted}"


def test_versions_of_2023_run_on_a_managed_python(host, visitor):
    served = page(visitor, "elder")
    assert served["python"].startswith("3.11."), f"expected Python 3.11, got {served}"
    assert (served["answer"], served["greenlet"]) == (42, "3.0.1"), f"expected greenlet 3.0.1, got {served}"
    assert not host.file("/usr/bin/python3.11").exists, "expected a distribution without Python 3.11"


def test_source_distributions_and_git_requirement_are_built(host, visitor):
    served = page(visitor, "quarry")
    assert served["stone"] == "granite", f"expected docopt, which has no wheel, to work, got {served}"
    assert (served["song"], served["lyrics"]) == ("Stone upon stone", "1.0"), f"expected lyrics, got {served}"
    origin = json.loads(served["origin"])
    assert origin["url"] == "http://applications:8200/git/lyrics.git", (
        f"expected the repository, got {origin}"
    )
    with host.sudo():
        metadata = host.check_output(
            "cat /srv/quarry/current/.venv/lib/python3*/site-packages/itsdangerous-*.dist-info/WHEEL"
        )
    assert "Generator: flit" in metadata, f"expected a build by itsdangerous' own backend, got {metadata}"


def test_missing_git_tag_is_reported(visitor, repository, deploy, live):
    before = live("quarry")
    repository("quarry").commit("requirements.txt", lambda text: text.replace("@v1.0", "@v9"))
    try:
        result = deploy("quarry")
    finally:
        repository("quarry").undo()
    output = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0 and "v9" in output, f"expected the missing tag, got {output}"
    assert live("quarry") == before and page(visitor, "quarry"), f"expected {before} to stay live"


def test_build_without_network_installs_wheels_of_the_repository(host, visitor, repository, deploy, live):
    """The build of quarry reaches the server that the build of hermit cannot reach."""
    served, before = page(visitor, "hermit"), live("hermit")
    assert served["network"].startswith("not reached"), f"expected no network in the build, got {served}"
    with host.sudo():
        environment = host.check_output("readlink --canonicalize /srv/hermit/current/.venv")
        packages = host.check_output("ls %s/lib/python3.13/site-packages", environment)
    assert "gunicorn-23.0.0.dist-info" in packages, f"expected gunicorn of the repository, got {packages}"

    mark = secrets.token_hex(4)
    repository("hermit").commit("app.py", lambda text: text.replace('"network"', f'"{mark}"'))
    try:
        result = deploy("hermit")
        assert result.returncode == 0, result.stdout + result.stderr
        assert live("hermit") != before and mark in page(visitor, "hermit"), f"expected {mark} after a deploy"
    finally:
        repository("hermit").undo()
        deploy("hermit")
