"""poetry.lock as requirement lines. `packaging` evaluates their markers for several targets."""

from __future__ import annotations

import pytest
from lock_files import (
    CLICK,
    LINUX,
    LOCK,
    PROJECT,
    WINDOWS,
    assert_in,
    assert_same,
    lock,
    names,
    package,
    poetry,
    refused,
)


@pytest.mark.parametrize(
    ("python", "system", "expected"),
    [
        ("3.11", LINUX, set()),
        ("3.11", WINDOWS, {"colorama==0.4.6", "pywin32==306"}),
        ("3.8", LINUX, {"backports.zoneinfo==0.2.1", "typing-extensions==4.9.0"}),
        (
            "3.7",
            WINDOWS,
            {"backports.zoneinfo==0.2.1", "typing-extensions==4.9.0", "importlib-metadata==6.7.0"}
            | {"colorama==0.4.6", "pywin32==306"},
        ),
    ],
)
def test_poetry_2_0_edges_emit_markers(python, system, expected):
    base = {"click==8.1.7", "cryptography==42.0.0", "pyjwt==2.8.0"}
    assert_same(names(poetry(LOCK).lines, python, system), base | expected)


def test_poetry_unconditional_package_has_hash_and_no_marker():
    line = next(line for line in poetry(LOCK).lines if line.startswith("cryptography"))
    assert_same(line, "cryptography==42.0.0 --hash=sha256:cryptography42.0.0")


def test_poetry_groups_and_extras_are_added():
    lines = poetry(LOCK, extras=["Cache"], groups=["prod"]).lines
    assert_same(
        names(lines),
        {"click==8.1.7", "cryptography==42.0.0", "pyjwt==2.8.0", "redis==4.6.0", "gunicorn==21.2.0"}
        | {"packaging==24.0"},
    )
    assert "packaging==24.0" not in names(lines, system=WINDOWS), f"expected gunicorn's marker in {lines}"


def test_poetry_package_of_two_paths_gets_disjunction():
    """pytest needs colorama and packaging everywhere, so the markers of click and gunicorn do not count."""
    lines = poetry(LOCK, groups=["prod", "test"]).lines
    plain = {line.split("==")[0] for line in lines if " ; " not in line}
    assert {"colorama", "packaging"} <= plain, f"expected no marker in {lines}"


def test_poetry_markers_along_a_path_are_conjoined():
    project = "[tool.poetry.dependencies]\na = {version = '*', python = '<3.11 || >=3.13'}\nd = '*'"
    rest = '[package.dependencies]\n{} = {{version = "*", markers = "sys_platform == \\"win32\\""}}\n'
    text = lock(package("a", "1", rest.format("b")), package("b", "1"), package("d", "1"))
    lines = poetry(text, project).lines
    found = {
        (p, s["os_name"])
        for p in ("3.10", "3.12", "3.13")
        for s in (LINUX, WINDOWS)
        if "b==1" in names(lines, p, s)
    }
    assert_same(found, {("3.10", "nt"), ("3.13", "nt")})


def test_poetry_complementary_paths_need_no_marker():
    project = "[tool.poetry.dependencies]\na = '*'\nb = '*'"
    edge = '[package.dependencies]\nc = {{version = "*", markers = "sys_platform {} \\"win32\\""}}\n'
    text = lock(package("a", "1", edge.format("==")), package("b", "1", edge.format("!=")), package("c", "1"))
    assert_in("c==1 --hash=", "\n".join(poetry(text, project).lines))


def test_poetry_cycle_of_dependencies_ends():
    text = lock(
        package("a", "1", '[package.dependencies]\nb = "*"'),
        package("b", "1", '[package.dependencies]\na = "*"'),
    )
    assert_same(names(poetry(text, '[tool.poetry.dependencies]\na = "*"').lines), {"a==1", "b==1"})


def test_poetry_1_1_reads_hashes_from_metadata():
    text = "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ncategory = "{category}"\n'
        f"optional = false\n{rest}\n"
        for name, version, category, rest in (
            ("click", "8.1.7", "main", CLICK),
            ("colorama", "0.4.6", "main", ""),
            ("importlib-metadata", "6.7.0", "main", ""),
            ("pytest", "8.0.0", "dev", ""),
        )
    )
    files = "".join(
        f'{name} = [{{file = "a", hash = "sha256:{name}"}}]\n'
        for name in ("click", "colorama", "importlib-metadata", "pytest")
    )
    text += f'[metadata]\nlock-version = "1.1"\n[metadata.files]\n{files}'
    project = '[tool.poetry.dependencies]\nclick = "*"\n[tool.poetry.dev-dependencies]\npytest = "*"\n'
    assert_same(names(poetry(text, project).lines), {"click==8.1.7"})
    assert_same(names(poetry(text, project, groups=["dev"]).lines), {"click==8.1.7", "pytest==8.0.0"})
    assert_in("click==8.1.7 --hash=sha256:click", "\n".join(poetry(text, project).lines))


def test_poetry_1_0_reads_python_of_edges_and_marker_of_packages():
    edge = (
        '[package.dependencies]\ncolorama = "*"\ncertifi = "*"\n'
        '[package.dependencies.zipp]\npython = "<3.8"\nversion = "*"\n'
    )
    text = lock(
        package("click", "7.0", edge),
        package("certifi", "1", top="marker = \"python_version < '3.8'\""),
        package("colorama", "0.4.6", top="marker = \"sys_platform == 'win32'\""),
        package("zipp", "1.0"),
        version="1.0",
    )
    lines = poetry(text, '[tool.poetry.dependencies]\nclick = "*"').lines
    assert_same(names(lines), {"certifi==1", "click==7.0"})
    assert_same(names(lines, "3.7", WINDOWS), {"certifi==1", "click==7.0", "colorama==0.4.6", "zipp==1.0"})


def test_poetry_2_1_reads_groups_markers_and_extras():
    text = lock(
        package("click", "8.1.7", top='groups = ["main", "dev"]'),
        package("colorama", "0.4.6", top='groups = ["main"]\nmarkers = "platform_system == \\"Windows\\""'),
        package(
            "tomli",
            "2.0.1",
            top='groups = ["main", "dev"]\n'
            'markers = {main = "python_version < \\"3.11\\"", dev = "python_version < \\"3.12\\""}',
        ),
        package(
            "redis",
            "4.6.0",
            top='groups = ["main"]\nmarkers = "sys_platform == \\"linux\\" and '
            '(extra == \\"all\\" or extra == \\"cache\\")"',
        ),
        package("pytest", "8.0.0", top='groups = ["dev"]'),
        "[extras]\ncache = ['redis']\nall = ['redis']\n",
        version="2.1",
    )
    assert_same(names(poetry(text, "").lines), {"click==8.1.7"})
    assert_same(
        names(poetry(text, "", groups=["dev"]).lines), {"click==8.1.7", "tomli==2.0.1", "pytest==8.0.0"}
    )
    lines = poetry(text, "", extras=["cache"]).lines
    assert_same(names(lines), {"click==8.1.7", "redis==4.6.0"})
    assert "redis==4.6.0" not in names(lines, system=WINDOWS), f"expected redis on Linux only in {lines}"


def test_poetry_2_0_follows_project_table():
    project = """
[project]
name = "shop"
dependencies = [
    "click (>=8,<9)",
    "pyjwt[crypto] ; python_version >= '3.8'",
    "pywin32 ; sys_platform == 'win32'",
]
[project.optional-dependencies]
cache = ["redis>=4"]
[tool.poetry.dependencies]
click = {source = "acme"}
[dependency-groups]
prod = [{include-group = "server"}]
server = ["gunicorn"]
"""
    base = {"click==8.1.7", "cryptography==42.0.0", "pyjwt==2.8.0"}
    assert_same(names(poetry(LOCK, project).lines), base)
    more = {"redis==4.6.0", "gunicorn==21.2.0", "packaging==24.0"}
    assert_same(names(poetry(LOCK, project, ["cache"], ["prod"]).lines), base | more)


def test_poetry_versions_by_python_are_all_emitted():
    """pandas admits both, so numpy's own Python and the project's constraint decide."""
    project = (
        "[tool.poetry.dependencies]\npandas = '*'\n"
        "numpy = [{version = '^1.24', python = '<3.9'}, {version = '>=1.26,<2', python = '>=3.9'}]"
    )
    edge = (
        '[package.dependencies]\nnumpy = [{version = ">=1.20", markers = "python_version < \\"3.10\\""}, '
        '{version = ">=1.21", markers = "python_version >= \\"3.10\\""}]'
    )
    numpy = package("numpy", "1.24.4", python=">=3.8"), package("numpy", "1.26.4", python=">=3.9")
    text = lock(package("pandas", "2.0.3", edge), *numpy)
    for name in (project, "[tool.poetry.dependencies]\npandas = '*'"):
        lines = poetry(text, name).lines
        assert_same(names(lines, "3.8"), {"pandas==2.0.3", "numpy==1.24.4"})
        assert_same(names(lines, "3.9"), {"pandas==2.0.3", "numpy==1.26.4"})
        assert_same(names(lines, "3.12"), {"pandas==2.0.3", "numpy==1.26.4"})


def test_poetry_version_excluded_by_a_dependency_is_omitted():
    project = (
        "[tool.poetry.dependencies]\npandas = '*'\n"
        "numpy = [{version = '^1.24,<1.26', platform = 'linux'}, {version = '*', platform = '!=linux'}]"
    )
    text = lock(
        package("pandas", "2.0.3", '[package.dependencies]\nnumpy = "*"'),
        package("numpy", "1.24.4"),
        package("numpy", "1.26.4"),
    )
    lines = poetry(text, project).lines
    assert_same(names(lines), {"pandas==2.0.3", "numpy==1.24.4"})
    assert_same(names(lines, system=WINDOWS), {"pandas==2.0.3", "numpy==1.26.4"})


def test_poetry_versions_without_markers_are_rejected():
    text = lock(
        package("click", "8.0.0", top='groups = ["main"]'),
        package("click", "8.1.0", top='groups = ["main"]'),
        version="2.1",
    )
    assert_in("poetry.lock: found click==8.0.0 and click==8.1.0", refused(poetry, text, ""))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"extras": ["mysql"]}, "found no extra mysql, expected one of cache"),
        ({"groups": ["docs"]}, "found no group docs, expected one of main, prod, test"),
        ({"project": ""}, "found no package of main, expected at least one"),
        ({"project": PROJECT.replace('"^8.0"', '"^9"')}, "found click 8.1.7, expected click ^9"),
        ({"project": PROJECT.replace("Click", "Flask")}, "found no flask, expected flask ^8.0"),
        ({"project": PROJECT.replace('"^8.0"', '"latest"')}, "found latest, expected a marker or a version"),
    ],
)
def test_poetry_unusable_lock_is_rejected(arguments, problem):
    message = refused(poetry, LOCK, **arguments)
    assert_in(f"poetry.lock: {problem}", message)
    assert message.endswith("."), f"found {message!r}, expected a remedy after the problem"


def test_poetry_dependency_for_unsupported_python_may_be_absent():
    project = PROJECT.replace(
        "[tool.poetry.extras]", 'tomli = {version = "*", python = "<3.8"}\n[tool.poetry.extras]'
    )
    assert "click==8.1.7" in names(poetry(LOCK, project).lines)
    project = project.replace('python = "<3.8"', "markers = \"sys_platform == 'linux'\"")
    assert_in("found no tomli, expected tomli *", refused(poetry, LOCK, project))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (lock(version="3.0"), "found lock-version 3.0, expected 1 or 2"),
        (lock(package("click", "8.1.7")).replace("sha256:", "sha256:\\n--index-url x"), "expected one line"),
        (
            lock(package("click", "8.1.7")).replace("files", "other"),
            "found click with 0 hashes, expected one",
        ),
        (
            lock(package("click", "8.1.7", top='markers = "python_version >"\ngroups = ["main"]')),
            "expected a marker",
        ),
    ],
)
def test_poetry_invalid_lock_is_rejected(text, problem):
    assert_in(problem, refused(poetry, text, '[tool.poetry.dependencies]\nclick = "*"'))
