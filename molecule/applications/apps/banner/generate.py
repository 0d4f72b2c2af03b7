"""A build hook that generates a module and a stylesheet from palette.json for the wheel."""

import json
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Generate(BuildHookInterface):
    def initialize(self, version, build_data):
        palette = json.loads(Path(self.root, "palette.json").read_text())
        package = Path(self.root, "src/banner")
        (package / "static").mkdir(exist_ok=True)
        (package / "palette.py").write_text(f"COLOURS = {palette!r}\n")
        (package / "static/banner.css").write_text(f"h1 {{ color: {palette['title']} }}\n")
        build_data["artifacts"] += ["src/banner/palette.py", "src/banner/static/banner.css"]
