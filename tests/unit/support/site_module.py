"""A site below a temporary folder, and calls of the collection's modules in this process."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

from ansible_collections.decanter.stack.plugins.module_utils.site import Site


def temporary_site(folder: Path, name: str = "plain") -> Any:
    """Return a site with all of its paths below an existing folder."""
    site = Site(name)
    site.root = site.run = folder
    for attribute in ("releases", "venvs", "assets", "current", "pages", "closed"):
        setattr(site, attribute, folder / attribute)
    for attribute in ("lock", "pin", "once", "provisional"):
        setattr(site, attribute, folder / f"{attribute}.json")
    site.configuration, site.settings = folder / "etc", folder / "settings.tar"
    site.live_socket, site.log = folder / "live.sock", folder / f"log/{name}.log"
    return site


class _Exit(Exception):
    """The end of a module. The argument is its result."""


def call(module: ModuleType, params: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    """Return the result of a module with these parameters. After a failure, its `failed` is true."""

    def exit_json(**result: Any) -> NoReturn:
        raise _Exit(result)

    def fail_json(**result: Any) -> NoReturn:
        raise _Exit({"failed": True, **result})

    fake = SimpleNamespace(params=params, check_mode=check_mode, exit_json=exit_json, fail_json=fail_json)
    with mock.patch.object(module, "AnsibleModule", return_value=fake):
        try:
            module.main()
        except _Exit as exit_:
            return exit_.args[0]
    raise AssertionError("expected the module to return a result")
