"""Shell commands that start an application: their parts, and the application that a server's options name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

WSGI = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(.*\))?", re.ASCII)
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.S)

# Options without a value, of gunicorn 20 to 27. All its other options take one.
GUNICORN_FLAGS = {
    "--reload",
    "--spew",
    "--check-config",
    "--print-config",
    "--preload",
    "--no-sendfile",
    "--reuse-port",
    "-D",
    "--daemon",
    "--initgroups",
    "--disable-redirect-access-to-syslog",
    "--capture-output",
    "--log-syslog",
    "-R",
    "--enable-stdio-inheritance",
    "--enable-backlog-metric",
    "--suppress-ragged-eofs",
    "--do-handshake-on-connect",
    "--permit-obsolete-folding",
    "--strip-header-spaces",
    "--permit-unconventional-http-method",
    "--permit-unconventional-http-version",
    "--casefold-http-method",
    "--no-control-socket",
    "-h",
    "--help",
    "-v",
    "--version",
}
# An option with an optional value (gunicorn 24 and later).
OPTIONAL_VALUE = {"--proxy-protocol": {"off", "v1", "v2", "auto", "true", "false"}}
LONG = {"-k": "--worker-class", "-c": "--config", "-b": "--bind", "-w": "--workers"}
ASGI_SERVERS = {"uvicorn", "hypercorn", "daphne", "granian"}


@dataclass
class Server:
    """A command that runs a server: the application, and options by their long names."""

    program: str
    wsgi: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def is_asgi(self) -> bool:
        worker = self.options.get("--worker-class", "")
        return self.program in ASGI_SERVERS or "uvicorn" in worker.lower() or worker == "asgi"

    @property
    def folder(self) -> str:
        return self.options.get("--chdir") or self.options.get("--pythonpath", "").partition(",")[0]


def words_of(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # such as a quote that is not closed
        return []


def parts_of(line: str) -> Iterator[str]:
    """Yield the commands of a line that `;`, `&&`, `||` or `&` separate, as they are written."""
    part, quote, escaped, depth = "", "", False, 0
    for index, character in enumerate(line):
        literal = escaped
        if escaped or (character == "\\" and quote != "'"):
            escaped = not escaped
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        separates = (
            character in ";&\n" or line[index : index + 2] == "||" or (line[index - 1 : index + 1] == "||")
        )
        redirects = character == "&" and (
            line[index - 1 : index] == ">" or line[index + 1 : index + 2] == ">"
        )
        if separates and not (quote or literal or redirects or depth > 0):
            yield from [part.strip()] if part.strip() else []
            part = ""
        else:
            part += character
    yield from [part.strip()] if part.strip() else []


def server_of(command: str) -> Server | None:
    """Return the server that a command runs, also through `exec`, `poetry run` or `python -m`."""
    words = words_of(command)
    for index, word in enumerate(words):
        program = PurePosixPath(word).name
        arguments = words[index + 1 :]
        if program in {"gunicorn", "gunicorn.app.wsgiapp"}:
            return gunicorn(arguments)
        if program in ASGI_SERVERS:
            return Server(program, next((word for word in arguments if WSGI.fullmatch(word)), ""))
        if program == "waitress-serve":
            call = "()" if "--call" in arguments else ""
            name = next((word for word in arguments if WSGI.fullmatch(word)), "")
            return Server(program, name + call if name else "")
        if program == "uwsgi":
            return uwsgi(arguments)
    return None


def gunicorn(arguments: list[str]) -> Server:
    """Parse gunicorn's arguments. The first that is not an option's names the application."""
    server = Server("gunicorn")
    names: list[str] = []
    pending = list(arguments)
    while pending:
        word = pending.pop(0)
        if not word.startswith("-") or word == "-":
            names.append(word)
            continue
        option, joined, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:  # -w4, -k=gevent
            option, value, joined = word[:2], word[2:].removeprefix("="), "="
        if option in GUNICORN_FLAGS:
            continue
        if option in OPTIONAL_VALUE and not joined:
            value = pending.pop(0) if pending and pending[0] in OPTIONAL_VALUE[option] else ""
        elif not joined:
            value = pending.pop(0) if pending else ""
        server.options[LONG.get(option, option)] = value
    named = [name for name in names if WSGI.fullmatch(name)]
    bare = [name for name in names if MODULE.fullmatch(name)]
    # gunicorn's own default is the name `application`.
    server.wsgi = named[0] if named else f"{bare[0]}:application" if bare else ""
    return server


def uwsgi(arguments: list[str]) -> Server:
    server = Server("uwsgi")
    for index, word in enumerate(arguments):
        option, _, value = word.partition("=")
        if option in {"-w", "--module", "--wsgi"}:
            value = value or "".join(arguments[index + 1 : index + 2])
            server.wsgi = value if ":" in value else f"{value}:application"
        if option in {"--chdir", "--pythonpath"}:
            server.options[option] = value or "".join(arguments[index + 1 : index + 2])
    return server


# --- Commands before the server ----------------------------------------------------------------

MIGRATION = re.compile(
    r"\b(flask|manage\.py)\b.*\bdb\s+upgrade\b|\balembic\b.*\bupgrade\b|\byoyo\b.*\bapply\b"
)
BUILD = re.compile(
    r"\b(flask|pybabel|manage\.py)\b.*\b(compile|assets\s+build|digest\s+compile|collectstatic)\b"
)
# Commands that Decanter replaces, and words of the shell.
UNNEEDED = {
    "cd",
    "source",
    ".",
    "set",
    "echo",
    "sleep",
    "true",
    "wait",
    "exit",
    "break",
    "trap",
    "test",
    "[",
    "[[",
    "if",
    "then",
    "else",
    "elif",
    "fi",
    "while",
    "until",
    "for",
    "do",
    "done",
    "case",
    "esac",
    "pip",
    "pip3",
    "poetry",
    "pipenv",
    "uv",
    "python -m pip",
}


def without_prefix(command: str) -> str:
    """Return a command without `exec` and without variables that it sets for itself."""
    while match := re.match(r"(exec|time|do|then|else)\s+|[A-Za-z_]\w*=[^\s'\"$]*\s+", command):
        command = command[match.end() :]
    return command.strip()


def is_unneeded(command: str) -> bool:
    words = words_of(command) or command.split() or ["true"]
    if words[0] in {"poetry", "pipenv", "uv"} and "run" in words[:2]:
        return False
    return (
        words[0] in UNNEEDED
        or bool(ASSIGNMENT.fullmatch(words[0]) and len(words) == 1)
        or words[:3] == ["python", "-m", "pip"]
        or "wait-for" in words[0]
    )
