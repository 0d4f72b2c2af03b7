"""docs-site [serve]: build the documentation site in .lab/docs-site, or serve it at http://localhost:8000.

The pages are the Markdown files of docs/, of the roles and of the top level. They are copied at their paths,
so that links between them work on the site as they do in the repository. Links to other files lead to the
repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.library import ROOT

SITE = ROOT / ".lab/docs-site"
PAGES = ("*.md", "docs/**/*.md", "roles/*/README.md", "app/README.md", "new_project/README.md")
ASSETS = ("docs/pictures/*", "docs/sites.schema.json")
# Links to files that are not pages lead to the repository of galaxy.yml.
REPOSITORY = re.search(r"^repository: (\S+)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)]*)?\))")


def copy_pages(target: Path) -> None:
    """Write the pages below a folder, which is removed first."""
    shutil.rmtree(target, ignore_errors=True)
    pages = {path.relative_to(ROOT) for pattern in PAGES for path in ROOT.glob(pattern)}
    assets = {path.relative_to(ROOT) for pattern in ASSETS for path in ROOT.glob(pattern)}
    for path in sorted(pages):
        text = linked((ROOT / path).read_text("utf-8"), path.parent, pages | assets)
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    for path in assets:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target / path)


def linked(text: str, folder: Path, copied: set[Path]) -> str:
    """Return a page's text with absolute links to files that are not on the site."""
    assert REPOSITORY, "expected the key repository in galaxy.yml"
    repository = REPOSITORY[1]

    def link(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(folder / match[2]))
        if path in copied or not (ROOT / path).exists():
            return match[0]  # zensical reports a link that leads nowhere
        return f"{match[1]}{repository}/blob/main/{path}{match[3]}"

    return LINK.sub(link, text)


def main(arguments: list[str]) -> int:
    copy_pages(SITE / "pages")
    program = [str(ROOT / ".venv/bin/zensical")]
    options = ["--config-file", str(ROOT / "zensical.toml")]
    if arguments == ["serve"]:
        return subprocess.run([*program, "serve", *options], cwd=ROOT).returncode
    build = [*program, "build", "--clean", "--strict", *options]
    done = subprocess.run(
        build, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if done.returncode != 0:
        # Without colours, and without the traceback with which zensical ends.
        print(re.sub(r"\x1b\[[\d;]*m", "", done.stdout).partition("Traceback")[0])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
