"""Show a site's releases as a table."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


def table(name: str, told: dict) -> str:
    """Return the result of the module release_info as a table."""
    lines = [f"{name}:" if told["releases"] else f"{name}: there is no release"]
    for record in told["releases"]:
        state = "live" if record["id"] == told["live"] else record.get("state", "")
        commit = record.get("commit", "")[:12]
        commit += " and uncommitted changes" if record.get("uncommitted") else ""
        made = f"{record['created'].replace('+00:00', 'Z')} by {record.get('by', 'somebody')}"
        lines.append(f"  {record['id']:<29} {state:<7} {made}  {record.get('source', '')} {commit}".rstrip())
        if record.get("state") == "failed":
            lines.append(f"    {record.get('fault', '')}")
    if pin := told["pin"]:
        lines.append(f"  {pin['by']} went back to {pin['release']} at {pin['since']}; make deploy ends that")
    if lock := told["lock"]:
        lines.append(f"  {lock['by']} has been at work on it since {lock['since']} ({lock['what']})")
    if told["closed"]:
        lines.append(f"  it is closed to visitors; make maintenance OFF=1 SITE={name} opens it")
    lines += [f"  {unit} is {state}" for unit, state in told["units"].items() if state != "active"]
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
