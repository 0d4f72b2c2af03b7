"""Functions and values for attacks: folders of the build, settings of a test, daemon processes."""

import json
import os
from pathlib import Path

SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())
ENVIRONMENT = Path(os.environ["UV_PROJECT_ENVIRONMENT"])
ID = ENVIRONMENT.name
SITE = Path("/srv/hostile")
TREE, RESULTS = SITE / "releases" / ID, SITE / "build/results"


def attempt(function, *arguments):
    """Return the name of the error that a call raises, or its result as text."""
    try:
        result = function(*arguments)
    except OSError as error:
        return type(error).__name__
    return "done" if result is None else str(result)[:200]


def daemon(function, keep_output=False):
    """Run a function in a process without the parent, session and pipes of the build."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    if not keep_output:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.closerange(3, 1000)
    try:
        function()
    finally:
        os._exit(0)
