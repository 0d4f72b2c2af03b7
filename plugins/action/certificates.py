"""Show a host's certificates as a table, and renew them or rehearse that before."""

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

PROGRAM = ["/usr/bin/python3", "-Es", "/usr/local/lib/decanter/certificates", "list"]
CONFIGURATION = "/etc/decanter/certificates.json"


def table(host: str, rows: list[dict[str, Any]]) -> str:
    """What a host's certificates are, as lines to read."""
    lines = [f"{host}:"]
    for row in rows:
        if "ends" not in row:
            lines.append(f"  {row['name']:<16} {row['error']}")
            continue
        alarm = ", TOO FEW" if row["alarm"] else ""
        lines.append(f"  {row['name']:<16} {', '.join(row['names'])}")
        kind = " ".join(part for part in (row["key_type"], row["profile"]) if part)
        lines.append(
            f"    by {row['issuer']} ({kind}), {row['days']:g} days left{alarm}: until {row['ends']}"
        )
        if row["renewal"]:
            lines.append(f"    renewed about {row['renewal']}, or when the CA suggests it")
        elif row["mode"] == "acme":
            lines.append("    it stands in until there is one")
        if row.get("failing"):
            lines.append(f"    KEEPS FAILING since {row['failing']}")
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
        if result.get("faults"):  # somebody asked, and is to know
            result["failed"], result["msg"] = True, "\n".join(result["faults"])
        return result | {"certificates": rows}
