"""How likely a module is to hold the application: entry points before packages before scripts."""

from __future__ import annotations

import re

from tools.new_site.modules import Module

FIRST = ("wsgi", "app", "application", "main")
# Words in the names of scripts, and folders of scripts and examples.
LAST = {
    "backup",
    "bench",
    "celery",
    "cli",
    "clock",
    "conf",
    "config",
    "create",
    "cron",
    "debug",
    "deploy",
    "dev",
    "devserver",
    "drop",
    "example",
    "export",
    "fabfile",
    "fill",
    "fixtures",
    "import",
    "init",
    "initdb",
    "load",
    "manage",
    "migrate",
    "populate",
    "reset",
    "restore",
    "run",
    "runserver",
    "scheduler",
    "script",
    "seed",
    "seeder",
    "seeds",
    "serve",
    "setup",
    "shell",
    "task",
    "tasks",
    "test",
    "tests",
    "worker",
}
LAST_FOLDERS = {"cli", "demo", "demos", "fixtures", "testing"}
EXCLUDED_FOLDERS = {
    "bench",
    "benchmarks",
    "bin",
    "contrib",
    "example",
    "examples",
    "migrations",
    "sample",
    "samples",
    "scripts",
    "tools",
}


def order(module: Module) -> tuple[int, int, int, str]:
    """Return a key that sorts modules, the likeliest to hold the application first."""
    first = FIRST.index(module.path.stem) if module.path.stem in FIRST else len(FIRST)
    return module.rank, module.name.count("."), first, module.name


def rank(module: Module) -> int:
    """Return 0 and 1 for entry points, 2 for packages, 3 and 4 for other files, 5 to 7 for scripts."""
    parts = module.name.split(".")
    stem = module.path.stem
    is_top = len(parts) == 1 and stem != "__init__"
    folders = set(module.path.parts[:-1])
    if folders & EXCLUDED_FOLDERS:
        return 7
    if folders & LAST_FOLDERS:
        return 6
    if stem == "wsgi":
        return 0
    if is_top and stem in FIRST:
        return 1
    if stem != "__init__" and set(re.split(r"[_\W]+", stem.lower())) & LAST:
        return 5
    if is_top:
        return 4 if module.is_script else 3
    return 2


def is_importable(module: Module) -> bool:
    return all(part.isidentifier() for part in module.name.split("."))
