"""Change files that other builds read: caches, earlier environments, their markers and programs."""

import os
from pathlib import Path

from tools import ENVIRONMENT, SETTINGS, attempt


def append(path):
    with open(path, "a") as file:
        file.write("# poison\n")


def run():
    report = {"environments": 0}
    for environment in (path for path in ENVIRONMENT.parent.iterdir() if path != ENVIRONMENT):
        report["environments"] += 1
        module = next(environment.glob("lib/python3*/site-packages/flask/app.py"))
        for name, call in (
            ("append", lambda module=module: append(module)),
            ("chmod", lambda module=module: os.chmod(module, 0o777)),
            ("unlink", lambda module=module: os.unlink(module)),
            ("add", lambda environment=environment: append(environment / "poison.pth")),
            ("rename", lambda environment=environment: os.rename(environment, f"{environment}-moved")),
            ("mark", lambda environment=environment: append(f"{environment}.json")),
        ):
            report[f"{name} {environment.name}"] = attempt(call)
    for folder in SETTINGS["folders"]:
        report[folder] = attempt(append, Path(folder) / "poison")
    return report
