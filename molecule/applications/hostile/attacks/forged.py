"""Replace the builder's result by one with another environment."""

import json
import os

from tools import RESULTS, SETTINGS, daemon


def forge():
    # The builder opens the pipe to write its result, waits for this reader, and exits after the write.
    with open(RESULTS / "result.json") as file:
        result = json.loads(file.read())
        (RESULTS / "forged").write_text(json.dumps(result | SETTINGS["result"]))
        os.replace(RESULTS / "forged", RESULTS / "result.json")


def run():
    os.mkfifo(RESULTS / "result.json")
    daemon(forge)
