"""Replace the builder's result by one that names another environment."""

import json
import os

from tools import RESULTS, SETTINGS, daemon


def forge():
    # The builder waits for this reader when it writes its result, and ends as soon as it has written it.
    with open(RESULTS / "result.json") as file:
        result = json.loads(file.read())
        (RESULTS / "forged").write_text(json.dumps(result | SETTINGS["result"]))
        os.replace(RESULTS / "forged", RESULTS / "result.json")


def run():
    os.mkfifo(RESULTS / "result.json")
    daemon(forge)
