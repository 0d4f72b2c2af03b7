"""Small wheels and source archives, which uv installs from a folder without an index."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

# A build backend without dependencies, so that a test that builds packages requires no index.
BACKEND = """
import os, re, tomllib, zipfile

def project():
    return tomllib.loads(open("pyproject.toml").read())["project"]

def lines(table):
    yield f"Metadata-Version: 2.1\\nName: {table['name']}\\nVersion: {table['version']}\\n"
    for one in table.get("dependencies", []):
        yield f"Requires-Dist: {one}\\n"
    for extra, several in table.get("optional-dependencies", {}).items():
        yield f"Provides-Extra: {extra}\\n"
        for one in several:
            yield f"Requires-Dist: {one} ; extra == '{extra}'\\n"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    table = project()
    name = re.sub("[-_.]+", "_", table["name"])
    stem = f"{name}-{table['version']}"
    path = os.path.join(folder, f"{stem}-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as wheel:
        for here, _, names in os.walk(name):
            for each in names:
                if each.endswith(".py"):
                    wheel.write(os.path.join(here, each))
        wheel.writestr(f"{name}/_built.py", f"VERSION = {table['version']!r}\\n")
        wheel.writestr(f"{stem}.dist-info/METADATA", "".join(lines(table)))
        wheel.writestr(f"{stem}.dist-info/WHEEL",
                       "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        points = table.get("scripts", {})
        wheel.writestr(f"{stem}.dist-info/entry_points.txt", "[console_scripts]\\n"
                       + "".join(f"{name} = {target}\\n" for name, target in points.items()))
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return os.path.basename(path)

build_editable = build_wheel
"""
SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def wheel(folder: Path, name: str, version: str = "1.0", *requires: str) -> Path:
    """Write a wheel with one module; return its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(path, "w") as archive:
        # Fixed times: equal calls write equal wheels, with equal hashes.
        for inside, text in (
            (f"{name.replace('-', '_')}/__init__.py", f"VERSION = {version!r}\n"),
            (f"{stem}.dist-info/METADATA", metadata),
            (
                f"{stem}.dist-info/WHEEL",
                "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            ),
            (f"{stem}.dist-info/RECORD", ""),
        ):
            archive.writestr(zipfile.ZipInfo(inside, (2026, 1, 1, 0, 0, 0)), text)
    return path


def project(folder: Path, name: str, version: str = "1.0", more: str = "") -> Path:
    """Write a package with a pyproject.toml and a backend of its own; return its folder."""
    module = folder / name
    module.mkdir(parents=True, exist_ok=True)
    (module / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(
        f'{SYSTEM}[project]\nname = "{name}"\nversion = "{version}"\n{more}'
    )
    (folder / "backend.py").write_text(BACKEND)
    return folder


def source_archive(folder: Path, name: str, version: str = "1.0") -> Path:
    """Write an sdist of a package; return its path."""
    tree = project(folder / f"{name}-{version}", name, version)
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tree, tree.name)
        data = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        member = tarfile.TarInfo(f"{tree.name}/PKG-INFO")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return path
