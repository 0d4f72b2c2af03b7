"""The command new-site, and sources to read."""

from __future__ import annotations

from pathlib import Path

from tools.new_site import __main__ as command
from tools.new_site import location

APP = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    return Flask(__name__)\n"


entries, sites_file = command.entries, command.sites_file
read_source = location.read_source


def files(folder: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
