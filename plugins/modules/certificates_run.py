"""Run the host's program that issues and renews certificates of an ACME CA."""

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
short_description: Run the host's program that issues and renews certificates of an ACME CA
description:
  - Starts the unit that a timer starts twice a day, and returns its result. A certificate that the CA does
    not issue now is not a failure, because nginx serves the previous or a self-signed one.
options:
  unit: {description: The unit., type: str, default: decanter-certificates.service}
  configuration: {description: The configuration of the program., type: path, required: true}
  always:
    description: Whether to run if nothing is missing.
    type: bool
    default: false
  force: {description: Whether to renew certificates that are not due., type: bool, default: false}
  dry_run: {description: Whether to test a renewal only., type: bool, default: false}
  site: {description: The name of a site; all sites if empty., type: str, default: ""}
"""
RETURN = r"""
missing: {description: The reasons for the run., type: list, elements: str, returned: always}
sites: {description: Whether each certificate is new and its fault., type: dict, returned: if it ran}
faults: {description: The faults of all sites., type: list, elements: str, returned: if it ran}
log: {description: The output of the program., type: str, returned: if it ran}
"""


def missing(configuration: dict[str, Any]) -> list[str]:
    """Return reasons for a run, from the files. Renewals by date are left to the timer."""
    state, directory = Path(configuration["state"]), Path(configuration["directory"])
    found = []
    wanted = {site["name"]: site for site in configuration["sites"] if site["mode"] == "acme"}
    for name, site in wanted.items():
        note = read_json(state / "sites" / f"{name}.json")
        order = {"server": configuration["server"], "profile": site["profile"], "key_type": site["key_type"]}
        order["names"] = sorted(site["server_names"])
        if note.get("got") != order:
            found.append(f"{name}: not issued" if "got" not in note else f"{name}: issued for other settings")
            continue
        if digest(directory / name / "fullchain.pem") != digest(
            state / "certbot/live" / name / "fullchain.pem"
        ):
            found.append(f"{name}: not installed")
    account = read_json(state / "account.json")
    known = account.get("server") == configuration["server"]
    if wanted and known and account.get("email") != configuration["email"]:
        found.append("account: the CA has another mail address")
    stale = {path.stem for path in (state / "sites").glob("*.json")} - wanted.keys()
    return found + [f"{name}: still renewed, although the site does not use it" for name in sorted(stale)]


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
    if not configuration:  # check mode on a new host
        module.exit_json(changed=True, missing=["the configuration does not exist yet"])
    found = missing(configuration)
    if not found and not module.params["always"]:
        module.exit_json(changed=False, missing=[])
    if module.check_mode:
        module.exit_json(changed=not request["dry_run"], missing=found)

    while show(unit)["ActiveState"] in ("activating", "deactivating", "reloading"):
        time.sleep(0.5)  # wait for a run of the timer, which does not read the request
    state = Path(configuration["state"])
    start_time = time.time()
    if any(request.values()):
        write_file(state / "request.json", json.dumps(request), 0o600)
    fault = ""
    try:
        systemctl("start", unit)
    except RuntimeError as error:
        fault = str(error)
    last, output = read_json(state / "last.json"), log(unit, start_time)
    if last.get("begun", 0) < start_time:
        module.fail_json(msg=f"{unit}: it did not run: {fault or 'no reason is known'}\n{output}")
    new = last["account"] or any(site["installed"] for site in last["sites"].values())
    module.exit_json(changed=new, missing=found, sites=last["sites"], faults=last["faults"], log=output)


if __name__ == "__main__":
    main()
