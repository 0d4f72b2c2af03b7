"""A site below a temporary folder, and modules of ours that are called in this process."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

from ansible_collections.decanter.stack.plugins.module_utils.site import Site


def temporary_site(folder: Path, name: str = "plain") -> Any:
    """Return a site with all of its paths below a folder, which is left as it is."""
    site = Site(name)
    site.root = site.run = folder
    for attribute in ("releases", "venvs", "assets", "current", "pages", "closed"):
        setattr(site, attribute, folder / attribute)
    for attribute in ("lock", "pin", "once", "provisional"):
        setattr(site, attribute, folder / f"{attribute}.json")
    site.live_socket, site.log = folder / "live.sock", folder / f"log/{name}.log"
    return site


class _Ended(Exception):
    """A module has returned a result, which is the argument."""


def call(module: ModuleType, params: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    """Return the result of a module with these parameters; `failed` is true in that of a failure."""

    def exit_json(**result: Any) -> NoReturn:
        raise _Ended(result)

    def fail_json(**result: Any) -> NoReturn:
        raise _Ended({"failed": True, **result})

    fake = SimpleNamespace(params=params, check_mode=check_mode, exit_json=exit_json, fail_json=fail_json)
    with mock.patch.object(module, "AnsibleModule", return_value=fake):
        try:
            module.main()
        except _Ended as ended:
            return ended.args[0]
    raise AssertionError("expected the module to return a result")
