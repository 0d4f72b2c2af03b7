"""Have the host's own program look after the certificates of an ACME server now."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import read_json, write_file
from ansible_collections.decanter.stack.plugins.module_utils.shared.systemd import show, systemctl
from ansible_collections.decanter.stack.plugins.module_utils.units import log

DOCUMENTATION = r"""
module: certificates_run
short_description: Have the host's own program look after the certificates of an ACME server now
description:
  - Starts the unit that its timer starts twice a day, and tells what came of it. That a certificate cannot be
    had now fails nobody, for another is in its place.
options:
  unit: {description: The unit., type: str, default: decanter-certificates.service}
  configuration: {description: What the program reads., type: path, required: true}
  always:
    description: Whether it runs although nothing is missing.
    type: bool
    default: false
  force: {description: Whether certificates are renewed that are not due., type: bool, default: false}
  dry_run: {description: Whether all is done but nothing is kept., type: bool, default: false}
  site: {description: The only site that is meant., type: str, default: ""}
"""
RETURN = r"""
missing: {description: What the run was for., type: list, elements: str, returned: always}
sites: {description: Of each, whether it is new and what is wrong., type: dict, returned: when it ran}
faults: {description: What is wrong., type: list, elements: str, returned: when it ran}
log: {description: What it said., type: str, returned: when it ran}
"""


def missing(configuration: dict[str, Any]) -> list[str]:
    """What there is to do, as far as files tell; what is due by its date is the timer's."""
    state, directory = Path(configuration["state"]), Path(configuration["directory"])
    found = []
    wanted = {site["name"]: site for site in configuration["sites"] if site["mode"] == "acme"}
    for name, site in wanted.items():
        note = read_json(state / "sites" / f"{name}.json")
        asked = {"server": configuration["server"], "profile": site["profile"], "key_type": site["key_type"]}
        asked["names"] = sorted(site["server_names"])
        if note.get("got") != asked:
            found.append(
                f"{name}: there is none" if "got" not in note else f"{name}: it is for something else"
            )
            continue
        if digest(directory / name / "fullchain.pem") != digest(
            state / "certbot/live" / name / "fullchain.pem"
        ):
            found.append(f"{name}: it is not in its place")
    account = read_json(state / "account.json")
    known = account.get("server") == configuration["server"]
    if wanted and known and account.get("email") != configuration["email"]:
        found.append("account: the authority writes to another address")
    stale = {path.stem for path in (state / "sites").glob("*.json")} - wanted.keys()
    return found + [f"{name}: it is still renewed" for name in sorted(stale)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "decanter-certificates.service"},
            "configuration": {"type": "path", "required": True},
            "always": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "dry_run": {"type": "bool", "default": False},
            "site": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    unit, request = module.params["unit"], {key: module.params[key] for key in ("force", "dry_run", "site")}
    configuration = read_json(Path(module.params["configuration"]))
    if not configuration:  # a check of a new host
        module.exit_json(changed=True, missing=["there is no configuration yet"])
    found = missing(configuration)
    if not found and not module.params["always"]:
        module.exit_json(changed=False, missing=[])
    if module.check_mode:
        module.exit_json(changed=not request["dry_run"], missing=found)

    while show(unit)["ActiveState"] in ("activating", "deactivating", "reloading"):
        time.sleep(0.5)  # the timer's; what is asked for now is for a run of its own
    state = Path(configuration["state"])
    begun = time.time()
    if any(request.values()):
        write_file(state / "request.json", json.dumps(request), 0o600)
    fault = ""
    try:
        systemctl("start", unit)
    except RuntimeError as error:
        fault = str(error)
    last, said = read_json(state / "last.json"), log(unit, begun)
    if last.get("begun", 0) < begun:
        module.fail_json(msg=f"{unit} did not run: {fault or 'it does not say why'}\n{said}")
    new = last["account"] or any(site["installed"] for site in last["sites"].values())
    module.exit_json(changed=new, missing=found, sites=last["sites"], faults=last["faults"], log=said)


if __name__ == "__main__":
    main()
