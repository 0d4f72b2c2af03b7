"""The interface of database engines: how applications connect, and what a release reads and dumps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths


@dataclass(frozen=True)
class Driver:
    """A driver of SQLAlchemy, by the scheme of a database URL."""

    # The distributions that provide the driver, the usual one first.
    distributions: Sequence[str]
    # Whether a URL can make the driver verify the server's certificate and name. Other drivers are rejected
    # for a database on another host.
    verifies: bool = False
    # Query parameters that this needs in addition to the CA.
    verification: str = ""


class Engine(ABC):
    """A database engine. `site` is a site's name, and `name` that of its database."""

    # The socket of a server on the site's own host.
    socket: ClassVar[str]
    port: ClassVar[int]
    # The systemd units of a server on the site's own host.
    units: ClassVar[Sequence[str]]
    # By the scheme of the URL.
    drivers: ClassVar[Mapping[str, Driver]]

    @abstractmethod
    def query(self, scheme: str, parts: Mapping[str, str]) -> str:
        """Return the query of a database URL for a connection with these parts (`socket` or `ca`)."""

    @abstractmethod
    def client_options(self, login: Mapping[str, str]) -> str:
        """Return the option file with which root's client logs in to a server elsewhere.

        `login` has host, port, user, password and ca.
        """

    @abstractmethod
    def schema(self, site: str, name: str) -> dict[str, str]:
        """Return each column, index and foreign key with its definition: what the code depends on."""

    @abstractmethod
    def dump(self, site: str, name: str, path: Path) -> None:
        """Write the whole database to a compressed file that only root reads, or raise RuntimeError."""


def option_file(site: str) -> Path:
    """Return the option file of root's client. It exists if the site's database is on another host."""
    return Path(SitePaths(site).configuration, "database.cnf")


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return one line for each difference of two schemas."""
    changed = sorted(item for item in before.keys() | after.keys() if before.get(item) != after.get(item))
    return [
        f"{item} was {'added' if item not in before else 'removed' if item not in after else 'changed'}"
        for item in changed
    ]
