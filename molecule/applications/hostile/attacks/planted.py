"""Create symlinks at paths that root writes, or that earlier versions wrote."""

from pathlib import Path

from tools import ENVIRONMENT, ID, SETTINGS, TREE, attempt

ENVIRONMENT_NAMES = (
    "requirements/.gunicorn.txt.new",
    ".complete",
    ".complete.new",
    f"{ID}.json",
    f".{ID}.json.new",
)
TREE_NAMES = (".venv", "link", "static/leak.css", "static/style.css.gz", f".new-{ID}", "config.ini")
# Paths next to the folders of the build, where the markers are.
PARENT_NAMES = (f"{ID}.json", f".{ID}.json.new", f".new-{ID}", f".new-{ID}/bin", "planted")


def plant(path: Path, target: str) -> str:
    attempt(path.parent.mkdir)
    attempt(path.unlink)
    return attempt(path.symlink_to, target)


def run():
    report = {}
    for folder, names in ((ENVIRONMENT, ENVIRONMENT_NAMES), (TREE, TREE_NAMES)):
        for name in names:
            report[f"inside {name}"] = plant(folder / name, SETTINGS["canary"])
    plant(TREE / "etc", "/etc")
    plant(ENVIRONMENT / "dangling", "/etc/nologin")
    for folder in (
        ENVIRONMENT.parent,
        TREE.parent,
        TREE.parents[1],
        Path("/etc"),
        Path("/usr/local/lib/decanter"),
    ):
        for name in PARENT_NAMES:
            report[f"{folder}/{name}"] = plant(folder / name, SETTINGS["canary"])
    # The folders themselves are mount points.
    for folder in (ENVIRONMENT, TREE):
        report[f"rename {folder.name}"] = attempt(folder.rename, folder.with_name("moved"))
    return report
