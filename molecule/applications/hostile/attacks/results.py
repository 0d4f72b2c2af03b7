"""Replace the files of the builder's results by symlinks, folders or a forged fault."""

import os
from pathlib import Path

from tools import RESULTS, SETTINGS


def run():
    for name in ("result.json", "fault", "failed", "resolved.txt"):
        Path(RESULTS / name).unlink(missing_ok=True)
        if SETTINGS["kind"] == "symlink":
            (RESULTS / name).symlink_to(SETTINGS["canary"])
        else:
            (RESULTS / name).mkdir()
    if SETTINGS["kind"] == "fault":
        for name in ("result.json", "fault", "failed", "resolved.txt"):
            (RESULTS / name).rmdir()
        (RESULTS / "fault").write_text("\x1b[2J\x1b]0;title\x07\r\n" + "forged\n" * 500_000)
        os.kill(os.getppid(), 9)
        raise SystemExit(1)
