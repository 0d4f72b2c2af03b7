"""Print the releases of a site as a table."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


def table(name: str, result: dict) -> str:
    """Return the result of the module release_info as a table."""
    lines = [f"{name}:" if result["releases"] else f"{name}: no release"]
    for record in result["releases"]:
        state = "live" if record["id"] == result["live"] else record.get("state", "")
        commit = record.get("commit", "")[:12]
        commit += " and uncommitted changes" if record.get("uncommitted") else ""
        origin = f"{record['created'].replace('+00:00', 'Z')} by {record.get('by', 'unknown')}"
        line = f"  {record['id']:<29} {state:<7} {origin}  {record.get('source', '')} {commit}"
        lines.append(line.rstrip())
        if record.get("state") == "failed":
            lines.append(f"    {record.get('fault', '')}")
    if pin := result["pin"]:
        lines.append(
            f"  pinned to {pin['release']} by {pin['by']} since {pin['since']}; "
            f"make deploy SITE={name} removes the pin"
        )
    if lock := result["lock"]:
        lines.append(f"  locked by {lock['by']} since {lock['since']} ({lock['what']})")
    if result["closed"]:
        lines.append(f"  in maintenance; make maintenance OFF=1 SITE={name} ends it")
    lines += [f"  {unit} is {state}" for unit, state in result["units"].items() if state != "active"]
    return "\n".join(lines)


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        shown = arguments.pop("shown", False)
        result = self._execute_module("decanter.stack.release_info", arguments, task_vars=task_vars)
        if shown and not result.get("failed"):
            self._display.display(table(arguments["site"]["name"], result))
        return result
