"""wheel.py MODULE VERSION FOLDER: create a wheel of one module.

Equal inputs produce equal bytes, because lock files contain the hash of the wheel.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile, ZipInfo


def main(module: Path, version: str, folder: Path) -> None:
    name = module.stem
    info = f"{name}-{version}.dist-info"
    files = {
        module.name: module.read_text(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(ZipInfo(path), text)  # uncompressed, with the constant time of ZipInfo


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
