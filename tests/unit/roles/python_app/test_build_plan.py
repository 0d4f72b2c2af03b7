"""The plan of each kind of requirements file, installed by the real uv."""

from __future__ import annotations

import hashlib
import platform
import sys

import pytest
from repository import ROOT

VERSION = platform.python_version()
PROGRAM = ROOT / "roles/python_app/files/build"
sys.path.insert(0, str(PROGRAM))  # as the host runs it: a folder with a __main__

import application  # noqa: E402  the path is set above
import requirement_lines  # noqa: E402
from build_plans import built, installed, planned, refused, shop, write  # noqa: E402


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("Flask_Login==2.0 \\\n    --hash=sha256:abc", "flask-login"),
        ("flask[async] @ https://files.test/flask-3.0-py3-none-any.whl", "flask"),
        ("./vendor/my_lib-1.0-py3-none-any.whl\n    # abc", "my-lib"),
        ("./vendor/my-lib-1.0.tar.gz", "my-lib"),
        ("./vendor/my_lib-1.0-py3-none-any.whl ; python_version < '4'", "my-lib"),
        ("backports ; python_version < '3.11'", "backports"),
        ("backports ; python_version >= '3.11'", ""),
        ("backports ; python_full_version >= '3.10.5'", ""),
        ("--index-url https://index.test/simple", ""),
        ("# a comment", ""),
        ("", ""),
    ],
)
def test_requirement_name_is_read_if_its_marker_applies(requirement, expected):
    found = requirement_lines.name_in(
        requirement, {"python_version": "3.10", "python_full_version": "3.10.4"}
    )
    assert found == expected, f"expected {expected!r}, got {found!r}"


def test_comments_do_not_change_the_environment(uv, package_folder):
    digest = hashlib.sha256(next(package_folder.glob("redis-*")).read_bytes()).hexdigest()
    texts = [
        f"# {comment}\nredis==1.0 \\\n    --hash=sha256:{digest}\n    # via {comment}\n" for comment in "ab"
    ]
    one, other = (planned(uv, {"requirements.txt": text}) for text in texts)
    assert one.text == other.text, f"expected equal environments, got {one.text!r} and {other.text!r}"
    assert "#" not in one.options, f"expected no comment, got {one.options!r}"


def test_environment_with_reused_packages_equals_a_new_one(uv, package_folder, tmp_path):
    earlier, second, new = (tmp_path / name for name in ("earlier", "second", "new"))
    built(uv, earlier, "flask==2.0\npymysql\nredis\n", package_folder)
    for folder, previous in ((second, earlier), (new, None)):
        built(uv, folder, "flask==3.0\nredis\n", package_folder, previous)
    found, expected = ({str(path.relative_to(one)) for path in one.rglob("*")} for one in (second, new))
    assert found == expected, f"expected the files of a new environment, got others: {found ^ expected}"
    linked = {path.parent.name for path in second.rglob("*.py") if path.stat().st_nlink > 1}
    assert linked == {"click", "redis", "gunicorn"}, (
        f"expected the unchanged packages to be linked, got {linked}"
    )
    modules = {path.relative_to(new) for path in new.rglob("*.py")}
    differing = [str(path) for path in modules if (second / path).read_text() != (new / path).read_text()]
    assert not differing, f"expected the modules of a new environment, got others: {differing}"


# --- requirements.txt --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_requirements_in_any_encoding_are_installed(uv, encoding):
    plan = planned(uv, {"requirements.txt": "flask==2.0\r\n".encode(encoding)})
    got = installed(uv, plan)
    assert got == {"flask": "2.0", "click": "7.0"}, f"expected flask 2.0 with its click, got {got}"


def test_included_and_constraint_files_are_applied(uv):
    files = {
        "req/prod.txt": "-r base.txt\n-c ../pins.txt\n",
        "req/base.txt": "flask\n",
        "pins.txt": "flask<3\n",
    }
    got = installed(uv, planned(uv, files, named="req/prod.txt"))
    assert got == {"flask": "2.0", "click": "7.0"}, got


def test_phantom_package_of_debian_is_ignored(uv):
    got = installed(uv, planned(uv, {"requirements.txt": "flask\npkg-resources==0.0.0\n"}))
    assert got == {"flask": "3.0", "click": "8.0"}, got


def test_resolved_versions_stay_until_requirements_exclude_them(uv):
    first = planned(uv, {"requirements.txt": "flask<3\n"})
    again = planned(uv, {"requirements.txt": "flask\n"})
    assert "flask==2.0" in first.text and "flask==2.0" in again.text, (
        f"expected 2.0 to stay, got {again.text}"
    )
    moved = planned(uv, {"requirements.txt": "flask>=3\n"})
    assert "flask==3.0" in moved.text, f"expected 3.0, got {moved.text}"


@pytest.mark.parametrize(
    ("files", "install"),
    [
        ({"requirements.txt": "# nothing yet\n"}, []),
        ({"Pipfile.lock": '{"_meta": {}, "default": {}, "develop": {"pytest": {"version": "==1.0"}}}'}, []),
        ({"pyproject.toml": shop("[]")}, []),
    ],
)  # fmt: skip
def test_empty_plan_is_rejected(uv, files, install):
    message = refused(uv, files, install)
    assert "found" in message and "expected" in message, message


def test_missing_file_is_rejected_with_the_list(uv):
    assert "found none of requirements.txt, uv.lock" in refused(uv, {"app.py": ""})


@pytest.mark.parametrize(
    ("requires_python", "version", "fits"),
    [(">=3.11,<3.12", "3.13.5", False), (">=3.11", "3.13.5", True), ("~=3.12", "3.11.2", False)],
)
def test_requires_python_is_checked_with_requirements_txt(uv, requires_python, version, fits):
    more = f'requires-python = "{requires_python}"\n'
    write(uv, {"pyproject.toml": shop(more=more), "requirements.txt": "flask\n"})
    if fits:
        application.check_python_version(uv.tree, version)
        return
    with pytest.raises(application.ApplicationError, match=rf"requires-python {requires_python}.*{version}"):
        application.check_python_version(uv.tree, version)
