"""The YAML files of an inventory, with the line of each key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from ansible import constants
from ansible.inventory.manager import IGNORED
from ansible.parsing.dataloader import DataLoader

EXTENSIONS = tuple(constants.config.get_config_value("YAML_FILENAME_EXTENSIONS"))
# PyYAML's C library composes a file in a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FOLDERS: dict[str, Literal["group", "host"]] = {"group_vars": "group", "host_vars": "host"}


def shown_path(path: Path) -> str:
    """Return a path relative to the working folder if it is below this folder."""
    absolute, folder = path.absolute(), Path.cwd()
    return str(absolute.relative_to(folder) if absolute.is_relative_to(folder) else path)


@dataclass(frozen=True)
class Document:
    """A file with groups and hosts, or with the variables of one group or host."""

    path: Path
    kind: Literal["inventory", "group", "host"]
    owner: str  # the group or host of the variables

    @property
    def name(self) -> str:
        return shown_path(self.path)

    def compose(self) -> yaml.Node | None:
        """Return the tree of the file, or None for an empty or encrypted one. Raise YAMLError or OSError."""
        text = self.path.read_bytes()
        return None if text.startswith(b"$ANSIBLE_VAULT;") else yaml.compose(text, Loader=LOADER)


def variable_documents(folder: Path) -> Iterator[Document]:
    """Yield the files of group_vars and host_vars in the order in which Ansible reads them."""
    loader = DataLoader()
    for name, kind in FOLDERS.items():
        entries = sorted(os.listdir(folder / name)) if (folder / name).is_dir() else []
        owners = dict.fromkeys(_without_extension(entry) for entry in entries if entry[0] != ".")
        for owner in owners:
            for path in loader.find_vars_files(str(folder / name), owner):
                yield Document(Path(path), kind, owner)


def _without_extension(entry: str) -> str:
    stem, extension = os.path.splitext(entry)
    return stem if extension in EXTENSIONS else entry


def source_documents(source: Path) -> Iterator[Document]:
    """Yield the YAML files of a source with groups and hosts."""
    if source.is_dir():
        for entry in sorted(os.listdir(source)):
            if not IGNORED.search(os.fsencode(entry)):
                yield from source_documents(source / entry)
    elif source.is_file() and source.suffix in EXTENSIONS:
        yield Document(source, "inventory", "")


def documents(sources: Iterable[str]) -> Iterator[Document]:
    """Yield the files of an inventory. A source is a file, a folder or a list of hosts, which has no file."""
    paths = [Path(source) for source in sources if "," not in source and Path(source).exists()]
    for path in paths:
        yield from source_documents(path)
    for folder in dict.fromkeys(path if path.is_dir() else path.parent for path in paths):
        yield from variable_documents(folder)
