"""Print a host's certificates as a table, after a renewal or a test of the renewal if requested."""

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

PROGRAM = ["/usr/bin/python3", "-Es", "/usr/local/lib/decanter/certificates", "list"]
CONFIGURATION = "/etc/decanter/certificates.json"


def table(host: str, rows: list[dict[str, Any]]) -> str:
    """Return the certificates of a host as a table for the operator."""
    lines = [f"{host}:"]
    for row in rows:
        if "ends" not in row:
            lines.append(f"  {row['name']:<16} {row['error']}")
            continue
        alarm = ", EXPIRES TOO SOON" if row["alarm"] else ""
        lines.append(f"  {row['name']:<16} {', '.join(row['names'])}")
        kind = " ".join(part for part in (row["key_type"], row["profile"]) if part)
        lines.append(
            f"    issued by {row['issuer']} ({kind}), {row['days']:g} days left{alarm}: expires {row['ends']}"
        )
        if row["renewal"]:
            lines.append(f"    renewal: about {row['renewal']}, or earlier if the CA suggests it")
        elif row["mode"] == "acme":
            lines.append("    self-signed, until the CA has issued the first certificate")
        if row.get("failing"):
            lines.append(f"    RENEWAL FAILS since {row['failing']}")
        if row["error"]:
            lines.append(f"    {row['error']}")
    return "\n".join(lines)


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        request = {
            "force": boolean(self._task.args.get("force", False)),
            "dry_run": boolean(self._task.args.get("dry_run", False)),
            "site": str(self._task.args.get("site", "")),
        }
        host = task_vars["inventory_hostname"]
        result: dict[str, Any] = {"changed": False}
        if request["force"] or request["dry_run"]:
            arguments = {**request, "always": True, "configuration": CONFIGURATION}
            result = self._execute_module("decanter.stack.certificates_run", arguments, task_vars=task_vars)
            if result.get("failed"):
                return result
            self._display.display(
                f"{host}:\n" + "\n".join(f"  {line}" for line in result["log"].splitlines())
            )
        listed = self._execute_module("ansible.builtin.command", {"argv": PROGRAM}, task_vars=task_vars)
        if listed.get("rc") != 0:
            raise AnsibleActionFail(f"certificates: {listed.get('stderr') or listed.get('msg')}")
        rows = json.loads(listed["stdout"])
        self._display.display(table(host, [row for row in rows if request["site"] in ("", row["name"])]))
        if result.get("faults"):  # the operator requested the renewal, so its failure fails the task
            result["failed"], result["msg"] = True, "\n".join(result["faults"])
        return result | {"certificates": rows}
