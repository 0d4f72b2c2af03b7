"""What an application's source says of how it is served.

Nothing of it is run: Python files are parsed, others are read. What it finds is proposed, never assumed.
"""

from __future__ import annotations

import ast
import itertools
import os
import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tomllib

# Where no code of the application's own is.
SKIPPED = {"build", "dist", "docs", "node_modules", "site-packages", "test", "tests", "venv", "__pycache__"}
MOST_FILES = 2000
LARGEST = 1 << 20

OBJECTS = ("application", "app")
FACTORIES = ("create_app", "make_app", "create_application")
# What is called app as well, and serves no requests.
NO_APPLICATION = {"Blueprint", "Celery", "FastAPI", "Typer"}
# Modules at the top, the likeliest first; what starts a development server or a worker, after any package.
FIRST = ("wsgi", "app", "application", "main")
LAST = re.compile(r"manage|run|dev|tasks|.*(celery|worker).*")
WSGI = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(.*\))?", re.ASCII)
HEALTH = ("/readyz", "/ready", "/healthz", "/health", "/livez")
PROCESS = re.compile(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?")
REQUIREMENTS = ("requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml")
EXAMPLES = (".env.example", ".env.sample", ".env.template")
OTHER_REQUIREMENTS = ("production", "prod", "base")

# As they are installed, and where that differs as they are imported.
MYSQL = {"pymysql", "mysqlclient", "mysqldb", "mysql-connector-python"}
SERVICES = {
    "redis": {"redis", "rq", "flask-redis", "flask-rq2"},
    "memcached": {"pylibmc", "pymemcache", "python-memcached"},
}
# Debian packages that they are built with, or load.
NATIVE = {
    "mysqlclient": ["build-essential", "default-libmysqlclient-dev", "pkg-config", "python3-dev"],
    "python-magic": ["libmagic1"],
    "weasyprint": ["libpango-1.0-0", "libpangoft2-1.0-0"],
}
UNSUPPORTED = {
    **dict.fromkeys(("psycopg", "psycopg2", "psycopg2-binary", "asyncpg", "pg8000"), "PostgreSQL"),
    **dict.fromkeys(("pymongo", "flask-pymongo", "mongoengine"), "MongoDB"),
    **dict.fromkeys(("oracledb", "cx-oracle"), "Oracle Database"),
    **dict.fromkeys(("pyodbc", "pymssql"), "SQL Server"),
}


@dataclass
class Source:
    """What was found in a folder; what is empty was not found."""

    wsgi: str = ""
    migrate: str = ""
    static: list[dict[str, str]] = field(default_factory=list)
    health: str = ""
    processes: dict[str, str] = field(default_factory=dict)
    worker_class: str = ""
    uploads: list[str] = field(default_factory=list)
    requirements: str = ""  # where they are in none of the usual files
    uses: set[str] = field(default_factory=set)  # distributions, in their normalised names
    declared: bool = False  # whether it says anywhere what it requires
    env: dict[str, bool] = field(default_factory=dict)  # variables that are read; whether it fails without

    @property
    def database(self) -> bool:
        """Whether it looks as if it had a database of MySQL's kind."""
        if self.unsupported:
            return bool(self.uses & MYSQL)
        return bool(self.uses & {*MYSQL, "flask-migrate", "flask-sqlalchemy"} or self.migrate)

    @property
    def unsupported(self) -> list[str]:
        return sorted({UNSUPPORTED[name] for name in self.uses & UNSUPPORTED.keys()})


@dataclass
class Module:
    """What one Python file has at its top level that matters here."""

    path: Path
    objects: list[str] = field(default_factory=list)
    factories: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    env: dict[str, bool] = field(default_factory=dict)
    routes: list[str] = field(default_factory=list)
    prefixed: bool = False
    static: tuple[str, str] | None = None  # Flask's static_folder and the URL, where Flask is called

    @property
    def name(self) -> str:
        parts = [*self.path.parts[:-1], self.path.stem]
        parts = parts[1:] if parts[0] == "src" else parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """What is most likely to be meant for production comes first."""
        top = "." not in self.name and self.path.stem != "__init__"
        first = FIRST.index(self.path.stem) if self.path.stem in FIRST else len(FIRST)
        kind = 2 if LAST.fullmatch(self.path.stem) else 0 if top else 1
        return kind, self.name.count("."), first, self.name


def look(folder: Path) -> Source:
    """Read what there is in a folder. Files that cannot be read or parsed are passed over."""
    modules = sorted(parsed(folder), key=lambda module: module.rank)
    source = Source(uses=distributions(folder))
    commands = procfile(folder)
    source.uses |= {normalised(name) for module in modules for name in module.imports}
    source.migrate = commands.pop("release", "") or migration(folder, source.uses)
    web = commands.pop("web", "")
    source.wsgi = gunicorn_target(web) or flask_app(folder, modules) or guessed(modules)
    source.worker_class = gunicorn_option(web, "-k", "--worker-class")
    source.processes = {name: line for name, line in commands.items() if PROCESS.fullmatch(name)}
    source.static = static_folders(folder, modules, source.wsgi)
    source.uploads = upload_folders(folder)
    source.requirements = requirements_file(folder)
    source.declared = bool(source.requirements) or any((folder / name).exists() for name in REQUIREMENTS)
    routes = {route for module in modules for route in module.routes}
    # With a prefix somewhere nobody knows where a blueprint's routes are.
    if not any(module.prefixed for module in modules):
        source.health = next((path for path in HEALTH if path in routes), "")
    for module in modules:
        for name, needed in module.env.items():
            source.env[name] = source.env.get(name, False) or needed
    # What libraries read for the application is no call that could be recognised.
    for file in EXAMPLES:
        for name in re.findall(r"^(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=", text_of(folder / file), re.M):
            source.env.setdefault(name, False)
    return source


# --- Python ------------------------------------------------------------------------------------


def parsed(folder: Path) -> Iterator[Module]:
    """Each file that can be parsed; what Python thinks of its style is not ours to say."""
    for path in python_files(folder):
        try:
            if (folder / path).stat().st_size > LARGEST:
                continue
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse((folder / path).read_bytes())
            yield read_module(path, tree)
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue


def python_files(folder: Path) -> list[Path]:
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        found += [Path(top, name).relative_to(folder) for name in sorted(files) if name.endswith(".py")]
        if len(found) >= MOST_FILES:
            break
    return [path for path in found if not path.stem.startswith("test_") and path.stem != "conftest"]


def read_module(path: Path, tree: ast.Module) -> Module:
    module = Module(path)
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) if name in FACTORIES and not required_arguments(node):
                module.factories.append(name)
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=function))
            ):
                maker = called(function)
                if maker == "Flask" or (name in OBJECTS and maker not in NO_APPLICATION):
                    module.objects.append(name)
            case ast.ImportFrom(names=names) if path.stem == "wsgi":
                module.objects += [
                    alias.asname or alias.name for alias in names if (alias.asname or alias.name) in OBJECTS
                ]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                module.imports |= {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(name), level=0):
                module.imports.add(name.partition(".")[0])
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name)), ctx=ast.Load()):
                if is_environment(value):
                    module.env[name] = True
            case ast.Call():
                read_call(module, node)
    return module


def read_call(module: Module, node: ast.Call) -> None:
    name = called(node.func)
    text = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    words = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
    module.prefixed |= "url_prefix" in words
    if name == "Flask":
        folder = words.get("static_folder", "static")
        if isinstance(folder, str):
            url = words.get("static_url_path") or f"/{Path(folder).name}"
            module.static = folder, f"/{str(url).strip('/')}/"
    if not isinstance(text, str):
        return
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if name == "getenv" or (name == "get" and is_environment(owner)):
        module.env.setdefault(text, False)
    elif name in {"route", "get", "add_url_rule"} and text.startswith("/"):
        module.routes.append(text)


def is_environment(node: ast.expr | None) -> bool:
    """Whether it is os.environ; a request has an environ of its own, which is not set by anybody."""
    match node:
        case ast.Name(id="environ") | ast.Attribute(value=ast.Name(id="os"), attr="environ"):
            return True
    return False


def called(node: ast.expr) -> str:
    """The last part of a dotted name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def required_arguments(function: ast.FunctionDef) -> bool:
    arguments = function.args
    return (
        len(arguments.posonlyargs + arguments.args) > len(arguments.defaults) or None in arguments.kw_defaults
    )


# --- The application ---------------------------------------------------------------------------


def guessed(modules: list[Module]) -> str:
    return next((target for module in modules if (target := target_in(module))), "")


def target_in(module: Module) -> str:
    """An application in a module, or what makes one."""
    if module.objects:
        return (
            f"{module.name}:{next((name for name in OBJECTS if name in module.objects), module.objects[0])}"
        )
    return f"{module.name}:{module.factories[0]}()" if module.factories else ""


def flask_app(folder: Path, modules: list[Module]) -> str:
    """What FLASK_APP in .flaskenv means: a file or a module, with or without a name in it."""
    lines = re.findall(
        r"""^(?:export\s+)?FLASK_APP\s*=\s*["']?([^"'#\s]+)""", untemplated(folder / ".flaskenv"), re.M
    )
    if not lines:
        return ""
    name, _, inside = lines[-1].partition(":")
    name = name.removeprefix("./").removesuffix(".py").removeprefix("src/").replace("/", ".")
    if inside:
        return f"{name}:{inside}()" if inside in FACTORIES else f"{name}:{inside}"
    return next((target for module in modules if module.name == name and (target := target_in(module))), "")


def procfile(folder: Path) -> dict[str, str]:
    """Procfile's commands by their names."""
    lines = re.findall(r"^([A-Za-z0-9_-]+):[ \t]*(\S.*?)[ \t]*$", untemplated(folder / "Procfile"), re.M)
    return {name.lower().replace("_", "-"): command for name, command in lines}


def words_of(command: str) -> list[str]:
    """What follows `gunicorn` in a command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return words[words.index("gunicorn") + 1 :] if "gunicorn" in words else []


def gunicorn_target(command: str) -> str:
    """The application that a command line of gunicorn's names; a bare module's is `application`."""
    words = words_of(command)
    named = [word for word in words if WSGI.fullmatch(word)]
    if named:
        return named[-1]
    bare = words[-1] if words else ""
    option = words[-2] if len(words) > 1 else ""
    is_value = option.startswith("-") and "=" not in option
    return f"{bare}:application" if re.fullmatch(r"[A-Za-z_][\w.]*", bare) and not is_value else ""


def gunicorn_option(command: str, *names: str) -> str:
    words = words_of(command)
    for word, following in itertools.pairwise([*words, ""]):
        if word in names:
            return following
        if word.partition("=")[0] in names:
            return word.partition("=")[2]
    return ""


def static_folders(folder: Path, modules: list[Module], wsgi: str) -> list[dict[str, str]]:
    """Flask's own static folder: beside the module that makes the application, which is looked at first."""
    package = wsgi.partition(":")[0].partition(".")[0]
    nearest = sorted(modules, key=lambda module: module.name.partition(".")[0] != package)
    for module in nearest:
        if module.static:
            name, url = module.static
            path = Path(os.path.normpath(module.path.parent / name))
            if (folder / path).is_dir() and ".." not in path.parts and not path.is_absolute():
                return [{"url": url, "path": str(path)}]
    return []


# --- What it needs -----------------------------------------------------------------------------


def text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace") if path.stat().st_size <= LARGEST else ""
    except OSError:
        return ""


def untemplated(path: Path) -> str:
    """A file's lines but those that Ansible, reading them in an inventory, would run as templates here."""
    return "\n".join(line for line in text_of(path).splitlines() if not re.search(r"\{[{%#]", line))


def normalised(name: str) -> str:
    """As PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(folder: Path) -> set[str]:
    """The names of what the application requires, wherever it says so."""
    found: set[str] = set()
    for path in (*folder.glob("requirements*.txt"), *folder.glob("requirements/*.txt")):
        found |= {normalised(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)", text_of(path), re.M)}
    for name in ("pyproject.toml", "Pipfile"):
        try:
            data = tomllib.loads(text_of(folder / name))
        except tomllib.TOMLDecodeError:
            continue
        project, poetry = data.get("project", {}), data.get("tool", {}).get("poetry", {})
        lines = [*project.get("dependencies", []), *poetry.get("dependencies", {}), *data.get("packages", {})]
        found |= {
            normalised(name) for line in lines for name in re.findall(r"^[A-Za-z0-9][\w.-]*", str(line))
        }
    return found


def requirements_file(folder: Path) -> str:
    if any((folder / name).exists() for name in REQUIREMENTS):
        return ""
    files = [f"requirements/{name}.txt" for name in OTHER_REQUIREMENTS]
    return next((file for file in files if (folder / file).exists()), "")


def migration(folder: Path, uses: set[str]) -> str:
    """The command that migrates, where there are migrations."""
    # Flask-Migrate keeps its alembic.ini among the migrations.
    if (folder / "alembic.ini").exists() and "flask-migrate" not in uses:
        return "alembic upgrade head"
    return "flask db upgrade" if (folder / "migrations/env.py").exists() else ""


def upload_folders(folder: Path) -> list[str]:
    """Folders that are called uploads: what is put there is to outlive releases."""
    found = []
    for top, folders, _ in os.walk(folder):
        found += [str(Path(top, name).relative_to(folder)) for name in folders if name == "uploads"]
        folders[:] = [
            name for name in folders if name not in SKIPPED and name[0] != "." and name != "uploads"
        ]
    return sorted(found)
