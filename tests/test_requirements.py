"""What becomes of the files in which applications say what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ours import utils
from packaging.markers import Marker

requirements = utils("requirements")
Unusable = requirements.Unusable
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.2", "extra": ""}


def evaluate(markers: set[str]) -> dict[str, bool]:
    """As pip of Debian 12's Python would."""
    return {marker: not marker or Marker(marker).evaluate(PYTHON) for marker in markers}


@pytest.fixture
def tree(tmp_path) -> Path:
    return tmp_path / "tree"


def planned(tree: Path, named: str = "", **files: str | bytes):
    """The files that count, and what pip is to do with them."""
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    texts = requirements.declared(tree, named)
    return list(texts), requirements.plan(texts, "3.11.2", evaluate)


def lines(tree: Path, named: str = "", **files: str | bytes) -> list[str]:
    """What pip reads, all files of it one after the other."""
    return "".join(planned(tree, named, **files)[1].files.values()).splitlines()


def refused(tree: Path, named: str = "", **files: str | bytes) -> str:
    with pytest.raises(Unusable) as refusal:
        planned(tree, named, **files)
    message = str(refusal.value)
    assert "found" in message and "expected" in message and "\n" not in message, message
    return message


# --- requirements.txt --------------------------------------------------------------------------


def test_requirements_are_pips_own(tree):
    text = "Flask==1.1.4  # old\n\n--extra-index-url https://index.test/simple\nwheel @ https://host.test/w.whl\n"
    names, plan = planned(tree, **{"requirements.txt": text})
    assert names == ["requirements.txt"]
    assert plan.files["requirements.txt"].splitlines() == [
        "Flask==1.1.4",
        "--extra-index-url https://index.test/simple",
        "wheel @ https://host.test/w.whl",
    ]
    assert plan.steps == [["--requirement", "requirements.txt"]]


def test_hashes_and_continued_lines_stay(tree):
    text = 'flask==3.0.0 ; python_version > "3.8" \\\n    --hash=sha256:aa \\\r\n    --hash=sha256:bb\n'
    (line,) = lines(tree, **{"requirements.txt": text})
    assert line.split() == text.replace("\\", "").split()


@pytest.mark.parametrize(
    "include", ["-r {}", "-r{}", "--requirement {}", "--requirement={}", "-c {}", "-r '{}'"]
)
def test_files_that_are_included_count(tree, include):
    text = f"{include.format('../base.txt')}\ngunicorn\n"
    names, plan = planned(tree, "req/prod.txt", **{"req/prod.txt": text, "base.txt": "flask\n"})
    assert names == ["req/prod.txt", "base.txt"]
    assert plan.files == {"req/prod.txt": text, "base.txt": "flask\n"}, (
        "expected each where the other finds it"
    )
    assert plan.steps == [["--requirement", "req/prod.txt"]]


def test_files_that_include_each_other_end(tree):
    names, _ = planned(tree, **{"requirements.txt": "-r a.txt\n", "a.txt": "-r requirements.txt\nflask\n"})
    assert names == ["requirements.txt", "a.txt"]


def test_an_included_file_that_is_elsewhere_is_pips(tree):
    assert lines(tree, **{"requirements.txt": "-c https://host.test/c.txt\n"}) == [
        "-c https://host.test/c.txt"
    ]


@pytest.mark.parametrize("name", ["nowhere.txt", "../outside.txt", "/etc/hostname"])
def test_an_included_file_that_is_not_the_applications_is_refused(tree, name):
    (tree.parent / "outside.txt").write_text("flask\n")
    assert "expected a file of the application" in refused(tree, **{"requirements.txt": f"-r {name}\n"})


def test_a_link_that_leads_out_is_refused(tree):
    tree.mkdir()
    (tree / "requirements.txt").symlink_to("/etc/hostname")
    assert refused(tree) == "requirements: found requirements.txt, expected a file of the application"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_text_is_read_as_it_was_written(tree, encoding):
    assert lines(tree, **{"requirements.txt": "flask==3.0.0\r\n".encode(encoding)}) == ["flask==3.0.0"]


def test_what_no_index_has_is_left_out(tree):
    assert lines(tree, **{"requirements.txt": "flask\npkg-resources==0.0.0\n"}) == ["flask"]


PROJECT = """[project]
name = "hall"
dependencies = ["flask>=3", "pyjwt[crypto]"]
[project.optional-dependencies]
prod = ["gunicorn"]
"""


@pytest.mark.parametrize("line", [".", "-e .", "--editable=.", "./", '-e "."'])
def test_the_application_itself_is_not_installed_and_its_dependencies_are(tree, line):
    got = lines(tree, **{"requirements.txt": f"redis\n{line}\n", "pyproject.toml": PROJECT})
    assert got == ["redis", "flask>=3", "pyjwt[crypto]"]


def test_the_applications_extras_are_meant_where_they_are_named(tree):
    got = lines(tree, **{"requirements.txt": "-e .[prod]\n", "pyproject.toml": PROJECT})
    assert got == ["flask>=3", "pyjwt[crypto]", "gunicorn"]


def test_who_locked_with_hashes_locked_the_dependencies_too(tree):
    text = "flask==3.0.0 --hash=sha256:aa\n-e .\n"
    got = lines(tree, **{"requirements.txt": text, "pyproject.toml": PROJECT})
    assert got == ["flask==3.0.0 --hash=sha256:aa"]


def test_the_application_alone_says_nothing(tree):
    message = refused(tree, **{"requirements.txt": "-e .\n", "setup.py": "setup()"})
    assert message.startswith("requirements.txt: found -e . alone"), message


@pytest.mark.parametrize(
    "line", ["./libs/own", "-e ./libs/own", "libs/own", "wheels/own-1.whl", "own @ file:///croot/own", "/own"]
)
def test_a_folder_is_no_requirement(tree, line):
    message = refused(tree, **{"requirements.txt": f"flask\n{line}\n"})
    assert message.startswith(f"requirements.txt: found {line}, expected a package of an index"), message


@pytest.mark.parametrize(
    "line",
    [
        "git+https://host.test/a/b.git@v1#egg=b",
        "-e git+ssh://git@host.test/a/b#egg=b",
        "b @ git+https://host.test/a/b@0123abc",
        "https://host.test/b-1.0.tar.gz",
        "--find-links ./wheels",
    ],
)
def test_what_is_in_a_repository_is_pips(tree, line):
    assert lines(tree, **{"requirements.txt": f"{line}\n"}) == [line]


# --- Which file --------------------------------------------------------------------------------


def test_nothing_is_refused_with_what_there_might_be(tree):
    tree.mkdir()
    message = refused(tree)
    for name in requirements.FILES:
        assert name in message, f"expected {name}, got {message}"
    assert "`requirements`" in message
    assert "setup.py is not run" in refused(tree, **{"setup.py": ""})


def test_the_first_that_is_there_decides_unless_one_is_named(tree):
    both = {"requirements.txt": "a\n", "pyproject.toml": PROJECT, "reqs/prod.txt": "b\n"}
    assert lines(tree, **both) == ["a"]
    assert lines(tree, "pyproject.toml") == ["flask>=3", "pyjwt[crypto]"]
    assert lines(tree, "reqs/prod.txt") == ["b"]


# --- pyproject.toml ----------------------------------------------------------------------------


def test_a_project_gives_its_dependencies(tree):
    names, plan = planned(tree, **{"pyproject.toml": PROJECT})
    assert (names, list(plan.files.values())) == (["pyproject.toml"], ["flask>=3\npyjwt[crypto]\n"])


def test_a_project_reads_its_dependencies_from_a_file(tree):
    project = """[project]
name = "hall"
dynamic = ["version", "dependencies"]
[tool.setuptools.dynamic]
dependencies = {file = ["requirements.in", "more/other.in"]}
"""
    files = {"pyproject.toml": project, "requirements.in": "flask\n", "more/other.in": "redis\n"}
    names, plan = planned(tree, **files)
    assert names == ["pyproject.toml", "requirements.in", "more/other.in"]
    assert plan.steps == [["--requirement", "requirements.in", "--requirement", "more/other.in"]]
    assert list(plan.files.values()) == ["flask\n", "redis\n"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.ruff]\n", "found no project.dependencies, expected them, or a lock file beside it"),
        ("[tool.poetry.dependencies]\nflask = '^3'\n", "or its poetry.lock beside it"),
        ("[project]\ndynamic = ['dependencies']\n", "found no project.dependencies"),
        ("[project\n", "pyproject.toml: found no TOML"),
    ],
)
def test_a_project_that_does_not_say_is_refused(tree, text, expected):
    assert expected in refused(tree, **{"pyproject.toml": text})


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        *((wanted, True) for wanted in (">=3.10", ">=3.10,<4", "~=3.11", "==3.11.*", "")),
        *((wanted, False) for wanted in (">=3.12", ">=3.8, <3.11")),
    ],
)
def test_a_project_says_which_pythons_it_is_for(tree, wanted, fits):
    text = PROJECT.replace("[project]\n", f'[project]\nrequires-python = "{wanted}"\n')
    if fits:
        assert lines(tree, **{"pyproject.toml": text}) == ["flask>=3", "pyjwt[crypto]"]
    else:
        message = refused(tree, **{"pyproject.toml": text})
        assert f"found requires-python {wanted}, and this is Python 3.11.2" in message, message


# --- Locks -------------------------------------------------------------------------------------
# As uv, Poetry and Pipenv write them, but for hashes that say what they are of.


def file(name: str) -> str:
    return f'{{ url = "https://files.test/{name}", hash = "sha256:{name}", size = 1 }}'


def uv(
    name: str, version: str, rest: str = "", source: str = '{ registry = "https://index.test/simple" }'
) -> str:
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {source}\n'
        f"sdist = {file(f'{name}-{version}')}\nwheels = [\n    {file(f'{name}-{version}-any')},\n]\n{rest}\n"
    )


UV = "\n".join(
    [
        'version = 1\nrevision = 3\nrequires-python = ">=3.10"\n',
        uv(
            "cffi",
            "2.0.0",
            'dependencies = [\n    { name = "pycparser", version = "2.22", '
            "marker = \"python_full_version < '3.11' and implementation_name != 'PyPy'\" },\n"
            '    { name = "pycparser", version = "2.23", '
            "marker = \"python_full_version >= '3.11' and implementation_name != 'PyPy'\" },\n]",
        ),
        uv("click", "8.3.0", 'dependencies = [{ name = "colorama", marker = "sys_platform == \'win32\'" }]'),
        uv("colorama", "0.4.6"),
        uv("cryptography", "46.0.3", 'dependencies = [{ name = "cffi" }]'),
        uv("iniconfig", "2.3.0"),
        uv("pycparser", "2.22"),
        uv("pycparser", "2.23"),
        uv(
            "pyjwt",
            "2.10.1",
            '[package.optional-dependencies]\ncrypto = [\n    { name = "cryptography" },\n]',
        ),
        uv("redis", "7.0.0", '[package.optional-dependencies]\nhiredis = [{ name = "hiredis" }]'),
        uv("hiredis", "3.3.0"),
        uv("six", "1.17.0"),
        uv(
            "hall",
            "0.1.0",
            "dependencies = [\n"
            '    { name = "click" },\n    { name = "redis" },\n'
            '    { name = "pyjwt", extra = ["crypto"] },\n]\n'
            "[package.optional-dependencies]\nmore = [\n"
            '    { name = "six" },\n]\n'
            '[package.dev-dependencies]\ndev = [\n    { name = "iniconfig" },\n'
            '    { name = "redis", extra = ["hiredis"] },\n]',
            '{ virtual = "." }',
        ),
    ]
)


def locked(*versions: str) -> list[str]:
    return [f"{one.replace('-', '==', 1)} --hash=sha256:{one}-any --hash=sha256:{one}" for one in versions]


def test_a_lock_of_uv(tree):
    """With the extras that are asked for and the versions of this Python; nothing of another group."""
    names, plan = planned(tree, **{"uv.lock": UV, "pyproject.toml": PROJECT})
    assert names == ["uv.lock", "pyproject.toml"]
    assert plan.files["locked.txt"].splitlines() == locked(
        "cffi-2.0.0", "click-8.3.0", "cryptography-46.0.3", "pycparser-2.23", "pyjwt-2.10.1", "redis-7.0.0"
    )
    assert plan.steps == [["--no-deps", "--require-hashes", "--requirement", "locked.txt"]]


def test_a_commit_in_a_lock_of_uv_is_installed_apart(tree):
    source = '{ git = "https://host.test/a/redis?subdirectory=py%2Flib&branch=main#0123abc" }'
    own = uv("redis", "7.0.0", "", source).replace("sdist", "# sdist").replace("wheels", "_wheels")
    text = UV.replace(
        uv("redis", "7.0.0", '[package.optional-dependencies]\nhiredis = [{ name = "hiredis" }]'), own
    )
    _, plan = planned(tree, **{"uv.lock": text})
    assert plan.files["commits.txt"] == "redis @ git+https://host.test/a/redis@0123abc#subdirectory=py/lib\n"
    assert plan.steps[1] == ["--no-deps", "--requirement", "commits.txt"]
    assert "redis" not in plan.files["locked.txt"]


def test_a_package_of_the_same_workspace_is_refused(tree):
    text = re.sub(r'(name = "redis".*\n.*\nsource = ).*', r'\1{ editable = "libs/redis" }', UV)
    assert "uv.lock: found redis without a version and its hash" in refused(tree, **{"uv.lock": text})
    text = UV.replace('{ virtual = "." }', '{ editable = "packages/hall" }')
    assert "uv.lock: found no project of this folder" in refused(tree, **{"uv.lock": text})


def poetry(name: str, version: str, top: str = "", rest: str = "") -> str:
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ndescription = "x"\noptional = false\n'
        f'python-versions = ">=3.8"\n{top}\nfiles = [\n'
        f'    {{file = "a.whl", hash = "sha256:{name}-{version}-any"}},\n'
        f'    {{file = "a.tar.gz", hash = "sha256:{name}-{version}"}},\n]\n{rest}\n'
    )


CLICK = '[package.dependencies]\ncolorama = {version = "*", markers = "platform_system == \\"Windows\\""}\n'
JWT = (
    "[package.dependencies]\n"
    'cryptography = {version = ">=3.4.0", optional = true, markers = "extra == \\"crypto\\""}\n'
    '[package.extras]\ncrypto = ["cryptography (>=3.4.0)"]\ndev = ["iniconfig"]\n'
)
POETRY_PROJECT = """[tool.poetry.dependencies]
python = "^3.10"
Click = "^8"
pyjwt = {version = "*", extras = ["crypto"]}
sentry = {version = "*", optional = true}
[tool.poetry.group.dev.dependencies]
iniconfig = "*"
"""
POETRY_EXPECTED = locked("click-8.3.0", "cryptography-46.0.3", "pyjwt-2.10.1")


def test_a_lock_of_poetry_2_says_the_groups(tree):
    main, windows = 'groups = ["main"]', 'groups = ["main"]\nmarkers = "platform_system == \\"Windows\\""'
    mixed = (
        'groups = ["main", "dev"]\n'
        'markers = {main = "python_version >= \\"3.12\\"", dev = "python_version > \\"3\\""}'
    )
    text = "".join(
        [
            poetry("click", "8.3.0", main, CLICK),
            poetry("colorama", "0.4.6", windows),
            poetry("cryptography", "46.0.3", 'groups = ["main", "dev"]'),
            poetry("iniconfig", "2.3.0", 'groups = ["dev"]'),
            poetry("newer", "1.0", mixed),
            poetry("pyjwt", "2.10.1", main, JWT),
            poetry("sentry", "1.0", main).replace("optional = false", "optional = true"),
            '[metadata]\nlock-version = "2.1"\n',
        ]
    )
    assert lines(tree, **{"poetry.lock": text, "pyproject.toml": POETRY_PROJECT}) == POETRY_EXPECTED


def test_a_lock_of_poetry_1_5_is_followed_from_the_project(tree):
    text = "".join(
        [
            poetry("click", "8.3.0", "", CLICK),
            poetry("colorama", "0.4.6"),
            poetry("cryptography", "46.0.3"),
            poetry("iniconfig", "2.3.0"),
            poetry("pyjwt", "2.10.1", "", JWT),
            '[metadata]\nlock-version = "2.0"\n',
        ]
    )
    assert lines(tree, **{"poetry.lock": text, "pyproject.toml": POETRY_PROJECT}) == POETRY_EXPECTED
    other = POETRY_PROJECT.replace("Click", "flask")
    message = refused(tree, **{"pyproject.toml": other})
    assert message == "poetry.lock: found no flask, expected the lock of this pyproject.toml"


def test_a_lock_of_poetry_1_1_says_a_category_and_has_its_hashes_elsewhere(tree):
    text = "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ncategory = "{category}"\noptional = false\n\n'
        for name, version, category in (
            ("click", "8.3.0", "main"),
            ("iniconfig", "2.3.0", "dev"),
        )
    )
    files = '\n[metadata.files]\nclick = [\n    {file = "a", hash = "sha256:aa"},\n]\niniconfig = []\n'
    got = lines(tree, **{"poetry.lock": f"{text}[metadata]\nlock-version = '1.1'\n{files}"})
    assert got == ["click==8.3.0 --hash=sha256:aa"]


def test_commits_and_folders_in_a_lock_of_poetry(tree):
    source = '[package.source]\ntype = "git"\nurl = "git@host.test:a/b.git"\nresolved_reference = "0123abc"\n'
    text = poetry("own", "1.0", 'groups = ["main"]', source)
    assert lines(tree, **{"poetry.lock": text}) == ["own @ git+ssh://git@host.test/a/b.git@0123abc"]
    text = poetry(
        "own", "1.0", 'groups = ["main"]', '[package.source]\ntype = "directory"\nurl = "libs/own"\n'
    )
    assert "found own without a version and its hash" in refused(tree, **{"poetry.lock": text})


def test_a_lock_of_pipenv(tree):
    text = """{
    "_meta": {"hash": {"sha256": "x"}, "pipfile-spec": 6, "requires": {}},
    "default": {
        "click": {
            "hashes": ["sha256:aa", "sha256:bb"], "markers": "python_version >= '3.10'", "version": "==8.3.0"
        },
        "colorama": {"hashes": ["sha256:cc"], "markers": "sys_platform == 'win32'", "version": "==0.4.6"},
        "own": {"editable": true, "git": "https://host.test/own.git", "ref": "0123abc"},
        "hall": {"editable": true, "path": "."}
    },
    "develop": {"iniconfig": {"hashes": ["sha256:dd"], "version": "==2.3.0"}}
}"""
    assert lines(tree, **{"Pipfile.lock": text}) == [
        "click==8.3.0 --hash=sha256:aa --hash=sha256:bb",
        "own @ git+https://host.test/own.git@0123abc",
    ]


def test_a_lock_that_any_tool_may_write(tree):
    text = """lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "click"
version = "8.3.0"
sdist = { url = "https://files.test/c.tar.gz", hashes = { sha256 = "aa" } }
wheels = [{ url = "https://files.test/c.whl", size = 1, hashes = { sha256 = "bb" } }]
[[packages]]
name = "tomli"
version = "2.3.0"
marker = "python_full_version < '3.11'"
wheels = [{ url = "https://files.test/t.whl", hashes = { sha256 = "cc" } }]
[[packages]]
name = "own"
vcs = { type = "git", url = "https://host.test/own", commit-id = "0123abc" }
[[packages]]
name = "hall"
directory = { path = ".", editable = true }
"""
    assert lines(tree, **{"pylock.toml": text}) == [
        "click==8.3.0 --hash=sha256:bb --hash=sha256:aa",
        "own @ git+https://host.test/own@0123abc",
    ]
