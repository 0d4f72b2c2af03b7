"""The facts about a source that an entry of `sites` needs.

No code of the source is run: Python files are parsed, other files are read. The facts are proposals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tools.new_site import folders
from tools.new_site.application import Application, Code, choose, reachable
from tools.new_site.commands import BUILD, MIGRATION
from tools.new_site.configurations import REPLACE_ME, selected
from tools.new_site.databases import (
    BRINGS,
    DRIVERS,
    MAPPERS,
    MODULES,
    MYSQL,
    SCHEMES,
    UNSUPPORTED,
    is_address,
    scheme_of,
)
from tools.new_site.files import text_of
from tools.new_site.migrations import migration
from tools.new_site.mistakes import warnings_of
from tools.new_site.modules import Module, parsed
from tools.new_site.requirements import REQUIREMENTS, normalised, read_requirements, requirements_file
from tools.new_site.starts import Starts, option, read_starts

HEALTH = ("/readyz", "/ready", "/healthz", "/health", "/livez")
PROCESS = re.compile(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?")
EXAMPLES = (".env.example", ".env.sample", ".env.template")
# Folders of modules that an application loads on demand, with drivers that it may not need.
PLUGINS = {
    "adapters",
    "backends",
    "connectors",
    "contrib",
    "drivers",
    "engines",
    "extensions",
    "integrations",
    "plugin",
    "plugins",
    "providers",
}
# A route of Quart, FastAPI or Starlette.
WEBSOCKET = re.compile(r"\.websocket(_route)?\(|\bWebSocketRoute\(")


@dataclass
class Source:
    """The facts about a folder; empty fields were not found."""

    folder: str = ""  # the application's folder, if it is below the given one
    wsgi: str = ""
    migrate: str = ""
    build: list[str] = field(default_factory=list)
    static: list[dict[str, str]] = field(default_factory=list)
    health: str = ""
    processes: dict[str, str] = field(default_factory=dict)
    worker_class: str = ""
    websockets: bool = False  # whether an ASGI application has WebSockets
    uploads: list[str] = field(default_factory=list)
    requirements: str = ""  # the file, where Decanter does not find it without help
    uses: set[str] = field(default_factory=set)  # distributions, by their normalised names
    missing: set[str] = field(default_factory=set)  # drivers that it imports and does not require
    extras: dict[str, set[str]] = field(default_factory=dict)  # by the item of `install`
    declared: bool = False  # whether a file lists the requirements
    env: dict[str, bool] = field(default_factory=dict)  # variables, and whether it fails without
    settings: dict[str, str] = field(default_factory=dict)  # values of variables that select a configuration
    urls: set[str] = field(default_factory=set)  # database URLs in its code
    write_ahead: bool = False  # SQLite's WAL mode
    notes: list[str] = field(default_factory=list)
    command_notes: list[str] = field(default_factory=list)  # commands without a place in the entry
    no_application: str = ""  # the reason for a missing WSGI application

    @property
    def database(self) -> bool:
        """Return whether the application has a MySQL database of its own."""
        if self.unsupported:
            return bool(self.uses & MYSQL)
        if self.sqlite and not self.uses & MYSQL:
            return False
        mapped = self.uses & MAPPERS and self.reads_address
        return bool(self.uses & {*MYSQL, "flask-migrate", "flask-sqlalchemy"} or self.migrate or mapped)

    @property
    def unsupported(self) -> list[str]:
        found = {UNSUPPORTED[name] for name in self.uses & UNSUPPORTED.keys()}
        if not self.uses & MYSQL:
            found |= {SCHEMES[scheme] for url in self.urls if (scheme := scheme_of(url)) in SCHEMES}
        return sorted(found)

    @property
    def reads_address(self) -> bool:
        return any(is_address(name) for name in self.env)

    @property
    def sqlite(self) -> bool:
        """Return whether SQLite is the only database that its code uses."""
        return (
            bool(self.urls)
            and all(scheme_of(url) == "sqlite" for url in self.urls)
            and not self.reads_address
        )


def read_folder(folder: Path) -> tuple[Source, Application, Code]:
    """Read one folder. Files that cannot be read or parsed are skipped."""
    code = Code(list(parsed(folder)))
    modules = [module for module in code.modules if module.rank < 7] or code.modules
    starts = read_starts(folder)
    requirements = read_requirements(folder)
    application = choose(code, starts, folder)
    source = Source(wsgi=application.wsgi, extras=requirements.extras)
    source.no_application = application.note
    source.requirements = requirements_file(folder)
    source.declared = bool(source.requirements) or any((folder / name).exists() for name in REQUIREMENTS)
    read_environment(source, folder, modules)
    source.urls = {url for module in modules for url in module.database_urls}
    source.write_ahead = any("journal_mode" in text_of(folder / module.path) for module in modules)
    read_uses(source, modules, requirements.required)
    source.worker_class = "asgi" if application.is_asgi else option(starts, "--worker-class")
    source.websockets = any(WEBSOCKET.search(text_of(folder / module.path)) for module in modules)
    source.processes = {name: line for name, line in starts.processes.items() if PROCESS.fullmatch(name)}
    source.static = folders.static_folders(folder, modules, source.wsgi)
    instance = "flask-sqlalchemy" in source.uses and any(
        re.match(r"sqlite:///[\w.]", url) for url in source.urls
    )
    source.uploads, lines = folders.upload_folders(folder, modules, instance, source.static)
    source.notes += lines
    routes = {route for module in modules for route in module.routes}
    # A prefix anywhere hides the addresses of a blueprint's routes.
    if not any(module.prefixed for module in modules):
        source.health = next((path for path in HEALTH if path in routes), "")
    place_commands(source, folder, starts, application)
    source.notes += warnings_of(served_modules(code, source))
    if source.sqlite and not source.database and not source.write_ahead:
        source.notes.append(
            "The database is SQLite without WAL, so a request that writes blocks all others. "
            "Run `PRAGMA journal_mode=WAL` on it once."
        )
    return source, application, code


def read_environment(source: Source, folder: Path, modules: list[Module]) -> None:
    for module in modules:
        for name, needed in module.reads.required.items():
            source.env[name] = source.env.get(name, False) or needed
    for name, (value, default) in selected(modules).items():
        source.settings[name] = value
        if value == REPLACE_ME:
            falls_back = f', which is "{default}" without it' if default else ""
            source.notes.append(
                f"{name} selects the configuration{falls_back}. The source has no configuration named "
                f"production: give {name} in `env` the one for production."
            )
    # Libraries read variables as well, which no call in the code shows.
    for file in EXAMPLES:
        for name in re.findall(r"^(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=", text_of(folder / file), re.M):
            source.env.setdefault(name, False)


def read_uses(source: Source, modules: list[Module], required: set[str]) -> None:
    """Collect distributions. A driver that is only imported needs evidence of a database."""
    source.uses = required | {BRINGS[name] for name in required & BRINGS.keys()}
    for module in modules:
        is_plugin = bool(PLUGINS & set(module.path.parts[:-1]))
        for name in module.imports | module.optional_imports:
            distribution = normalised(MODULES.get(name, name.partition(".")[0]))
            if distribution not in DRIVERS or distribution in required:
                source.uses.add(distribution)
            elif not is_plugin and name in module.imports and (source.reads_address or not required):
                if distribution in MYSQL and source.declared:
                    source.missing.add(distribution)
                else:
                    source.uses.add(distribution)


def served_modules(code: Code, source: Source) -> list[Module]:
    """Return the modules that the web application may import, without scripts and other processes."""
    imported = reachable(code, source.wsgi.partition(":")[0])
    commands = " ".join(source.processes.values())
    return [
        module
        for module in code.modules
        if module.name in imported
        or (
            module.rank < (3 if imported else 4)
            and not re.search(rf"(?<![\w.]){re.escape(module.name)}(?![\w-])", commands)
        )
    ]


def place_commands(source: Source, folder: Path, starts: Starts, application: Application) -> None:
    """Turn the commands before the server into `migrate` and `build`; mention all others."""
    start = application.start or next(iter(starts.starts), None)
    before, origin = (list(start.before), start.origin) if start else ([], "")
    migrations = list(dict.fromkeys(command for command in before if MIGRATION.search(command)))
    source.migrate = starts.release or " && ".join(migrations) or migration(folder, source.uses)
    source.build = [command for command in before if BUILD.search(command)]
    source.build += [command for command in starts.build if command not in source.build]
    for command in before:
        if command not in source.build and command not in migrations and command not in starts.release:
            source.command_notes.append(
                f"{origin} runs `{command}` before the server, which the entry does not. "
                "Put it in `build`, `migrate` or `setup` if it is needed."
            )
    for command, origin in starts.others.items():
        if command not in source.processes.values():
            source.command_notes.append(
                f"{origin} also runs `{command}`. Put it in `processes` if it is needed."
            )
