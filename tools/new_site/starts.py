"""How a source starts its application: Procfile, Docker, gunicorn's configuration, .flaskenv."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from tools.new_site.commands import BUILD, Server, is_unneeded, parts_of, server_of, without_prefix, words_of
from tools.new_site.files import has_template, text_of, untemplated

FOR_DEVELOPMENT = re.compile(r"(?i).*\b(dev|devel|development|test|tests|ci|override)\b.*")
QUEUES = re.compile(r"\b(celery|rq|dramatiq|huey|huey_consumer|arq)\b")


@dataclass
class Start:
    """A command that starts the application: its origin, the server, and the commands before it."""

    origin: str
    server: Server = field(default_factory=lambda: Server(""))
    folder: str = ""  # relative to the source
    before: list[str] = field(default_factory=list)


@dataclass
class Starts:
    starts: list[Start] = field(default_factory=list)  # the most significant first
    processes: dict[str, str] = field(default_factory=dict)
    release: str = ""  # the Procfile's command for migrations
    flask_app: str = ""
    build: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)  # commands without a place, and their origins


def read_starts(folder: Path) -> Starts:
    found = Starts()
    commands = procfile(folder)
    found.release = commands.pop("release", "")
    if web := commands.pop("web", ""):
        add(found, folder, "Procfile", web)
    found.processes = commands
    for path in named(folder, ("docker-compose*.y*ml", "compose*.y*ml")):
        read_compose(found, folder, path)
    for path in named(folder, ("Dockerfile*", "*.Dockerfile", "Containerfile", "docker/**/Dockerfile*")):
        read_dockerfile(found, folder, path)
    paths = [start.server.options.get("--config", "") for start in found.starts]
    others = named(folder, ("gunicorn*.py", "conf*/gunicorn*.py", "etc/gunicorn*.py"))
    names = [path.relative_to(folder).as_posix() for path in others]
    for name in dict.fromkeys([*paths, "gunicorn.conf.py", *names]):
        read_configuration(found, folder, name)
    lines = re.findall(
        r"""^(?:export\s+)?FLASK_APP\s*=\s*["']?([^"'#\s]+)""", untemplated(folder / ".flaskenv"), re.M
    )
    found.flask_app = lines[-1] if lines else found.flask_app
    return found


def named(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Return the files that match, those for development last."""
    paths = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(
        paths, key=lambda path: (bool(FOR_DEVELOPMENT.fullmatch(path.name)), "prod" not in path.name, path)
    )


def procfile(folder: Path) -> dict[str, str]:
    """Return the Procfile's commands by their names."""
    lines = re.findall(r"^([A-Za-z0-9_-]+):[ \t]*(\S.*?)[ \t]*$", untemplated(folder / "Procfile"), re.M)
    return {name.lower().replace("_", "-"): command for name, command in lines}


def add(found: Starts, folder: Path, origin: str, command: str, depth: int = 0) -> None:
    """Add the server that a command starts, directly or by a script of the source."""
    start = Start(origin)
    in_script = depth > 0
    for part in parts_of(command):
        plain = without_prefix(part)
        words = words_of(plain)
        if depth < 3 and add_script(found, folder, start, words, depth):
            return None
        if words[:1] == ["cd"] and len(words) == 2:
            start.folder = words[1]
        elif server := server_of(plain):
            start.server = server
            start.folder = server.folder or start.folder
            found.starts.append(start)
            return None
        elif (
            len(words) > 2
            and PurePosixPath(words[0]).name in {"sh", "bash"}
            and words[1] in {"-c", "-lc", "-ec"}
        ):
            return add(found, folder, origin, words[2], depth)
        elif not is_unneeded(plain) and (
            not in_script or re.match(r"(flask|alembic|python3?|pybabel)\b", plain)
        ):
            start.before.append(plain)
    if depth == 0 and len(start.before) > 1:
        # The last command is a server of another kind, such as `flask run`.
        found.starts.append(Start(origin, folder=start.folder, before=start.before[:-1]))
    return None


def add_script(found: Starts, folder: Path, start: Start, words: list[str], depth: int) -> bool:
    """Add the server that a script of the source starts. Return whether it starts one."""
    script = script_of(folder, words)
    if not script:
        return False
    lines = [line for line in untemplated(script).splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    arguments = shlex.join(arguments_of(words))
    text = re.sub(r'"?\$[@*]"?', lambda _: arguments, text)
    count = len(found.starts)
    add(found, folder, f"{start.origin}, {script.relative_to(folder)}", text, depth + 1)
    if len(found.starts) == count:
        return False
    found.starts[-1].before[:0] = start.before
    return True


def script_of(folder: Path, words: list[str]) -> Path | None:
    """Return the script that a command runs. In an image its folder has another path."""
    if words and PurePosixPath(words[0]).name in {"sh", "bash", "exec", "dumb-init", "tini"}:
        words = [word for word in words[1:] if not word.startswith("-")]
    if not words or not re.fullmatch(r"[\w./-]+", words[0]):
        return None
    path = inside(folder, words[0])
    return path if path and text_of(path).startswith("#!") else None


def arguments_of(words: list[str]) -> list[str]:
    """Return the arguments of a script, which a shell may run."""
    return words[2:] if PurePosixPath(words[0]).name in {"sh", "bash"} else words[1:]


def inside(folder: Path, name: str) -> Path | None:
    """Return the file of a source that has a path in an image, such as /app/start.sh."""
    parts = [part for part in PurePosixPath(name).parts if part not in {"/", ".", ".."}]
    for start in range(len(parts)):
        for base in (folder, folder / "docker", folder / "bin", folder / "scripts"):
            path = base.joinpath(*parts[start:])
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return path
    return None


def read_compose(found: Starts, folder: Path, path: Path) -> None:
    try:
        data = yaml.safe_load(text_of(path))
        services = list(data["services"].values())
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return
    for service in services:
        if not isinstance(service, dict):
            continue
        command = " ".join(as_command(service[key]) for key in ("entrypoint", "command") if service.get(key))
        if not command or has_template(command):
            continue
        count = len(found.starts)
        add(found, folder, path.name, command)
        if len(found.starts) == count and "build" in service and QUEUES.search(command):
            found.others.setdefault(command, path.name)


def as_command(value: Any) -> str:
    return shlex.join(map(str, value)) if isinstance(value, list) else str(value)


def read_dockerfile(found: Starts, folder: Path, path: Path) -> None:
    text = re.sub(r"\\[ \t]*\n(\s*#.*\n)*", " ", untemplated(path))
    entrypoint = command = ""
    origin = path.relative_to(folder).as_posix()
    for instruction, value in re.findall(r"^[ \t]*([A-Za-z]+)[ \t]+(.*?)[ \t]*$", text, re.M):
        match instruction.upper():
            case "FROM":
                entrypoint = command = ""
            case "ENTRYPOINT":
                entrypoint, command = docker_command(value), ""
            case "CMD":
                command = docker_command(value)
            case "ENV":
                for name in re.findall(r"\bFLASK_APP[= ]\s*[\"']?([^\"'\s]+)", value):
                    found.flask_app = name
            case "RUN":
                found.build += [
                    part for part in parts_of(value) if BUILD.search(part) and part not in found.build
                ]
    for line in dict.fromkeys([f"{entrypoint} {command}".strip(), command]):
        count = len(found.starts)
        add(found, folder, origin, line)
        if len(found.starts) > count:
            return


def docker_command(value: str) -> str:
    """Return a command of the exec form or the shell form."""
    try:
        words = json.loads(value)
    except ValueError:
        return value
    return shlex.join(map(str, words)) if isinstance(words, list) else value


def read_configuration(found: Starts, folder: Path, path: str) -> None:
    """Add what gunicorn's configuration file sets."""
    if path.startswith("python:"):
        path = path.removeprefix("python:").replace(".", "/") + ".py"
    file = inside(folder, path.removeprefix("file:"))
    if not file:
        return
    try:
        tree = ast.parse(text_of(file))
    except (SyntaxError, ValueError, RecursionError):
        return
    settings = dict(constant_settings(tree))
    if not settings.keys() & {"wsgi_app", "worker_class", "chdir"}:
        return
    server = Server("gunicorn", settings.get("wsgi_app", ""))
    server.options = {f"--{name.replace('_', '-')}": value for name, value in settings.items()}
    if server.wsgi and ":" not in server.wsgi:
        server.wsgi += ":application"
    found.starts.append(Start(path, server, server.folder))


def constant_settings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))):
                if not has_template(value):
                    yield name, value


def option(starts: Starts, name: str) -> str:
    """Return the value of a server's option where it is first set."""
    values = (start.server.options.get(name, "") for start in starts.starts)
    return next(itertools.filterfalse(lambda value: not value, values), "")
